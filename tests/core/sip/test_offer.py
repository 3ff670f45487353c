"""Offer and answer between two of ours, and with what others send."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.plan import Address, Codec, StreamPlan
from aywa.core.rtp.srtp_keys import SrtpSuite
from aywa.core.sip import sdp
from aywa.core.sip.offer import LocalMedia, Negotiation, NotAcceptable, Srtp
from tests.core.feed import examples

HEAD = "v=0\r\no=- 7 8 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
KEY = "inline:" + "A" * 40
SUITE_80 = SrtpSuite.AES_CM_128_HMAC_SHA1_80
SUITE_32 = SrtpSuite.AES_CM_128_HMAC_SHA1_32


def tokens(seed: int = 1) -> Callable[[int], bytes]:
    numbers = count(seed * 1000)
    return lambda size: next(numbers).to_bytes(4, "big").rjust(size, b"\x01")


def side(address: str = "198.51.100.1", seed: int = 1, **values: object) -> Negotiation:
    return Negotiation(LocalMedia(address, 6000, **values), tokens(seed))  # type: ignore[arg-type]


def both(offerer: Negotiation, answerer: Negotiation) -> tuple[StreamPlan, StreamPlan]:
    offerer.accept(answerer.answer(offerer.offer()))
    assert offerer.plan is not None
    assert answerer.plan is not None
    return offerer.plan, answerer.plan


def description(*lines: str, head: str = HEAD) -> bytes:
    return (head + "".join(f"{line}\r\n" for line in lines)).encode()


def audio(data: bytes) -> sdp.Media:
    return next(media for media in sdp.parse(data).media if media.kind == "audio")


def version(data: bytes) -> int:
    return sdp.parse(data).origin.version


# --- two of ours -----------------------------------------------------------------------------------------------------


def test_two_sides_agree_on_one_codec_and_the_digits() -> None:
    ours, theirs = both(side(), side("203.0.113.9", 2))
    for plan in (ours, theirs):
        assert (plan.codec, plan.payload_type, dict(plan.receive_types)) == (Codec.PCMU, 0, {0: Codec.PCMU})
        assert (plan.dtmf_type, plan.dtmf_receive_type, plan.dtmf_clock_hz) == (101, 101, 8000)
        assert plan.sends
        assert plan.receives
        assert plan.rtcp_mux
        assert not plan.secured
        assert plan.comfort_noise_type is None
    assert ours.remote == ours.rtcp == Address("203.0.113.9", 6000)
    assert theirs.remote == Address("198.51.100.1", 6000)


def test_the_offerer_s_order_decides() -> None:
    ours, theirs = both(side(codecs=("opus", "PCMA")), side(seed=2))
    assert ours.codec is theirs.codec is Codec.OPUS
    assert (ours.payload_type, ours.dtmf_type, ours.dtmf_clock_hz) == (96, 102, 48_000)


def test_comfort_noise_and_digits_where_both_want_them() -> None:
    ours, theirs = both(side(comfort_noise=True), side(seed=2, comfort_noise=True))
    assert ours.comfort_noise_type == theirs.comfort_noise_type == 13
    ours, theirs = both(side(comfort_noise=True, dtmf=False), side(seed=2))
    assert ours.comfort_noise_type is theirs.comfort_noise_type is None
    assert ours.dtmf_type is theirs.dtmf_type is None
    assert both(side(), side(seed=2, dtmf=False))[0].dtmf_type is None


def test_no_comfort_noise_beside_opus() -> None:
    plan, _ = both(side(comfort_noise=True, codecs=("opus",)), side(seed=2, comfort_noise=True))
    assert plan.comfort_noise_type is None


def test_reports_on_a_port_of_their_own() -> None:
    ours, theirs = both(side(rtcp_port=6009), side(seed=2, rtcp_mux=False))
    assert not ours.rtcp_mux
    assert theirs.rtcp == Address("198.51.100.1", 6009)
    assert ours.rtcp == Address("198.51.100.1", 6001)
    assert b"rtcp:" not in side(rtcp_port=6001).offer()


def test_hold_and_back_again() -> None:
    ours, theirs = side(), side(seed=2)
    both(ours, theirs)
    ours.held = True
    plan, far = both(ours, theirs)
    assert (plan.sends, plan.receives, plan.on_hold) == (True, False, False)
    assert (far.sends, far.receives, far.on_hold) == (False, True, True)
    theirs.held = True
    plan, far = both(theirs, ours)
    assert not any((plan.sends, plan.receives, far.sends, far.receives))
    ours.held = theirs.held = False
    plan, far = both(theirs, ours)
    assert all((plan.sends, plan.receives, far.sends, far.receives))


def test_srtp_both_ways() -> None:
    ours, theirs = both(side(srtp=Srtp.REQUIRED), side(seed=2))
    assert ours.send_keys is not None
    assert ours.send_keys == theirs.receive_keys
    assert ours.receive_keys == theirs.send_keys
    assert ours.send_keys != ours.receive_keys
    assert ours.send_keys.suite is SUITE_80


def test_the_second_suite_when_the_first_is_not_known() -> None:
    ours, theirs = both(side(srtp=Srtp.REQUIRED), side(seed=2, suites=(SUITE_32,)))
    assert ours.send_keys == theirs.receive_keys
    assert ours.send_keys is not None
    assert ours.send_keys.suite is SUITE_32


def test_keys_stay_through_a_second_offer_either_way() -> None:
    ours, theirs = side(srtp=Srtp.REQUIRED), side(seed=2)
    first, _ = both(ours, theirs)
    again, far = both(theirs, ours)
    assert (far.send_keys, far.receive_keys) == (first.send_keys, first.receive_keys)
    assert again.secured


# --- versions and lines ----------------------------------------------------------------------------------------------


def test_the_version_grows_when_something_changed_and_only_then() -> None:
    ours, theirs = side(), side(seed=2)
    first = ours.offer()
    assert ours.offer() is first
    ours.accept(theirs.answer(first))
    assert ours.offer() == first
    ours.rollback()
    ours.held = True
    assert version(ours.offer()) == version(first) + 1
    assert sdp.parse(ours.offer()).origin.session_id == sdp.parse(first).origin.session_id


def test_other_lines_are_mirrored_and_refused_and_stay_in_our_own_offers() -> None:
    ours = side()
    answer = ours.answer(
        description(
            "m=image 5000 udptl t38",
            "m=audio 4000 RTP/AVP 0",
            "m=video 4002 RTP/AVP 31",
            "m=audio 4004 RTP/AVP 8",
        )
    )
    for said in (answer, ours.offer()):
        lines = sdp.parse(said).media
        assert [(line.kind, line.port) for line in lines] == [
            ("image", 0),
            ("audio", 6000),
            ("video", 0),
            ("audio", 0),
        ]


def test_the_first_audio_that_can_be_had() -> None:
    ours = side()
    lines = sdp.parse(
        ours.answer(description("m=audio 0 RTP/AVP 0", "m=audio 1 RTP/AVP 18", "m=audio 2 RTP/AVP 8"))
    ).media
    assert [line.port for line in lines] == [0, 0, 6000]
    assert ours.plan is not None
    assert ours.plan.remote == Address("192.0.2.1", 2)


def test_payload_types_keep_their_meaning() -> None:
    ours = side()
    ours.answer(description("m=audio 4000 RTP/AVP 96 0", "a=rtpmap:96 telephone-event/8000"))
    assert ours.plan is not None
    assert (ours.plan.dtmf_type, ours.plan.dtmf_receive_type) == (96, 96)
    formats = {each.name: each.payload_type for each in audio(ours.offer()).codecs}
    assert formats["opus"] == 97
    assert formats["telephone-event"] == 102
    assert b"rtpmap:96 telephone-event/8000" in ours.offer()


def test_a_side_that_took_all_payload_types_still_gets_an_offer() -> None:
    ours = side()
    types = " ".join(str(each) for each in range(96, 128))
    maps = [f"a=rtpmap:{each} x{each}/8000" for each in range(96, 128)]
    for turn in range(5):
        more = [f"a=rtpmap:{each} y{turn}{each}/8000" for each in range(1, 90)]
        ours.answer(
            description(f"m=audio 4000 RTP/AVP 0 {types} " + " ".join(map(str, range(1, 90))), *maps, *more)
        )
    assert b"rtpmap:96 opus" in ours.offer()
    assert len(ours.to_dict()["types"]) <= sdp.FORMAT_LIMIT + 8


def test_a_codec_by_another_number_is_sent_by_theirs_and_awaited_by_ours() -> None:
    ours = side(codecs=("opus", "PCMU"))
    ours.offer()
    ours.accept(
        description(
            "m=audio 4000 RTP/AVP 120 0 99", "a=rtpmap:120 OPUS/48000/2", "a=rtpmap:99 telephone-event/8000"
        )
    )
    assert ours.plan is not None
    assert ours.plan.payload_type == 120
    assert dict(ours.plan.receive_types) == {96: Codec.OPUS, 0: Codec.PCMU}
    assert (ours.plan.dtmf_type, ours.plan.dtmf_receive_type, ours.plan.dtmf_clock_hz) == (99, 101, 8000)


# --- what others send ------------------------------------------------------------------------------------------------


def test_hold_as_it_was_before() -> None:
    ours = side()
    ours.answer(description("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"))
    assert ours.plan is not None
    assert (ours.plan.sends, ours.plan.receives, ours.plan.on_hold) == (False, True, True)


@pytest.mark.parametrize(
    ("line", "ptime_ms"),
    [
        ("a=ptime:30", 30),
        ("a=ptime:25", 20),
        ("a=ptime:60", 60),
        ("a=maxptime:10", 10),
        ("a=maxptime:5", 10),
        ("a=maxptime:100", 20),
    ],
)
def test_packet_times(line: str, ptime_ms: int) -> None:
    ours = side()
    ours.answer(description("m=audio 4000 RTP/AVP 0", line))
    assert ours.plan is not None
    assert ours.plan.ptime_ms == ptime_ms


@pytest.mark.parametrize(
    ("port", "line", "rtcp"),
    [
        (4000, "a=rtcp:4100", Address("192.0.2.1", 4100)),
        (4000, "a=rtcp:4100 IN IP4 192.0.2.9", Address("192.0.2.9", 4100)),
        (4000, "a=rtcp:4100 IN IP4 host", Address("192.0.2.1", 4100)),
        (65_535, "a=x", None),
        (4000, "a=rtcp:0", None),
    ],
)
def test_where_reports_go(port: int, line: str, rtcp: Address | None) -> None:
    ours = side()
    answer = ours.answer(description(f"m=audio {port} RTP/AVP 0", line))
    assert ours.plan is not None
    assert ours.plan.rtcp == rtcp
    assert not audio(answer).rtcp_mux


@pytest.mark.parametrize("protocol", ["RTP/AVP", "RTP/SAVP", "RTP/SAVPF"])
def test_a_key_is_taken_wherever_it_is_offered(protocol: str) -> None:
    ours = side()
    answer = ours.answer(
        description(
            f"m=audio 4000 {protocol} 0",
            f"a=crypto:1 {SUITE_80} {KEY} UNENCRYPTED_SRTCP",
            f"a=crypto:7 {SUITE_32} {KEY} WSH=64 -OTHER",
        )
    )
    (crypto,) = audio(answer).crypto
    assert (crypto.tag, crypto.keys.suite, audio(answer).protocol) == (7, SUITE_32, protocol)
    assert ours.plan is not None
    assert ours.plan.secured
    assert audio(ours.offer()).protocol == protocol


@pytest.mark.parametrize(
    ("srtp", "lines", "why"),
    [
        (Srtp.NEVER, ("m=audio 1 RTP/SAVP 0", f"a=crypto:1 {SUITE_80} {KEY}"), "no common crypto suite"),
        (Srtp.OPTIONAL, ("m=audio 1 RTP/SAVP 0",), "no common crypto suite"),
        (Srtp.REQUIRED, ("m=audio 1 RTP/AVP 0",), "SRTP is required"),
        (Srtp.NEVER, ("m=audio 1 UDP/TLS/RTP/SAVPF 0",), "unknown media protocol"),
        (Srtp.NEVER, ("m=audio 1 RTP/AVP 18",), "no common codec"),
        (Srtp.NEVER, ("m=audio 1 RTP/AVP 0", "c=IN IP4 host.example"), "no address of the media"),
        (Srtp.NEVER, ("m=video 1 RTP/AVP 31", "m=audio 0 RTP/AVP 0"), "no audio was offered"),
        (Srtp.NEVER, ("nonsense",), "a line without a type"),
    ],
)
def test_what_is_refused_leaves_what_was_agreed(srtp: Srtp, lines: tuple[str, ...], why: str) -> None:
    ours = side(srtp=srtp)
    with pytest.raises(NotAcceptable, match=why):
        ours.answer(description(*lines))
    assert ours.plan is None


def test_a_key_that_came_unasked_is_passed_over() -> None:
    ours = side(srtp=Srtp.NEVER)
    ours.answer(description("m=audio 1 RTP/AVP 0", f"a=crypto:1 {SUITE_80} {KEY}"))
    assert ours.plan is not None
    assert not ours.plan.secured


@pytest.mark.parametrize(
    ("srtp", "lines", "why"),
    [
        (Srtp.NEVER, (), "fewer media lines"),
        (Srtp.NEVER, ("m=audio 0 RTP/AVP 0",), "the audio was refused"),
        (Srtp.NEVER, ("m=video 1 RTP/AVP 31",), "the audio was refused"),
        (Srtp.NEVER, ("m=audio 1 RTP/AVP 18",), "no common codec"),
        (Srtp.NEVER, ("m=audio 1 RTP/AVP 0", "c=IN IP4 host"), "no address of the media"),
        (Srtp.NEVER, ("m=audio 1 RTP/SAVP 0",), "no key in the answer"),
        (Srtp.REQUIRED, ("m=audio 1 RTP/SAVP 0",), "no key in the answer"),
        (Srtp.REQUIRED, ("m=audio 1 RTP/SAVP 0", f"a=crypto:9 {SUITE_80} {KEY}"), "no key in the answer"),
        (Srtp.REQUIRED, ("m=audio 1 RTP/SAVP 0", f"a=crypto:2 {SUITE_80} {KEY}"), "no key in the answer"),
        (Srtp.NEVER, ("?",), "a line without a type"),
    ],
)
def test_an_answer_that_is_none(srtp: Srtp, lines: tuple[str, ...], why: str) -> None:
    ours = side(srtp=srtp)
    ours.offer()
    with pytest.raises(NotAcceptable, match=why):
        ours.accept(description(*lines))
    assert not ours.pending
    with pytest.raises(NotAcceptable, match="without an offer"):
        ours.accept(description(*lines))


def test_an_answer_in_another_protocol_is_taken_and_ours_stays() -> None:
    ours = side()
    ours.offer()
    ours.accept(description("m=audio 1 udp 0"))
    assert ours.plan is not None
    assert audio(ours.offer()).protocol == "RTP/AVP"


# --- in another process ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("srtp", [Srtp.NEVER, Srtp.REQUIRED])
def test_taken_up_elsewhere_it_goes_on_as_it_was(srtp: Srtp) -> None:
    ours, theirs = side(srtp=srtp), side(seed=2)
    assert not ours.pending
    fresh = Negotiation.from_dict(json.loads(json.dumps(ours.to_dict())), tokens(9))
    both(fresh, side(seed=3))
    theirs_first = theirs.answer(ours.offer().replace(b"m=audio", b"m=image 5 udptl t38\r\nm=audio"))
    assert sdp.parse(theirs_first).media[0].port == 0
    both(theirs, fresh)
    for each in (ours, theirs, fresh):
        stored = json.loads(json.dumps(each.to_dict()))
        again = Negotiation.from_dict(stored, tokens(9))
        assert again.plan == each.plan
        assert again.to_dict() == each.to_dict()
        each.rollback()
        assert again.offer() == each.offer()


# --- anything at all -------------------------------------------------------------------------------------------------

SIDES = st.fixed_dictionaries(
    {
        "codecs": st.permutations(("PCMU", "PCMA", "G722", "opus")).flatmap(
            lambda order: st.integers(1, 4).map(lambda count_: tuple(order[:count_]))
        ),
        "dtmf": st.booleans(),
        "srtp": st.sampled_from(list(Srtp)),
        "rtcp_mux": st.booleans(),
        "comfort_noise": st.booleans(),
    }
)


@examples(200)
@given(SIDES, SIDES, st.lists(st.sampled_from(("a", "b", "hold_a", "hold_b")), max_size=6))
def test_whatever_they_can_do_both_sides_agree_or_neither(
    mine: dict[str, object], theirs: dict[str, object], turns: list[str]
) -> None:
    a, b = side("198.51.100.1", 1, **mine), side("203.0.113.9", 2, **theirs)
    for turn in ("a", *turns):
        if turn.startswith("hold"):
            held = a if turn == "hold_a" else b
            held.held = not held.held
            continue
        offerer, answerer = (a, b) if turn == "a" else (b, a)
        before = (a.plan, b.plan)
        try:
            answer = answerer.answer(offerer.offer())
        except NotAcceptable:
            offerer.rollback()
            assert (a.plan, b.plan) == before
            continue
        offerer.accept(answer)
        one, two = offerer.plan, answerer.plan
        assert one is not None
        assert two is not None
        assert one.codec is two.codec
        assert (one.sends, one.receives) == (two.receives, two.sends)
        assert (one.send_keys, one.receive_keys) == (two.receive_keys, two.send_keys)
        assert two.payload_type in one.receive_types
        assert one.payload_type in two.receive_types
        assert (one.dtmf_type, one.dtmf_clock_hz) == (two.dtmf_receive_type, two.dtmf_clock_hz)
        assert one.rtcp_mux is two.rtcp_mux
        assert one.comfort_noise_type == two.comfort_noise_type


@examples(300)
@given(st.binary(max_size=80), st.integers(0, 300), st.integers(0, 60), st.booleans())
def test_nonsense_is_refused_and_changes_nothing(noise: bytes, at: int, cut: int, answers: bool) -> None:
    ours = side()
    whole = side("203.0.113.9", 2).offer()
    data = whole[:at] + noise + whole[at + cut :]
    ours.offer()
    try:
        if answers:
            ours.accept(data)
        else:
            ours.rollback()
            ours.answer(data)
    except NotAcceptable:
        assert ours.plan is None
        return
    assert ours.plan is not None
