"""The messages to a customer's server: which of a call's records make one, what is in it, and that nothing secret is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.record import CallRecord
from aywa.core.server_messages import (
    ENTRIES_MAX,
    REPORT_HOLD_S,
    SERVER_MESSAGES,
    ServerMessage,
    ServerMessages,
    body_of,
    deliveries_of,
    deliveries_of_deleted,
    deliveries_of_unbegun,
    read_servers,
    tells,
    told_call,
    tool_calls,
    without_secrets,
)
from aywa.core.settings import FINAL_TRANSCRIPT
from aywa.core.webhooks import BackoffPlan, Endpoint, Policy
from tests.core.feed import examples

EPOCH_MS = 1_700_000_000_000
URL, SECOND = "https://example.com/a", "https://example.com/b"
SERVERS = [Endpoint(URL, "credential:c").document(), Endpoint(SECOND).document()]
CALL = {
    "id": "c1",
    "orgId": "o1",
    "type": "inboundPhoneCall",
    "customer": {"number": "+15550001"},
    "phoneNumber": {"id": "p1"},
    "artifactBaseUrl": "https://host/artifact/c1/planted",
    "monitor": {"controlUrl": "https://host/control"},
}
ASSISTANT = {
    "name": "Anna",
    "server": {"url": URL, "secret": "planted", "headers": {"X": "planted"}},
    "model": {"messages": [{"role": "system", "content": "Be brief."}]},
    "metadata": {"headers": "kept"},
}
Found = list[ServerMessage]
Record = tuple[float, str, Mapping[str, Any]]


def begun(
    wanted: list[str] | None = None, policy: str = "fallback", **more: Any
) -> tuple[float, str, dict[str, Any]]:
    messages = list(SERVER_MESSAGES) if wanted is None else wanted
    webhooks = {"policy": policy, "messages": messages, "servers": SERVERS}
    return (
        0.0,
        "CallStarted",
        {"epoch_ms": EPOCH_MS, "assistant": ASSISTANT, "call": CALL, "webhooks": webhooks} | more,
    )


def told(kind: str, at_s: float = 1.0, **body: Any) -> Record:
    return (at_s, "TellClient", {"type": kind, "body": body})


def said(role: str, message: str, at_s: float = 1.0) -> Record:
    entry = {"role": role, "message": message, "time": 1, "endTime": 2, "secondsFromStart": at_s}
    return (at_s, "RecordMessage", {"message": entry})


def fold(*records: Record) -> Found:
    record = CallRecord("c1", "o1")
    messages = ServerMessages(record)
    found: Found = []
    for seq, (at_s, kind, data) in enumerate(records, 1):
        assert record.apply(seq, at_s, kind, data)
        found += messages.taken(seq, at_s, kind, data)
    return found


def written(message: ServerMessage) -> dict[str, Any]:
    body = json.loads(body_of(message))
    assert list(body) == ["message"]
    found: dict[str, Any] = body["message"]
    return found


END: Record = (9.0, "EndCall", {"reason": "customer-ended-call", "message": "closed"})
CONNECTED: Record = (1.0, "LegConnected", {"leg_id": "c1", "rate_hz": 8000})
CLOSED: Record = (12.0, "CallClosed", {})


def test_a_call_from_its_first_message_to_its_last() -> None:
    found = fold(
        begun(),
        CONNECTED,
        told("status-update", status="in-progress"),
        told("assistant.started", newAssistant={"name": "Anna"}),
        told("speech-update", status="started", role="user", turn=0),
        said("user", "Hello."),
        told("transcript", role="user", transcriptType="final", transcript="Hello."),
        (2.0, "TellClient", {"type": "conversation-update"}),
        told("floor", holder="caller"),
        told("status-update", 9.0, status="ended", endedReason="customer-ended-call"),
        END,
        (10.0, "ArtifactStored", {"artifact": "recording", "base_url": "https://host/x", "bytes": 9}),
        CLOSED,
    )
    assert [(m.kind, m.fields.get("status")) for m in found] == [
        ("status-update", "queued"),
        ("status-update", "in-progress"),
        ("assistant.started", None),
        ("speech-update", "started"),
        ("conversation-update", None),
        ("status-update", "ended"),
        ("end-of-call-report", None),
        ("end-of-call-report", None),
    ]
    assert len({m.id for m in found}) == len(found) - 1
    assert [m.order for m in found] == sorted(m.order for m in found)
    assert [m.hold_s for m in found[-2:]] == [REPORT_HOLD_S, 0.0]
    assert found[-2].id == found[-1].id


def test_the_envelope() -> None:
    message = written(fold(begun(), CONNECTED, told("hang", 1.5))[-1])
    assert (message["type"], message["timestamp"]) == ("hang", EPOCH_MS + 1500)
    assert message["call"]["id"] == "c1"
    assert message["call"]["status"] == "in-progress"
    assert message["call"]["monitor"] == CALL["monitor"]
    assert message["customer"] == CALL["customer"]
    assert message["phoneNumber"] == CALL["phoneNumber"]
    assert message["assistant"]["name"] == "Anna"
    assert message["assistant"]["metadata"] == ASSISTANT["metadata"]
    assert message["artifact"]["messages"] == []
    assert message["id"].startswith("msg_")
    assert message["sequence"] > 0
    assert "planted" not in json.dumps(message)


def test_a_call_that_brought_its_assistant_along_has_it_in_the_call_too() -> None:
    (message,) = fold(begun(call=CALL | {"assistant": {}}))
    assert written(message)["call"]["assistant"]["name"] == "Anna"


def test_each_message_sees_what_was_said_until_then() -> None:
    update: Record = (2.0, "TellClient", {"type": "conversation-update"})
    found = fold(begun(), said("bot", "Hello."), update, said("user", "Hi."), update)
    first, second = (written(m) for m in found if m.kind == "conversation-update")
    assert [m["message"] for m in first["messages"]] == ["Hello."]
    assert [m["content"] for m in second["messagesOpenAIFormatted"]] == ["Be brief.", "Hello.", "Hi."]
    assert second["artifact"]["transcript"] == "AI: Hello.\nUser: Hi."


def test_a_long_history_is_cut_at_its_beginning_and_whole_in_the_report() -> None:
    words = [said("user", f"word {n}") for n in range(ENTRIES_MAX + 5)]
    found = fold(begun(), *words, (2.0, "TellClient", {"type": "conversation-update"}), END)
    update, report = (written(m) for m in (found[1], found[-1]))
    assert len(update["messages"]) == ENTRIES_MAX
    assert update["messages"][-1]["message"] == f"word {ENTRIES_MAX + 4}"
    assert len(report["messages"]) == ENTRIES_MAX + 5


@pytest.mark.parametrize("withheld", [False, True])
def test_messages_about_a_call_whose_words_are_withheld_are_whole_and_private(withheld: bool) -> None:
    assistant = {**ASSISTANT, "compliancePlan": {"hipaaEnabled": withheld}}
    deliveries = deliveries_of(fold(begun(assistant=assistant), said("user", "word"), END, CLOSED))
    assert [delivery.private for delivery in deliveries] == [withheld] * len(deliveries)
    report = json.loads(deliveries[-1].body)["message"]
    assert report["transcript"] == "User: word"


def test_a_report_has_the_analysis_and_the_parties_names() -> None:
    assistant = {**ASSISTANT, "artifactPlan": {"transcriptPlan": {"userName": "Guest"}}}
    analysed: Record = (11.0, "AnalysisCompleted", {"analysis": {"summary": "Short."}})
    report = written(fold(begun(assistant=assistant), said("user", "word"), END, analysed, CLOSED)[-1])
    assert (report["analysis"], report["summary"]) == ({"summary": "Short."}, "Short.")
    assert report["transcript"] == "Guest: word"


def test_the_report_is_nested_and_flat() -> None:
    transfer = {"leg_id": "c1", "call_id": "t", "destination": {"type": "number", "number": "+1555"}}
    records = (
        begun(),
        CONNECTED,
        said("user", "Hi."),
        (3.0, "StartTransfer", transfer),
        END,
        (10.0, "ArtifactStored", {"artifact": "recording", "base_url": "https://host/x", "bytes": 9}),
        CLOSED,
    )
    report = written(fold(*records)[-1])
    assert report["endedReason"] == "customer-ended-call"
    assert report["endedMessage"] == "closed"
    assert report["artifact"]["transcript"] == report["transcript"] == "User: Hi."
    assert report["artifact"]["messages"] == report["messages"]
    assert report["artifact"]["recordingUrl"] == report["recordingUrl"]
    assert report["stereoRecordingUrl"].endswith("/stereo-recording")
    assert (report["durationSeconds"], report["durationMs"]) == (8.0, 8000)
    assert report["durationMinutes"] == pytest.approx(8 / 60, abs=1e-4)
    assert (report["startedAt"], report["endedAt"]) == (
        "2023-11-14T22:13:21.000Z",
        "2023-11-14T22:13:29.000Z",
    )
    assert report["destination"] == transfer["destination"]
    assert (report["analysis"], report["summary"]) == ({}, "")
    assert {"cost", "costs", "costBreakdown"} <= set(report)
    assert report["call"]["endedReason"] == "customer-ended-call"
    assert isinstance(report["cost"], int | float)


def test_a_call_that_a_crash_ended_is_told_as_ended_once() -> None:
    found = fold(begun(), END, CLOSED, END, CLOSED)
    assert [m.kind for m in found] == [
        "status-update",
        "status-update",
        "end-of-call-report",
        "end-of-call-report",
    ]
    assert found[1].fields == {"status": "ended", "endedReason": "customer-ended-call"}
    assert written(found[1])["call"]["endedReason"] == "customer-ended-call"
    assert written(found[-1])["durationSeconds"] == 0.0


def test_the_end_is_told_once() -> None:
    ended = told("status-update", status="ended", endedReason="silence-timed-out")
    found = fold(begun(["status-update"]), ended, ended, END)
    assert [m.fields["status"] for m in found] == ["queued", "ended"]


def test_only_what_is_wanted_is_sent() -> None:
    partial = told("transcript", transcriptType="partial", transcript="He")
    final = told("transcript", transcriptType="final", transcript="Hello.")
    upload: Record = (10.0, "ArtifactStored", {"artifact": "recording", "base_url": "x", "bytes": 1})
    assert [m.fields["transcript"] for m in fold(begun([FINAL_TRANSCRIPT]), partial, final)] == ["Hello."]
    assert len(fold(begun(["transcript"]), partial, final)) == 2
    assert fold(begun([]), partial, final, END, CLOSED) == []
    assert [m.fields for m in fold(begun(["call.artifact.upload"]), upload)] == [
        {"artifacts": [{"type": "recording", "success": True}]}
    ]


def test_without_a_server_nothing_is_noted() -> None:
    assert fold((0.0, "CallStarted", {"epoch_ms": EPOCH_MS}), told("hang"), END, CLOSED) == []
    assert fold(begun(webhooks={"messages": ["hang"], "servers": []}), told("hang")) == []
    # A record whose beginning is lost.
    assert fold(told("hang"), END) == []


def test_the_assistant_that_took_over_is_the_one_that_is_told() -> None:
    bob = {"call_id": "h1", "assistant": {"name": "Bob", "server": {"secret": "planted"}}}
    handed: Record = (2.0, "HandoffPrepared", bob)
    changed: Record = (2.2, "ChangeAssistant", {"call_id": "h1"})
    lost: Record = (2.4, "ChangeAssistant", {"call_id": "h2"})
    found = fold(begun(), handed, told("hang"), changed, told("hang"), lost, told("hang"))
    assert [written(m)["assistant"]["name"] for m in found] == ["Anna", "Anna", "Bob", "Bob"]
    assert "planted" not in body_of(found[-1])


def test_the_server_of_whoever_took_over_hears_of_it_from_then_on() -> None:
    servers = [{"url": "https://bob.example", "auth": "", "timeoutSeconds": 20}]
    webhooks = {"policy": "fallback", "messages": ["hang"], "servers": servers}
    prepared = {"call_id": "h1", "assistant": {"name": "Bob"}, "webhooks": webhooks}
    handed: Record = (2.0, "HandoffPrepared", prepared)
    changed: Record = (2.2, "ChangeAssistant", {"call_id": "h1"})
    found = fold(begun(), told("hang"), handed, changed, told("hang"))
    assert [each.servers.servers[0].url for each in found][-1] == "https://bob.example"
    assert found[-2].servers.servers[0].url == URL
    # Where nobody was to hear of it, somebody may be from then on.
    late = fold(begun(webhooks={}), handed, changed, told("hang"))
    assert [each.servers.servers[0].url for each in late] == ["https://bob.example"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("fallback", [(Policy.FALLBACK, [URL, SECOND])]),
        ("precedence", [(Policy.PRECEDENCE, [URL, SECOND])]),
        ("fan-out", [(Policy.FALLBACK, [URL]), (Policy.FALLBACK, [SECOND])]),
    ],
)
def test_where_a_message_goes(policy: str, expected: list[Any]) -> None:
    found = deliveries_of(fold(begun(policy=policy)))
    assert [(d.policy, [e.url for e in d.endpoints]) for d in found] == expected
    assert len({d.id for d in found}) == len(found)
    assert {d.body for d in found} == {found[0].body}
    first = found[0]
    assert (first.org_id, first.call_id, first.kind, first.created_ms) == (
        "o1",
        "c1",
        "status-update",
        EPOCH_MS,
    )
    assert (first.seq, first.hold_s) == (8, 0.0)
    assert found[0].endpoints[0].auth == "credential:c"


def test_a_server_keeps_its_plan() -> None:
    plan = BackoffPlan(3, 1.5, exponential=True, excluded=frozenset((400,)))
    document = Endpoint(URL, "", 7.0, plan).document()
    assert read_servers({"servers": [document]}).servers == (Endpoint(URL, "", 7.0, plan),)


@pytest.mark.parametrize(
    "server",
    [
        None,
        {},
        {"url": ""},
        {"url": URL},
        {"url": URL, "auth": 5, "timeoutSeconds": 1},
        {"url": URL, "auth": "", "timeoutSeconds": "x"},
        {"url": URL, "auth": "", "timeoutSeconds": 1, "backoffPlan": "x"},
        {"url": URL, "auth": "", "timeoutSeconds": 1, "backoffPlan": {"type": "fixed"}},
    ],
)
def test_a_server_that_is_malformed_counts_as_absent(server: Any) -> None:
    assert read_servers({"servers": [server], "messages": ["hang", 5]}).servers == ()
    assert read_servers({"servers": server, "messages": "x"}).wanted == frozenset()


def test_a_transcript_is_wanted_by_either_name() -> None:
    assert tells(frozenset(("transcript",)), "transcript", {})
    assert not tells(frozenset((FINAL_TRANSCRIPT,)), "transcript", {"transcriptType": "partial"})
    assert not tells(frozenset((FINAL_TRANSCRIPT,)), "hang", {"transcriptType": "final"})


def test_tool_calls_are_written_as_every_handler_reads_them() -> None:
    tools = {"find": {"type": "function", "server": {"url": URL, "secret": "planted"}}}
    fields = tool_calls([("call_1", "find", '{"q": "x"}'), ("call_2", "other", "[]")], tools)
    first, second = fields["toolCallList"]
    assert first["function"] == {"name": "find", "arguments": {"q": "x"}}
    assert first["arguments"] == first["parameters"] == {"q": "x"}
    assert fields["toolCalls"] == fields["toolCallList"]
    with_tool, unknown = fields["toolWithToolCallList"]
    assert with_tool["server"] == {"url": URL}
    assert with_tool["toolCall"] == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "find", "parameters": {"q": "x"}, "arguments": {"q": "x"}},
    }
    assert second["arguments"] == {}
    assert list(unknown) == ["toolCall"]


def test_secrets_are_taken_out_at_any_depth() -> None:
    document = {"a": [{"secret": 1, "b": ({"apiKey": 2, "c": 3},)}], "headers": {}}
    assert without_secrets(document) == {"a": [{"b": [{"c": 3}]}]}


_KINDS = [
    "CallStarted",
    "TellClient",
    "HandoffPrepared",
    "ChangeAssistant",
    "ArtifactStored",
    "EndCall",
    "CallClosed",
    "LegConnected",
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "body", "status", "servers", "webhooks", "url"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@examples(200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(_KINDS),
            st.dictionaries(
                st.sampled_from(["type", "body", "webhooks", "call", "assistant", "reason", "artifact"]),
                _JSON,
                max_size=4,
            ),
        ),
        max_size=12,
    )
)
def test_whatever_is_recorded_one_end_and_one_report_are_told(
    records: list[tuple[str, dict[str, Any]]],
) -> None:
    record = CallRecord("c1", "o1")
    messages = ServerMessages(record)
    found: Found = []
    _, _, start = begun()
    for seq, (kind, data) in enumerate([("CallStarted", start), *records, ("EndCall", {"reason": "x"})], 1):
        # One server stays, whatever comes.
        if kind == "CallStarted":
            data = data | {"webhooks": start["webhooks"]}
        found += messages.taken(seq, float(seq), kind, data)
    for message in found:
        assert json.loads(body_of(message))["message"]["type"] == message.kind
    ended = [m for m in found if m.fields.get("status") == "ended" and m.kind == "status-update"]
    assert len(ended) == 1
    reports = [m for m in found if m.kind == "end-of-call-report"]
    assert len({m.id for m in reports}) == 1
    # What leaves at once is last: nothing takes its place.
    assert all(m.hold_s for m in reports[:-1])
    assert len({m.id for m in found if m.kind != "end-of-call-report"}) == len(found) - len(reports)


def test_a_call_that_never_began_has_its_end_and_its_report() -> None:
    _, _, begun_ = begun()
    found = deliveries_of_unbegun("c1", "o1", begun_, EPOCH_MS + 2500, "assistant-request-failed", "nobody")
    assert [d.kind for d in found] == ["status-update", "status-update", "end-of-call-report"]
    assert all(d.hold_s == 0.0 for d in found)
    report = json.loads(found[-1].body)["message"]
    assert (report["endedReason"], report["endedMessage"]) == ("assistant-request-failed", "nobody")
    assert (report["timestamp"], report["durationSeconds"]) == (EPOCH_MS + 2500, 0.0)
    assert deliveries_of_unbegun("c1", "o1", {"epoch_ms": EPOCH_MS}, EPOCH_MS, "x") == []


def test_that_a_call_was_deleted_is_told_to_who_wants_it_and_outlives_the_call() -> None:
    now = {
        "status": "ended",
        "endedReason": "customer-ended-call",
        "messages": ["planted"],
        "startedAt": None,
    }
    for policy, ids in (("fallback", 1), ("fan-out", 2)):
        _, _, begun_ = begun(["call.deleted"], policy)
        found = deliveries_of_deleted("c1", "o1", begun_, now, EPOCH_MS + 9000)
        assert len({each.id for each in found}) == ids
        assert {(each.kind, each.call_id, each.private) for each in found} == {("call.deleted", None, True)}
        message = json.loads(found[0].body)["message"]
        assert (message["timestamp"], message["call"]["status"]) == (EPOCH_MS + 9000, "ended")
        assert message["call"]["endedReason"] == "customer-ended-call"
        assert "planted" not in found[0].body
        assert message["artifact"]["messages"] == []
    for quiet in (begun()[2], begun(["call.deleted"], webhooks={})[2]):
        assert deliveries_of_deleted("c1", "o1", quiet, now, EPOCH_MS) == []


def test_a_call_as_its_servers_are_told_of_it() -> None:
    call = {"customer": {"number": "+1"}, "messages": [], "artifactBaseUrl": "planted", "assistant": {"a": 1}}
    assert told_call(call, "c1", "o1", "webCall") == {
        "customer": {"number": "+1"},
        "assistant": {},
        "id": "c1",
        "orgId": "o1",
        "type": "webCall",
    }
    assert "assistant" not in told_call({}, "c1", "o1", "webCall")
