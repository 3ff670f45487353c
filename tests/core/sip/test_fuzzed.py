"""What comes from the network, guided by coverage: bytes into the parser, the framer, the endpoint and the digest's fields."""

from __future__ import annotations

from aywa.core.sip.digest import DigestServer, Proof, read_challenges
from aywa.core.sip.endpoint import Endpoint, Limits
from aywa.core.sip.flow import Flow, Send
from aywa.core.sip.message import BODY_MAX_BYTES, HEAD_MAX_BYTES, Malformed, Request, parse
from aywa.core.sip.stream import Framer
from aywa.testing.fuzz import fuzz
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
