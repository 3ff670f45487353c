"""A call as a file of its own: its events and the decisions that are expected of them. A regression test.

It names no machine, organisation or key, and holds what was said unless it is redacted.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aywa.core import commands as do
from aywa.core.codec import plain
from aywa.core.server_messages import read_servers
from aywa.core.turns.endings import STRUCTURE
from aywa.journal.replay.identity import brief, compare, is_same
from aywa.journal.replay.recording import Recording, read_recording
from aywa.ports.journal import JournalRecord

FORMAT = 1
CALL, ORGANISATION = "call", "organisation"
# Nothing is decided on these.
_DENSE = frozenset(("VoiceScored",))
_SECRET_WORDS = ("secret", "token", "password", "apikey", "authorization", "credential", "headers", "url")
# Words that machines know (and, wait, mhm, yes) are mostly this short.
SHORT = 4
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+")
_LETTERS = "xzqkvj"


class BadTest(ValueError):
    """The file is not a saved call. The text says why, fit for a person."""


class NotRedacted(ValueError):
    """Without its words the call would be decided otherwise."""


def save(recording: Recording, redact: bool = False) -> tuple[bytes, bool]:
    """The file, and whether short words were kept as they are because decisions rest on them. Raises NotRedacted, BadTest."""
    records = _scrubbed(recording)
    if not records or recording.started is None:
        raise BadTest("the call's beginning is not on record")
    kept_short = False
    if redact:
        records, kept_short = _redacted(records)
    again = compare(read_recording(CALL, records))
    if not again.identical:
        raise BadTest("the call is not decided the same way again, so that it can test nothing")
    head = {"format": FORMAT, "engine_version": recording.engine_version, "redacted": redact}
    lines = [json.dumps(head)]
    lines += [
        json.dumps([r.seq, r.at_s, r.role, r.kind, r.data], separators=(",", ":"), default=_hex)
        for r in records
    ]
    return gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0), kept_short


def load(content: bytes) -> Recording:
    """The call of a file. Raises BadTest; lines that cannot be read are damage of the recording."""
    try:
        lines = gzip.decompress(content).decode("utf-8", "replace").splitlines()
    except (OSError, EOFError, zlib.error):
        raise BadTest("this is no gzipped file, or it is cut") from None
    head = _object(lines[0]) if lines else None
    if not isinstance(head, dict) or not isinstance(head.get("format"), int):
        raise BadTest("this is no saved call: its first line does not say so")
    if head["format"] > FORMAT:
        raise BadTest(
            f"this file has format {head['format']}, of a later version; this one reads up to {FORMAT}"
        )
    records = []
    for number, line in enumerate(lines[1:], 1):
        row = _object(line)
        if not isinstance(row, list) or len(row) != 5:
            records.append(
                JournalRecord(CALL, ORGANISATION, number, 0.0, "event", "", {"damaged_bytes": len(line)})
            )
        else:
            records.append(JournalRecord(CALL, ORGANISATION, *row))
    return read_recording(CALL, records)


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


# --- what must not leave the machine -------------------------------------------------------------------------------


def _scrubbed(recording: Recording) -> list[JournalRecord]:
    """The records anew: numbered from 1, of no particular call, without what is secret."""
    started = recording.started
    names = {recording.call_id: CALL}
    if started is not None:
        names |= {started.call_id: CALL, started.org_id: ORGANISATION}
    names = {name: replacement for name, replacement in names.items() if name}
    found: list[JournalRecord] = []
    for step in recording.steps:
        if step.kind in _DENSE and not step.commands:
            continue
        data = {} if step.event is None else plain(step.event)
        if step.kind == "CallStarted":
            data["assistant"] = _without_secrets(data["assistant"])
            # Who calls and whose servers are told is nobody's business; which messages they are sent decides what is told.
            data["call"] = {}
            data["webhooks"] = {"messages": sorted(read_servers(data.get("webhooks")).wanted)}
        if step.kind == "HandoffPrepared":
            data["assistant"] = _without_secrets(data["assistant"])
            if data.get("webhooks"):
                data["webhooks"] = {"messages": sorted(read_servers(data["webhooks"]).wanted)}
        rows = [("event", step.kind, step.at_s, data)]
        rows += [("command", each.kind, each.at_s, plain(each.data)) for each in step.commands]
        for role, kind, at_s, fields in rows:
            found.append(
                JournalRecord(CALL, ORGANISATION, len(found) + 1, at_s, role, kind, _renamed(fields, names))
            )
    return found


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _renamed(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _without_secrets(item)
            for name, item in value.items()
            if not any(word in str(name).lower() for word in _SECRET_WORDS)
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value


# --- without its words ---------------------------------------------------------------------------------------------

_SPOKEN = frozenset(
    "text words message messages content transcript caller detail firstMessage endCallMessage systemPrompt name "
    "variables texts transcriptions idleMessages silenceTimeoutMessage voicemailMessage".split()
)
"""Fields that hold what somebody said or wrote."""
_PHRASES = ("acknowledgementPhrases", "interruptionPhrases", "endCallPhrases")


def _redacted(records: Sequence[JournalRecord]) -> tuple[list[JournalRecord], bool]:
    # What a sentence is held together by stays: how it ends is decided by that.
    known = _known_words(records) | STRUCTURE
    for shortest in (0, SHORT):
        words = _Placeholders(known, shortest)
        redone = _decided_again(records, [_replaced(record, words) for record in records])
        if redone is not None:
            return redone, bool(shortest)
    raise NotRedacted(
        "decisions of this call rest on words that the placeholders replace: save it without --redact, or not at all"
    )


def _known_words(records: Sequence[JournalRecord]) -> frozenset[str]:
    """The words of the assistant's own phrase lists, which are looked for in what is said."""
    found: set[str] = set()
    for record in records:
        if record.kind == "CallStarted":
            plan = record.data["assistant"]
            stop = plan.get("stopSpeakingPlan")
            for source in (plan, stop if isinstance(stop, Mapping) else {}):
                for name in _PHRASES:
                    phrases = source.get(name)
                    for phrase in phrases if isinstance(phrases, list) else ():
                        found.update(_WORD.findall(str(phrase).lower()))
    return frozenset(found)


