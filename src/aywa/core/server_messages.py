"""The messages to a customer's server (contract 7.3-7.6), made of a call's records: what was told, when, and what was said until
then. Refuses to know where they go and how they are signed.

A message is cheap to note and dear to write: `ServerMessages` notes them as the records are folded, `body_of` writes one, in
whatever thread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aywa.core.record import CallRecord, openai_message
from aywa.core.settings import FINAL_TRANSCRIPT
from aywa.core.tools import arguments_in, told_of
from aywa.core.transcript import TranscriptPlan, transcript_of
from aywa.core.webhooks import Delivery, Endpoint, Policy, endpoint_of

SERVER_MESSAGES = (
    "conversation-update", "end-of-call-report", "function-call", "hang", "speech-update", "status-update", "tool-calls",
    "transfer-destination-request", "handoff-destination-request", "user-interrupted", "assistant.started",
)  # fmt: skip
"""Those that are sent when an assistant names none (contract 4.2)."""

REPORT = "end-of-call-report"
STATUS, CONVERSATION, TRANSCRIPT, UPLOAD = (
    "status-update",
    "conversation-update",
    "transcript",
    "call.artifact.upload",
)
TOLD = frozenset(
    (
        STATUS, CONVERSATION, TRANSCRIPT, "speech-update", "user-interrupted", "assistant.started", "assistant.speechStarted",
        "hang", "model-output", "transfer-update", "voice-input", "language-change-detected",
    )
)  # fmt: skip
"""What the conversation tells of itself: each is sent as it was told. The rest is made here, or is asked."""

ENTRIES_MAX = 400
"""So many entries of the history are in one message; all of them in the report."""
REPORT_HOLD_S = 90.0
"""How long the report waits for what comes after the end: the analysis, the recording. Then it leaves without."""

DELETED = "call.deleted"
_ABOUT_DELETED = ("status", "startedAt", "endedAt", "endedReason")

_ORDERS = 8
"""More messages than one record makes."""
# What a customer keeps there is his own, whatever it is called.
_OWN = frozenset(("metadata", "variableValues"))
_LATER = ("messages", "costs", "costBreakdown")
_TELLING = ("status", "endedReason")
_SECRETS = frozenset(
    (
        "secret", "serverUrlSecret", "headers", "credentials", "apiKey", "authorization", "artifactBaseUrl", "secretsId",
        "authenticationPlan", "environmentVariables",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallServers:
    """What CallStarted says of the servers. policy: of ports.server_questions. wanted: the types to be sent. servers: in their
    order."""

    policy: str = "fallback"
    wanted: frozenset[str] = frozenset()
    servers: tuple[Endpoint, ...] = field(default=(), repr=False)


def read_servers(value: Any) -> CallServers:
    """What is malformed counts as absent."""
    plan = _mapping(value)
    servers = tuple(endpoint_of(each) for each in map(_mapping, _list(plan.get("servers"))) if _whole(each))
    wanted = frozenset(kind for kind in _list(plan.get("messages")) if isinstance(kind, str))
    return CallServers(_text(plan.get("policy")) or "fallback", wanted, servers)


def _whole(server: Mapping[str, Any]) -> bool:
    """As Endpoint.document writes it."""
    plan = server.get("backoffPlan")
    return (
        bool(_text(server.get("url")))
        and isinstance(server.get("auth"), str)
        and (isinstance(server.get("timeoutSeconds"), int | float) and (plan is None or _whole_plan(plan)))
    )


def _whole_plan(plan: Any) -> bool:
    return isinstance(plan, Mapping) and {
        "type",
        "maxRetries",
        "baseDelaySeconds",
        "excludedStatusCodes",
    } <= set(plan)


def tells(wanted: frozenset[str], kind: str, fields: Mapping[str, Any]) -> bool:
    """Whether a message of this type is among those wanted."""
    if kind in wanted:
        return True
    return kind == TRANSCRIPT and FINAL_TRANSCRIPT in wanted and fields.get("transcriptType") == "final"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every message about a call carries (contract 7.3). messages: all entries so far, which only ever grow."""

    call: Mapping[str, Any] = field(default_factory=dict)
    assistant: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Mapping[str, Any]] = ()
    prompt: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A message, noted. id: of the delivery, the same whenever its records are folded. order: among those of its call. entries:
    how much of the history it sees. call: what the call's document says at the time, beside its envelope. hold_s: how long it
    may wait for a better one with its id."""

    id: str
    record: CallRecord = field(repr=False)
    servers: CallServers
    order: int
    kind: str
    at_ms: int
    fields: Mapping[str, Any] = field(repr=False)
    entries: int
    call: Mapping[str, Any] = field(repr=False)
    envelope: Envelope = field(repr=False)
    hold_s: float = 0.0


class ServerMessages:
    """`taken`, after the record has taken a record, answers what is to be sent for it."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record
        self.envelope = Envelope()
        self._ended_told = False
        self._closed = False
        self._coming: dict[str, Mapping[str, Any]] = {}
        self.servers = CallServers()

    def taken(self, seq: int, at_s: float, kind: str, data: Mapping[str, Any]) -> list[ServerMessage]:
        """The messages that follow, in their order. Without servers, or for what nobody wants: none."""
        if kind == "CallStarted":
            self._begin(data)
        elif kind == "HandoffPrepared":
            self._coming = {str(data.get("call_id")): data}
        elif kind == "ChangeAssistant":
            self._change(self._coming.pop(str(data.get("call_id")), {}))
        if not self.servers.servers:
            return []
        found = [told for told in self._of(kind, data) if tells(self.servers.wanted, *told)]
        return [self._message(seq, n, at_s, name, fields) for n, (name, fields) in enumerate(found)]

    def _begin(self, data: Mapping[str, Any]) -> None:
        record = self._record
        self.servers = read_servers(data.get("webhooks"))
        call, assistant = (without_secrets(_mapping(data.get(name))) for name in ("call", "assistant"))
        self.envelope = Envelope(call, assistant, record.messages, record.prompt)

    def _change(self, prepared: Mapping[str, Any]) -> None:
        """Whoever was got ready has the call: its own server hears of it from now on, where it has one."""
        assistant, webhooks = (_mapping(prepared.get(name)) for name in ("assistant", "webhooks"))
        if assistant:
            self.envelope = replace(self.envelope, assistant=without_secrets(assistant))
        servers = read_servers(webhooks)
        if servers.servers:
            self.servers = servers

    def _of(self, kind: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        match kind:
            case "CallStarted":
                yield STATUS, {"status": "queued"}
            case "TellClient" if _text(data.get("type")) in TOLD:
                yield from self._told(str(data["type"]), _mapping(data.get("body")))
            case "ArtifactStored":
                yield UPLOAD, {"artifacts": [{"type": str(data.get("artifact", "")), "success": True}]}
            case "EndCall":
                yield from self._told(STATUS, {"status": "ended", "endedReason": str(data.get("reason"))})
                if not self._closed:
                    yield REPORT, {}
            case "CallClosed" if not self._closed:
                self._closed = True
                yield REPORT, {}
            case _:
                pass

    def _told(self, name: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if name == STATUS and body.get("status") == "ended":
            if self._ended_told:
                return
            self._ended_told = True
        # The whole history is written from the record.
        yield name, {} if name == CONVERSATION else body

    def _message(self, seq: int, n: int, at_s: float, name: str, fields: Mapping[str, Any]) -> ServerMessage:
        record, is_report = self._record, name == REPORT
        now = _call_now(record) | {
            each: fields[each] for each in _TELLING if name == STATUS and each in fields
        }
        return ServerMessage(
            message_id(record.call_id, "report" if is_report else f"{seq}.{n}"),
            record,
            self.servers,
            seq * _ORDERS + n,
            name,
            round(record.epoch_ms + at_s * 1000),
            _report(record) if is_report else fields,
            len(record.messages),
            now,
            self.envelope,
            REPORT_HOLD_S if is_report and not self._closed else 0.0,
        )


def message_id(call_id: str, what: str) -> str:
    """A delivery's: a receiver that has seen it before has this message already."""
    return f"msg_{hashlib.sha256(f'{call_id}/{what}'.encode()).hexdigest()[:32]}"


def deliveries_of_unbegun(
    call_id: str, org_id: str, begun: Mapping[str, Any], ended_ms: int, reason: str, message: str = ""
) -> list[Delivery]:
    """Of a call that ended before it began, and has no record. begun: as CallStarted would have it, with its epoch_ms."""
    record = CallRecord(call_id, org_id)
    messages = ServerMessages(record)
    end_s = max(0.0, (ended_ms - int(begun["epoch_ms"])) / 1000)
    end = {"reason": reason, "message": message}
    found: list[ServerMessage] = []
    for seq, (at_s, kind, data) in enumerate(
        ((0.0, "CallStarted", begun), (end_s, "EndCall", end), (end_s, "CallClosed", {})), 1
    ):
        _ = record.apply(seq, at_s, kind, data)
        found += messages.taken(seq, at_s, kind, data)
    return deliveries_of(each for each in found if not each.hold_s)


def deliveries_of_deleted(
    call_id: str, org_id: str, begun: Mapping[str, Any], now: Mapping[str, Any], deleted_ms: int
) -> list[Delivery]:
    """That a call was deleted, for those who want to hear it (contract 7.4). begun: as its CallStarted has it. now: what its
    document says beside. It is no message of the call's: those are forgotten with it."""
    record = CallRecord(call_id, org_id)
    messages = ServerMessages(record)
    _ = record.apply(1, 0.0, "CallStarted", begun)
    _ = messages.taken(1, 0.0, "CallStarted", begun)
    servers, id_ = messages.servers, message_id(call_id, DELETED)
    if DELETED not in servers.wanted or not servers.servers:
        return []
    told = {name: now[name] for name in _ABOUT_DELETED if now.get(name) is not None}
    message = ServerMessage(id_, record, servers, 0, DELETED, deleted_ms, {}, 0, told, messages.envelope)
    return [replace(each, call_id=None, private=True) for each in deliveries_of([message])]


def deliveries_of(messages: Iterable[ServerMessage]) -> list[Delivery]:
    """What the outbox is to send, written out."""
    return [delivery for message in messages for delivery in _deliveries(message)]


def _deliveries(message: ServerMessage) -> Iterator[Delivery]:
    servers, body = message.servers, body_of(message)
    if servers.policy != "fan-out":
        policy = Policy.PRECEDENCE if servers.policy == "precedence" else Policy.FALLBACK
        yield _delivery(message, message.id, body, servers.servers, policy)
        return
    for number, endpoint in enumerate(servers.servers):
        # To the receiver they are one message: its body names one id.
        yield _delivery(
            message, f"{message.id}_{number}" if number else message.id, body, (endpoint,), Policy.FALLBACK
        )


def _delivery(
    message: ServerMessage, id_: str, body: str, endpoints: tuple[Endpoint, ...], policy: Policy
) -> Delivery:
    record = message.record
    return Delivery(
        id_,
        record.org_id,
        message.kind,
        body,
        endpoints,
        message.at_ms,
        record.call_id,
        message.order,
        policy,
        message.hold_s,
        # What may not be kept of a call may not lie in its messages either.
        private=not record.retention.words,
    )


def body_of(message: ServerMessage) -> str:
    """What is sent: {"message": ...}, in JSON."""
    envelope, is_report = message.envelope, message.kind == REPORT
    entries = list(envelope.messages[: message.entries])
    if not is_report:
        entries = entries[-ENTRIES_MAX:]
    written = enveloped(message.kind, message.at_ms, {**envelope.call, **message.call}, envelope.assistant)
    artifact = artifact_of(entries, envelope.prompt, message.record.transcript_plan)
    if is_report:
        written |= message.fields
    else:
        written |= {**message.fields, "artifact": artifact}
    if message.kind in (STATUS, CONVERSATION):
        written |= {name: artifact[name] for name in ("messages", "messagesOpenAIFormatted")}
    # Ours: what a receiver may tell doubles and the order by.
    written |= {"id": message.id, "sequence": message.order}
    return json.dumps({"message": written}, separators=(",", ":"), default=str)


def told_call(call: Mapping[str, Any], call_id: str, org_id: str, kind: str) -> dict[str, Any]:
    """A call's document as its servers are told of it. A transient assistant is told beside it, as it was resolved; what was said
    and what it cost, by each message for its time."""
    told = {name: value for name, value in without_secrets(call).items() if name not in _LATER}
    told |= {"id": call_id, "orgId": org_id, "type": kind}
    return told | ({"assistant": {}} if "assistant" in told else {})


def enveloped(kind: str, at_ms: int, call: Mapping[str, Any], assistant: Mapping[str, Any]) -> dict[str, Any]:
    """The common part of a message (contract 7.3), without the artifact."""
    shown = dict(call)
    if "assistant" in shown:
        # A call that brought its assistant along has it here too, as it was resolved.
        shown["assistant"] = assistant
    written: dict[str, Any] = {"type": kind, "timestamp": at_ms, "call": shown, "assistant": assistant}
    return written | {name: call[name] for name in ("customer", "phoneNumber") if call.get(name) is not None}


def artifact_of(
    entries: Sequence[Mapping[str, Any]], prompt: Sequence[Mapping[str, Any]], plan: TranscriptPlan
) -> dict[str, Any]:
    """What was said so far."""
    chat = [*prompt, *map(openai_message, entries)]
    return {
        "messages": list(entries),
        "messagesOpenAIFormatted": chat,
        "transcript": transcript_of(entries, plan),
    }


def tool_calls(
    calls: Sequence[tuple[str, str, str]], tools: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The fields of tool-calls: of each call (id, name, arguments in JSON) what every handler in the field reads (contract 7.5).
    tools: as they are written, by name; their secrets are not sent."""
    fields = told_of(calls)
    fields["toolWithToolCallList"] = [
        {**without_secrets(tools.get(name, {})), "toolCall": _tool_call(call_id, name, text)}
        for call_id, name, text in calls
    ]
    return fields


def without_secrets(value: Any) -> Any:
    """What may be sent to a customer's server of a document: not what opens doors elsewhere."""
    if isinstance(value, Mapping):
        return {
            name: item if name in _OWN else without_secrets(item)
            for name, item in value.items()
            if name not in _SECRETS
        }
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def _tool_call(call_id: str, name: str, text: str) -> dict[str, Any]:
    arguments = arguments_in(text) or {}
    function = {"name": name, "parameters": arguments, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def _call_now(record: CallRecord) -> dict[str, Any]:
    """What the call's document says at this time."""
    fields = {
        "status": record.status,
        "startedAt": record.started_at,
        "endedAt": record.ended_at,
        "endedReason": record.ended_reason,
        "endedMessage": record.ended_message,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _report(record: CallRecord) -> dict[str, Any]:
    """The report's own fields, nested as they are published, and flat as they arrive in the field (contract 7.4)."""
    document = record.document()
    artifact, analysis = document["artifact"], _mapping(document.get("analysis"))
    seconds = record.seconds
    fields: dict[str, Any] = {
        "endedReason": record.ended_reason or "",
        "artifact": artifact,
        "analysis": analysis,
        "summary": _text(analysis.get("summary")),
        "transcript": artifact["transcript"],
        "messages": artifact["messages"],
        "durationSeconds": round(seconds, 3),
        "durationMs": round(seconds * 1000),
        "durationMinutes": round(seconds / 60, 4),
    }
    for name in ("recordingUrl", "stereoRecordingUrl"):
        if name in artifact:
            fields[name] = artifact[name]
    if record.transfers:
        fields["destination"] = record.transfers[-1]["destination"]
    for name in ("startedAt", "endedAt", "endedMessage", "cost", "costs", "costBreakdown", "compliance"):
        if name in document:
            fields[name] = document[name]
    return fields


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
