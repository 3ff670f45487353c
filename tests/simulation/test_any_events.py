"""Any event at any time: whatever comes, and in whatever order, the conversation answers and never hangs.

Unlike the toy world of tests/core/world.py nothing here makes sense: replies that nobody asked for, playouts of nothing.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.conversation import Conversation
from aywa.core.lifecycle import CallState
from tests.core.feed import examples

LEG = "caller"
EVENTS: tuple[type, ...] = get_args(ev.Event)
COMMANDS: tuple[type, ...] = get_args(do.Command)
WAKES = 12
ASSISTANTS: list[dict[str, Any]] = [
    {"firstMessage": "Hello there."},
    {"firstMessageMode": "assistant-waits-for-user"},
    {
        "firstMessage": "Hello.",
        "stopSpeakingPlan": {"numWords": 2, "backoffSeconds": 1},
        "silenceTimeoutSeconds": 10,
    },
    {
        "firstMessage": "Hello.",
        "keypadInputPlan": {"enabled": True, "delimiters": "#"},
        "endCallFunctionEnabled": True,
        "dialKeypadFunctionEnabled": True,
        "forwardingPhoneNumber": "+4930111",
    },
    {
        "firstMessage": "Hello.",
        "model": {
            "tools": [
                {"type": "function", "function": {"name": "ask"}},
                {
                    "type": "function",
                    "function": {"name": "first"},
                    "messages": [{"type": "request-start", "content": "Wait.", "blocking": True}],
                },
            ]
        },
    },
    {"firstMessage": "Hello.", "startSpeakingPlan": {"waitSeconds": 0, "transcriptionEndpointingPlan": {}}},
]
moments = st.floats(0, 60)
ids = st.integers(0, 4)
texts = st.sampled_from(["", "mhm", "stop", "what time is it", "seven", "Hello there.", "..."])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "leg_id": st.sampled_from([LEG, LEG, "other"]),
    "rate_hz": st.sampled_from([8000, 16000]),
    "at_s": moments,
    "from_s": moments,
    "window_s": st.just(0.032),
    "probabilities": st.binary(max_size=4),
    "position": st.integers(0, 40_000),
    "reply_id": ids,
    "turn_id": ids,
    "pause_id": ids,
    "phrase_id": ids,
    "clause": ids,
    "clauses": ids,
    "samples": st.integers(0, 20_000),
    "text": texts,
    "is_final": st.booleans(),
    "confirmed": st.booleans(),
    "probability": st.floats(0, 1),
    "step": st.sampled_from(["llm", "tts"]),
    "cause": st.sampled_from(["closed", "lost", "local", "unread"]),
    "child": st.sampled_from(["stt", "reply", "turn_model", "llm_warm"]),
    "digit": st.sampled_from("0123456789*#"),
    "message": st.sampled_from([{}, {"type": "say", "content": "News."}, {"type": "end-call"}, {"type": 3}, {"type": None}]),
    "reason": st.sampled_from(["manually-canceled", "exceeded-max-duration"]),
    "epoch_ms": st.just(0),
    "run": ids,
    "result": texts,
    "tool": st.just({"type": "mcp"}),
    "listed": st.just(({"name": "listed"},)),
    "assistant": st.sampled_from(ASSISTANTS),
    "source": st.sampled_from(["voice", "stock"]),
    "calls": st.lists(
        st.builds(
            ev.ToolCall,
            st.just("c1"),
            st.sampled_from(["endCall", "dtmf", "transferCall", "ask", "first", "listed", "nothing"]),
            st.sampled_from(["{}", '{"dtmf": "1"}', "{"]),
        ),
        max_size=3,
    ).map(tuple),
    "status": st.sampled_from(["connected", "busy", "failed"]),
    "codec": st.just("PCMU"),
    "sent": ids,
    "received": ids,
    "lost": ids,
    "late": ids,
    "concealed": ids,
    "jitter_s": moments,
}  # fmt: skip
# What these mean in their events is free text, or has a default that does.
FREE = ("code", "detail", "call_id", "org_id")


def any_of(kind: type) -> st.SearchStrategy[ev.Event]:
    fields = kind.__dataclass_fields__  # type: ignore[attr-defined]
    values = {name: VALUES[name] for name in fields if name in VALUES}
    if kind in (ev.ReplyFailed, ev.ChildFailed):
        # Here `message` is words.
        values["message"] = texts
    values |= {name: st.just("some") for name in FREE if name in fields}
    return st.builds(kind, **values)


anything = st.one_of([any_of(kind) for kind in EVENTS])
steps = st.lists(st.tuples(st.floats(0, 4), anything | st.none()), max_size=60)


def check(cmds: list[do.Command]) -> None:
    assert all(isinstance(command, COMMANDS) for command in cmds)


class Run:
    """A conversation fed in time: what is due is done first, as the session does it."""

    def __init__(self, assistant: dict[str, Any], *, connected: bool = True) -> None:
        self.conversation = Conversation(LEG)
        self.now = 0.0
        self.ends = 0
        self.handle(ev.CallStarted("call-1", "org-1", 0, assistant))
        if connected:
            self.handle(ev.LegConnected(LEG, 8000))

    def handle(self, event: ev.Event) -> None:
        over = self.conversation.lifecycle.state is CallState.ENDED
        cmds = self.conversation.handle(event, self.now)
        assert not (over and cmds)
        self._take(cmds)

    def until(self, then_s: float) -> None:
        wakes = 0
        while (due_s := self.conversation.deadline) is not None and due_s <= then_s:
            # A deadline that does not move would keep the session's loop busy for ever.
            wakes = wakes + 1 if due_s <= self.now else 0
            assert wakes < WAKES
            self.now = max(self.now, due_s)
            self._take(self.conversation.wake(self.now))
        self.now = then_s

    def _take(self, cmds: list[do.Command]) -> None:
        check(cmds)
        self.ends += sum(isinstance(command, do.EndCall) for command in cmds)
        assert self.ends == (self.conversation.lifecycle.state is CallState.ENDED)


@examples(200)
@given(st.sampled_from(ASSISTANTS), st.booleans(), steps)
def test_any_events_in_any_order_are_answered_and_the_call_can_always_end(
    assistant: dict[str, Any], connected: bool, script: list[tuple[float, ev.Event | None]]
) -> None:
    run = Run(assistant, connected=connected)
    for wait_s, event in script:
        run.until(run.now + wait_s)
        if event is not None:
            run.handle(event)
    run.handle(ev.LegEnded(LEG, "closed"))
    assert run.conversation.lifecycle.state is CallState.ENDED
    assert run.conversation.deadline is None
    assert run.ends == 1


STATES = {
    "queued": (),
    "silent": (ev.LegConnected(LEG, 8000),),
    "caller speaks": (ev.LegConnected(LEG, 8000), ev.VoiceStarted(LEG, 1.0)),
    "caller pauses": (
        ev.LegConnected(LEG, 8000),
        ev.VoiceStarted(LEG, 1.0),
        ev.TranscriptReceived(LEG, "what time is it", is_final=False),
        ev.VoiceStopped(LEG, 2.0),
    ),
    "reply is made": (
        ev.LegConnected(LEG, 8000),
        ev.VoiceStarted(LEG, 1.0),
        ev.VoiceStopped(LEG, 2.0),
        ev.TranscriptReceived(LEG, "what time is it", is_final=False, confirmed=True),
    ),
    "agent speaks": (
        ev.LegConnected(LEG, 8000),
        ev.ClauseSynthesized(1, 0, "Hello there.", 8000),
        ev.PlayoutStarted(LEG, 1, 0.1),
    ),
    "contest": (
        ev.LegConnected(LEG, 8000),
        ev.ClauseSynthesized(1, 0, "Hello there.", 80_000),
        ev.PlayoutStarted(LEG, 1, 0.1),
        ev.VoiceStarted(LEG, 0.5),
        ev.PlayoutPaused(LEG, 1, 3000, 0.6),
    ),
    "ending": (ev.LegConnected(LEG, 8000), ev.EndRequested("manually-canceled")),
    "ended": (ev.LegConnected(LEG, 8000), ev.LegEnded(LEG, "closed")),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: str(kind.__name__))
@examples(8)
@given(data=st.data())
def test_every_event_is_handled_in_every_state(state: str, kind: type, data: st.DataObject) -> None:
    run = Run({"firstMessage": "Hello there.", "firstMessageInterruptionsEnabled": True}, connected=False)
    run.now = 2.2
    for event in STATES[state]:
        run.handle(event)
    run.handle(data.draw(any_of(kind)))
    run.until(run.now + 3.0)
    run.handle(ev.LegEnded(LEG, "closed"))
    assert run.ends == 1
