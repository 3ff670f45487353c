"""The answering side of a call, against a caller that follows a script."""

from __future__ import annotations

import pytest

from aywa.core.sip.events import Confirmed, Ended, MediaChanged
from aywa.core.sip.line import GIVE_UP_S
from tests.core.sip.network import HELD, OFFER, SDP_TYPE, Calling, media

SUPPORTED = ("Supported", "100rel, timer")
REQUIRED = ("Require", "100rel")


def test_early_media_and_the_same_description_again() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.ring, net.now, media(), (("X-Early", "yes"),))
    net.tell(net.a.agent.ring, net.now, media())
    net.tell(net.a.agent.answer, media(), net.now)
    assert net.peer.statuses("INVITE") == [100, 183, 183, 200]
    bodies = [each.body for each in net.peer.responses("INVITE")[1:]]
    assert bodies[0] == bodies[1] == bodies[2]
    assert net.peer.responses("INVITE")[1].headers.get("x-early") == "yes"
    assert len(net.a.of(MediaChanged)) == 1


def test_media_that_is_not_common_is_refused_while_ringing_or_answering() -> None:
    for early in (True, False):
        net = Calling()
        net.ring_up()
        if early:
            net.tell(net.a.agent.ring, net.now, media(codecs=("opus",)))
        else:
            net.tell(net.a.agent.answer, media(codecs=("opus",)), net.now)
        assert net.peer.statuses("INVITE") == [100, 488]
        assert "no common codec" in (net.peer.responses("INVITE")[1].headers.get("warning") or "")
        net.tell(net.a.agent.ring, net.now)
        net.tell(net.a.agent.answer, media(), net.now)
        net.tell(net.a.agent.reject, 486, net.now)
        assert len(net.a.of(Ended)) == 1


def test_without_an_offer_ours_is_answered_by_the_ack() -> None:
    net = Calling()
    net.ring_up(body=b"")
    net.tell(net.a.agent.ring, net.now, media())
    net.tell(net.a.agent.answer, media(), net.now)
    assert net.peer.statuses("INVITE") == [100, 180, 200]
    assert net.a.of(MediaChanged) == []
    net.peer.send(net.dialog.ack(1, (SDP_TYPE,), OFFER))
    assert net.a.last(MediaChanged).plan.remote.port == 7000
    assert net.a.last(Confirmed).plan == net.a.last(MediaChanged).plan


def test_an_ack_without_the_answer_ends_the_call() -> None:
    net = Calling()
    net.ring_up(body=b"")
    net.tell(net.a.agent.answer, media(), net.now)
    net.peer.send(net.dialog.ack(1))
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("local", 488)
    assert len(net.peer.requests("BYE")) == 1


def test_an_ack_after_the_end_confirms_nothing() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.answer, media(), net.now)
    net.tell(net.a.agent.hang_up, net.now)
    net.peer.send(net.dialog.ack(1))
    assert net.a.of(Confirmed) == []
    assert len(net.peer.requests("BYE")) == 1


# --- reliable answers ------------------------------------------------------------------------------------------------


def prack(net: Calling, change: int = 0, method: str = "INVITE", body: bytes = b"") -> int:
    reliable = [each for each in net.peer.responses("INVITE") if each.headers.get("rseq")][-1]
    rseq = int(reliable.headers.get("rseq") or "0")
    return net.ask("PRACK", ("RAck", f"{rseq + change} 1 {method}"), body=body).status


def test_a_reliable_answer_is_sent_until_it_is_acknowledged() -> None:
    net = Calling()
    net.ring_up(SUPPORTED)
    net.tell(net.a.agent.ring, net.now, media())
    net.tell(net.a.agent.ring, net.now, media())
    net.run(2)
    first = net.peer.responses("INVITE")[1]
    assert first.headers.tokens("require") == {"100rel"}
    assert net.peer.statuses("INVITE") == [100, 183, 183, 183]
    assert prack(net, 1) == 481
    assert prack(net, 0, "BYE") == 481
    assert net.ask("PRACK", ("RAck", "x y z")).status == 481
    assert prack(net) == 200
    assert prack(net) == 481
    net.run(20)
    assert net.peer.statuses("INVITE") == [100, 183, 183, 183]


