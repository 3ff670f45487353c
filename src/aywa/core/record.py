"""A call's document, folded from its records: what the API shows of a call is what its journal says, and nothing else.

Shapes are the contract's (sections 6.2-6.4). Folding a record twice is refused by its number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aywa.core.cost import BYTE, LLM, STORAGE, TTS, Meter, Price, Prices, Usage, bill, characters_of, meter_of
from aywa.core.retention import Retention, read_retention, redacted_document
from aywa.core.transcript import TranscriptPlan, read_transcript_plan, transcript_of

_PARTS = {
    "endpointing": "endpointingLatency",
    "transcriber": "transcriberLatency",
    "model": "modelLatency",
    "voice": "voiceLatency",
}
# Decisions that the document counts.
_COUNTED = frozenset(("reply_discarded", "reply_begun_early", "filler_said", "promise_broken"))
# Kinds that a person looking at the call should know of.
_WARNINGS = frozenset(
    ("MediaWarned", "ChildFailed", "ReplyFailed", "TemplateProblem", "SettingsWarned", "JournalLost")
)


def iso(epoch_ms: float) -> str:
    """ISO 8601 in UTC with milliseconds and Z (contract 20)."""
    return (
        datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


@dataclass(slots=True)
class CallRecord:
    """The state of the fold. recording_url: what the artifact's address is, if the call kept one. closed: nothing of it is still
    being written."""

    call_id: str
    org_id: str
    last_seq: int = 0
    epoch_ms: int = 0
    status: str = "queued"
    started_at: str | None = None
    ended_at: str | None = None
    started_s: float | None = None
    ended_s: float | None = None
    ended_reason: str | None = None
    ended_message: str | None = None
    messages: list[Mapping[str, Any]] = field(default_factory=list)
    turns: list[dict[str, float]] = field(default_factory=list)
    interrupted: int = 0
    variables: Mapping[str, Any] = field(default_factory=dict)
    prompt: list[Mapping[str, Any]] = field(default_factory=list)
    assistant: Mapping[str, Any] = field(default_factory=dict)
    activations: list[dict[str, Any]] = field(default_factory=list)
    coming: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    prices: tuple[Price, ...] = ()
    rate_hz: int = 0
    early_replies: int = 0
    discarded_replies: int = 0
    discarded_tokens: int = 0
    fillers: int = 0
    gaps: list[dict[str, Any]] = field(default_factory=list)
    unexplained_gaps: int = 0
    transfers: list[dict[str, Any]] = field(default_factory=list)
    quality: dict[str, Any] = field(default_factory=dict)
    analysis: Mapping[str, Any] | None = None
    transcript_plan: TranscriptPlan = field(default_factory=TranscriptPlan)
    retention: Retention = field(default_factory=Retention)
    changed: bool = False
    closed: bool = False

    def apply(self, seq: int, at_s: float, kind: str, data: Mapping[str, Any]) -> bool:
        """Takes the next record; False if it was taken before. Sets `changed` when the document says something else now."""
        if seq <= self.last_seq:
            return False
        self.last_seq = seq
        if kind in _WARNINGS:
            self.changed = True
            self.warnings.append({"at": self._iso(at_s), "kind": kind, **data})
        take = _TAKES.get(kind)
        if take is not None:
            self.changed = True
            take(self, at_s, data)
        count = _COUNTS.get(kind)
        if count is not None:
            count(self, at_s, data)
        return True

    def document(self) -> dict[str, Any]:
        """The fields that the record decides, to be put over what the call was created with."""
        cost = bill(self.meter, Prices(self.prices))
        document: dict[str, Any] = {
            "status": self.status,
            "messages": self.messages,
            "artifact": self._artifact(),
            "cost": cost.total,
            "costs": cost.costs,
            "costBreakdown": cost.breakdown,
            "warnings": self.warnings,
        }
        optional = {
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "endedReason": self.ended_reason,
            "endedMessage": self.ended_message,
            "analysis": self.analysis,
            "expiresAt": self._expires_at(),
        }
        return document | {key: value for key, value in optional.items() if value is not None}

    def kept_document(self) -> dict[str, Any]:
        """The same as it may be kept."""
        return self.document() if self.retention.words else redacted_document(self.document())

    def _expires_at(self) -> str | None:
        """Not before nothing more comes: whoever deletes by it must not be followed by what the call still writes."""
        if not self.closed or self.ended_s is None:
            return None
        expires_ms = self.retention.expires_ms(self.epoch_ms + round(self.ended_s * 1000))
        return None if expires_ms is None else iso(expires_ms)

    # --- what each kind means ------------------------------------------------------------------------------------

    def _on_call_started(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.epoch_ms = int(data["epoch_ms"])
        self.variables = data.get("variables") or {}
        self.meter = meter_of(data.get("assistant") or {})
        self.prices = tuple(Price(**row) for row in data.get("prices") or ())
        self.assistant = data.get("assistant") or {}
        self.transcript_plan = read_transcript_plan(self.assistant)
        self.retention = read_retention(self.assistant)
        self.prompt = _prompt(self.assistant)
        if data.get("squad"):
            self.activations = [_activation(self.assistant)]

    def _on_handoff_prepared(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.coming = {str(data["call_id"]): data}

    def _on_change_assistant(self, at_s: float, data: Mapping[str, Any]) -> None:
        """Whoever was prepared has the call: what was found out for them is the call's from now on."""
        prepared = self.coming.pop(str(data["call_id"]), None)
        if prepared is None:
            return
        self.activations = self.activations or [_activation(self.assistant)]
        self.assistant = prepared["assistant"]
        self.activations.append(_activation(self.assistant))
        # Known in advance of a squad's members; whoever comes from outside has it so from here on.
        self.retention = self.retention.joined(read_retention(self.assistant))
        self.prompt = _prompt(self.assistant)
        self.variables = {**self.variables, **(prepared.get("variables") or {})}
        rows = (Price(**row) for row in prepared.get("prices") or ())
        self.prices = tuple(dict.fromkeys((*self.prices, *rows)))
        self.meter.changed(self.assistant, at_s)

    def _on_tool_returned(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.variables = {**self.variables, **(data.get("variables") or {})}

    def _on_ringing_started(self, at_s: float, data: Mapping[str, Any]) -> None:
        if self.status == "queued":
            self.status = "ringing"

    def _on_leg_connected(self, at_s: float, data: Mapping[str, Any]) -> None:
        if self.status not in ("queued", "ringing"):
            # A further leg, or the same one told twice: the call began with the first.
            return
        self.status = "in-progress"
        self.started_at, self.started_s = self._iso(at_s), at_s
        self.rate_hz = int(data.get("rate_hz", 0))
        self.meter.connected(at_s)

    def _on_record_message(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.messages.append(data["message"])

    def _on_record_turn(self, at_s: float, data: Mapping[str, Any]) -> None:
        parts = data["parts_ms"]
        turn = {name: float(parts.get(part, 0.0)) for part, name in _PARTS.items()}
        turn["turnLatency"] = float(data["latency_ms"])
        if data.get("wire_ms") is not None:
            # Ours: until the reply is heard, and not only sent.
            turn["wireLatency"] = float(data["wire_ms"])
        self.turns.append(turn)

    def _on_transfer(self, at_s: float, data: Mapping[str, Any]) -> None:
        plan = data["destination"].get("transferPlan") or {}
        mode = str(plan.get("mode") or "blind-transfer")
        self.transfers.append({"destination": data["destination"], "mode": mode})

    def _on_transfer_changed(self, at_s: float, data: Mapping[str, Any]) -> None:
        if self.transfers:
            self.transfers[-1]["status"] = data["status"]

    def _on_quality(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.quality = quality_shown(data)

    def _on_tell_client(self, at_s: float, data: Mapping[str, Any]) -> None:
        if data.get("type") == "user-interrupted":
            self.changed = True
            self.interrupted += 1

    def _on_record_decision(self, at_s: float, data: Mapping[str, Any]) -> None:
        decision, details = data.get("decision"), data.get("details") or {}
        self.changed = self.changed or decision in _COUNTED
        if decision == "reply_discarded":
            self.discarded_replies += 1
            self.discarded_tokens += int(details.get("tokens", 0))
        elif decision == "reply_begun_early":
            self.early_replies += 1
        elif decision == "filler_said":
            self.fillers += 1
        elif decision == "promise_broken":
            self.unexplained_gaps += 1

    def _on_record_gap(self, at_s: float, data: Mapping[str, Any]) -> None:
        seconds = round(float(data["to_s"]) - float(data["from_s"]), 3)
        gap = {"secondsFromStart": data["from_s"], "seconds": seconds, "reasons": dict(data["reasons"])}
        self.gaps.append(gap)

    def _on_reply_completed(self, at_s: float, data: Mapping[str, Any]) -> None:
        names = ("prompt_tokens", "cached_tokens", "completion_tokens")
        prompt, cached, completion = (int(data.get(name, 0)) for name in names)
        route = self.meter.by_route(LLM, data.get("route", ""))
        self.meter.answered(int(data.get("reply_id", 0)), prompt, cached, completion, route)

    def _on_variables_read(self, at_s: float, data: Mapping[str, Any]) -> None:
        """A model was asked beside the conversation."""
        names = ("prompt_tokens", "cached_tokens", "completion_tokens")
        prompt, cached, completion = (int(data.get(name, 0)) for name in names)
        self.meter.answered(-1, prompt, cached, completion, self.meter.by_route(LLM, data.get("route", "")))

    def _on_clause_synthesized(self, at_s: float, data: Mapping[str, Any]) -> None:
        seconds = int(data.get("samples", 0)) / self.rate_hz if self.rate_hz else 0.0
        self.meter.spoke(data.get("text", ""), seconds, self.meter.by_route(TTS, data.get("route", "")))

    def _on_request(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.meter.asked(int(data["reply_id"]), characters_of(data.get("messages")))

    def _on_text(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.meter.wrote(int(data["reply_id"]), int(data.get("pieces", 1)))

    def _on_request_over(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.meter.cut(int(data["reply_id"]))

    def _on_artifact_stored(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.artifacts[str(data["artifact"])] = data
        self.meter.add(Usage(self.meter.source(STORAGE), BYTE, int(data.get("bytes", 0))))

    def _on_analysis(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.analysis = data["analysis"]
        for usage in data.get("usage") or ():
            source = self.meter.by_route(LLM, str(usage.get("route", "")))
            counts = (
                int(usage.get(name, 0)) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
            )
            self.meter.analysed_by(str(usage["kind"]), source, *counts)

    def _on_end_call(self, at_s: float, data: Mapping[str, Any]) -> None:
        if self.status == "ended":
            return
        self.status = "ended"
        self.ended_at, self.ended_s = self._iso(at_s), at_s
        self.meter.ended(at_s)
        self.ended_reason = str(data["reason"])
        self.ended_message = str(data["message"]) if data.get("message") else None

    # --- the contract's shapes -----------------------------------------------------------------------------------

    def _on_closed(self, at_s: float, data: Mapping[str, Any]) -> None:
        self.closed = True
        # Only now the document says until when it is kept.
        self.changed = self.changed or self.retention.days is not None

    def _artifact(self) -> dict[str, Any]:
        chat = [openai_message(message) for message in self.messages]
        artifact: dict[str, Any] = {
            "messages": self.messages,
            "messagesOpenAIFormatted": [*self.prompt, *chat],
            "transcript": self.transcript() if self.transcript_plan.enabled else "",
            "variableValues": self.variables,
            "performanceMetrics": self._performance(),
        }
        if self.transfers:
            artifact["transfers"] = self.transfers
        if self.activations:
            artifact["assistantActivations"] = self.activations
        recording = self.artifacts.get("recording")
        if recording is not None:
            base = str(recording["base_url"])
            artifact["recordingUrl"] = f"{base}/mono-recording"
            artifact["stereoRecordingUrl"] = f"{base}/stereo-recording"
            mono = {
                "combinedUrl": f"{base}/mono-recording",
                "assistantUrl": f"{base}/assistant-recording",
                "customerUrl": f"{base}/customer-recording",
            }
            artifact["recording"] = {"stereoUrl": f"{base}/stereo-recording", "mono": mono}
            if self.retention.log:
                artifact["logUrl"] = f"{base}/call-logs"
        return artifact

    @property
    def seconds(self) -> float:
        """How long the call lasted, from its first leg's arrival to its end."""
        lasted = self.started_s is not None and self.ended_s is not None
        return max(0.0, (self.ended_s or 0.0) - (self.started_s or 0.0)) if lasted else 0.0

    def transcript(self) -> str:
        """Lines of what was said and heard (contract 6.4)."""
        return transcript_of(self.messages, self.transcript_plan)

    def _performance(self) -> dict[str, Any]:
        metrics: dict[str, Any] = {"turnLatencies": self.turns}
        for name in (*_PARTS.values(), "turnLatency", "wireLatency"):
            values = [turn[name] for turn in self.turns if name in turn]
            metrics[f"{name}Average"] = round(sum(values) / len(values), 1) if values else 0
        # Ours: how the stream fared, what beginning early cost, and every silence longer than a pause in talk.
        return (
            metrics
            | ({"audioQuality": self.quality} if self.quality else {})
            | {
                "numUserInterrupted": 0,
                "numAssistantInterrupted": self.interrupted,
                "speculation": {
                    "begun": self.early_replies,
                    "discarded": self.discarded_replies,
                    "discardedCompletionTokens": self.discarded_tokens,
                },
                "silence": {
                    "gaps": self.gaps,
                    "unexplained": self.unexplained_gaps,
                    "fillers": self.fillers,
                },
            }
        )

    def _iso(self, at_s: float) -> str:
        return iso(self.epoch_ms + at_s * 1000)


def _prompt(assistant: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    model = assistant.get("model") or {}
    messages = model.get("messages") if isinstance(model, Mapping) else None
    return [m for m in messages if isinstance(m, Mapping)] if isinstance(messages, list) else []


def _activation(assistant: Mapping[str, Any]) -> dict[str, Any]:
    """An assistant that has had the call (contract 6.4)."""
    own_id = assistant.get("id")
    return {"assistantName": str(assistant.get("name") or "")} | ({"assistantId": own_id} if own_id else {})


def openai_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as OpenAI's chat format has it (contract 6.4)."""
    role = message["role"]
    if role == "tool_calls":
        return {"role": "assistant", "content": "", "tool_calls": message["toolCalls"]}
    if role == "tool_call_result":
        return {"role": "tool", "content": message["result"], "tool_call_id": message["toolCallId"]}
    return {"role": "assistant" if role == "bot" else role, "content": message["message"]}


def quality_shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """How a stream fared, as the document and the timeline show it: of what came from the far side, and (remote) of what it
    says of us. mos: an estimate (ITU-T G.107)."""
    expected = int(data["received"]) + int(data["lost"])
    shown = {
        "codec": data["codec"],
        "mos": _rounded(data.get("opinion"), 1, 2),
        "lossPercent": round(100 * int(data["lost"]) / expected, 2) if expected else 0.0,
        "jitterMs": _rounded(data["jitter_s"], 1000, 1),
        "roundTripMs": _rounded(data.get("round_trip_s"), 1000, 1),
        "packetsReceived": data["received"],
        "packetsSent": data["sent"],
        "packetsLost": data["lost"],
        "packetsLate": data["late"],
        "packetsConcealed": data["concealed"],
        "remoteMos": _rounded(data.get("remote_opinion"), 1, 2),
        "remotePacketsLost": data.get("remote_lost"),
        "remoteJitterMs": _rounded(data.get("remote_jitter_s"), 1000, 1),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _rounded(value: float | None, times: float, digits: int) -> float | None:
    return None if value is None else round(float(value) * times, digits)


_TAKES: dict[str, Callable[[CallRecord, float, Mapping[str, Any]], None]] = {
    "CallStarted": CallRecord._on_call_started,
    "RingingStarted": CallRecord._on_ringing_started,
    "LegConnected": CallRecord._on_leg_connected,
    "RecordMessage": CallRecord._on_record_message,
    "RecordTurn": CallRecord._on_record_turn,
    "RecordGap": CallRecord._on_record_gap,
    "StartTransfer": CallRecord._on_transfer,
    "TransferChanged": CallRecord._on_transfer_changed,
    "HandoffPrepared": CallRecord._on_handoff_prepared,
    "ToolReturned": CallRecord._on_tool_returned,
    "ChangeAssistant": CallRecord._on_change_assistant,
    "ArtifactStored": CallRecord._on_artifact_stored,
    "AnalysisCompleted": CallRecord._on_analysis,
    "EndCall": CallRecord._on_end_call,
}
# What only the costs go by, and what seldom says anything new: too frequent to write the document anew for each. The costs are
# shown with whatever comes next.
_COUNTS: dict[str, Callable[[CallRecord, float, Mapping[str, Any]], None]] = {
    "TellClient": CallRecord._on_tell_client,
    "RecordDecision": CallRecord._on_record_decision,
    "QualityMeasured": CallRecord._on_quality,
    "ReplyCompleted": CallRecord._on_reply_completed,
    "ClauseSynthesized": CallRecord._on_clause_synthesized,
    "VariablesRead": CallRecord._on_variables_read,
    "CallClosed": CallRecord._on_closed,
    "StartReply": CallRecord._on_request,
    "ReplyTextReceived": CallRecord._on_text,
    "CancelReply": CallRecord._on_request_over,
    "ReplyFailed": CallRecord._on_request_over,
}
