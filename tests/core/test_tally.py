"""A call's tally: every kind of row from its records and document, the ids of the journal; and whatever records say."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.tally import (
    _TAKES,
    ANSWERED,
    CUT,
    FAILED,
    KINDS,
    SKIPPED,
    TOOL,
    CallFigures,
    Cost,
    Record,
    Timing,
    call_figures,
    costs,
    fold,
)

EPOCH = 1_773_576_000_000
ASSISTANT = {
    "model": {"provider": "openai", "model": "gpt-4.1", "fallbackModels": ["gpt-4.1-mini"]},
    "voice": {"provider": "11labs", "voiceId": "v", "model": "eleven_flash"},
    "transcriber": {"provider": "deepgram", "model": "nova-3"},
}
STARTED: Record = (1, 0.0, "CallStarted", {"epoch_ms": EPOCH, "assistant": ASSISTANT})
CONNECTED: Record = (2, 0.1, "LegConnected", {"rate_hz": 8000})


def timings(*records: Record) -> tuple[Timing, ...]:
    return fold((STARTED, CONNECTED, *records))[1]


def reply(reply_id: int = 1, **more: Any) -> dict[str, Any]:
    return {"reply_id": reply_id, **more}


def test_every_kind_that_is_asked_for_means_something() -> None:
    assert set(_TAKES) == KINDS


def test_a_turn_and_what_nobody_accounts_for() -> None:
    parts = {"endpointing": 200.0, "transcriber": 50.0, "model": 300.0, "voice": 100.0, "unattributed": 20.0}
    data = {"turn_id": 4, "reply_id": 7, "latency_ms": 670.0, "parts_ms": parts, "wire_ms": 690.0}
    [turn], _ = fold([STARTED, (9, 5.25, "RecordTurn", data)])
    assert (turn.seq, turn.at_ms, turn.turn_id, turn.reply_id) == (9, EPOCH + 5250, 4, 7)
    assert (turn.latency_ms, turn.wire_ms, turn.unattributed_ms) == (670.0, 690.0, 20.0)
    assert (turn.endpointing_ms, turn.transcriber_ms, turn.model_ms, turn.voice_ms) == (200, 50, 300, 100)
    [plain], _ = fold([(1, 1.0, "RecordTurn", {"latency_ms": 5, "parts_ms": None})], epoch_ms=1000)
    assert (plain.at_ms, plain.wire_ms, plain.unattributed_ms) == (2000, 5.0, 5.0)


def test_a_reply_tells_of_its_model_and_of_its_voice() -> None:
    counts = {"prompt_tokens": 90, "cached_tokens": 30, "completion_tokens": 12}
    model, voice = timings(
        (3, 1.0, "StartReply", reply(turn_id=1)),
        (4, 1.3, "ReplyTextReceived", reply(text="Hello")),
        (5, 1.5, "ReplyTextReceived", reply(text=" there.")),
        (6, 1.6, "ClauseSynthesized", reply(text="Hello there.", samples=8000, route="elevenlabs/v")),
        (7, 1.9, "ClauseSynthesized", reply(text="Bye.", samples=4000, route="elevenlabs/v")),
        (8, 2.0, "ReplyCompleted", reply(route="openai/gpt-4.1", **counts)),
    )
    assert model == Timing(
        3, EPOCH + 1000, "llm", "openai/gpt-4.1", "openai", "gpt-4.1", ANSWERED, "", 300.0, 500.0, 90, 30, 12
    )
    assert voice == Timing(
        3,
        EPOCH + 1300,
        "tts",
        "elevenlabs/v",
        "11labs",
        "eleven_flash",
        ANSWERED,
        "",
        300.0,
        600.0,
        characters=16,
        audio_ms=1500.0,
    )


def test_a_text_that_stood_fast_asks_no_model() -> None:
    [voice] = timings(
        (3, 1.0, "SayText", reply(text="Hi.")),
        (4, 1.2, "ReplyTextReceived", reply(text="Hi.")),
        (5, 1.25, "ClauseSynthesized", reply(text="Hi.", samples=800)),
        (6, 1.3, "ReplyCompleted", reply()),
    )
    assert (voice.kind, voice.provider, voice.first_ms, voice.at_ms) == ("tts", "11labs", 250.0, EPOCH + 1000)
    assert (
        fold([(3, 1.0, "SayText", reply()), (4, 1.1, "ClauseSynthesized", reply(samples=5))])[1][0].audio_ms
        == 0
    )


def test_replies_that_were_given_up_or_broke() -> None:
    begun = ((3, 1.0, "StartReply", reply()), (4, 1.2, "ReplyTextReceived", reply(text="We")))
    [cut] = timings(*begun, (5, 1.3, "CancelReply", reply()), (6, 1.4, "ReplyCompleted", reply()))
    assert (cut.kind, cut.outcome, cut.first_ms, cut.route, cut.provider) == ("llm", CUT, 200.0, "", "openai")
    failure: dict[str, Any] = {"step": "llm", "code": "overloaded", "route": "openai/gpt-4.1-mini"}
    [failed] = timings(begun[0], (5, 1.3, "ReplyFailed", reply(**failure)))
    assert (failed.outcome, failed.code, failed.first_ms, failed.model) == (
        FAILED,
        "overloaded",
        None,
        "gpt-4.1-mini",
    )
    model, voice = timings(
        *begun, (5, 1.3, "ReplyFailed", reply(step="tts", code="quota", route="elevenlabs/v"))
    )
    assert (model.outcome, model.code) == (CUT, "")
    assert (voice.kind, voice.outcome, voice.code, voice.provider, voice.first_ms) == (
        "tts",
        FAILED,
        "quota",
        "11labs",
        None,
    )
    assert [timing.outcome for timing in timings(*begun)] == [CUT]


def test_records_of_replies_that_nobody_began_say_nothing() -> None:
    kinds = (
        "Unknown",
        "ReplyTextReceived",
        "ClauseSynthesized",
        "ReplyCompleted",
        "CancelReply",
        "ReplyFailed",
    )
    assert timings(*((seq, 1.0, kind, reply(9)) for seq, kind in enumerate(kinds, 3))) == ()


def test_a_recogniser_from_question_to_confirmed_answer() -> None:
    [heard] = timings(
        (3, 1.0, "TranscriptReceived", {"confirmed": True}),
        (4, 2.0, "FinalizeTranscript", {"leg_id": "l"}),
        (5, 2.1, "TranscriptReceived", {"confirmed": False}),
        (6, 2.15, "TranscriptReceived", {"confirmed": True}),
    )
    assert (heard.seq, heard.kind, heard.provider, heard.model, heard.first_ms) == (
        4,
        "stt",
        "deepgram",
        "nova-3",
        150.0,
    )
    [unknown] = fold(
        [(1, 0.0, "FinalizeTranscript", {}), (2, 0.1, "TranscriptReceived", {"confirmed": True})]
    )[1]
    assert unknown.provider == "local"


def test_tools_by_what_came_of_them() -> None:
    def tool(run: int, seq: int) -> Record:
        return (seq, 1.0, "StartTool", {"run": run, "tool": f"t{run}"})

    found = timings(
        *(tool(run, run + 2) for run in (1, 2, 3, 4)),
        (7, 1.5, "ToolReturned", {"run": 1, "status": "done"}),
        (8, 1.5, "ToolReturned", {"run": 2, "status": "refused"}),
        (9, 1.5, "GiveUpTool", {"run": 3}),
        (10, 1.5, "ToolReturned", {"run": 9, "status": "done"}),
    )
    assert [(t.kind, t.route, t.outcome, t.total_ms) for t in found] == [
        (TOOL, "t1", ANSWERED, 500.0),
        (TOOL, "t2", "refused", 500.0),
        (TOOL, "t3", CUT, 500.0),
        (TOOL, "t4", CUT, None),
    ]


def test_routes_that_failed_or_were_not_asked() -> None:
    found = timings(
        (3, 1.0, "RouteFailed", {"kind": "tts", "route": "elevenlabs/v", "code": "quota"}),
        (4, 1.0, "RouteSwitched", {"kind": "tts", "before": "elevenlabs/v", "route": "cartesia/x"}),
        (
            5,
            1.0,
            "RouteSwitched",
            {"kind": "llm", "before": "openai/gpt-4.1", "route": "x", "code": "deadline"},
        ),
        (6, 1.0, "RouteRetried", {"kind": "llm", "route": "openai/gpt-4.1", "code": "reset"}),
        (7, 1.0, "RouteSkipped", {"kind": "llm", "route": "groq/llama"}),
    )
    assert [(t.seq, t.kind, t.provider, t.outcome, t.code) for t in found] == [
        (3, "tts", "11labs", FAILED, "quota"),
        (5, "llm", "openai", FAILED, "deadline"),
        (6, "llm", "openai", FAILED, "reset"),
        (7, "llm", "groq", SKIPPED, ""),
    ]


def test_whoever_takes_the_call_over_works_for_it_from_then_on() -> None:
    theirs = {"model": {"provider": "anthropic", "model": "claude"}}
    records: list[Record] = []
    for seq, name in ((3, "other"), (10, "h1")):
        records.append((seq, 1.0, "ChangeAssistant", {"call_id": name}))
        records.append((seq + 1, 1.0, "StartReply", reply(seq)))
        records.append((seq + 2, 1.0, "CancelReply", reply(seq)))
    records.insert(3, (7, 1.0, "HandoffPrepared", {"call_id": "h1", "assistant": theirs}))
    assert [timing.provider for timing in timings(*records)] == ["openai", "anthropic"]


# --- the document ------------------------------------------------------------------------------------------------


def test_a_document_s_figures() -> None:
    found = call_figures(
        {
            "type": "webCall",
            "status": "ended",
            "assistantId": "a",
            "endedReason": "hangup",
            "startedAt": "2026-03-15T12:00:00.000Z",
            "endedAt": "2026-03-15T12:01:30.000Z",
            "cost": 0.5,
            "costBreakdown": {"llm": 0.25, "ttsCharacters": 90, "stt": True, "vapi": float("nan")},
            "analysis": {"successEvaluation": "true", "summary": "said"},
            "artifact": {
                "variableValues": {"city": "K\u00f6ln", "half": "\ud800"},
                "performanceMetrics": {"turnLatencies": [{}, {}], "numAssistantInterrupted": 1},
            },
        }
    )
    assert found == CallFigures(
        "webCall",
        "ended",
        "a",
        None,
        "hangup",
        "true",
        EPOCH,
        EPOCH + 90_000,
        1.5,
        2,
        1,
        {"cost": 0.5, "costBreakdown.llm": 0.25, "costBreakdown.ttsCharacters": 90},
        '{"city": "K\u00f6ln", "half": "?"}',
    )
    assert call_figures({"status": "queued", "artifact": 5}) == CallFigures(status="queued")


def test_what_each_source_cost_once() -> None:
    entries = [
        {"type": "transport", "minutes": 1.5, "cost": 0.01},
        {"type": "transport", "provider": "twilio", "minutes": 0, "cost": 0},
        {
            "type": "transcriber",
            "transcriber": {"provider": "deepgram", "model": "nova"},
            "minutes": 1.5,
            "cost": 0.02,
        },
        {
            "type": "model",
            "model": {"provider": "openai"},
            "promptTokens": 5,
            "completionTokens": 6,
            "cost": 0.1,
        },
        {
            "type": "model",
            "model": {"provider": "openai"},
            "promptTokens": 7,
            "cachedPromptTokens": 2,
            "cost": 0.2,
        },
        {"type": "analysis", "analysisType": "summary", "model": {"provider": "openai"}, "cost": 0.3},
        {"type": "voice", "voice": {"provider": "11labs"}, "characters": 9, "cost": 0.4},
        "no entry",
    ]
    assert costs({"costs": entries}) == (
        Cost("transport", "", "", "", 0.01, 1.5),
        Cost("transport", "twilio", "", "", 0.0),
        Cost("transcriber", "deepgram", "nova", "", 0.02, 1.5),
        Cost("model", "openai", "", "", 0.2, 0.0, 7, 2),
        Cost("analysis", "openai", "", "summary", 0.3),
        Cost("voice", "11labs", "", "", 0.4, characters=9),
        Cost("", "", "", "", 0.0),
    )
    assert costs({"costs": None}) == ()


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(("llm", "tts")),
    st.just(["a"]),
    st.just({"a": 1}),
)
NAMES = (
    "reply_id",
    "run",
    "route",
    "kind",
    "step",
    "code",
    "samples",
    "rate_hz",
    "text",
    "latency_ms",
    "call_id",
)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)),
        st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5),
        st.floats(-5, 5),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(RECORDS)
def test_whatever_the_records_say_there_is_one_row_of_an_id_and_it_can_be_written(steps: Any) -> None:
    records = [(seq, at_s, kind, data) for seq, (kind, data, at_s) in enumerate(steps, 1)]
    turns, found = fold(records)
    keys = [(timing.seq, timing.kind) for timing in found]
    assert len(keys) == len(set(keys))
    assert {seq for seq, _ in keys} | {turn.seq for turn in turns} <= {record[0] for record in records}
    for timing in found:
        for spent in (timing.first_ms, timing.total_ms):
            assert spent is None or spent >= 0
        # No half of a character is in it.
        assert timing.route.encode().decode() == timing.route
    assert fold(records) == (turns, found)
