"""One call: what is said within its dialog, how it ends, and how another process goes on with it."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.agent import Agent
from aywa.core.sip.events import (
    Answered,
    DigitReceived,
    Ended,
    InfoReceived,
    InfoSent,
    MediaChanged,
    Reason,
    RequestAnswered,
)
from aywa.core.sip.line import GIVE_UP_S
from aywa.core.sip.message import Request, Response
from aywa.core.sip.offer import Srtp
from tests.core.feed import examples
from tests.core.sip.network import HELD, OFFER, Called, Calling, Pair, answers, media, reply, tokens

# --- within the dialog -----------------------------------------------------------------------------------------------


def test_digits_and_other_words() -> None:
    net = Calling()
    net.up()
    assert (
        net.ask("INFO", ("Content-Type", "application/dtmf-relay"), body=b"Signal=5\r\nDuration=90").status
        == 200
    )
    assert (
        net.ask("INFO", ("Content-Type", "text/plain"), ("Info-Package", "dtmf"), body=b"hello").status == 200
    )
    assert net.ask("INFO").status == 200
    assert net.ask("INFO", ("Info-Package", "weather"), body=b"x").status == 469
    assert (net.a.last(DigitReceived).digit, net.a.last(DigitReceived).duration_ms) == ("5", 90)
    assert [(each.content_type, each.body) for each in net.a.of(InfoReceived)] == [("text/plain", b"hello")]


def test_what_we_say_is_answered() -> None:
    net = Called()
    net.dial()
    net.tell(net.a.agent.send_digit, "#", 200, net.now)
    assert net.peer.requests("INFO")[0].body == b"Signal=#\r\nDuration=200\r\n"
    assert net.a.last(InfoSent).status == 200
    net.peer.replies = lambda request: [reply(request, 100)]
    net.tell(net.a.agent.send_info, "text/plain", b"x", net.now)
    net.run(40)
    assert [each.status for each in net.a.of(InfoSent)] == [200, 408]
    net.peer.replies = answers
    net.tell(net.a.agent.hang_up, net.now)
    net.tell(net.a.agent.send_info, "text/plain", b"x", net.now)
    assert len(net.a.of(InfoSent)) == 2


def test_a_request_of_a_customers_has_its_answer() -> None:
    net = Called()
    net.dial()
    fields = (("X-Ward", "7"), ("Content-Type", "text/plain"))
    net.tell(net.a.agent.send, "1", "MESSAGE", fields, b"hello", net.now)
    (message,) = net.peer.requests("MESSAGE")
    assert (message.body, message.headers.get("x-ward"), message.content_type) == (
        b"hello",
        "7",
        "text/plain",
    )
    assert (message.call_id, message.to_address.tag) == (net.dialog.call_id, net.dialog.local_tag)
    net.peer.replies = lambda request: [reply(request, 100), reply(request, 405)]
    net.tell(net.a.agent.send, "2", "INFO", (), b"", net.now)
    net.peer.replies = lambda request: []
    net.tell(net.a.agent.send, "3", "NOTIFY", (("Event", "talk"),), b"", net.now)
    assert net.peer.requests("NOTIFY")[0].contacts
    net.run(40)
    found = [(each.key, each.status, each.reason) for each in net.a.of(RequestAnswered)]
    assert found == [("1", 200, "OK"), ("2", 405, "Method Not Allowed"), ("3", 0, "timeout")]


def test_without_a_dialog_there_is_no_request() -> None:
    net = Called(lambda request: [reply(request, 180)])
    net.dial()
    net.tell(net.a.agent.send, "1", "INFO", (), b"", net.now)
    net.do(net.a, net.a.agent.send("nobody", "2", "INFO", (), b"", net.now))
    net.run(0.1)
    found = [(each.call, each.key, each.status, each.reason) for each in net.a.of(RequestAnswered)]
    assert found == [(net.call, "1", 0, "no dialog"), ("nobody", "2", 0, "no dialog")]
    assert net.peer.requests("INFO") == []


def test_whether_we_are_there_and_what_we_do_not_do() -> None:
    net = Calling()
    net.up()
    assert "INVITE" in (net.ask("OPTIONS").headers.get("allow") or "")
    assert net.ask("REGISTER").status == 405
    assert net.ask("INFO", ("Require", "weather, timer")).headers.get("unsupported") == "weather"
    assert net.ask("PRACK").status == 481
    assert net.ask("NOTIFY").status == 489


def test_a_request_out_of_order() -> None:
    net = Calling()
    net.up()
    assert net.ask("OPTIONS", cseq=50).status == 200
    assert net.ask("OPTIONS", cseq=49).status == 500
    assert net.ask("OPTIONS", cseq=52).status == 200


def test_a_prack_to_who_called() -> None:
    net = Called()
    net.dial()
    net.peer.send(net.dialog.request("PRACK"))
    assert net.peer.statuses("PRACK") == [481]


def test_a_second_invite_before_the_answer() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.ring, net.now)
    assert net.ask("INVITE", body=OFFER).headers.get("retry-after") == "5"


def test_after_the_end() -> None:
    net = Calling()
    net.up()
    net.tell(net.a.agent.hang_up, net.now, Reason("Q.850", 16, "bye"))
    assert net.peer.requests("BYE")[0].headers.get("reason") == 'Q.850;cause=16;text="bye"'
    assert net.ask("INFO").status == 481
    assert net.ask("BYE").status == 200
    for command in (net.a.agent.ring, net.a.agent.hang_up, net.a.agent.accept_refer):
        net.tell(command, net.now)
    assert len(net.a.of(Ended)) == 1
    net.run(40)
    assert net.ask("BYE").status == 481


def test_a_cancel_that_comes_too_late() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.answer, media(), net.now)
    cancel = net.invite.copy()
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "1 CANCEL")
    cancel.body = b""
    net.peer.send(cancel)
    assert net.peer.statuses("CANCEL") == [200]
    assert net.a.of(Ended) == []


def test_commands_for_the_other_side_do_nothing() -> None:
    net = Called()
    net.dial()
    net.tell(net.a.agent.ring, net.now)
    net.tell(net.a.agent.answer, media(), net.now)
    net.tell(net.a.agent.reject, 486, net.now)
    assert net.a.agent.calls == (net.call,)


# --- in another process ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("srtp", [Srtp.OPTIONAL, Srtp.REQUIRED])
@pytest.mark.parametrize("side", ["a", "b"])
def test_another_process_goes_on_in_the_middle_of_the_call(srtp: Srtp, side: str) -> None:
    net = Pair()
    mine, theirs = net.up(media=media(srtp=srtp))
    node, call = (net.a, mine) if side == "a" else (net.b, theirs)
    before = node.agent._calls._sessions[call].line.plan
    values = json.loads(json.dumps(node.agent.snapshot(call, net.now)))
    node.agent = Agent(node.agent.settings, node.paths, tokens(99))
    key, actions = node.agent.take_up(values, net.now)
    net.do(node, actions)
    assert (key, node.agent.calls) == (call, (call,))
    assert node.agent._calls._sessions[call].line.plan == before
    # Hold from both sides, and a digit, and the end.
    net.do(node, node.agent.hold(call, True, net.now))
    net.run(2)
    assert node.events[-1] == node.last(MediaChanged)
    net.tell_a(net.a.agent.send_digit, mine, "3", 100, net.now)
    net.tell_b(net.b.agent.send_digit, theirs, "4", 100, net.now)
    net.run(1)
    assert (net.b.last(DigitReceived).digit, net.a.last(DigitReceived).digit) == ("3", "4")
    # The session timer went on, too.
    net.run(4000)
    assert net.a.agent.calls == (mine,)
    net.tell_b(net.b.agent.hang_up, theirs, net.now)
    net.run(1)
    assert net.a.last(Ended).by == "remote"


def test_a_call_that_is_not_up_is_not_handed_over() -> None:
    net = Calling()
    call = net.ring_up()
    assert net.a.agent.snapshot(call, net.now) is None
    assert net.a.agent.snapshot("nobody", net.now) is None


def test_credentials_go_along() -> None:
    net = Called()
    call = net.dial(username="me", password="secret")
    values = net.a.agent.snapshot(call, net.now)
    assert values is not None
    assert values["credentials"] == ["me", "secret"]
    agent = Agent(net.a.agent.settings, net.a.paths, tokens(7))
    agent.take_up(json.loads(json.dumps(values)), net.now)
    assert agent.snapshot(call, net.now) == values


# --- anything at all -------------------------------------------------------------------------------------------------

METHODS = st.sampled_from(
    ("INVITE", "BYE", "UPDATE", "PRACK", "INFO", "OPTIONS", "REFER", "NOTIFY", "ACK", "CANCEL", "MESSAGE")
)
FIELDS = st.lists(
    st.sampled_from(
        (
            ("Require", "100rel"),
            ("Session-Expires", "10"),
            ("Session-Expires", "900;refresher=uac"),
            ("Supported", "timer"),
            ("Refer-To", "<sip:x@192.0.2.3>"),
            ("Event", "refer"),
            ("RAck", "1 1 INVITE"),
            ("Info-Package", "x"),
            ("Replaces", "a;to-tag=b;from-tag=c"),
            ("Contact", "<tel:1>"),
        )
    ),
    max_size=3,
)
BODIES = st.sampled_from((b"", OFFER, HELD, b"nonsense", OFFER.replace(b"7000", b"0")))
COMMANDS = st.sampled_from(
    ("ring", "early", "answer", "hold", "free", "hang_up", "reject", "accept_refer", "wait")
)


@examples(150)
@given(
    st.lists(st.one_of(COMMANDS, st.tuples(METHODS, FIELDS, BODIES, st.integers(-1, 2))), max_size=8),
    st.booleans(),
)
def test_whatever_comes_the_call_ends_once_and_nothing_is_left(
    steps: list[str | tuple[str, list[tuple[str, str]], bytes, int]], offered: bool
) -> None:
    net = Calling()
    net.ring_up(body=OFFER if offered else b"")
    agent = net.a.agent
    tag = next(iter(agent._calls._sessions.values())).line.dialog
    assert tag is not None
    cseq = 1
    for step in steps:
        if isinstance(step, str):
            commands = {
                "ring": lambda: net.tell(agent.ring, net.now),
                "early": lambda: net.tell(agent.ring, net.now, media()),
                "answer": lambda: net.tell(agent.answer, media(), net.now),
                "hold": lambda: net.tell(agent.hold, True, net.now),
                "free": lambda: net.tell(agent.hold, False, net.now),
                "hang_up": lambda: net.tell(agent.hang_up, net.now),
                "reject": lambda: net.tell(agent.reject, 486, net.now),
                "accept_refer": lambda: net.tell(agent.accept_refer, net.now),
                "wait": lambda: net.run(5),
            }
            commands[step]()
            continue
        method, fields, body, change = step
        cseq += change
        request = net.invite.copy()
        request.method = method
        request.headers.remove("via")
        request.headers.set("To", str(tag.local))
        request.headers.set("CSeq", f"{max(cseq, 1)} {method}")
        for name, value in fields:
            request.headers.set(name, value)
        request.body = body
        net.peer.send(request)
    net.tell(agent.hang_up, net.now)
    net.run(4000)
    assert len(net.a.of(Ended)) == 1
    assert agent._calls._sessions == {}
    assert agent._endpoint.transactions == (0, 0)
    assert len(agent.asking) == 0


@examples(150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((100, 180, 183, 199, 200, 202, 302, 401, 407, 422, 423, 486, 491, 500, 503, 603)),
            st.sampled_from(("p1", "p2")),
            BODIES,
            FIELDS,
        ),
        max_size=6,
    ),
    COMMANDS,
)
def test_whatever_is_answered_the_call_ends_once_and_nothing_is_left(
    steps: list[tuple[int, str, bytes, list[tuple[str, str]]]], command: str
) -> None:
    def replies(request: Request) -> list[Response]:
        if request.method == "ACK":
            return []
        if request.method != "INVITE" or request.to_address.tag:
            return [reply(request, 200)]
        return [reply(request, status, *fields, tag=tag, body=body) for status, tag, body, fields in steps]

    net = Called(replies)
    net.dial()
    if command in ("hold", "free"):
        net.tell(net.a.agent.hold, command == "hold", net.now)
    net.run(1)
    net.tell(net.a.agent.hang_up, net.now)
    net.run(4000)
    assert len(net.a.of(Ended)) == 1
    assert net.a.agent._calls._sessions == {}
    assert net.a.agent._endpoint.transactions == (0, 0)
    assert len(net.a.agent.asking) == 0


# --- the ends --------------------------------------------------------------------------------------------------------


def test_nobody_answers_in_time() -> None:
    net = Called(lambda request: [reply(request, 180)] if request.method == "INVITE" else answers(request))
    net.dial(ring_s=20.0)
    net.run(25)
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("local", 408)
    assert len(net.peer.requests("CANCEL")) == 1


def test_ringing_early_and_refusing_in_words() -> None:
    net = Calling()
    net.ring_up(("Require", "100rel"))
    net.tell(net.a.agent.ring, net.now)
    reliable = net.peer.responses("INVITE")[0]
    assert net.ask("PRACK", ("RAck", f"{reliable.headers.get('rseq')} 1 INVITE")).status == 200
    net.tell(net.a.agent.reject, 200, net.now)
    net.tell(net.a.agent.hang_up, net.now)
    assert net.peer.statuses("INVITE")[-1] == 603


def test_a_reliable_answer_that_is_not_acknowledged_is_sent_again() -> None:
    net = Calling()
    net.ring_up(("Require", "100rel"))
    net.tell(net.a.agent.ring, net.now)
    net.run(3)
    assert net.peer.statuses("INVITE") == [180, 180, 180]


def test_given_up_by_cancel_or_bye() -> None:
    for method in ("CANCEL", "BYE"):
        net = Calling()
        net.ring_up()
        net.tell(net.a.agent.ring, net.now)
        if method == "BYE":
            assert net.ask("BYE").status == 200
        else:
            cancel = net.invite.copy()
            cancel.method = "CANCEL"
            cancel.headers.set("CSeq", "1 CANCEL")
            net.peer.send(cancel)
        assert net.peer.statuses("INVITE")[-1] == 487
        assert net.a.last(Ended).by == "remote"


def test_an_answer_that_is_never_acknowledged() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.answer, media(), net.now)
    net.run(33)
    assert (net.a.last(Ended).by, net.a.last(Ended).reason) == ("network", "no ACK")
    assert len(net.peer.requests("BYE")) >= 1


def test_hanging_up_waits_for_the_ack() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.answer, media(), net.now)
    net.tell(net.a.agent.hang_up, net.now)
    assert net.peer.requests("BYE") == []
    net.peer.send(net.dialog.ack(1))
    net.peer.send(net.dialog.ack(1))
    assert len(net.peer.requests("BYE")) == 1


def test_the_far_side_does_not_know_the_call_any_more() -> None:
    net = Called()
    net.dial()
    net.peer.replies = lambda request: [reply(request, 481)]
    net.tell(net.a.agent.hold, True, net.now)
    assert (net.a.last(Ended).by, net.a.last(Ended).status) == ("network", 481)


def test_who_does_not_refresh_has_left() -> None:
    net = Called(lambda request: [reply(request, 200, ("Session-Expires", "300;refresher=uas"), body=OFFER)])
    net.dial()
    net.run(300)
    assert net.a.last(Ended).reason == "session expired"


def test_transfers_and_new_media_pass_through() -> None:
    net = Called()
    net.dial()
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    net.tell(net.a.agent.renegotiate, media("192.0.2.1", 4010), net.now)
    net.tell(net.a.agent.refer_status, 200, "OK", net.now)
    net.tell(net.a.agent.refuse_refer, 603, net.now)
    assert len(net.peer.requests("REFER")) == 1
    assert len(net.peer.requests("INVITE")) == 2
    dialog = net.dialog
    net.peer.send(dialog.request("REFER", (("Refer-To", "<sip:x@192.0.2.3>"),)))
    dialog.local = dialog.local.with_tag("other")
    net.peer.send(dialog.request("INFO"))
    assert net.peer.statuses("INFO") == [481]


def test_before_and_after_the_answer_some_things_mean_nothing() -> None:
    net = Calling()
    net.ring_up()
    net.tell(net.a.agent.ring, net.now)
    net.tell(net.a.agent.renegotiate, media(), net.now)
    net.tell(net.a.agent.refer, "sip:carol@192.0.2.3", net.now)
    assert net.peer.requests("REFER") == []
    net.tell(net.a.agent.answer, media(), net.now)
    next(iter(net.a.agent._calls._sessions.values())).cancelled(net.invite)
    assert net.a.of(Ended) == []


@pytest.mark.parametrize("ours", [False, True])
def test_what_is_forgotten_is_free_at_once(ours: bool) -> None:
    net: Called | Calling = Called(answers) if ours else Calling()
    call = net.dial() if isinstance(net, Called) else net.up()
    session = net.a.agent._calls.get(call)
    assert session is not None
    held = weakref.ref(session)
    del session
    gc.disable()
    try:
        net.run(0.1)
        net.do(net.a, net.a.agent.hang_up(call, net.now))
        net.run(0.1)
        if isinstance(net, Calling):
            net.peer.send(reply(net.peer.requests("BYE")[0], 200))
        net.run(1)
        assert held() is not None
        net.run(2 * GIVE_UP_S)
        assert held() is None
    finally:
        gc.enable()


# --- somewhere else (RFC 3261 8.1.3.4) -----------------------------------------------------------------------------------


def moved(request: Request) -> list[Response]:
    if request.method != "INVITE" or not request.uri.startswith("sip:bob"):
        return answers(request)
    made = reply(request, 302)
    made.headers.set("Contact", "<sip:carol@192.0.2.9>")
    return [made]


def test_a_call_goes_where_it_is_sent_or_it_does_not() -> None:
    net = Called(moved)
    net.dial()
    net.tell(net.a.agent.follow, "sip:carol@192.0.2.9", net.now)
    assert len(net.a.of(Answered)) == 1
    net.tell(net.a.agent.follow, "sip:carol@192.0.2.9", net.now, known=True)
    net.tell(net.a.agent.refuse_redirect, net.now)
    assert not net.a.of(Ended)
    other = Called(moved)
    other.dial()
    other.tell(other.a.agent.refuse_redirect, other.now)
    assert other.a.last(Ended).status == 302
    other.tell(other.a.agent.follow, "sip:carol@192.0.2.9", other.now)
    assert len(other.peer.requests("INVITE")) == 1


def test_a_call_that_came_in_is_sent_nowhere_by_anybody() -> None:
    net = Calling()
    net.up()
    net.tell(net.a.agent.follow, "sip:carol@192.0.2.9", net.now)
    net.tell(net.a.agent.refuse_redirect, net.now)
    assert not net.a.of(Ended)
