"""Changes of a call that is up: re-INVITE and UPDATE both ways, glare, refreshes."""

from __future__ import annotations

import pytest

from aywa.core.sip.change import MOST_GLARES
from aywa.core.sip.events import Ended, MediaChanged, MediaRefused
from aywa.core.sip.message import Request, Response
from tests.core.sip.network import HELD, OFFER, SDP_TYPE, Called, Calling, Pair, answers, media, reply

UPDATABLE = ("Allow", "INVITE, UPDATE")
TIMER = ("Session-Expires", "300;refresher=uac")


def called(*statuses: int, fields: tuple[tuple[str, str], ...] = (), body: bytes = HELD) -> Called:
    """The far side answers the INVITE by 200, later ones and UPDATEs by these in turn."""
    left = list(statuses)

    def replies(request: Request) -> list[Response]:
        if request.method in ("INVITE", "UPDATE") and request.to_address.tag:
            status = left.pop(0) if left else 200
            if status == 0:
                return []
            described = status == 200 and request.method == "INVITE"
            return [reply(request, status, *fields, body=body if described else b"")]
        if request.method == "INVITE":
            return [reply(request, 200, *fields, body=OFFER)]
        return answers(request)

    net = Called(replies)
    net.dial()
    return net


def reinvites(net: Called) -> list[Request]:
    return [each for each in net.peer.requests("INVITE") if each.to_address.tag]


# --- ours ------------------------------------------------------------------------------------------------------------


def test_media_elsewhere() -> None:
    net = called()
    net.tell(net.a.agent.renegotiate, media("192.0.2.1", 4444), net.now)
    assert b"m=audio 4444" in reinvites(net)[0].body
    assert net.a.last(MediaChanged).plan.on_hold
    assert len(net.peer.requests("ACK")) == 2


def test_the_same_answer_again_changes_nothing_and_is_acknowledged_again() -> None:
    net = called(body=OFFER)
    net.tell(net.a.agent.renegotiate, media(), net.now)
    assert net.a.of(MediaChanged) == []
    invite = reinvites(net)[0]
    net.peer.send(reply(invite, 200, body=OFFER))
    acks = net.peer.requests("ACK")
    assert len(acks) == 3
    assert acks[1].cseq == acks[2].cseq


@pytest.mark.parametrize("status", [488, 606])
def test_a_refusal_leaves_everything_as_it_was(status: int) -> None:
    net = called(status)
    net.tell(net.a.agent.hold, True, net.now)
    assert net.a.last(MediaRefused).status == status
    net.tell(net.a.agent.renegotiate, media("192.0.2.1", 4444), net.now)
    assert b"sendonly" not in reinvites(net)[-1].body


def test_an_answer_that_cannot_be_used_is_a_refusal() -> None:
    net = called(body=b"nonsense")
    net.tell(net.a.agent.hold, True, net.now)
    assert net.a.last(MediaRefused).status == 488
    assert net.a.agent.calls == (net.call,)


@pytest.mark.parametrize("status", [481, 408])
def test_a_far_side_that_does_not_know_the_call_ends_it(status: int) -> None:
    net = called(status)
    net.tell(net.a.agent.hold, True, net.now)
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("network", status)
    assert len(net.peer.requests("BYE")) == 1


def test_a_far_side_that_does_not_answer_ends_it() -> None:
    net = called(*[0] * 50)
    net.tell(net.a.agent.hold, True, net.now)
    net.run(40)
    assert net.a.last(Ended).status == 408
    assert net.a.last(Ended).by == "network"


def test_a_closed_port_ends_it() -> None:
    net = called()
    net.a.paths.blocked.add(net.peer.local)
    net.tell(net.a.agent.hold, True, net.now)
    assert net.a.last(Ended).status == 503


def test_who_asked_at_the_same_time_comes_again_later() -> None:
    net = called(491, 500)
    net.tell(net.a.agent.hold, True, net.now)
    # In the meantime only the wish changes.
    net.tell(net.a.agent.renegotiate, media("192.0.2.1", 4446), net.now)
    assert len(reinvites(net)) == 1
    net.run(10)
    assert len(reinvites(net)) == 3
    assert b"m=audio 4446" in reinvites(net)[-1].body
    assert b"sendonly" in reinvites(net)[-1].body
    assert net.a.of(MediaRefused) == []


def test_not_for_ever() -> None:
    net = called(*[491] * 20)
    net.tell(net.a.agent.hold, True, net.now)
    net.run(60)
    assert len(reinvites(net)) == MOST_GLARES + 1
    assert net.a.last(MediaRefused).status == 491