class _Placeholders:
    """A word of the same length and shape for each word, always the same one."""

    def __init__(self, known: frozenset[str], shortest: int) -> None:
        self._known = known
        self._shortest = shortest
        self._made: dict[str, str] = {}
        self._next: dict[int, Callable[[], str]] = {}

    def text(self, text: str) -> str:
        """The text with its words replaced."""
        return _WORD.sub(lambda match: self._word(match.group()), text)

    def _word(self, word: str) -> str:
        small = word.lower()
        if small in self._known or (small.isalpha() and len(small) <= self._shortest):
            return word
        if small.isdigit():
            return "1" * len(word)
        made = self._made.get(small)
        if made is None:
            made = self._made[small] = self._fresh(small)
        return "".join(m.upper() if w.isupper() else m for m, w in zip(made, word, strict=True))

    def _fresh(self, word: str) -> str:
        series = self._next.get(len(word))
        if series is None:
            endless = itertools.cycle(itertools.product(_LETTERS, repeat=min(len(word), 8)))
            series = self._next[len(word)] = lambda: "".join(next(endless))
        letters = series().ljust(len(word), "x")
        return "".join("'" if w == "'" else letter for w, letter in zip(word, letters, strict=True))


def _replaced(record: JournalRecord, words: _Placeholders) -> JournalRecord:
    data = _replace(record.data, words, spoken=False)
    return JournalRecord(
        record.call_id, record.org_id, record.seq, record.at_s, record.role, record.kind, data
    )


def _replace(value: Any, words: _Placeholders, *, spoken: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            name: item
            if name in _PHRASES or name in ("role", "type", "provider")
            else _replace(item, words, spoken=spoken or name in _SPOKEN)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_replace(item, words, spoken=spoken) for item in value]
    return words.text(value) if spoken and isinstance(value, str) else value


def _decided_again(
    records: Sequence[JournalRecord], redacted: Sequence[JournalRecord]
) -> list[JournalRecord] | None:
    """The redacted events with the decisions that follow from them, if those are the recorded ones but for the words."""
    events = [record for record in redacted if record.role == "event"]
    recording = read_recording(CALL, [_numbered(record, number) for number, record in enumerate(events, 1)])
    fresh = compare(recording).commands
    found: list[JournalRecord] = []
    expected = _grouped(records)
    for step, new, old in zip(recording.steps, fresh, expected, strict=True):
        if [type(command).__name__ for command in new] != [record.kind for record in old]:
            return None
        for command, record in zip(new, old, strict=True):
            if isinstance(command, do.RecordDecision) and not is_same(record, command):
                return None
        data = {} if step.event is None else plain(step.event)
        found.append(JournalRecord(CALL, ORGANISATION, len(found) + 1, step.at_s, "event", step.kind, data))
        for command in new:
            seq = len(found) + 1
            kind = type(command).__name__
            found.append(JournalRecord(CALL, ORGANISATION, seq, step.at_s, "command", kind, brief(command)))
    return found


def _numbered(record: JournalRecord, seq: int) -> JournalRecord:
    return JournalRecord(
        record.call_id, record.org_id, seq, record.at_s, record.role, record.kind, record.data
    )


def _grouped(records: Sequence[JournalRecord]) -> list[list[JournalRecord]]:
    found: list[list[JournalRecord]] = []
    for record in records:
        if record.role == "event":
            found.append([])
        else:
            found[-1].append(record)
    return found
