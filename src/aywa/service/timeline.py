"""A call's timeline: decisions with reasons, messages, media, providers, artifacts, warnings and the latency of each turn,
in one ordered list. Reads the journal's records as the store keeps them; refuses to interpret what it does not know.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aywa.core.record import quality_shown
from aywa.ports.journal import JournalRecord, ProjectionStore
from aywa.ports.store import CallDocuments, Document, JsonObject
from aywa.service.calls import missing
from aywa.service.clock import iso
from aywa.service.documents import load

DENSE = frozenset(
    (
        "VoiceScored",
        "VoiceSuspected",
        "VoiceFaded",
        "VoiceLevelMeasured",
        "PlayoutAdvanced",
        "ReplyTextReceived",
        "PlayClause",
        "ReleaseReply",
        "PreparePhrase",
        "FinishPlayout",
        "ArmPause",
        "TellClient",
        "CommitTranscript",
        "FinalizeTranscript",
        "ScoreTurn",
        "MatchRules",
        "AskEndpointing",
    )
)
"""Kinds that only the full timeline shows: many a second, or commands whose effect is another entry."""

_MEDIA = frozenset(
    (
        "LegConnected",
        "LegEnded",
        "VoiceStarted",
        "VoiceStopped",
        "VoiceLevelMeasured",
        "VoiceScored",
        "PlayoutStarted",
        "PlayoutAdvanced",
        "PlayoutStarved",
        "PlayoutPaused",
        "PlayoutResumed",
        "PlayoutDropped",
        "PlayoutFinished",
        "DtmfReceived",
        "SendKeys",
        "StartTransfer",
        "TransferChanged",
        "PlayClause",
        "FinishPlayout",
        "PausePlayout",
        "ResumePlayout",
        "DropPlayout",
        "ArmPause",
        "HangUp",
    )
)
_PROVIDER = frozenset(
    (
        "TranscriptReceived",
        "TurnScored",
        "RulesMatched",
        "EndpointingAnswered",
        "ReplyTextReceived",
        "ClauseSynthesized",
        "PhrasePrepared",
        "ToolCallsReceived",
        "ReplyCompleted",
        "ScoreTurn",
        "StartReply",
        "SayText",
        "CancelReply",
        "FinalizeTranscript",
        "CommitTranscript",
    )
)
_WARNING = frozenset(
    ("MediaWarned", "ReplyFailed", "ChildFailed", "TemplateProblem", "SettingsWarned", "JournalLost")
)
_HIDDEN = frozenset(
    ("messages", "words", "assistant", "variables", "probabilities", "call", "base_url", "prices")
)
"""Fields of records that are long, and are shown elsewhere."""


class Timeline:
    """The use-cases around what happened in a call."""

    def __init__(self, calls: CallDocuments, projection: ProjectionStore) -> None:
        self._calls = calls
        self._projection = projection

    async def of(self, org_id: str, call_id: str, *, full: bool = False) -> str:
        """The timeline as a JSON array. Raises NotFound."""
        document, records = await self._read(org_id, call_id)
        return await asyncio.to_thread(
            lambda: json.dumps(entries(document, records, full=full), allow_nan=False)
        )

    async def log(self, org_id: str, call_id: str) -> bytes:
        """Every record, one JSON object a line, gzipped. Raises NotFound."""
        _, records = await self._read(org_id, call_id)
        return await asyncio.to_thread(_gzip, records)

    async def _read(self, org_id: str, call_id: str) -> tuple[Document, Sequence[JournalRecord]]:
        document = await self._calls.get(org_id, call_id)
        if document is None:
            raise missing(call_id)
        return document, await self._projection.events(org_id, call_id)


def entries(document: Document, records: Sequence[JournalRecord], *, full: bool = False) -> list[JsonObject]:
    """The timeline, oldest first; what happened at the same time stays in the journal's order."""
    epoch_ms = _epoch_ms(document, records)
    found = [_entry(record, epoch_ms) for record in records if full or record.kind not in DENSE]
    _join_failures(found)
    found += [_made(epoch_ms, 0.0, "warning", "request", "", text, {}) for text in _warnings(document)]
    found.sort(key=lambda entry: entry["atSeconds"])
    return found


