"""A 2xx until its ACK."""

from __future__ import annotations

from aywa.core.sip.accepting import Accepting
from aywa.core.sip.line import GIVE_UP_S, Line
from aywa.core.sip.message import Request
from aywa.core.sip.session_timer import SessionTimer
from tests.core.sip.lines import StubWire, asked


def made() -> tuple[Accepting, StubWire, list[str]]:
    wire, told = StubWire(), list[str]()
    accepting = Accepting(Line("k", wire, SessionTimer()), lambda: told.append("lost"))
    return accepting, wire, told


def ack(number: int) -> Request:
    request = asked("ACK")
    request.headers.set("CSeq", f"{number} ACK")
    return request


def test_sent_again_until_it_is_acknowledged_once() -> None:
    accepting, wire, told = made()
    accepting.wake()
    assert (accepting.pending, accepting.deadline) == (False, None)
    accepting.send("t1", asked("INVITE"), (("X-A", "1"),), b"sdp", lambda request: told.append("acked"))
    assert accepting.pending
    for now in (0.1, 0.5, 0.6, 1.5):
        wire.time = now
        accepting.wake()
    assert [status for _, status in wire.responded] == [200, 200, 200]
    accepting.acknowledged(ack(9))
    assert told == []
    accepting.acknowledged(ack(1))
    accepting.acknowledged(ack(1))
    assert told == ["acked"]
    assert accepting.deadline is None


def test_given_up() -> None:
    accepting, wire, told = made()
    accepting.send("t1", asked("INVITE"), (), b"", lambda request: None)
    wire.time = GIVE_UP_S
    accepting.wake()
    accepting.wake()
    assert told == ["lost"]
    assert not accepting.pending