def test_a_longer_interval_is_asked_for() -> None:
    net = called(422, 422, fields=(("Min-SE", "2000"),))
    net.tell(net.a.agent.hold, True, net.now)
    assert [each.headers.get("session-expires") for each in reinvites(net)] == ["1800", "2000"]
    assert net.a.last(MediaRefused).status == 422


def test_a_wish_during_another_is_done_after_it() -> None:
    net = Pair()
    mine, _ = net.up()
    net.tell_a(net.a.agent.hold, mine, True, net.now)
    net.tell_a(net.a.agent.renegotiate, mine, media("192.0.2.1", 4010), net.now)
    net.run(3)
    assert net.b.last(MediaChanged).plan.remote.port == 4010
    assert net.b.last(MediaChanged).plan.on_hold
    net.tell_a(net.a.agent.hang_up, mine, net.now)
    net.tell_a(net.a.agent.hold, mine, False, net.now)
    net.run(100)
    assert net.names_sent[-1] == "200 BYE"


# --- refreshes -------------------------------------------------------------------------------------------------------


def test_a_refresh_by_update_where_it_is_known() -> None:
    net = called(200, 100, fields=(UPDATABLE, TIMER))
    net.run(151)
    assert len(net.peer.requests("UPDATE")) == 1
    assert net.peer.requests("UPDATE")[0].body == b""
    assert net.peer.requests("UPDATE")[0].headers.get("session-expires") == "300;refresher=uac"
    net.run(30)
    assert net.a.agent.calls == (net.call,)


def test_a_refresh_by_invite_where_it_is_not() -> None:
    net = called(fields=(TIMER,), body=OFFER)
    net.run(151)
    assert reinvites(net)[0].body == net.peer.requests("INVITE")[0].body
    assert net.a.of(MediaChanged) == []


def test_a_refresh_that_is_refused_is_tried_again_and_the_call_ends_in_time() -> None:
    net = called(*[488] * 50, fields=(UPDATABLE, TIMER))
    net.run(151)
    assert len(net.peer.requests("UPDATE")) == 1
    net.run(100)
    assert len(net.peer.requests("UPDATE")) > 2
    assert net.a.of(MediaRefused) == []
    net.run(100)
    assert (net.a.last(Ended).by, net.a.last(Ended).reason) == ("network", "session expired")


def test_who_does_not_refresh_has_left() -> None:
    net = called(fields=(("Session-Expires", "300;refresher=uas"),))
    net.run(267)
    assert net.a.of(Ended) == []
    net.run(2)
    assert net.a.last(Ended).reason == "session expired"
    assert "cause=408" in (net.peer.requests("BYE")[0].headers.get("reason") or "")


def test_a_refresh_waits_while_another_change_runs() -> None:
    net = called(0, fields=(UPDATABLE, TIMER))
    net.run(149)
    net.tell(net.a.agent.hold, True, net.now)
    net.run(10)
    assert net.peer.requests("UPDATE") == []
    net.peer.send(reply(reinvites(net)[0], 200, TIMER, body=HELD))
    assert net.a.last(MediaChanged).plan.on_hold


# --- the far side's --------------------------------------------------------------------------------------------------


def test_hold_by_invite_and_by_update() -> None:
    net = Calling()
    net.up()
    held = net.ask("INVITE", body=HELD)
    assert (held.status, b"recvonly" in held.body) == (200, True)
    assert net.a.last(MediaChanged).plan.on_hold
    # Not before the ACK of the last one.
    assert net.ask("INVITE", body=OFFER).status == 500
    net.peer.send(net.dialog.ack(held.cseq.number))
    assert net.ask("UPDATE", body=OFFER).status == 200
    assert not net.a.last(MediaChanged).plan.on_hold
    assert len(net.a.of(MediaChanged)) == 3
    same = net.ask("UPDATE", body=OFFER)
    assert same.body == net.peer.responses("UPDATE")[0].body
    assert len(net.a.of(MediaChanged)) == 3


