"""A call's timeline: decisions with reasons, messages, controls, media, providers, SIP, webhooks with every attempt, artifacts,
warnings and the latency of each turn, in one ordered list. Reads the journal's records and the outbox as the store keeps them;
refuses to interpret what it does not know.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from operator import itemgetter
from typing import Any

import orjson

from aywa.core.latency import waterfall
from aywa.core.record import quality_shown
from aywa.core.retention import read_retention
from aywa.ports.journal import JournalRecord, ProjectionStore
from aywa.ports.outbox import Outbox
from aywa.ports.store import CallDocuments, Document, JsonObject
from aywa.service.calls import missing
from aywa.service.clock import iso
from aywa.service.documents import load
from aywa.service.errors import NotFound
from aywa.service.timeline_webhooks import Attempted, webhook_entries

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
        "ChangeAssistant",
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
_KIND_MAX, _TEXT_MAX = 64, 2_000
_HIDDEN = frozenset(
    ("messages", "words", "assistant", "variables", "probabilities", "call", "base_url", "prices", "webhooks")
)
"""Fields of records that are long, and are shown elsewhere."""


class Timeline:
    """The use-cases around what happened in a call."""

    def __init__(
        self, calls: CallDocuments, projection: ProjectionStore, outbox: Outbox | None = None
    ) -> None:
        self._calls = calls
        self._projection = projection
        self._outbox = outbox

    async def of(self, org_id: str, call_id: str, *, full: bool = False) -> str:
        """The timeline as a JSON array. Raises NotFound."""
        document, records = await self._read(org_id, call_id)
        sent: Sequence[Attempted] = ()
        if self._outbox is not None:
            sent = await self._outbox.of_call(org_id, call_id)
        return await asyncio.to_thread(lambda: _text(entries(document, records, sent, full=full)))

    async def log(self, org_id: str, call_id: str) -> bytes:
        """Every record, one JSON object a line, gzipped. Raises NotFound."""
        _, records = await self._read(org_id, call_id)
        if not _keeps_log(records):
            raise NotFound(f"Call {call_id[:80]} has no log: its assistant has none kept.")
        return await asyncio.to_thread(_gzip, records)

    async def _read(self, org_id: str, call_id: str) -> tuple[Document, Sequence[JournalRecord]]:
        document = await self._calls.get(org_id, call_id)
        if document is None:
            raise missing(call_id)
        return document, await self._projection.events(org_id, call_id)


def _keeps_log(records: Sequence[JournalRecord]) -> bool:
    began = next((record for record in records if record.kind == "CallStarted"), None)
    return began is None or read_retention(began.data.get("assistant") or {}).log


def entries(
    document: Document,
    records: Sequence[JournalRecord],
    sent: Sequence[Attempted] = (),
    *,
    full: bool = False,
) -> list[JsonObject]:
    """The timeline, oldest first; what happened at the same time stays in the journal's order. sent: the call's webhooks."""
    epoch_ms = _epoch_ms(document, records)
    read = _READERS.get
    found = [
        _made(epoch_ms, record.at_s, *read(record.kind, _plain)(record), record.seq)
        for record in records
        if full or record.kind not in DENSE
    ]
    _join_failures(found)
    found += [_made(epoch_ms, 0.0, "warning", "request", "", text, {}) for text in _warnings(document)]
    for at_ms, kind, reason, text, details in webhook_entries(sent):
        found.append(_made(epoch_ms, (at_ms - epoch_ms) / 1000, "webhook", kind, reason, text, details))
    found.sort(key=_AT)
    return found


def _epoch_ms(document: Document, records: Sequence[JournalRecord]) -> int:
    for record in records:
        if record.kind == "CallStarted":
            return int(record.data.get("epoch_ms") or document.created_ms)
    return document.created_ms


_AT = itemgetter("atSeconds")


def _made(
    epoch_ms: int,
    at_s: float,
    source: str,
    kind: str,
    reason: str,
    text: str,
    details: JsonObject,
    seq: int | None = None,
) -> JsonObject:
    seconds, ms = divmod(round(epoch_ms + at_s * 1000), 1000)
    entry: JsonObject = {
        "at": f"{_iso_second(seconds)}{ms:03}Z",
        "atSeconds": round(at_s, 4),
        "source": source,
        "kind": kind,
        "reason": reason,
        "text": text,
        "details": details,
    }
    if seq is not None:
        entry["seq"] = seq
    return entry


@lru_cache(maxsize=32)
def _iso_second(seconds: int) -> str:
    """Up to the milliseconds: entries that follow one another share it. Few are kept: each that is holds a page of memory."""
    return iso(seconds * 1000)[:-4]


_Read = tuple[str, str, str, str, JsonObject]


def _plain(record: JournalRecord) -> _Read:
    source, kind = _named(record.kind)
    data = record.data
    told = data.get
    reason = str(told("reason") or told("code") or told("cause") or "")
    text = str(told("text") or told("detail") or told("message") or "")
    return source, kind, reason, text, _details(data, _TOLD)


@lru_cache(maxsize=1024)
def _named(kind: str) -> tuple[str, str]:
    """Where a record of this kind comes from, and what its entry is called."""
    if kind in _MEDIA:
        source = "media"
    elif kind in _PROVIDER:
        source = "provider"
    else:
        source = "warning" if kind in _WARNING else "call"
    return source, kebab(kind)


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
    latency = round(float(data.get("latency_ms") or 0.0), 1)
    wire = latency if data.get("wire_ms") is None else round(float(data["wire_ms"]), 1)
    parts = waterfall(latency, wire, data.get("parts_ms") or {})
    details: JsonObject = {
        "turnId": data.get("turn_id"),
        "replyId": data.get("reply_id"),
        "latencyMs": latency,
        "wireMs": wire,
        "partsMs": parts,
        "unattributedMs": parts["unattributed"],
    }
    return "call", "turn-latency", "", f"{wire:.0f} ms from end of speech to the first sound", details


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


_FAILURES = frozenset(("route-failed", "route-switched"))


def _join_failures(found: list[JsonObject]) -> None:
    """What a voice gave before it failed stands on the record of its failure; who takes over tells it again."""
    given: dict[tuple[Any, Any], Any] = {}
    for entry in [entry for entry in found if entry["kind"] in _FAILURES]:
        details = entry["details"]
        if entry["kind"] == "route-failed":
            given[details.get("kind"), details.get("route")] = details.get("wordsGiven")
        elif entry["kind"] == "route-switched":
            words = given.pop((details.get("kind"), details.get("before")), None)
            if words is not None:
                details["wordsGiven"] = words
                entry["text"] = _switch({**details, "words_given": words})


def _control(record: JournalRecord) -> _Read:
    """What somebody outside asked of the call, and who: what came of it, the decisions after it say."""
    data = record.data
    message = data.get("message") or {}
    kind = str(message.get("type", ""))[:_KIND_MAX] or "control"
    text = next((str(message[name]) for name in ("control", "content") if message.get(name)), "")
    return "control", kind, str(data.get("source", "")), text[:_TEXT_MAX], _details(data)


def _sip(record: JournalRecord) -> _Read:
    """A rung of the call's SIP ladder."""
    data = record.data
    arrow = "<-" if data.get("direction") == "received" else "->"
    text = f"{arrow} {data.get('what', '')} ({data.get('remote', '')}, {data.get('transport', '')})"
    return "sip", str(data.get("method", "")).lower(), str(data.get("direction", "")), text, _details(data)


