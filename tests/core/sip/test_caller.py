"""The calling side of a call, against a far side that follows a script."""

from __future__ import annotations

import pytest

from aywa.core.sip.caller import Caller
from aywa.core.sip.events import Answered, Ended, Progress
from aywa.core.sip.line import Hop, Line
from aywa.core.sip.message import Request, Response
from aywa.core.sip.offer import Negotiation
from aywa.core.sip.session_timer import SessionTimer
from tests.core.sip.lines import StubWire
from tests.core.sip.network import HELD, OFFER, Called, media, reply


def scripted(*steps: tuple[int, str, bytes, tuple[tuple[str, str], ...]]) -> Called:
    """The far side answers the INVITE by these, and anything else by 200. A step: status, tag, body, fields."""

    def replies(request: Request) -> list[Response]:
        if request.method == "ACK":
            return []
        if request.method != "INVITE":
            return [reply(request, 200)]
        return [reply(request, status, *fields, tag=tag, body=body) for status, tag, body, fields in steps]

    return Called(replies)


def test_early_media_and_its_confirmation() -> None:
    net = scripted(
        (100, "", b"", ()), (183, "p1", OFFER, ()), (200, "p1", OFFER.replace(b"7000", b"7002"), ())
    )
    net.dial()
    assert net.a.last(Progress).plan.remote.port == 7000
    assert net.a.last(Answered).plan.remote.port == 7002
    assert len(net.a.of(Progress)) == 1


def test_an_answer_without_a_description_after_one_that_came_early() -> None:
    net = scripted((183, "p1", OFFER, ()), (200, "p1", b"", ()))
    net.dial()
    assert net.a.last(Answered).plan.remote.port == 7000


def test_what_is_said_early_and_cannot_be_used_waits_for_the_answer() -> None:
    net = scripted((183, "p1", b"nonsense", ()), (200, "p1", OFFER, ()))
    net.dial()
    assert net.a.last(Progress).plan is None
    assert net.a.last(Answered).plan.remote.port == 7000


@pytest.mark.parametrize("body", [b"", b"nonsense"])
def test_an_answer_that_cannot_be_used_ends_the_call(body: bytes) -> None:
    net = scripted((200, "p1", body, ()))
    net.dial()
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("local", 488)
    (bye,) = net.peer.requests("BYE")
    assert "cause=488" in (bye.headers.get("reason") or "")
    assert len(net.peer.requests("ACK")) == 1


RELIABLE = ("Require", "100rel")


def test_reliable_answers_are_acknowledged_in_their_order() -> None:
    net = scripted(
        (183, "p1", OFFER, (RELIABLE, ("RSeq", "5"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "5"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "7"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "x"))),
        (180, "p1", b"", (RELIABLE, ("RSeq", "6"))),
        (200, "p1", HELD, ()),
    )
    net.dial()
    assert [each.headers.get("rack") for each in net.peer.requests("PRACK")] == ["5 1 INVITE", "6 1 INVITE"]
    assert [each.status for each in net.a.of(Progress)] == [183, 180]
    # A reliable description is the answer (RFC 3262 5); what the 2xx says again changes nothing.
    assert net.a.last(Answered).plan.receives
    assert net.a.last(Answered).plan.sends


def test_the_first_answer_of_a_fork_wins_and_the_others_are_hung_up() -> None:
    net = scripted(
        (180, "p1", b"", ()),
        (180, "p2", b"", ()),
        (200, "p2", OFFER, ()),
        (200, "p1", OFFER, ()),
        (200, "p2", OFFER, ()),
        (200, "p3", OFFER, ()),
    )
    net.dial()
    assert len(net.a.of(Answered)) == 1
    assert [each.to_address.tag for each in net.peer.requests("ACK")] == ["p2", "p1", "p2", "p3"]
    assert [each.to_address.tag for each in net.peer.requests("BYE")] == ["p1", "p3"]
    assert net.a.agent.calls == (net.call,)


