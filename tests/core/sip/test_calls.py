"""The table of calls: found by what names them, woken when they are due, forgotten when they are over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.calls import Calls
from aywa.core.sip.dialog import Dialog
from aywa.core.sip.fields import Address
from aywa.core.sip.line import GIVE_UP_S, Line
from aywa.core.sip.offer import Negotiation
from aywa.core.sip.refer import Replaces
from aywa.core.sip.session import Session
from aywa.core.sip.session_timer import SessionTimer
from tests.core.feed import examples
from tests.core.sip.lines import FLOW, StubWire, asked
from tests.core.sip.network import media


def added(calls: Calls, wire: StubWire, key: str, *, owns: bool = False) -> Session:
    """A call with the tags ours-KEY and theirs-KEY in the dialog call-KEY."""
    line = Line(key, wire, SessionTimer())
    local = Address("sip:us@192.0.2.1", "", {"tag": f"ours-{key}"})
    remote = Address("sip:them@192.0.2.9", "", {"tag": f"theirs-{key}"})
    line.dialog = Dialog(f"call-{key}", local, remote, "sip:them@192.0.2.9")
    line.negotiation = Negotiation(media(), wire.token)
    line.flow = FLOW
    session = Session(line, calls.find, owns=owns)
    session.place = (f"call-{key}", f"ours-{key}")
    calls.add(session, f"invite-{key}")
    return session


def test_found_by_all_that_names_it() -> None:
    calls, wire = Calls(), StubWire()
    session = added(calls, wire, "1")
    request = asked("BYE")
    assert calls.of_request(request) is None
    request.headers.set("Call-ID", "call-1")
    request.headers.set("To", "<sip:x@y>;tag=ours-1")
    assert calls.of_request(request) is calls.get("1") is calls.of_invite("invite-1") is session
    calls.invite_over("invite-1")
    calls.invite_over("invite-1")
    assert calls.of_invite("invite-1") is None
    assert (len(calls), calls.up) == (1, ("1",))
    assert calls.find(Replaces("call-1", "ours-1", "theirs-1")) == "1"
    assert calls.find(Replaces("call-1", "ours-1", "x")) == ""
    calls.add(session)
    assert calls.of_invite("") is None
    assert calls.find(Replaces("call-9", "ours-1", "x")) == ""


@pytest.mark.parametrize(
    ("fields", "state", "found"),
    [
        ((), "up", (0, "")),
        (("call-1;to-tag=ours-1;from-tag=theirs-1",), "up", (0, "1")),
        (("call-1;to-tag=ours-1;from-tag=theirs-1;early-only",), "up", (486, "")),
        (("call-1;to-tag=ours-1;from-tag=theirs-1",), "ended", (603, "")),
        (("call-1;to-tag=ours-1;from-tag=theirs-1",), "ringing", (481, "")),
        (("call-1;to-tag=ours-1;from-tag=theirs-1",), "calling", (0, "1")),
        (("call-2;to-tag=ours-1;from-tag=theirs-1",), "up", (481, "")),
        (("nonsense",), "up", (400, "")),
        (("call-1;to-tag=ours-1;from-tag=theirs-1",) * 2, "up", (400, "")),
    ],
)
def test_which_call_is_replaced(fields: tuple[str, ...], state: str, found: tuple[int, str]) -> None:
    calls = Calls()
    session = added(calls, StubWire(), "1", owns=state == "calling")
    session.line.answered = state in ("up", "ended")
    if state == "ended":
        session.line.end("local", 200, "x")
    assert calls.replaced(asked("INVITE", *(("Replaces", each) for each in fields))) == found


def test_woken_when_due_and_forgotten_in_the_end() -> None:
    calls, wire = Calls(), StubWire()
    session = added(calls, wire, "1")
    calls.settle()
    assert calls.deadline is None
    session.line.answered = True
    session.line.timer.granted("300;refresher=uac", 0.0)
    calls.touch("1")
    calls.touch("nobody")
    calls.settle()
    assert calls.deadline == 150
    calls.touch("1")
    calls.settle()
    wire.time = 100.0
    calls.wake(100.0)
    assert wire.asked == []
    wire.time = 150.0
    calls.wake(150.0)
    assert len(wire.asked) == 1
    calls.settle()
    assert calls.deadline == 268
    session.line.end("local", 200, "x")
    calls.touch("1")
    calls.settle()
    assert calls.up == ()
    assert calls.deadline == 150 + GIVE_UP_S
    wire.time = 150 + GIVE_UP_S
    calls.wake(wire.time)
    calls.settle()
    assert (len(calls), calls.deadline) == (0, None)
    assert calls.get("1") is None


def test_a_deadline_that_is_gone_wakes_nobody() -> None:
    calls, wire = Calls(), StubWire()
    session = added(calls, wire, "1")
    session.line.timer.granted("300;refresher=uac", 0.0)
    calls.settle()
    session.line.timer.granted(None, 0.0)
    calls.touch("1")
    calls.settle()
    assert calls.deadline is None
    wire.time = 1000.0
    calls.wake(1000.0)
    assert wire.asked == []


@examples(100)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(("add", "timer", "end", "wait")), st.integers(90, 500)),
        max_size=30,
    )
)
def test_whatever_happens_the_deadline_lies_ahead_and_in_the_end_nothing_is_left(
    steps: list[tuple[int, str, int]],
) -> None:
    calls, wire = Calls(), StubWire()
    for number, step, amount in steps:
        key = str(number)
        session = calls.get(key)
        if step == "add" and session is None:
            added(calls, wire, key)
        elif step == "timer" and session is not None and not session.line.ended:
            session.line.answered = True
            session.line.timer.granted(f"{amount};refresher=uas", wire.now)
        elif step == "end" and session is not None:
            session.line.end("local", 200, "x")
        elif step == "wait":
            wire.time += amount
            calls.wake(wire.time)
        calls.settle()
        deadline = calls.deadline
        assert deadline is None or deadline > wire.now
    for key in calls.up:
        session = calls.get(key)
        assert session is not None
        session.line.end("local", 200, "x")
    calls.settle()
    wire.time += GIVE_UP_S
    calls.wake(wire.time)
    calls.settle()
    assert len(calls) == 0
    assert calls.deadline is None
