"""A wire leads everything to the agent, and says when something came back."""

from __future__ import annotations

from aywa.core.sip.events import Answered, Ended, Progress
from aywa.core.sip.message import Request
from aywa.core.sip.wiring import Wiring
from tests.core.sip.network import OFFER, Called, answers, reply


def test_a_whole_call_goes_over_its_wire() -> None:
    def replies(request: Request) -> list[object]:
        early = [reply(request, 180)] if request.method == "INVITE" else []
        return [*early, *answers(request)]

    net = Called(replies)  # type: ignore[arg-type]
    net.dial()
    # Asked and answered, acknowledged, told.
    assert (len(net.a.of(Progress)), len(net.a.of(Answered))) == (1, 1)
    assert len(net.peer.requests("ACK")) == 1
    # Responded, with our Contact.
    net.peer.send(net.dialog.request("INVITE", (("Content-Type", "application/sdp"),), OFFER))
    (answer,) = net.peer.responses("INVITE")
    assert answer.status == 200
    assert "192.0.2.1" in answer.contacts[0].uri
    # Cancelled.
    other = Called(lambda request: [reply(request, 180)] if request.method == "INVITE" else [])
    other.dial()
    other.tell(other.a.agent.hang_up, other.now)
    assert len(other.peer.requests("CANCEL")) == 1
    assert other.a.last(Ended).status == 487


def test_whose_request_fails_is_looked_at_again() -> None:
    net = Called(lambda request: [])
    net.dial(ring_s=100.0)
    net.run(40)
    assert net.a.last(Ended).reason == "timeout"
    assert net.a.agent._calls.notes


def test_chance_and_time_are_the_agents() -> None:
    net = Called()
    wire = Wiring(net.a.agent, lambda size: bytes(size))
    net.a.agent.now = 7.0
    assert (wire.now, wire.token(3)) == (7.0, bytes(3))
    assert wire.word() != wire.word()
