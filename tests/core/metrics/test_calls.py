"""What is measured of calls is read from their records, as they are put down and as they are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.metrics import calls as module
from aywa.core.metrics.calls import CallMetrics, of, provider_of
from tests.core.feed import examples
from tests.core.metrics.entered import Entered

Record = ev.Event | do.Command | tuple[str, Mapping[str, Any]]


def told(*records: tuple[float, Record], again: bool = False) -> Entered:
    """again: as they are read, and not as they are put down."""
    register = Entered()
    metrics = CallMetrics(register)
    for at_s, record in records:
        if isinstance(record, tuple):
            kind, data = record[0], record[1]
        else:
            kind, data = type(record).__name__, asdict(record) if again else record  # type: ignore[assignment]
        metrics.take("call", at_s, kind, data)
    return register


WHOLE: tuple[tuple[float, Record], ...] = (
    (0.0, ev.CallStarted("call", "org", 0)),
    (1.0, ev.LegConnected("leg", 8000)),
    (2.0, do.RecordDecision("floor", "turn_taken", "punctuation", {"wait_s": 0.4})),
    (2.1, do.RecordTurn(1, 1, 700.0, {"endpointing": 400.0, "model": 200.0, "voice": 80.0}, 730.0)),
    (
        2.2,
        ("RouteSwitched", {"kind": "tts", "route": "cartesia", "before": "elevenlabs/own", "code": "failed"}),
    ),
    (3.0, ev.QualityMeasured("leg", 3.0, "PCMU", 100, 90, 10, 1, 9, 0.004, 0.08, 4.1, 3, 0.002, 3.9)),
    (4.0, do.TellClient("user-interrupted")),
    (5.0, do.StartTool(1, "t", "hours", {}, 20.0)),
    (5.5, ev.ToolReturned(1, "done", "nine")),
    (8.0, ev.LegEnded("leg", "closed")),
    (8.1, do.EndCall("customer-ended-call")),
    (8.2, ("CallClosed", {})),
)


@pytest.mark.parametrize("again", [False, True])
def test_a_whole_call_is_counted_alike_live_and_from_its_record(again: bool) -> None:
    register = told(*WHOLE, again=again)
    assert register.sums == {
        ("aywa_calls_started_total",): 1,
        ("aywa_provider_fallbacks_total", "tts", "elevenlabs"): 1,
        ("aywa_rtp_packets_total", "sent"): 100,
        ("aywa_rtp_packets_total", "received"): 90,
        ("aywa_rtp_packets_total", "lost"): 10,
        ("aywa_rtp_packets_total", "late"): 1,
        ("aywa_rtp_packets_total", "concealed"): 9,
        ("aywa_interruptions_total",): 1,
        ("aywa_tool_runs_total", "done"): 1,
        ("aywa_legs_ended_total", "closed"): 1,
        ("aywa_calls_ended_total", "customer-ended-call"): 1,
    }
    seen = {name: pytest.approx(values) for name, values in register.seen.items()}
    assert seen == {
        ("aywa_endpointing_wait_seconds", "punctuation"): [0.4],
        ("aywa_turn_wire_seconds",): [0.73],
        ("aywa_turn_stage_seconds", "endpointing"): [0.4],
        ("aywa_turn_stage_seconds", "model"): [0.2],
        ("aywa_turn_stage_seconds", "voice"): [0.08],
        ("aywa_turn_stage_seconds", "silence"): [0.03],
        ("aywa_turn_stage_seconds", "unattributed"): [0.02],
        ("aywa_rtp_jitter_seconds",): [0.004],
        ("aywa_rtp_round_trip_seconds",): [0.08],
        ("aywa_rtp_mos", "in"): [4.1],
        ("aywa_rtp_mos", "out"): [3.9],
        ("aywa_tool_duration_seconds",): [0.5],
        ("aywa_call_duration_seconds",): [7.1],
    }


def test_a_call_that_nobody_came_to_has_no_length() -> None:
    register = told((0.0, ev.CallStarted("call", "org", 0)), (15.0, do.EndCall("silence-timed-out")))
    assert register.seen == {}


def test_a_second_leg_does_not_begin_the_call_anew() -> None:
    register = told(
        (1.0, ev.LegConnected("a", 8000)), (6.0, ev.LegConnected("b", 8000)), (9.0, do.EndCall("x"))
    )
    assert register.seen[("aywa_call_duration_seconds",)] == [8.0]


def test_packets_are_counted_from_the_last_report_and_a_new_stream_from_nothing() -> None:
    def report(sent: int) -> ev.QualityMeasured:
        return ev.QualityMeasured("leg", 0.0, "PCMU", sent, 0, 0, 0, 0, 0.0)

    register = told(*((0.0, report(sent)) for sent in (100, 250, 250, 40)))
    assert register.sums[("aywa_rtp_packets_total", "sent")] == 290
    assert ("aywa_rtp_mos", "in") not in register.seen
    assert ("aywa_rtp_round_trip_seconds",) not in register.seen


def test_speculation_is_begun_used_and_discarded() -> None:
    early = do.RecordDecision("floor", "reply_begun_early", "text_confirmed", {})

    def gone(reply_id: int, *, speculative: bool) -> do.RecordDecision:
        details = {"reply_id": reply_id, "tokens": 7, "speculative": speculative}
        return do.RecordDecision("floor", "reply_discarded", "text_changed", details)

    register = told(
        (1.0, early),
        (1.0, do.StartReply(1, 1, (), True)),
        (1.2, gone(1, speculative=True)),
        (1.3, early),
        (1.3, do.StartReply(2, 1, (), True)),
        (1.5, do.ReleaseReply(2)),
        (1.6, do.ReleaseReply(2)),
        # Neither was begun early.
        (2.0, do.StartReply(3, 2, ())),
        (2.0, do.ReleaseReply(3)),
        (2.1, gone(3, speculative=False)),
    )
    assert register.sums == {
        ("aywa_speculations_total", "begun"): 2,
        ("aywa_speculations_total", "used"): 1,
        ("aywa_speculations_total", "discarded"): 1,
        ("aywa_speculation_discarded_tokens_total",): 7,
    }


@pytest.mark.parametrize(
    ("record", "counted"),
    [
        (do.RecordDecision("barge_in", "yielded", "words"), ("aywa_contests_total", "yielded")),
        (do.RecordDecision("floor", "filler_said", "no_audio"), ("aywa_fillers_total",)),
        (do.RecordDecision("tools", "filler_said", "no_answer"), ("aywa_fillers_total",)),
        (do.RecordDecision("silence", "promise_broken", "unexplained"), ("aywa_unexplained_gaps_total",)),
        (ev.PlayoutStarved("leg", 1, 0, 0.0), ("aywa_playouts_starved_total",)),
        (ev.MediaWarned("leg", "flood"), ("aywa_media_warnings_total", "flood")),
        (ev.ReplyFailed(1, "llm", "deadline"), ("aywa_replies_failed_total", "llm", "deadline")),
        (("RouteHedged", {"kind": "llm", "route": "a"}), ("aywa_provider_hedges_total", "llm", "begun")),
        (("RouteHedged", {"kind": "llm", "won": True}), ("aywa_provider_hedges_total", "llm", "won")),
        (ev.ToolReturned(9, "failed", ""), ("aywa_tool_runs_total", "failed")),
    ],
)
def test_one_record_one_count(record: Record, counted: tuple[str, ...]) -> None:
    register = told((1.0, record))
    assert register.sums == {counted: 1}
    assert register.seen == {}


@pytest.mark.parametrize(
    "record",
    [
        do.RecordDecision("floor", "turn_dropped", "no_words"),
        do.TellClient("transcript"),
        ev.VoiceStarted("leg", 1.0),
        ("NobodyKnows", {"reason": "x"}),
    ],
)
def test_what_is_not_measured_changes_nothing(record: Record) -> None:
    register = told((1.0, record))
    assert (register.sums, register.seen) == ({}, {})


def test_silence_and_tokens_are_added_up() -> None:
    register = told(
        (1.0, do.RecordGap(1.0, 4.0, {"slow_model": 2.5, "unexplained": 0.5})),
        (2.0, ev.ReplyCompleted(1, "", 1, 30, 0, 12, "openai/gpt-4.1")),
    )
    assert register.sums == {
        ("aywa_silence_seconds_total", "slow_model"): 2.5,
        ("aywa_silence_seconds_total", "unexplained"): 0.5,
        ("aywa_llm_tokens_total", "prompt"): 30,
        ("aywa_llm_tokens_total", "completion"): 12,
    }


def test_a_turn_whose_sound_was_not_timed_counts_until_its_first_frame() -> None:
    register = told((1.0, do.RecordTurn(1, 1, 600.0, {"endpointing": 600.04})))
    assert register.seen[("aywa_turn_wire_seconds",)] == [0.6]
    # Rounding may leave a hair less than nothing: shown as nothing.
    assert register.seen[("aywa_turn_stage_seconds", "unattributed")] == [0.0]


def test_calls_that_are_closed_are_forgotten_and_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS_MAX", 3)
    metrics = CallMetrics(Entered())
    for number in range(5):
        metrics.take(f"call-{number}", 0.0, "LegConnected", ev.LegConnected("leg", 8000))
    assert metrics.followed == 3
    for number in range(5):
        metrics.take(f"call-{number}", 1.0, "CallClosed", {})
    assert metrics.followed == 0


@examples(100)
@given(
    st.floats(0, 5000),
    st.floats(0, 500),
    st.dictionaries(st.sampled_from(["endpointing", "transcriber", "model", "voice"]), st.floats(0, 2000)),
)
def test_the_stages_of_a_turn_add_up_to_the_wire(
    latency_ms: float, silent_ms: float, parts: dict[str, float]
) -> None:
    if sum(parts.values()) > latency_ms:
        parts = {}
    register = told((1.0, do.RecordTurn(1, 1, latency_ms, parts, latency_ms + silent_ms)))
    [wire_s] = register.seen.pop(("aywa_turn_wire_seconds",))
    assert sum(value for [value] in register.seen.values()) == pytest.approx(wire_s, abs=0.0006)


def test_fields_are_read_from_mappings_and_from_records() -> None:
    assert of({"a": 1}, "a") == 1
    assert of({}, "a", 2) == 2
    assert of(ev.LegEnded("leg", "closed"), "cause") == "closed"
    assert of(ev.LegEnded("leg", "closed"), "other", 3) == 3
    assert provider_of("openai/gpt-4.1") == "openai"
