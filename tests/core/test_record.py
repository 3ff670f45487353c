"""A call's document, folded from its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.record import CallRecord, iso, quality_shown
from aywa.core.retention import Retention, read_retention
from tests.core.feed import examples

EPOCH_MS = 1_700_000_000_000
STARTED: dict[str, Any] = {"epoch_ms": EPOCH_MS, "assistant": {}, "variables": {}}
Records = list[tuple[float, str, dict[str, Any]]]


def fold(*records: tuple[float, str, Mapping[str, Any]]) -> CallRecord:
    call = CallRecord("c1", "o1")
    for seq, (at_s, kind, data) in enumerate(((0.0, "CallStarted", STARTED), *records), 1):
        assert call.apply(seq, at_s, kind, data)
    return call


def said(role: str, message: str) -> dict[str, Any]:
    return {"message": {"role": role, "message": message}}


def test_it_is_closed_when_nothing_more_is_written_of_it() -> None:
    call = CallRecord("c1", "o1")
    assert not call.closed
    assert call.apply(1, 0.0, "CallClosed", {})
    assert call.closed


@pytest.mark.parametrize(
    ("days", "until"), [(0, "2023-11-14T22:13:30.000Z"), (2, "2023-11-16T22:13:30.000Z")]
)
def test_until_when_it_is_kept_is_said_when_nothing_more_comes(days: int, until: str) -> None:
    plan = {"artifactPlan": {"retentionDays": days}}
    call = fold((1.0, "LegConnected", {}), (10.0, "EndCall", {"reason": "customer-ended-call"}))
    call.retention = read_retention(plan)
    assert "expiresAt" not in call.document()
    call.changed = False
    assert call.apply(4, 11.0, "CallClosed", {})
    assert (call.document()["expiresAt"], call.changed) == (until, True)
    assert call.kept_document()["expiresAt"] == until


def test_that_nothing_more_comes_changes_no_document_that_is_kept_for_good() -> None:
    call = fold((10.0, "EndCall", {"reason": "customer-ended-call"}))
    call.changed = False
    assert call.apply(3, 11.0, "CallClosed", {})
    assert not call.changed


def test_a_call_that_never_ended_is_kept() -> None:
    call = fold((1.0, "CallClosed", {}))
    call.retention = Retention(days=0)
    assert "expiresAt" not in call.document()


def test_whoever_takes_the_call_over_may_have_it_kept_shorter_and_never_longer() -> None:
    call = CallRecord("c1", "o1")
    first = {"artifactPlan": {"retentionDays": 3}}
    assert call.apply(1, 0.0, "CallStarted", {**STARTED, "assistant": first})
    for seq, (days, kept) in enumerate(((1, 1), (9, 1)), 1):
        theirs = {"artifactPlan": {"retentionDays": days}}
        assert call.apply(2 * seq, 1.0, "HandoffPrepared", {"call_id": "h", "assistant": theirs})
        assert call.apply(2 * seq + 1, 1.0, "ChangeAssistant", {"call_id": "h"})
        assert call.retention.days == kept


def test_times_are_iso_8601_in_utc_with_milliseconds() -> None:
    assert iso(EPOCH_MS + 5) == "2023-11-14T22:13:20.005Z"


def test_a_call_that_nobody_joined_yet() -> None:
    document = fold().document()
    assert document["status"] == "queued"
    assert not {"startedAt", "endedAt", "endedReason", "endedMessage"} & set(document)
    assert document["costs"][0] == {"type": "transport", "minutes": 0.0, "cost": 0}
    assert document["cost"] == 0


def test_from_the_first_leg_to_the_end() -> None:
    document = fold(
        (1.0, "LegConnected", {}),
        (2.0, "LegConnected", {}),
        (91.0, "EndCall", {"reason": "customer-ended-call", "message": "closed"}),
        (92.0, "EndCall", {"reason": "manually-canceled"}),
        (93.0, "LegConnected", {}),
    ).document()
    assert document["status"] == "ended"
    assert document["startedAt"] == "2023-11-14T22:13:21.000Z"
    assert document["endedAt"] == "2023-11-14T22:14:51.000Z"
    assert (document["endedReason"], document["endedMessage"]) == ("customer-ended-call", "closed")
    assert document["costs"][0]["minutes"] == 1.5


def test_how_long_a_call_lasted() -> None:
    ended: tuple[float, str, dict[str, Any]] = (91.0, "EndCall", {"reason": "x"})
    assert fold((1.0, "LegConnected", {})).seconds == 0.0
    assert fold(ended).seconds == 0.0
    assert fold((1.0, "LegConnected", {}), ended).seconds == 90.0


def test_a_call_rings_until_somebody_answers() -> None:
    rings: tuple[float, str, dict[str, Any]] = (0.1, "RingingStarted", {})
    assert fold(rings).document()["status"] == "ringing"
    assert "startedAt" not in fold(rings).document()
    connected = (0.2, "LegConnected", {"leg_id": "caller", "rate_hz": 8000})
    assert fold(rings, connected, rings).document()["status"] == "in-progress"


def test_an_end_without_a_finer_cause_shows_none() -> None:
    document = fold(
        (1.0, "LegConnected", {}), (2.0, "EndCall", {"reason": "silence-timed-out", "message": ""})
    )
    assert "endedMessage" not in document.document()


def test_what_was_said() -> None:
    started = STARTED | {
        "assistant": {"model": {"messages": [{"role": "system", "content": "Be brief."}, "junk"]}},
        "variables": {"name": "Ann"},
    }
    call = CallRecord("c1", "o1")
    call.apply(1, 0.0, "CallStarted", started)
    for seq, (role, text) in enumerate([("bot", "Hello."), ("user", "Hi."), ("system", "Be kind.")], 2):
        call.apply(seq, 1.0, "RecordMessage", said(role, text))
    artifact = call.document()["artifact"]
    assert artifact["transcript"] == "AI: Hello.\nUser: Hi."
    assert artifact["messagesOpenAIFormatted"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Hi."},
        {"role": "system", "content": "Be kind."},
    ]
    assert artifact["variableValues"] == {"name": "Ann"}
    assert "recordingUrl" not in artifact


@pytest.mark.parametrize("assistant", [None, {"model": "text"}, {"model": {"messages": 5}}, {"model": None}])
def test_an_assistant_that_is_malformed_has_no_prompt(assistant: Any) -> None:
    call = CallRecord("c1", "o1")
    call.apply(1, 0.0, "CallStarted", STARTED | {"assistant": assistant, "variables": None})
    artifact = call.document()["artifact"]
    assert (artifact["messagesOpenAIFormatted"], artifact["variableValues"]) == ([], {})


def test_latencies_and_their_averages() -> None:
    parts = {"endpointing": 500.0, "transcriber": 20.0, "model": 100.0, "voice": 50.0, "unattributed": 9.0}
    metrics = fold(
        (1.0, "RecordTurn", {"latency_ms": 679.0, "parts_ms": parts}),
        (2.0, "RecordTurn", {"latency_ms": 500.0, "parts_ms": {"endpointing": 500.0}}),
        (3.0, "TellClient", {"type": "user-interrupted"}),
        *[(4.0, "TellClient", {"type": "transcript"})] * 2,
    ).document()["artifact"]["performanceMetrics"]
    assert metrics["turnLatencies"][0] == {
        "endpointingLatency": 500.0,
        "transcriberLatency": 20.0,
        "modelLatency": 100.0,
        "voiceLatency": 50.0,
        "turnLatency": 679.0,
    }
    assert (metrics["turnLatencyAverage"], metrics["modelLatencyAverage"]) == (589.5, 50.0)
    assert metrics["numAssistantInterrupted"] == 1


def test_a_call_without_turns_has_averages_of_zero() -> None:
    assert fold().document()["artifact"]["performanceMetrics"]["turnLatencyAverage"] == 0


def test_tokens_characters_and_discarded_replies_are_counted() -> None:
    usage = {"prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 9}
    call = fold(
        (1.0, "ReplyCompleted", usage),
        (2.0, "ReplyCompleted", usage),
        (3.0, "ClauseSynthesized", {"text": "Hello."}),
        (4.0, "RecordDecision", {"decision": "reply_discarded"}),
        *[(5.0, "RecordDecision", {"decision": "turn_taken"})] * 2,
    )
    document = call.document()
    assert call.discarded_replies == 1
    assert document["costBreakdown"]["llmPromptTokens"] == 200
    assert document["costBreakdown"]["llmCachedPromptTokens"] == 80
    assert document["costs"][2]["completionTokens"] == 18
    assert document["costs"][3]["characters"] == 6


def test_a_recording_has_its_addresses() -> None:
    stored = {"artifact": "recording", "base_url": "http://h/call/c1"}
    artifact = fold((9.0, "ArtifactStored", stored)).document()["artifact"]
    assert artifact["recordingUrl"] == "http://h/call/c1/mono-recording"
    assert (
        artifact["recording"]["stereoUrl"]
        == artifact["stereoRecordingUrl"]
        == "http://h/call/c1/stereo-recording"
    )
    assert artifact["recording"]["mono"]["customerUrl"] == "http://h/call/c1/customer-recording"
    assert artifact["logUrl"] == "http://h/call/c1/call-logs"


def test_what_a_person_should_know_of_is_a_warning() -> None:
    call = fold((1.5, "MediaWarned", {"code": "malformed"}), (2.0, "VoiceScored", {"probabilities": b""}))
    at = "2023-11-14T22:13:21.500Z"
    assert call.document()["warnings"] == [{"at": at, "kind": "MediaWarned", "code": "malformed"}]


def test_a_record_that_the_document_does_not_show_changes_nothing() -> None:
    call = CallRecord("c1", "o1")
    call.apply(1, 0.0, "VoiceScored", {})
    assert not call.changed
    call.apply(2, 0.0, "MediaWarned", {"code": "malformed"})
    assert call.changed
    call.changed = False
    call.apply(3, 0.0, "RecordMessage", said("user", "hi"))
    assert call.changed


def test_costs_are_worked_out_with_the_prices_of_the_call_s_beginning() -> None:
    prices = [
        {"kind": "llm", "provider": "openai", "model": "gpt-4.1", "unit": "completion token", "usd": 0.01},
        {"kind": "stt", "provider": "deepgram", "model": "*", "unit": "second", "usd": 0.001},
        {"kind": "tts", "provider": "openai", "model": "*", "unit": "second", "usd": 0.1},
        {"kind": "storage", "provider": "local", "model": "*", "unit": "byte", "usd": 0.0001},
    ]
    assistant = {
        "model": {"provider": "openai", "model": "gpt-4.1"},
        "voice": {"provider": "openai"},
        "transcriber": {"provider": "deepgram"},
    }
    call = CallRecord("c1", "o1")
    told: Records = [
        (0.0, "CallStarted", STARTED | {"assistant": assistant, "prices": prices}),
        (1.0, "LegConnected", {"rate_hz": 8000}),
        (2.0, "StartReply", {"reply_id": 1, "messages": [{"role": "user", "content": "x" * 40}]}),
        (2.1, "ReplyTextReceived", {"reply_id": 1, "text": "Hi"}),
        (2.2, "CancelReply", {"reply_id": 1}),
        (2.3, "StartReply", {"reply_id": 2, "messages": []}),
        (2.4, "ReplyFailed", {"reply_id": 2, "step": "llm", "code": "cut_short"}),
        (3.0, "ReplyCompleted", {"reply_id": 3, "prompt_tokens": 5, "completion_tokens": 4}),
        (3.0, "ClauseSynthesized", {"text": "Hello.", "samples": 16000, "route": "openai/alloy"}),
        (3.0, "ClauseSynthesized", {"text": "Hello.", "samples": 16000, "route": "local-hibari"}),
        (3.5, "ReplyCompleted", {"reply_id": 4, "completion_tokens": 9, "route": "local-rules"}),
        (61.0, "EndCall", {"reason": "customer-ended-call"}),
        (62.0, "ArtifactStored", {"artifact": "recording", "base_url": "u", "bytes": 1000}),
    ]
    for seq, (at_s, kind, data) in enumerate(told, 1):
        assert call.apply(seq, at_s, kind, data)
    document = call.document()
    assert document["cost"] == document["costBreakdown"]["total"] == pytest.approx(0.05 + 0.06 + 0.2 + 0.1)
    assert document["costBreakdown"]["estimatedPromptTokens"] == 10
    unpriced = document["costBreakdown"]["unpriced"]
    assert [(each["type"], each["provider"]) for each in unpriced] == [
        ("transport", "local"),
        ("llm", "local"),
        ("tts", "local"),
    ]
    assert [entry["cost"] for entry in document["costs"]] == [0, 0.06, 0.05, 0, 0.2, 0]


def test_what_only_costs_go_by_does_not_write_the_document_anew() -> None:
    call = fold((1.0, "LegConnected", {}))
    call.changed = False
    call.apply(10, 2.0, "ReplyTextReceived", {"reply_id": 1, "text": "Hi"})
    call.apply(11, 2.1, "ClauseSynthesized", {"text": "Hi", "samples": 800})
    call.apply(12, 2.2, "ReplyCompleted", {"reply_id": 1, "completion_tokens": 1})
    assert not call.changed


@pytest.mark.parametrize(
    ("kind", "idle", "telling"),
    [
        ("TellClient", {"type": "status-update"}, {"type": "user-interrupted"}),
        ("RecordDecision", {"decision": "endpointing"}, {"decision": "filler_said"}),
    ],
)
def test_a_frequent_record_writes_the_document_anew_when_it_says_something_new(
    kind: str, idle: dict[str, Any], telling: dict[str, Any]
) -> None:
    call = CallRecord("c1", "o1")
    call.apply(1, 1.0, kind, idle)
    assert not call.changed
    call.apply(2, 1.1, kind, telling)
    assert call.changed
    call.apply(3, 1.2, kind, idle)
    assert call.changed


records: st.SearchStrategy[tuple[float, str, dict[str, Any]]] = st.tuples(
    st.floats(0, 100),
    st.sampled_from(
        [
            ("LegConnected", {}),
            ("RecordMessage", said("user", "hi")),
            ("RecordMessage", said("bot", "ho")),
            ("RecordTurn", {"latency_ms": 1.0, "parts_ms": {"voice": 1.0}}),
            ("ReplyCompleted", {"prompt_tokens": 1}),
            ("StartReply", {"reply_id": 1, "messages": [{"content": "abcdefgh"}]}),
            ("ReplyTextReceived", {"reply_id": 1, "text": "a"}),
            ("CancelReply", {"reply_id": 1}),
            ("ClauseSynthesized", {"text": "abc"}),
            ("ChildFailed", {"child": "stt", "code": "x"}),
            ("TellClient", {"type": "user-interrupted"}),
            ("EndCall", {"reason": "customer-ended-call"}),
            ("SomethingNew", {"a": 1}),
        ]
    ),
).map(lambda drawn: (drawn[0], *drawn[1]))


@examples(150)
@given(st.lists(records, max_size=15), st.lists(st.integers(0, 15), max_size=15))
def test_a_record_that_comes_again_changes_nothing(given_records: Records, again: list[int]) -> None:
    once = fold(*given_records)
    twice = CallRecord("c1", "o1")
    numbered = list(enumerate([(0.0, "CallStarted", STARTED), *given_records], 1))
    for seq, (at_s, kind, data) in numbered:
        assert twice.apply(seq, at_s, kind, data)
        for earlier in again:
            if earlier < seq:
                old_seq, (old_s, old_kind, old_data) = numbered[earlier]
                assert not twice.apply(old_seq, old_s, old_kind, old_data)
    assert twice == once
    assert twice.document() == once.document()


def test_what_beginning_early_cost_and_every_long_silence_are_shown() -> None:
    def decided(decision: str, **details: Any) -> dict[str, Any]:
        return {"decision": decision, "reason": "x", "details": details}

    metrics = fold(
        (1.0, "LegConnected", {}),
        (2.0, "RecordDecision", decided("reply_begun_early")),
        (2.1, "RecordDecision", decided("reply_discarded", tokens=7)),
        (2.2, "RecordDecision", decided("reply_begun_early")),
        (2.3, "RecordDecision", {"decision": "reply_discarded"}),
        (3.0, "RecordDecision", decided("filler_said")),
        (4.0, "RecordDecision", decided("promise_broken")),
        (4.0, "RecordDecision", decided("turn_taken")),
        (9.0, "RecordGap", {"from_s": 4.0, "to_s": 8.5, "reasons": {"awaiting_answer": 4.5}}),
    ).document()["artifact"]["performanceMetrics"]
    assert metrics["speculation"] == {"begun": 2, "discarded": 2, "discardedCompletionTokens": 7}
    gap = {"secondsFromStart": 4.0, "seconds": 4.5, "reasons": {"awaiting_answer": 4.5}}
    assert metrics["silence"] == {"gaps": [gap], "unexplained": 1, "fillers": 1}


def test_the_latency_at_the_wire_is_shown_where_it_is_known() -> None:
    metrics = fold(
        (1.0, "RecordTurn", {"latency_ms": 500.0, "parts_ms": {}, "wire_ms": 540.0}),
        (2.0, "RecordTurn", {"latency_ms": 600.0, "parts_ms": {}, "wire_ms": None}),
    ).document()["artifact"]["performanceMetrics"]
    assert metrics["turnLatencies"][0]["wireLatency"] == 540.0
    assert "wireLatency" not in metrics["turnLatencies"][1]
    assert (metrics["wireLatencyAverage"], metrics["turnLatencyAverage"]) == (540.0, 550.0)


def test_tool_calls_are_messages_for_the_model_too() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "dtmf", "arguments": "{}"}}
    artifact = fold(
        (1.0, "RecordMessage", {"message": {"role": "tool_calls", "toolCalls": [call], "message": ""}}),
        (
            2.0,
            "RecordMessage",
            {"message": {"role": "tool_call_result", "toolCallId": "c1", "name": "dtmf", "result": "Done."}},
        ),
    ).document()["artifact"]
    assert artifact["messagesOpenAIFormatted"] == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "Done.", "tool_call_id": "c1"},
    ]
    assert artifact["transcript"] == ""


def test_the_analysis_of_a_call_and_what_it_cost() -> None:
    analysis = {"summary": "Ann wants a table.", "successEvaluation": "true"}
    usage = {"kind": "summary", "route": "openai/gpt-4.1", "prompt_tokens": 9, "completion_tokens": 4}
    document = fold(
        (1.0, "EndCall", {"reason": "customer-ended-call"}),
        (2.0, "AnalysisCompleted", {"analysis": analysis, "usage": [usage]}),
    ).document()
    assert document["analysis"] == analysis
    entry = document["costs"][-1]
    assert (entry["type"], entry["analysisType"], entry["promptTokens"]) == ("analysis", "summary", 9)
    assert document["costBreakdown"]["analysisCostBreakdown"]["summaryCompletionTokens"] == 4
    assert "analysis" not in fold((1.0, "EndCall", {"reason": "customer-ended-call"})).document()


def test_a_transcript_has_the_names_that_the_assistant_gives_or_is_not_there() -> None:
    said_by = {"RecordMessage": {"role": "user", "message": "Hello."}}
    texts = []
    for plan in ({"userName": "Guest"}, {"enabled": False}):
        call = CallRecord("c1", "o1")
        assistant = {"artifactPlan": {"transcriptPlan": plan}}
        _ = call.apply(1, 0.0, "CallStarted", {**STARTED, "assistant": assistant})
        _ = call.apply(2, 1.0, "RecordMessage", {"message": said_by["RecordMessage"]})
        texts.append(call.document()["artifact"]["transcript"])
    assert texts == ["Guest: Hello.", ""]


def test_what_may_not_be_kept_is_told_and_not_kept() -> None:
    call = CallRecord("c1", "o1")
    assistant = {"compliancePlan": {"pciEnabled": True}}
    _ = call.apply(1, 0.0, "CallStarted", {**STARTED, "assistant": assistant})
    _ = call.apply(2, 1.0, "RecordMessage", said("user", "4111"))
    _ = call.apply(3, 1.0, "ArtifactStored", {"artifact": "recording", "base_url": "/call/c1"})
    assert call.document()["artifact"]["transcript"] == "User: 4111"
    assert "4111" not in str(call.kept_document())
    assert "logUrl" not in call.document()["artifact"]
    assert fold().kept_document() == fold().document()


def test_whoever_takes_a_call_over_may_forbid_to_keep_words() -> None:
    call = fold()
    prepared = {"call_id": "h1", "assistant": {"compliancePlan": {"hipaaEnabled": True}}}
    assert call.retention.words
    _ = call.apply(2, 1.0, "HandoffPrepared", prepared)
    _ = call.apply(3, 1.0, "ChangeAssistant", {"call_id": "h1"})
    assert not call.retention.words
    _ = call.apply(4, 2.0, "HandoffPrepared", {"call_id": "h2", "assistant": {}})
    _ = call.apply(5, 2.0, "ChangeAssistant", {"call_id": "h2"})
    assert not call.retention.words


def test_what_became_of_transfers() -> None:
    desk = {"type": "sip", "sipUri": "sip:desk@pbx.example.com", "transferPlan": {"mode": "blind-transfer"}}
    sales = {"type": "number", "number": "+4930111"}
    artifact = fold(
        (1.0, "TransferChanged", {"status": "odd"}),
        (1.0, "StartTransfer", {"destination": desk}),
        (2.0, "TransferChanged", {"status": "busy"}),
        (3.0, "StartTransfer", {"destination": sales}),
        (4.0, "TransferChanged", {"status": "connected"}),
        (5.0, "TransferChanged", {"status": "completed"}),
    ).document()["artifact"]
    assert artifact["transfers"] == [
        {"destination": desk, "mode": "blind-transfer", "status": "busy"},
        {"destination": sales, "mode": "blind-transfer", "status": "completed"},
    ]
    assert "transfers" not in fold().document()["artifact"]


QUALITY: dict[str, Any] = {
    "codec": "PCMU",
    "sent": 500,
    "received": 475,
    "lost": 25,
    "late": 1,
    "concealed": 20,
    "jitter_s": 0.0042,
    "round_trip_s": None,
    "opinion": 3.456,
    "remote_lost": None,
    "remote_jitter_s": None,
    "remote_opinion": None,
}


def test_how_the_stream_fared_last() -> None:
    call = fold(
        (1.0, "QualityMeasured", QUALITY | {"received": 0, "lost": 0}),
        (2.0, "QualityMeasured", QUALITY | {"round_trip_s": 0.05, "remote_opinion": 4.411}),
    )
    assert call.document()["artifact"]["performanceMetrics"]["audioQuality"] == {
        "codec": "PCMU",
        "mos": 3.46,
        "lossPercent": 5.0,
        "jitterMs": 4.2,
        "roundTripMs": 50.0,
        "packetsReceived": 475,
        "packetsSent": 500,
        "packetsLost": 25,
        "packetsLate": 1,
        "packetsConcealed": 20,
        "remoteMos": 4.41,
    }
    assert quality_shown(QUALITY | {"received": 0, "lost": 0, "opinion": None})["lossPercent"] == 0


# --- several assistants --------------------------------------------------------------------------------------------

BOOKING = {
    "name": "Booking",
    "id": "a2",
    "model": {"provider": "m", "model": "n", "messages": [{"role": "system", "content": "You book."}, 3]},
}
PREPARED = {
    "call_id": "h1",
    "assistant": BOOKING,
    "variables": {"party": 4},
    "prices": [{"kind": "llm", "provider": "m", "model": "n", "unit": "completion token", "usd": 0.5}],
}


def test_who_had_the_call_and_what_was_found_out_for_them() -> None:
    record = CallRecord("c1", "o1")
    started = STARTED | {
        "assistant": {"name": "Front"},
        "variables": {"party": 2, "day": "Tuesday"},
        "squad": {"members": ["Front", "Booking"]},
    }
    answered = {"reply_id": 1, "completion_tokens": 2, "route": ""}
    records: Records = [
        (0.0, "CallStarted", started),
        (1.0, "LegConnected", {"rate_hz": 8000}),
        (2.0, "ChangeAssistant", {"call_id": "h0"}),
        (2.0, "HandoffPrepared", PREPARED),
        (3.0, "ChangeAssistant", {"call_id": "h1"}),
        (4.0, "ReplyCompleted", answered),
    ]
    for seq, (at_s, kind, data) in enumerate(records, 1):
        assert record.apply(seq, at_s, kind, data)
    document = record.document()
    artifact = document["artifact"]
    assert artifact["assistantActivations"] == [
        {"assistantName": "Front"},
        {"assistantName": "Booking", "assistantId": "a2"},
    ]
    assert artifact["variableValues"] == {"party": 4, "day": "Tuesday"}
    assert artifact["messagesOpenAIFormatted"] == [{"role": "system", "content": "You book."}]
    assert document["cost"] == 1.0


def test_a_call_of_one_assistant_names_it_when_it_is_handed_over() -> None:
    record = fold((2.0, "HandoffPrepared", PREPARED), (3.0, "ChangeAssistant", {"call_id": "h1"}))
    assert [each["assistantName"] for each in record.activations] == ["", "Booking"]
    assert "assistantActivations" not in fold().document()["artifact"]


def test_a_model_that_reads_variables_is_paid_for_it() -> None:
    read = {"names": ["day"], "route": "", "prompt_tokens": 100, "completion_tokens": 7}
    breakdown = fold((1.0, "VariablesRead", read)).document()["costBreakdown"]
    assert (breakdown["llmPromptTokens"], breakdown["llmCompletionTokens"]) == (100, 7)


def test_what_a_tool_found_out_is_a_variable_from_then_on() -> None:
    found = {"run": 1, "status": "done", "variables": {"order": 7}}
    record = fold((1.0, "ToolReturned", {**found}), (2.0, "ToolReturned", {"run": 2, "variables": None}))
    assert record.variables["order"] == 7
