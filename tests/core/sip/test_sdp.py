"""Session descriptions: what telephones and trunks send is read, what we write is read again, nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite
from aywa.core.sip import sdp
from aywa.core.sip.sdp import Crypto, Direction, Format, MalformedSdp, MediaLine, Origin
from tests.core.feed import examples

HEAD = "v=0\r\no=- 7 8 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def read(*lines: str, head: str = HEAD) -> sdp.Description:
    return sdp.parse((head + "".join(f"{line}\r\n" for line in lines)).encode())


def audio(*lines: str, first: str = "m=audio 4000 RTP/AVP 0 8 101") -> sdp.Media:
    return read(first, *lines).media[0]


def test_a_telephone_s_description() -> None:
    read_ = read(
        "m=audio 4000 RTP/AVP 9 0 96 101",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:101 telephone-event/8000",
        "a=ptime:20",
        "a=maxptime:40",
        "a=rtcp:4009",
        "a=rtcp-mux",
        "a=sendonly",
    )
    assert read_.origin == Origin("-", 7, 8, "192.0.2.1")
    assert read_.name == "call"
    (media,) = read_.media
    assert (media.kind, media.port, media.protocol, media.address) == ("audio", 4000, "RTP/AVP", "192.0.2.1")
    assert media.codecs == (
        Format(9, "G722", 8000),
        Format(0, "PCMU", 8000),
        Format(96, "opus", 48_000, 2, "useinbandfec=1"),
        Format(101, "telephone-event", 8000),
    )
    assert (media.ptime_ms, media.maxptime_ms) == (20, 40)
    assert media.rtcp == (4009, "")
    assert media.rtcp_mux
    assert media.direction is Direction.SENDONLY


def test_what_a_media_line_does_not_say_the_session_says() -> None:
    head = HEAD + "a=recvonly\r\n"
    first, second = read(
        "m=audio 4 RTP/AVP 0", "m=video 6 RTP/AVP 31", "c=IN IP6 2001:db8::1/3", "a=inactive", head=head
    ).media
    assert (first.direction, first.address) == (Direction.RECVONLY, "192.0.2.1")
    assert (second.direction, second.address) == (Direction.INACTIVE, "2001:db8::1")
    assert second.refused == MediaLine("video", 0, "RTP/AVP", ("31",))


def test_without_any_address_or_media() -> None:
    assert sdp.parse(b"v=0\no=- 1 1 IN IP4 h\ns=-\n").media == ()
    assert read("m=audio 4 RTP/AVP 0", head="v=0\no=- 1 1 IN IP4 h\ns=-\n").media[0].address == ""


def test_lines_may_end_anyhow_and_text_may_be_of_any_charset() -> None:
    read_ = sdp.parse(b"v=0\no=- 1 1 IN IP4 h\ns=Gespr\xe4ch \n\n\0\nm=audio 1/2 rtp/avp 0\r\n")
    assert read_.name == "Gespräch"
    assert (read_.media[0].port, read_.media[0].protocol) == (1, "RTP/AVP")


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [(("a=ptime:30.0",), 30), (("a=ptime:no",), None), (("a=ptime:0",), None), ((), None)],
)
def test_packet_times(lines: tuple[str, ...], ptime_ms: int | None) -> None:
    assert audio(*lines).ptime_ms == ptime_ms


@pytest.mark.parametrize(
    ("value", "rtcp"),
    [
        ("5001 IN IP4 192.0.2.9", (5001, "192.0.2.9")),
        ("5001", (5001, "")),
        ("", None),
        ("x", None),
        ("70000", None),
        ("123456", None),
    ],
)
def test_reports_elsewhere(value: str, rtcp: tuple[int, str] | None) -> None:
    assert audio(f"a=rtcp:{value}").rtcp == rtcp


@pytest.mark.parametrize("text", ["", "PCMU", "/8000", "PCMU/x", "PCMU/0", "PCMU/8000000", "PCMU/-1"])
def test_a_payload_type_that_is_not_explained_is_left_out(text: str) -> None:
    media = audio(f"a=rtpmap:97 {text}", first="m=audio 1 RTP/AVP 97 0")
    assert [each.payload_type for each in media.codecs] == [0]
    assert media.formats == ("97", "0")


def test_odd_formats_are_kept_and_not_understood() -> None:
    media = audio("a=rtpmap:97 L16/8000/x", first="m=audio 1 RTP/AVP 0 0 * 128 1000 ² 97")
    assert media.codecs == (Format(0, "PCMU", 8000), Format(97, "L16", 8000))
    assert media.formats == ("0", "0", "*", "128", "1000", "²", "97")


def test_the_first_of_two_explanations_holds() -> None:
    media = audio("a=rtpmap:97 G726-32/8000", "a=rtpmap:97 opus/48000/2", first="m=audio 1 RTP/AVP 97")
    assert media.codecs == (Format(97, "G726-32", 8000),)


# --- SRTP ------------------------------------------------------------------------------------------------------------

KEY = "inline:" + "A" * 40


def test_crypto_lines_that_can_be_used() -> None:
    media = audio(
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^31 -KDR=1 WSH=64",
        f"a=crypto:2 F8_128_HMAC_SHA1_80 {KEY}",
        f"a=crypto:x AES_CM_128_HMAC_SHA1_80 {KEY}",
        f"a=crypto:1234567890 AES_CM_128_HMAC_SHA1_80 {KEY}",
        "a=crypto:3 AES_CM_128_HMAC_SHA1_80",
        "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        f"a=crypto:5 aes_cm_128_hmac_sha1_32 {KEY}",
    )
    assert [(each.tag, each.keys.suite, each.parameters) for each in media.crypto] == [
        (1, SrtpSuite.AES_CM_128_HMAC_SHA1_80, ("-KDR=1", "WSH=64")),
        (5, SrtpSuite.AES_CM_128_HMAC_SHA1_32, ()),
    ]
    assert media.crypto[0].keys.master == bytes(30)


def test_so_many_crypto_lines_are_read_and_no_more() -> None:
    lines = [f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 {KEY}" for tag in range(1, 100)]
    assert len(audio(*lines).crypto) == sdp.CRYPTO_LIMIT


def test_no_key_is_shown() -> None:
    line = Crypto(1, SrtpKeys(SrtpSuite.AES_CM_128_HMAC_SHA1_80, b"secret" * 5))
    assert "secret" not in repr(line)
    assert line.text.startswith("1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0")


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"o=- 1 1 IN IP4 h\r\n",
        b"v=1\r\no=- 1 1 IN IP4 h\r\n",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- x 1 IN IP4 h\r\n",
        b"v=0\r\no=- 1 1 IN IP4\r\n",
        b"v=0\r\no=- 1 " + b"9" * 21 + b" IN IP4 h\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nnonsense\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nx\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nc=ATM NSAP x\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 " + b"h" * 256 + b"\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 1 RTP/AVP\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 1 RTP/AVP" + b" 0" * 129 + b"\r\n",
        b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 17,
        b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"a=x\r\n" * 1000,
        b"v=0\r\n" + b" " * sdp.SIZE_LIMIT,
    ],
)
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(MalformedSdp):
        sdp.parse(data)


@examples(300)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 40))
def test_nothing_else_is_ever_raised(noise: bytes, at: int, cut: int) -> None:
    whole = (
        HEAD.encode() + b"m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )
    data = whole[:at] + noise + whole[at + cut :]
    try:
        made = sdp.parse(data)
    except MalformedSdp:
        return
    assert len(made.media) <= sdp.MEDIA_LIMIT


# --- written and read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", list(Direction))
def test_directions(each: Direction) -> None:
    assert each.reversed.reversed is each
    assert (each.reversed.sends, each.reversed.receives) == (each.receives, each.sends)
    assert sdp.direction(sends=each.sends, receives=each.receives) is each


@examples(100)
@given(
    st.integers(0, 10**19),
    st.sampled_from(("192.0.2.7", "2001:db8::7")),
    st.integers(0, 65_535),
    st.sampled_from(list(Direction)),
)
def test_what_is_written_is_read_again(number: int, address: str, port: int, direction: Direction) -> None:
    origin = Origin("-", number, number, address)
    line = MediaLine(
        "audio", port, "RTP/SAVP", ("0", "96"), ("rtpmap:96 opus/48000/2", "ptime:20", direction.value)
    )
    read_ = sdp.parse(sdp.encode(origin, address, (line, MediaLine("video", 0, "RTP/AVP", ("31",)))))
    assert read_.origin == origin
    assert read_.media[0].codecs[1] == Format(96, "opus", 48_000, 2)
    assert read_.media[0].codecs[1].rtpmap == "96 opus/48000/2"
    assert (read_.media[0].port, read_.media[0].direction) == (port, direction)
    assert read_.media[0].address == address
    assert read_.media[1].port == 0
    assert sdp.is_address(address)
    assert not sdp.is_address("phone.example.com")