def _artifact(record: JournalRecord) -> _Read:
    return "artifact", str(record.data.get("artifact", "")), "", "", _details(record.data)


_READERS: Mapping[str, Callable[[JournalRecord], _Read]] = {
    "RecordDecision": _decision,
    "RecordMessage": _message,
    "RecordTurn": _turn,
    "RecordGap": _gap,
    "QualityMeasured": _quality,
    "ArtifactStored": _artifact,
    "ControlReceived": _control,
    "SipSeen": _sip,
    "RouteFailed": _failed,
    "RouteSwitched": _switched,
    "RouteSkipped": _skipped,
    "RouteRetried": _retried,
    "RouteHedged": _hedged,
}


def _warnings(document: Document) -> list[str]:
    """What was remarked about the request; warnings about the call itself are records."""
    return [text for text in load(document).get("warnings") or () if isinstance(text, str)]


# Nearly all that records hold; asked for ten thousand times by one request.
_PLAIN = frozenset((str, int, bool, type(None)))
# What an entry says outside of its details.
_TOLD = _HIDDEN | {"reason", "text"}


def _details(data: Mapping[str, Any], hidden: frozenset[str] = _HIDDEN) -> JsonObject:
    names, plain = _CAMEL, _PLAIN
    return {
        names[name]: value if value.__class__ in plain else _json(value)
        for name, value in data.items()
        if name not in hidden
    }


def _json(value: Any) -> Any:
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if isfinite(value) else None
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value


def _text(found: list[JsonObject]) -> str:
    try:
        return orjson.dumps(found).decode()
    except (TypeError, ValueError):
        # A number of more than 64 bits, or half a character: the other one has both.
        return json.dumps(found, allow_nan=False)


@lru_cache(maxsize=1024)
def kebab(name: str) -> str:
    """VoiceStarted -> voice-started."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """leg_id -> legId."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


class _Camel(dict[str, str]):
    """Names as they are shown: those of records are few. Others come from outside, and are not kept."""

    def __missing__(self, name: str) -> str:
        found = camel(name)
        if len(self) < 1024:
            self[name] = found
        return found


_CAMEL = _Camel()


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
