"""What `aywa replay` asks for: settings checked as the API checks them, a call's report, many calls' sum. Prints nothing."""

from __future__ import annotations

import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from aywa.boot.engine_version import engine_version
from aywa.call.template import builtin_variables, render_assistant
from aywa.core.events import CallStarted
from aywa.core.settings import read_settings
from aywa.journal.replay.identity import compare
from aywa.journal.replay.recording import Recording, read_recording
from aywa.journal.replay.what_if import what_if
from aywa.ports.journal import JournalRecord
from aywa.service.overrides import merged
from aywa.service.rules import Obj, OneOf, Rule, join, shown
from aywa.service.validate import ASSISTANT, assistant_problems

_SPAN = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smhdw])\Z")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

# What a stored assistant has besides its settings.
_STORED = ("id", "orgId", "createdAt", "updatedAt")

SAME, DIFFERS, DAMAGED = 0, 1, 3
"""Exit codes. DIFFERS: under the same engine version, or there was nothing to replay. DAMAGED: the record is, and what is
left of it was replayed. Under another engine version a difference is news, not an error: SAME."""


class Refused(ValueError):
    """Settings that cannot be. problems: each with field, rule or range, and value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Change:
    """Other settings. overrides: merged over the call's own. draft: in their place, None if none was given."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    draft: Mapping[str, Any] | None = None

    def __bool__(self) -> bool:
        return bool(self.overrides) or self.draft is not None

    def of(self, started: CallStarted) -> dict[str, Any]:
        """The assistant that the call would have had. Raises Refused."""
        if self.draft is not None:
            at = datetime.fromtimestamp(started.epoch_ms / 1000, UTC)
            base, _ = render_assistant(self.draft, builtin_variables(at) | dict(started.variables))
        else:
            base = dict(started.assistant)
        new = merged(base, self.overrides)
        _raise(assistant_problems({name: new[name] for name in self.overrides if name in new}))
        return new