def test_an_invite_without_an_offer_gets_ours() -> None:
    net = Calling()
    net.up()
    offer = net.ask("INVITE")
    assert b"m=audio" in offer.body
    assert net.ask("UPDATE", body=OFFER).status == 491
    assert net.ask("INVITE", body=OFFER).status == 491
    net.peer.send(net.dialog.ack(offer.cseq.number, (SDP_TYPE,), HELD))
    assert net.a.last(MediaChanged).plan.on_hold
    again = net.ask("INVITE")
    net.peer.send(net.dialog.ack(again.cseq.number, (SDP_TYPE,), HELD))
    assert len(net.a.of(MediaChanged)) == 2
    last = net.ask("INVITE")
    net.peer.send(net.dialog.ack(last.cseq.number))
    assert net.a.last(Ended).status == 488


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_what_cannot_be_agreed_changes_nothing(method: str) -> None:
    net = Calling()
    net.up()
    refused = net.ask(method, body=b"nonsense")
    assert refused.status == 488
    assert "Warning" in refused.headers
    assert net.ask(method, ("Session-Expires", "20"), ("Supported", "timer")).headers.get("min-se") == "90"
    assert (
        net.ask(method, ("Session-Expires", "200"), ("Supported", "timer")).headers.get("require") == "timer"
    )
    assert net.a.agent.calls


def test_an_update_moves_the_far_side() -> None:
    net = Calling()
    net.up()
    assert net.ask("UPDATE", ("Contact", "<sip:moved@192.0.2.9:5060>")).status == 200
    net.tell(net.a.agent.hang_up, net.now)
    assert net.peer.requests("BYE")[0].uri in ("sip:moved@192.0.2.9:5060", "sip:peer@192.0.2.9")


def test_an_update_before_the_answer() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.ring, net.now)
    assert net.ask("UPDATE", body=OFFER).status == 500
    assert net.ask("UPDATE").status == 200
    net.tell(net.a.agent.ring, net.now, media())
    assert net.ask("UPDATE", body=HELD).status == 200
    assert net.a.last(MediaChanged).plan.on_hold


def test_an_update_before_there_is_any_media() -> None:
    net = Calling()
    net.ring_up(body=b"")
    net.tell(net.a.agent.ring, net.now)
    assert net.ask("UPDATE", body=OFFER).status == 500


def test_both_at_once_step_back_and_both_get_what_they_want() -> None:
    net = Pair()
    mine, theirs = net.up()
    net.tell_a(net.a.agent.hold, mine, True, net.now)
    net.tell_b(net.b.agent.renegotiate, theirs, media("192.0.2.2", 5100), net.now)
    net.run(10)
    assert net.names_sent.count("491 INVITE") == 2
    assert net.a.last(MediaChanged).plan.remote.port == 5100
    assert net.b.last(MediaChanged).plan.on_hold


def test_our_wish_waits_for_the_far_side_s_ack() -> None:
    net = Calling()
    net.up()
    held = net.ask("INVITE", body=HELD)
    net.tell(net.a.agent.hold, True, net.now)
    assert net.peer.requests("INVITE") == []
    net.peer.send(net.dialog.ack(held.cseq.number))
    assert len(net.peer.requests("INVITE")) == 1


def test_before_the_answer_there_is_nothing_to_change() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.hold, True, net.now)
    net.tell(net.a.agent.renegotiate, media(), net.now)
    assert net.peer.requests("INVITE") == []


def test_provisional_answers_and_calls_without_a_timer() -> None:
    left = [100, 200]

    def replies(request: Request) -> list[Response]:
        if request.to_address.tag and request.method in ("INVITE", "UPDATE"):
            return [reply(request, status, body=HELD if status == 200 else b"") for status in left]
        return answers(request)

    net = Called(replies, session_expires_s=0)
    net.dial()
    net.tell(net.a.agent.hold, True, net.now)
    assert net.a.last(MediaChanged).plan.on_hold
    assert "Session-Expires" not in reinvites(net)[0].headers
    net = Called(lambda request: [reply(request, 100), *timed(request)])
    net.dial()
    net.run(151)
    assert len(net.peer.requests("UPDATE")) == 1
    assert net.a.agent.calls == (net.call,)


def timed(request: Request) -> list[Response]:
    if request.method == "ACK":
        return []
    return [reply(request, 200, UPDATABLE, TIMER, body=OFFER if request.method == "INVITE" else b"")]


def test_the_call_may_end_before_it_is_tried_again() -> None:
    net = called(491)
    net.tell(net.a.agent.hold, True, net.now)
    session = net.a.agent._calls._sessions[net.call]
    net.tell(net.a.agent.hang_up, net.now)
    net.now += 10
    net.a.agent.now = net.now
    session._change.wake()
    assert len(reinvites(net)) == 1


def test_a_refresh_from_the_far_side_and_a_bare_answer() -> None:
    net = Calling(session_expires_s=0)
    net.up()
    refreshed = net.ask("UPDATE")
    assert "Session-Expires" not in refreshed.headers
    assert net.ask("UPDATE", ("Session-Expires", "300")).headers.get("require") is None