def test_more_forks_than_anybody_has_are_answered_all_the_same() -> None:
    early = [(180, f"e{number}", b"", ()) for number in range(20)]
    late = [(200, f"e{number}", OFFER, ()) for number in range(20)]
    net = scripted(*early, *late)
    net.dial()
    assert len(net.peer.requests("BYE")) == 19
    assert len(net.a.of(Progress)) == 20


def test_an_answer_to_who_gave_up() -> None:
    net = scripted((180, "p1", b"", ()))
    net.dial()
    net.tell(net.a.agent.hang_up, net.now)
    invite = net.peer.requests("INVITE")[0]
    net.peer.send(reply(invite, 180, tag="p1"))
    net.peer.send(reply(invite, 200, tag="p1", body=OFFER))
    net.peer.send(reply(invite, 200, tag="p1", body=OFFER))
    assert len(net.peer.requests("ACK")) == 2
    assert len(net.peer.requests("BYE")) == 1
    assert net.a.last(Ended).status == 487
    assert len(net.a.of(Progress)) == 1


def test_an_interval_that_is_too_small_is_asked_for_again_and_not_for_ever() -> None:
    def replies(request: Request) -> list[Response]:
        asked = int((request.headers.get("session-expires") or "0").partition(";")[0])
        return [reply(request, 422, ("Min-SE", str(asked + 100)))] if request.method == "INVITE" else []

    net = Called(replies)
    net.dial()
    asked = [each.headers.get("session-expires") for each in net.peer.requests("INVITE")]
    assert asked == ["1800", "1900", "2000"]
    assert [each.cseq.number for each in net.peer.requests("INVITE")] == [1, 2, 3]
    assert net.a.last(Ended).status == 422


def test_without_a_timer_of_ours_none_is_asked_for() -> None:
    net = Called(session_expires_s=0)
    net.dial()
    assert net.peer.requests("INVITE")[0].headers.get("session-expires") is None
    assert len(net.a.of(Answered)) == 1


def test_early_dialogs_take_requests() -> None:
    net = scripted((180, "p1", b"", ()), (180, "p2", b"", ()))
    net.dial()
    dialog = net.dialog
    net.peer.send(dialog.request("INFO", (("Content-Type", "application/dtmf"),), b"1"))
    assert net.peer.statuses("INFO") == [200]
    dialog.local = dialog.local.with_tag("p9")
    net.peer.send(dialog.request("INFO"))
    assert net.peer.statuses("INFO") == [200, 481]


def test_a_progress_without_a_tag_is_told() -> None:
    def replies(request: Request) -> list[Response]:
        made = reply(request, 183, tag="x", body=OFFER)
        made.headers.set("To", "<sip:bob@192.0.2.9>")
        return [made]

    net = Called(replies)
    net.dial()
    assert net.a.last(Progress).plan is not None


def test_silence_after_hanging_up() -> None:
    net = scripted((180, "p1", b"", ()))
    net.dial()
    net.peer.replies = lambda request: []
    net.tell(net.a.agent.hang_up, net.now)
    net.run(200)
    assert len(net.a.of(Ended)) == 1
    assert len(net.a.agent.asking) == 0


def test_what_comes_after_the_end_of_it_changes_nothing() -> None:
    wire = StubWire()
    line = Line("k", wire, SessionTimer())
    line.negotiation = Negotiation(media(), wire.token)
    caller = Caller(line, "sip:bob@192.0.2.9", Hop(("sip:bob@192.0.2.9",)), (), 60.0)
    caller.invite("<sip:alice@192.0.2.1>;tag=a", "<sip:bob@192.0.2.9>", "c1")
    assert wire.asked[0].next_cseq() == 2
    wire.fail("transport")
    wire.answer(486)
    wire.answer(100)
    wire.answer(180)
    wire.fail("timeout")
    assert [type(event) for event in wire.events] == [Ended]
    assert caller.fork("far") is None