def read_change(sets: Iterable[str], draft: Any = None) -> Change:
    """From `a.b=value` (JSON, else text; null: the default) and an assistant's document. Raises Refused with all that is
    wrong."""
    problems: list[str] = []
    overrides: dict[str, Any] = {}
    for text in sets:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            problems.append(f"--set must be FIELD=VALUE, got {shown('', text)}")
            continue
        names = path.strip().split(".")
        if unknown := _unknown(names):
            problems.append(unknown)
            continue
        _put(overrides, names, _value(value))
    if draft is not None:
        problems += assistant_problems(draft)
        if isinstance(draft, dict):
            found = (_unknown([name], own=_STORED) for name in draft)
            problems += [unknown for unknown in found if unknown]
    if not problems:
        # What can be said without the call's own settings; a field that only a whole object needs is not missing yet.
        problems += [p for p in assistant_problems(overrides) if " is required" not in p]
    _raise(problems)
    return Change(overrides, draft)


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise Refused(problems)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(target: dict[str, Any], names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    target[names[-1]] = value


def _unknown(names: Sequence[str], own: Sequence[str] = ()) -> str | None:
    """What is wrong with a field's path: a typing error must not look like a setting that changes nothing."""
    rule: Rule | None = ASSISTANT
    path = ""
    for name in names:
        known = _fields(rule)
        path = join(path, name)
        if known and name not in known and name not in own:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            return f"{path} is not a setting{hint}"
        if rule is not None and not known and not isinstance(rule, Obj):
            return f"{path} is not a setting: {path.rpartition('.')[0]} has no fields"
        rule = known.get(name)
    return None


def _fields(rule: Rule | None) -> dict[str, Rule]:
    if isinstance(rule, Obj):
        return dict(rule.rules)
    if isinstance(rule, OneOf):
        return {name: inner for each in rule.rules for name, inner in _fields(each).items()}
    return {}


# --- one call --------------------------------------------------------------------------------------------------------


def replay(call_id: str, records: Iterable[JournalRecord], change: Change | None = None) -> dict[str, Any]:
    """The report on a call, JSON-able. Raises Refused: the change does not go with the call's own settings."""
    return report(read_recording(call_id, records), change)


def report(recording: Recording, change: Change | None = None) -> dict[str, Any]:
    """As `replay`, on a recording."""
    identity = compare(recording)
    replayable = identity.decisions > 0
    found: dict[str, Any] = {
        "call_id": recording.call_id,
        "identical": identity.identical if replayable else None,
        "decisions": identity.decisions,
        "first_difference": None if identity.difference is None else asdict(identity.difference),
        "changes": [],
        "estimated": False,
        "engine_version": {"recorded": recording.engine_version, "replayed": engine_version()},
        "damage": [asdict(each) for each in recording.damage],
        "length_s": round(recording.length_s, 3),
        "what_if": None,
    }
    if change and recording.started is not None and replayable:
        _add_what_if(found, recording, identity, change)
    return found


def _add_what_if(found: dict[str, Any], recording: Recording, identity: Any, change: Change) -> None:
    assert recording.started is not None
    assistant = change.of(recording.started)
    outcome = what_if(recording, identity, assistant)
    found["changes"] = list(outcome.changes)
    found["estimated"] = outcome.estimated_from_s is not None
    found["what_if"] = {
        "settings": dict(change.overrides),
        "draft": change.draft is not None,
        "effective": read_settings(assistant) != read_settings(recording.started.assistant),
        "reproduced": outcome.reproduced,
        "error_ms": outcome.error_ms,
        "estimated_from_s": outcome.estimated_from_s,
        "open_end": outcome.open_end,
        "recorded": dict(outcome.before),
        "new": dict(outcome.after),
    }


def exit_code(reports: Sequence[Mapping[str, Any]]) -> int:
    """What the command ends with."""
    if any(_is_wrong(each) for each in reports):
        return DIFFERS
    return DAMAGED if any(each["damage"] for each in reports) else SAME


def _is_wrong(found: Mapping[str, Any]) -> bool:
    version = found["engine_version"]
    difference = found["first_difference"]
    if difference is None or version["recorded"] not in ("", version["replayed"]):
        return False
    return not difference["after_damage"]


# --- many calls --------------------------------------------------------------------------------------------------------

_SUMMED = ("turns", "cut_offs", "interruptions", "floor_kept", "words_heard", "replies_discarded")


def sum_up(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Many calls' reports in one."""
    alike = [each for each in reports if each["identical"]]
    differing = [each for each in reports if each["identical"] is False]
    tried = [each for each in reports if each["what_if"] is not None]
    # A call that the model does not give again says nothing about other settings.
    sound = [each for each in tried if each["what_if"]["reproduced"]]
    shifts = [c["reply_ms"] for each in sound for c in each["changes"] if c["reply_ms"] is not None]
    machines: dict[str, int] = {}
    for each in differing:
        machine = each["first_difference"]["machine"]
        machines[machine] = machines.get(machine, 0) + 1
    found: dict[str, Any] = {
        "calls": len(reports),
        "identical": len(alike),
        "different": len(differing),
        "damaged": sum(bool(each["damage"]) for each in reports),
        "decisions": sum(each["decisions"] for each in reports),
        "machines": machines,
        "length_s": round(sum(each["length_s"] for each in reports), 1),
        "what_if": None,
    }
    if tried:
        found["what_if"] = {
            "calls": len(sound),
            "left_out": len(tried) - len(sound),
            "calls_changed": sum(bool(each["changes"]) for each in sound),
            "calls_estimated": sum(bool(each["estimated"]) for each in sound),
            "replies_earlier": sum(shift <= -1 for shift in shifts),
            "replies_later": sum(shift >= 1 for shift in shifts),
            "shift_ms_median": round(median(shifts), 1) if shifts else None,
            "recorded": _total(sound, "recorded"),
            "new": _total(sound, "new"),
        }
    return found


def _total(reports: Sequence[Mapping[str, Any]], side: str) -> dict[str, Any]:
    sides = [each["what_if"][side] for each in reports]
    total: dict[str, Any] = {name: sum(each[name] for each in sides) for name in _SUMMED}
    weighed = [
        (each["latency_ms_mean"], each["turns"]) for each in sides if each["latency_ms_mean"] is not None
    ]
    turns = sum(count for _, count in weighed)
    mean = sum(latency * count for latency, count in weighed) / turns if turns else None
    return total | {"latency_ms_mean": None if mean is None else round(mean, 1)}


def since_ms(text: str, now_ms: int) -> int:
    """A length of time before now (30m, 12h, 7d, 2w) or a date (2026-11-20, 2026-11-20T08:00Z), as Unix milliseconds.
    Raises ValueError."""
    if match := _SPAN.match(text.strip()):
        return now_ms - int(match["count"]) * _UNIT_MS[match["unit"]]
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


# --- from a runtime ------------------------------------------------------------------------------------------------------


def read_log(call_id: str, content: bytes) -> list[JournalRecord]:
    """The records of a call's log as GET /call/{id}/call-logs gives it. A line that cannot be read is a damaged record."""
    try:
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error):
        # What there is of a file that is cut.
        text = _inflate(content)
    found: list[JournalRecord] = []
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(
                JournalRecord(
                    call_id, "", row["seq"], row["atSeconds"], row["role"], row["kind"], row["data"]
                )
            )
        except (ValueError, KeyError, TypeError):
            seq = (found[-1].seq + 1) if found and isinstance(found[-1].seq, int) else number
            at_s = found[-1].at_s if found else 0.0
            found.append(
                JournalRecord(call_id, "", seq, at_s, "event", "record", {"damaged_bytes": len(line)})
            )
    return found


def _inflate(content: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        return inflater.decompress(content)
    except zlib.error:
        return b""