def _epoch_ms(document: Document, records: Sequence[JournalRecord]) -> int:
    for record in records:
        if record.kind == "CallStarted":
            return int(record.data.get("epoch_ms") or document.created_ms)
    return document.created_ms


def _entry(record: JournalRecord, epoch_ms: int) -> JsonObject:
    source, kind, reason, text, details = _READERS.get(record.kind, _plain)(record)
    return _made(epoch_ms, record.at_s, source, kind, reason, text, details) | {"seq": record.seq}


def _made(
    epoch_ms: int, at_s: float, source: str, kind: str, reason: str, text: str, details: JsonObject
) -> JsonObject:
    return {
        "at": iso(round(epoch_ms + at_s * 1000)),
        "atSeconds": round(at_s, 4),
        "source": source,
        "kind": kind,
        "reason": reason,
        "text": text,
        "details": details,
    }


_Read = tuple[str, str, str, str, JsonObject]


def _plain(record: JournalRecord) -> _Read:
    if record.kind in _MEDIA:
        source = "media"
    elif record.kind in _PROVIDER:
        source = "provider"
    else:
        source = "warning" if record.kind in _WARNING else "call"
    data = record.data
    reason = str(data.get("reason") or data.get("code") or data.get("cause") or "")
    text = str(data.get("text") or data.get("detail") or data.get("message") or "")
    shown = {name: value for name, value in data.items() if name not in ("reason", "text")}
    return source, kebab(record.kind), reason, text, _details(shown)


def _decision(record: JournalRecord) -> _Read:
    data = record.data
    kind = f"{data.get('machine', '')}.{data.get('decision', '')}"
    return "decision", kind, str(data.get("reason", "")), "", _details(data.get("details") or {})


def _message(record: JournalRecord) -> _Read:
    message = record.data.get("message") or {}
    text = str(message.get("message") or message.get("content") or message.get("result") or "")
    rest = {name: value for name, value in message.items() if name not in ("message", "role")}
    return "message", str(message.get("role", "")), "", text, _details(rest)


def _turn(record: JournalRecord) -> _Read:
    data = record.data
    parts = {name: round(float(value), 1) for name, value in (data.get("parts_ms") or {}).items()}
    latency = round(float(data.get("latency_ms") or 0.0), 1)
    details: JsonObject = {
        "turnId": data.get("turn_id"),
        "replyId": data.get("reply_id"),
        "latencyMs": latency,
        "wireMs": data.get("wire_ms"),
        "partsMs": parts,
        # A part may lie inside another, so this can only say what nobody answers for.
        "unattributedMs": round(max(latency - sum(parts.values()), 0.0), 1),
    }
    return "call", "turn-latency", "", f"{latency:.0f} ms from end of speech to first audio", details


def _quality(record: JournalRecord) -> _Read:
    shown = quality_shown(record.data)
    mos = f"MOS {shown['mos']:.1f}, " if "mos" in shown else ""
    text = f"{mos}{shown['lossPercent']:g} % lost, jitter {shown['jitterMs']:g} ms"
    return "media", "quality-measured", "", text, shown


def _gap(record: JournalRecord) -> _Read:
    data = record.data
    reasons = {str(name): round(float(spent_s), 3) for name, spent_s in (data.get("reasons") or {}).items()}
    lasted_s = float(data.get("to_s") or 0.0) - float(data.get("from_s") or 0.0)
    most = max(reasons, key=lambda name: reasons[name], default="")
    details: JsonObject = {
        "fromSeconds": data.get("from_s"),
        "toSeconds": data.get("to_s"),
        "reasons": reasons,
    }
    return "call", "silence", most, f"{lasted_s:.1f} s without sound", details


_WORKERS = {"llm": "model", "tts": "voice", "stt": "recogniser"}
"""What a person calls a kind of route."""