def test_the_answer_waits_for_it() -> None:
    net = Calling()
    net.ring_up(SUPPORTED)
    net.tell(net.a.agent.ring, net.now, media())
    net.tell(net.a.agent.answer, media(), net.now)
    net.tell(net.a.agent.answer, media(), net.now)
    net.tell(net.a.agent.ring, net.now)
    assert 200 not in net.peer.statuses("INVITE")
    assert prack(net) == 200
    assert net.peer.statuses("INVITE")[-1] == 200


def test_ringing_is_reliable_only_where_it_must_be() -> None:
    net = Calling()
    net.ring_up(SUPPORTED)
    net.tell(net.a.agent.ring, net.now)
    assert net.peer.responses("INVITE")[1].headers.get("rseq") is None
    net = Calling()
    net.ring_up(REQUIRED)
    net.tell(net.a.agent.ring, net.now)
    assert net.peer.statuses("INVITE") == [180]
    assert net.peer.responses("INVITE")[0].headers.get("rseq") is not None
    # Without a description in it, the answer need not wait.
    net.tell(net.a.agent.answer, media(), net.now)
    assert net.peer.statuses("INVITE") == [180, 200]


def test_an_update_while_the_offer_waits() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.ring, net.now)
    assert net.ask("UPDATE", body=OFFER).status == 500


def test_who_never_acknowledges_is_refused() -> None:
    net = Calling()
    net.ring_up(REQUIRED)
    net.tell(net.a.agent.ring, net.now)
    net.run(GIVE_UP_S + 1)
    assert net.peer.statuses("INVITE")[-1] == 504
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("network", 504)


def test_a_second_offer_with_the_acknowledgement() -> None:
    net = Calling()
    net.ring_up(SUPPORTED)
    net.tell(net.a.agent.ring, net.now, media())
    assert prack(net, body=HELD) == 200
    assert net.a.last(MediaChanged).plan.on_hold
    assert net.peer.responses("PRACK")[-1].body
    net.tell(net.a.agent.answer, media(), net.now)
    net = Calling()
    net.ring_up(SUPPORTED)
    net.tell(net.a.agent.ring, net.now, media())
    assert prack(net, body=b"nonsense") == 488


def test_a_prack_with_a_description_that_nothing_asked_for() -> None:
    net = Calling()
    net.ring_up(REQUIRED, body=b"")
    net.tell(net.a.agent.ring, net.now)
    assert prack(net, body=OFFER) == 200


def test_a_call_given_up_while_the_answer_waits() -> None:
    net = Calling()
    net.ring_up(SUPPORTED)
    net.tell(net.a.agent.ring, net.now, media())
    net.tell(net.a.agent.answer, media(), net.now)
    assert net.ask("BYE").status == 200
    assert net.peer.statuses("INVITE")[-1] == 487
    assert net.a.last(Ended).by == "remote"


# --- session timer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "granted", "required"),
    [
        ((), None, None),
        ((("Supported", "timer"),), "1800;refresher=uac", "timer"),
        ((("Supported", "timer"), ("Session-Expires", "300;refresher=uas")), "300;refresher=uas", "timer"),
        ((("Session-Expires", "300"),), "300;refresher=uas", None),
    ],
)
def test_the_timer_is_granted(
    fields: tuple[tuple[str, str], ...], granted: str | None, required: str | None
) -> None:
    net = Calling()
    net.up(*fields)
    answer = next(each for each in net.peer.responses("INVITE") if each.status == 200)
    assert answer.headers.get("session-expires") == granted
    assert answer.headers.get("require") == required


def test_an_offer_waits_for_the_answer_and_nothing_is_sent_before_its_time() -> None:
    net = Calling()
    net.ring_up(SUPPORTED)
    session = next(iter(net.a.agent._calls._sessions.values()))
    assert session.callee is not None
    session.callee.wake()
    net.tell(net.a.agent.ring, net.now, media())
    session.callee.wake()
    assert net.peer.statuses("INVITE") == [100, 183]
    assert net.ask("UPDATE", body=HELD).status == 200
