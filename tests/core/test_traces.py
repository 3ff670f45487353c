"""A call's trace is made of its records: whole, closed, without a word of what was said."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core import traces as module
from aywa.core.metrics.requests import ProviderRequest
from aywa.core.traces import CallTraces, Span, Trace, span_id_of, trace_id_of
from tests.core.feed import examples

CALL = "4f6d6f0e-9c1b-4a57-8f39-0d8b3b1c7a11"
EPOCH_S = 1_000.0
Record = ev.Event | do.Command | tuple[str, Mapping[str, Any]]
STARTED = ev.CallStarted(CALL, "org", round(EPOCH_S * 1000))
CLOSED: tuple[float, Record] = (60.0, ("CallClosed", {}))


def take(traces: CallTraces, at_s: float, record: Record, call_id: str = CALL) -> None:
    kind, data = record if isinstance(record, tuple) else (type(record).__name__, record)
    traces.take(call_id, at_s, kind, data)


def traced(*records: tuple[float, Record | ProviderRequest]) -> Trace:
    told: list[Trace] = []
    traces = CallTraces(told.append)
    take(traces, 0.0, STARTED)
    for at_s, record in (*records, CLOSED):
        if isinstance(record, ProviderRequest):
            traces.request(CALL, record, EPOCH_S)
        else:
            take(traces, at_s, record)
    [trace] = told
    assert traces.followed == 0
    return trace


def named(trace: Trace, name: str) -> Span:
    [span] = [span for span in trace.spans if span.name == name]
    return span


TURN = (
    (3.0, do.StartReply(4, 2, ())),
    (3.5, ev.PlayoutStarted("leg", 4, 3.5)),
    (3.51, do.RecordTurn(2, 4, 800.0, {"endpointing": 500.0, "model": 200.0, "voice": 90.0}, 830.0)),
)


def test_a_turn_is_a_span_whose_stages_follow_one_another_and_close() -> None:
    trace = traced(
        *TURN, (5.0, ev.PlayoutFinished("leg", 4, 12_000, 4.9)), (9.0, do.EndCall("customer-ended-call"))
    )
    turn = named(trace, "turn")
    assert [turn.began_s, turn.ended_s] == pytest.approx([EPOCH_S + 2.7, EPOCH_S + 4.9])
    assert turn.attributes["aywa.turn.wire_ms"] == 830.0
    assert dict(turn.moments) == pytest.approx({"heard": EPOCH_S + 3.53})
    stages = [span for span in trace.spans if span.parent_id == turn.span_id]
    assert [span.name for span in stages] == ["endpointing", "model", "voice", "unattributed", "silence"]
    assert stages[0].began_s == turn.began_s
    for before, after in pairwise(stages):
        assert before.ended_s == after.began_s
    assert stages[-1].ended_s == turn.moments[0][1]


def test_the_call_is_the_first_span_and_everybodys_parent_in_the_end() -> None:
    trace = traced(
        (0.5, ev.RingingStarted()),
        (1.0, ev.LegConnected("leg", 8000)),
        (1.5, ev.LegConnected("leg", 8000)),
        *TURN,
        (6.0, ("RouteSwitched", {"kind": "tts", "route": "b", "before": "a", "code": "failed"})),
        (9.0, do.EndCall("pipeline-error-openai-llm-failed")),
    )
    call = trace.spans[0]
    assert (trace.trace_id, call.name, call.parent_id) == (UUID(CALL).int, "call", None)
    assert (call.began_s, call.ended_s) == (EPOCH_S, EPOCH_S + 9.0)
    assert [name for name, _ in call.moments] == ["ringing", "connected", "tts switched from a"]
    assert call.error == "pipeline-error-openai-llm-failed"
    assert call.attributes == {
        "aywa.call.id": CALL,
        "aywa.org.id": "org",
        "aywa.call.ended_reason": "pipeline-error-openai-llm-failed",
    }


def test_requests_belong_to_the_turn_they_were_made_for() -> None:
    trace = traced(
        (0.0, ProviderRequest("stt", "deepgram", 0.1, 9.0, 0.2)),
        (0.0, ProviderRequest("tts", "cartesia", 0.5, 1.0, 0.1)),
        *TURN,
        (3.6, ProviderRequest("llm", "openai/own", 3.0, 3.6, 0.3)),
        (3.6, ProviderRequest("tts", "elevenlabs", 3.2, 3.6, None, "deadline")),
        # Of a turn that was never answered.
        (5.0, do.StartReply(5, 3, ())),
        (5.6, ProviderRequest("llm", "groq", 5.1, 5.6)),
    )
    call, turn = trace.spans[0], named(trace, "turn")
    parents = {
        name: named(trace, name).parent_id
        for name in ("stt deepgram", "tts cartesia", "llm openai", "tts elevenlabs", "llm groq")
    }
    assert parents == {
        "stt deepgram": call.span_id,
        "tts cartesia": call.span_id,
        "llm openai": turn.span_id,
        "tts elevenlabs": turn.span_id,
        "llm groq": call.span_id,
    }
    model, voice = named(trace, "llm openai"), named(trace, "tts elevenlabs")
    assert dict(model.moments) == pytest.approx({"first answer": EPOCH_S + 3.3})
    assert (model.error, model.outside) == ("", True)
    assert (voice.error, voice.moments) == ("deadline", ())
    assert voice.attributes["aywa.provider.outcome"] == "failed"


def test_a_tool_is_a_span_without_its_arguments() -> None:
    trace = traced(
        (1.0, do.StartTool(1, "t", "book", {"guest": "pomegranate"}, 20.0)),
        (2.0, do.StartTool(2, "t", "cancel", {}, 20.0)),
        (2.5, ev.ToolReturned(1, "done", "pomegranate")),
        (3.0, ev.ToolReturned(2, "failed", "")),
        (3.0, ev.ToolReturned(9, "done", "")),
    )
    done, failed = [span for span in trace.spans if span.name == "tool"]
    assert done.attributes == {"aywa.tool.name": "book", "aywa.tool.status": "done"}
    assert (done.began_s, done.ended_s, done.error) == (EPOCH_S + 1.0, EPOCH_S + 2.5, "")
    assert failed.error == "failed"
    assert "pomegranate" not in repr(trace)


def test_a_reply_that_is_cut_ends_its_turn_and_another_ends_nothing() -> None:
    trace = traced(
        *TURN,
        (4.0, ev.PlayoutDropped("leg", 4, 4_000, 3.9)),
        (4.1, ev.PlayoutFinished("leg", 77, 4_000, 4.1)),
    )
    assert named(trace, "turn").ended_s == pytest.approx(EPOCH_S + 3.9)


def test_a_turn_whose_first_frame_was_not_seen_ends_where_it_was_recorded() -> None:
    trace = traced((3.0, do.RecordTurn(1, 1, 500.0, {"elsewhere": 500.0})))
    turn = named(trace, "turn")
    assert [turn.began_s, turn.ended_s] == pytest.approx([EPOCH_S + 2.5, EPOCH_S + 3.0])
    assert named(trace, "elsewhere").parent_id == turn.span_id


def test_what_is_too_much_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPANS_MAX", 4)
    request = ProviderRequest("llm", "openai", 1.0, 2.0)
    switched = ("RouteSwitched", {"kind": "llm", "before": "openai"})
    trace = traced(*((1.0, request) for _ in range(6)), *TURN, (2.0, switched))
    assert len(trace.spans) == 1 + 4
    # Two requests, a turn with its five stages, and a moment.
    assert trace.spans[0].attributes["aywa.spans.left_out"] == 2 + 6 + 1


def test_calls_whose_beginning_was_not_seen_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS_MAX", 2)
    told: list[Trace] = []
    traces = CallTraces(told.append)
    take(traces, 1.0, do.EndCall("x"), "orphan")
    traces.request("orphan", ProviderRequest("llm", "a", 0.0, 1.0), 0.0)
    take(traces, 1.0, ("CallClosed", {}), "orphan")
    for number in range(3):
        take(traces, 0.0, STARTED, f"call-{number}")
    take(traces, 1.0, ("NobodyKnows", {}), "call-1")
    assert traces.followed == 2
    for number in range(3):
        take(traces, 1.0, ("CallClosed", {}), f"call-{number}")
    assert [trace.spans[0].attributes["aywa.call.id"] for trace in told] == ["call-1", "call-2"]


def test_ids_come_from_the_calls_own() -> None:
    assert trace_id_of(CALL) == UUID(CALL).int
    assert 0 < trace_id_of("not a uuid") < 2**128
    assert trace_id_of(str(UUID(int=0))) == 1
    assert 0 < span_id_of(CALL, "call") < 2**64
    assert span_id_of(CALL, "call") != span_id_of(CALL, "turn 1")


_records = st.lists(
    st.tuples(
        st.floats(0, 100),
        st.sampled_from(
            [
                *(record for _, record in TURN),
                ev.LegConnected("leg", 8000),
                ev.PlayoutDropped("leg", 4, 1, 50.0),
                do.StartTool(1, "t", "x", {}, 1.0),
                ev.ToolReturned(1, "done", ""),
                do.RecordTurn(7, 9, 100.0, {"model": 400.0}),
                do.EndCall("customer-ended-call"),
                ProviderRequest("llm", "a/b", 2.0, 3.0, 0.5),
                ProviderRequest("stt", "c", 1.0, 90.0, None, "closed"),
            ]
        ),
    ),
    max_size=30,
)


@examples(80)
@given(_records)
def test_every_span_has_its_own_id_a_parent_in_the_trace_and_does_not_end_before_it_begins(
    records: list[tuple[float, Record | ProviderRequest]],
) -> None:
    trace = traced(*records)
    ids = {span.span_id for span in trace.spans}
    assert len(ids) == len(trace.spans)
    assert [span.parent_id for span in trace.spans].count(None) == 1
    for span in trace.spans:
        assert span.parent_id in (ids | {None})
        assert span.ended_s >= span.began_s
