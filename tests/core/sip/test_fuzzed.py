"""What comes from the network, guided by coverage: bytes into the parser, the framer, the endpoint and the digest's fields."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from aywa.core.sip import sdp
from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.agent import Agent
from aywa.core.sip.digest import DigestServer, Proof, read_challenges
from aywa.core.sip.endpoint import Endpoint, Limits
from aywa.core.sip.events import InviteReceived
from aywa.core.sip.flow import Flow, Send
from aywa.core.sip.message import BODY_MAX_BYTES, HEAD_MAX_BYTES, Malformed, Request, parse
from aywa.core.sip.offer import LocalMedia, Negotiation, NotAcceptable, Srtp
from aywa.core.sip.stream import Framer
from aywa.testing.fuzz import fuzz
from tests.core.sip.network import Paths, tokens
from tests.core.sip.test_torture import KINDS

WATCHED = ["aywa/core/sip/"]
SEEDS = [
    KINDS[name][0] for name in ("wsinv", "intmeth", "unreason", "inv2543", "bext01", "multi01", "quotbal")
]
UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


def test_messages() -> None:
    def target(data: bytes) -> None:
        try:
            message = parse(data)
        except Malformed as fault:
            assert fault.status in (0, 400, 505, 513)  # noqa: PT017
            return
        again = parse(message.encode())
        assert (again.cseq, again.call_id, again.body) == (message.cseq, message.call_id, message.body)

    assert fuzz(target, SEEDS, WATCHED, runs=3000).edges > 150


def test_streams() -> None:
    def target(data: bytes) -> None:
        framer = Framer()
        for start in range(0, len(data), 50):
            for each in framer.receive(data[start : start + 50]):
                assert 0 < len(each) <= HEAD_MAX_BYTES + BODY_MAX_BYTES

    assert fuzz(target, [SEEDS[0] + b"\r\n\r\n" + SEEDS[1], b"\r\n\r\n\r\n"], WATCHED, runs=1500).edges > 50


def test_what_an_endpoint_is_sent() -> None:
    side = Endpoint(lambda: "t1", b"s", limits=Limits(transactions=50))
    now = 0.0

    def target(data: bytes) -> None:
        nonlocal now
        now += 0.1
        for action in [*side.receive(data, UDP, now), *side.wake(now)]:
            # Nobody gets more out of us than was put in, but for our own words.
            assert not isinstance(action, Send) or len(action.data) <= max(len(data), 4096) + 200
        assert side.transactions[1] <= 100

    assert (
        fuzz(target, [*SEEDS, KINDS["escnull"][0].replace(b"REGISTER", b"CANCEL")], WATCHED, runs=3000).edges
        > 250
    )
    side.wake(now + 4000)
    side.wake(now + 4100)
    assert side.transactions == (0, 0)


def test_what_is_shown_for_a_password() -> None:
    side = DigestServer("r", b"s", lambda name: "p")

    def target(data: bytes) -> None:
        value = data.decode("utf-8", "replace")
        request = Request("REGISTER", "sip:h", [("Authorization", value)])
        assert side.verify(request, 1.0).proof is not Proof.PROVEN
        read_challenges([value])

    seed = b'Digest realm="r", nonce="AAAA", uri="sip:h", response="00", algorithm=MD5, cnonce=c, qop=auth, nc=00000001'
    assert fuzz(target, [seed, b"Basic x"], WATCHED, runs=3000).edges > 40


# --- above the transactions ------------------------------------------------------------------------------------------

OFFER = (
    b"v=0\r\no=- 7 8 IN IP4 192.0.2.9\r\ns=call\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 8 9 96 101\r\n"
    b"a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:60\r\n"
    b"a=rtcp:4003 IN IP4 192.0.2.9\r\na=rtcp-mux\r\na=sendonly\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"|2^31|1:1\r\nm=video 0 RTP/AVP 31\r\n"
)


def test_descriptions() -> None:
    def target(data: bytes) -> None:
        try:
            described = sdp.parse(data)
        except sdp.MalformedSdp:
            return
        assert len(described.media) <= len(data)

    assert fuzz(target, [OFFER], ["aywa/core/sip/sdp"], runs=2500).edges > 100


def test_offers_and_answers() -> None:
    ours = LocalMedia("192.0.2.1", 6000, srtp=Srtp.OPTIONAL)

    def target(data: bytes) -> None:
        with suppress(NotAcceptable):
            called = Negotiation(ours, tokens(1))
            answer = sdp.parse(called.answer(data))
            # Every line of an offer has its line in the answer (RFC 3264 6).
            assert len(answer.media) == len(sdp.parse(data).media)
            assert called.plan is not None
        with suppress(NotAcceptable):
            calling = Negotiation(ours, tokens(2))
            calling.offer()
            calling.accept(data)
            assert calling.plan is not None

    assert fuzz(target, [OFFER], ["aywa/core/sip/offer", "aywa/core/sip/sdp"], runs=1500).edges > 200


def test_what_a_whole_agent_is_sent() -> None:
    """Whoever it is from: nothing is raised, and when all is over nothing is left."""
    here = ("192.0.2.1", 5060)
    agent = Agent(AgentSettings(open_networks=("192.0.2.9/32",), calls=20), Paths(here), tokens(3))
    invite = KINDS["esc01"][0]
    seeds = [
        invite,
        KINDS["escnull"][0],
        KINDS["lwsdisp"][0],
        *(invite.replace(b"INVITE", method) for method in (b"CANCEL", b"BYE", b"REFER", b"NOTIFY", b"UPDATE", b"ACK")),
    ]  # fmt: skip
    now = 0.0

    def target(data: bytes) -> None:
        nonlocal now
        now += 0.3
        flow = replace(UDP, remote=(f"192.0.2.{8 + len(data) % 2}", 5060))
        todo = [*agent.receive(data, flow, now), *agent.wake(now)]
        for event in todo:
            if isinstance(event, InviteReceived):
                agent.answer(event.call, LocalMedia("192.0.2.1", 6000), now)
        assert len(agent.calls) <= 20

    assert fuzz(target, seeds, WATCHED, runs=1500).edges > 500
    for _ in range(100):
        for call in agent.calls:
            agent.hang_up(call, now)
        now += 40.0
        agent.wake(now)
    assert agent.calls == ()
    assert agent.deadline is None