def _failed(record: JournalRecord) -> _Read:
    text = f"{_worker(record.data)} {record.data.get('route', '')} failed{_given(record.data)}"
    return "provider", "route-failed", str(record.data.get("code", "")), text, _details(record.data)


def _switched(record: JournalRecord) -> _Read:
    data = record.data
    return "decision", "route-switched", str(data.get("code", "")), _switch(data), _details(data)


def _skipped(record: JournalRecord) -> _Read:
    data = record.data
    text = f"{_worker(data)} {data.get('route', '')} is left alone for now"
    return "decision", "route-skipped", str(data.get("code", "")), text, _details(data)


def _retried(record: JournalRecord) -> _Read:
    data = record.data
    text = f"{_worker(data)} {data.get('route', '')} failed{_given(data)}; it is asked once more"
    return "decision", "route-retried", str(data.get("code", "")), text, _details(data)


def _hedged(record: JournalRecord) -> _Read:
    data = record.data
    if data.get("won"):
        reason, more = "won", "answered first"
    else:
        reason, more = "slow", f"is asked as well: {data.get('beside', '')} is slower than usual"
    text = f"{_worker(data)} {data.get('route', '')} {more}"
    return "decision", "route-hedged", reason, text, _details(data)


def _switch(data: Mapping[str, Any]) -> str:
    # Of a model that broke in the middle nobody knows yet who goes on.
    after = data.get("route") or "the next"
    return f"{_worker(data)} {data.get('before', '')} failed{_given(data)}; {after} goes on"


def _worker(data: Mapping[str, Any]) -> str:
    return _WORKERS.get(str(data.get("kind", "")), "route")


def _given(data: Mapping[str, Any]) -> str:
    """Why, and how much of its work stands."""
    code = f" ({data['code']})" if data.get("code") else ""
    for name, unit in (("words_given", "word"), ("characters_given", "character")):
        if name in data:
            count = int(data[name])
            return f"{code} after {count} {unit}{'' if count == 1 else 's'}"
    return code


def _join_failures(found: list[JsonObject]) -> None:
    """What a voice gave before it failed stands on the record of its failure; who takes over tells it again."""
    given: dict[tuple[Any, Any], Any] = {}
    for entry in found:
        details = entry["details"]
        if entry["kind"] == "route-failed":
            given[details.get("kind"), details.get("route")] = details.get("wordsGiven")
        elif entry["kind"] == "route-switched":
            words = given.pop((details.get("kind"), details.get("before")), None)
            if words is not None:
                details["wordsGiven"] = words
                entry["text"] = _switch({**details, "words_given": words})


def _artifact(record: JournalRecord) -> _Read:
    return "artifact", str(record.data.get("artifact", "")), "", "", _details(record.data)


_READERS: Mapping[str, Callable[[JournalRecord], _Read]] = {
    "RecordDecision": _decision,
    "RecordMessage": _message,
    "RecordTurn": _turn,
    "RecordGap": _gap,
    "QualityMeasured": _quality,
    "ArtifactStored": _artifact,
    "RouteFailed": _failed,
    "RouteSwitched": _switched,
    "RouteSkipped": _skipped,
    "RouteRetried": _retried,
    "RouteHedged": _hedged,
}


def _warnings(document: Document) -> list[str]:
    """What was remarked about the request; warnings about the call itself are records."""
    return [text for text in load(document).get("warnings") or () if isinstance(text, str)]


def _details(data: Mapping[str, Any]) -> JsonObject:
    return {camel(name): _json(value) for name, value in data.items() if name not in _HIDDEN}


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value


def kebab(name: str) -> str:
    """VoiceStarted -> voice-started."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def camel(name: str) -> str:
    """leg_id -> legId."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _gzip(records: Sequence[JournalRecord]) -> bytes:
    lines = (
        json.dumps(
            {
                "seq": record.seq,
                "atSeconds": record.at_s,
                "role": record.role,
                "kind": record.kind,
                "data": record.data,
            },
            default=_base64,
        )
        for record in records
    )
    return gzip.compress("".join(line + "\n" for line in lines).encode(), compresslevel=6, mtime=0)


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
