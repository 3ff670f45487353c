"""A call's record, read back into steps: an event (or a wake) and the commands that followed from it.

What is damaged, cut or from a later version is named with its place, and the rest is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from typing import Any

from aywa.core import events as ev
from aywa.core.codec import NotDecoded, UnknownKind, decode
from aywa.ports.journal import JournalRecord

WOKEN = "Woken"
JOIN_TIMEOUT_S = 15.0
# The runtime puts this end on record by itself when its process died; no machine decided it.
DIED = "worker-died"


WITHHELD = "WordsWithheld"
"""The note of a call whose records were stripped of what was said."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something of the record that cannot be used. seq: the record's number, or the first that is missing. at_s: its
    second, or that of the last good one before it."""

    seq: int
    at_s: float
    what: str


@dataclass(slots=True)
class Step:
    """event: None where the session was woken by the time alone. partial: the record lacks something at or right before
    it. exact_end: whatever is missing does not lie behind its commands."""

    seq: int
    at_s: float
    kind: str
    event: ev.Event | None
    commands: list[JournalRecord] = field(default_factory=list)
    partial: bool = False


@dataclass(slots=True)
class Recording:
    """One call. started: None when the record does not say how the call began; nothing can be replayed then.
    last_seq, last_s: of the last record."""

    call_id: str
    started: ev.CallStarted | None
    leg_id: str
    steps: list[Step]
    damage: list[Damage]
    last_seq: int
    last_s: float

    @property
    def engine_version(self) -> str:
        """The version that took the call."""
        return self.started.engine_version if self.started is not None else ""

    @property
    def damaged_from(self) -> int | None:
        """The number of the first record that is missing or cannot be used."""
        return min((each.seq for each in self.damage), default=None)

    @property
    def join_timeout_s(self) -> float:
        """How long the call waited for its party."""
        value = self.started.assistant.get("customerJoinTimeoutSeconds") if self.started is not None else None
        return float(value) if isinstance(value, int | float) else JOIN_TIMEOUT_S

    @property
    def length_s(self) -> float:
        """From the first record to the last."""
        return max(0.0, self.last_s - (self.steps[0].at_s if self.steps else 0.0))


def _withheld(call_id: str, whole: list[JournalRecord]) -> Recording:
    why = "the words of this call were not kept (compliancePlan): it cannot be decided again"
    last = whole[-1]
    return Recording(call_id, None, _leg_id(whole, call_id), [], [Damage(1, 0.0, why)], last.seq, last.at_s)


def read_recording(call_id: str, records: Iterable[JournalRecord]) -> Recording:
    """Reads the records, in whatever order they come."""
    whole, damage = _sound(records)
    if any(record.kind == WITHHELD for record in whole):
        return _withheld(call_id, whole)
    damage += _gaps(whole)
    started: ev.CallStarted | None = None
    steps: list[Step] = []
    holes = {each.seq for each in damage}
    for record in whole:
        if record.role == "command":
            if steps:
                steps[-1].commands.append(record)
                steps[-1].partial |= record.seq - 1 in holes
            else:
                damage.append(Damage(record.seq, record.at_s, "a command that no event precedes"))
        elif record.role == "event":
            step = _step(record, damage, holes)
            if step is not None:
                if isinstance(step.event, ev.CallStarted) and started is None:
                    started = step.event
                steps.append(step)
    if started is None:
        damage.append(
            Damage(1, 0.0, "the call's beginning (CallStarted) is missing: nothing can be replayed")
        )
    last = whole[-1] if whole else None
    if last is not None and not any(record.kind == "EndCall" for record in whole):
        damage.append(
            Damage(
                last.seq + 1,
                last.at_s,
                "the record stops before the call's end: it is cut, or the call still runs",
            )
        )
    _mark_partial(steps, damage)
    damage.sort(key=lambda each: (each.seq, each.what))
    return Recording(
        call_id, started, _leg_id(whole, call_id), steps, damage,
        last.seq if last else 0, last.at_s if last else 0.0,
    )  # fmt: skip


def _sound(records: Iterable[JournalRecord]) -> tuple[list[JournalRecord], list[Damage]]:
    """Those whose columns are what they must be, each once, in order."""
    whole: dict[int, JournalRecord] = {}
    damage: list[Damage] = []
    for record in records:
        seq, at_s, data = _anything(record.seq), _anything(record.at_s), _anything(record.data)
        if isinstance(seq, bool) or not isinstance(seq, int) or seq < 1:
            damage.append(Damage(0, 0.0, f"a record without a number ({str(seq)[:40]})"))
        elif isinstance(at_s, bool) or not isinstance(at_s, int | float) or not math.isfinite(at_s):
            damage.append(Damage(seq, 0.0, "the record's time is not a number"))
        elif not isinstance(data, Mapping) or not isinstance(_anything(record.kind), str):
            damage.append(Damage(seq, float(at_s), "the record's content cannot be read"))
        elif record.role not in ("event", "command", "note"):
            damage.append(
                Damage(seq, float(at_s), f"the record's role {str(record.role)[:40]!r} is not known")
            )
        elif "damaged_bytes" in record.data or "dropped_bytes" in record.data:
            damage.append(Damage(seq, float(at_s), f"the content of this {record.kind} is lost"))
        else:
            whole.setdefault(seq, record)
    return [whole[seq] for seq in sorted(whole)], damage


def _anything(value: Any) -> Any:
    """What a damaged row holds may be of any type, whatever the record says."""
    return value


def _gaps(records: Sequence[JournalRecord]) -> list[Damage]:
    found: list[Damage] = []
    if records and records[0].seq > 1:
        found.append(Damage(1, 0.0, _missing(1, records[0].seq - 1)))
    for before, after in pairwise(records):
        if after.seq > before.seq + 1:
            found.append(Damage(before.seq + 1, before.at_s, _missing(before.seq + 1, after.seq - 1)))
        elif after.at_s < before.at_s - 1e-6 and after.role == "event":
            found.append(Damage(after.seq, after.at_s, f"time goes back by {before.at_s - after.at_s:.3f} s"))
    return found


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


def _step(record: JournalRecord, damage: list[Damage], holes: set[int]) -> Step | None:
    if record.kind == WOKEN:
        return Step(record.seq, record.at_s, WOKEN, None)
    try:
        event, unknown = decode(record.kind, record.data)
    except UnknownKind:
        holes.add(record.seq)
        damage.append(
            Damage(
                record.seq, record.at_s, f"{record.kind} is not known here: the record is a later version's"
            )
        )
        return None
    except NotDecoded as error:
        holes.add(record.seq)
        damage.append(Damage(record.seq, record.at_s, str(error)))
        return None
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))[:120]
        damage.append(
            Damage(record.seq, record.at_s, f"{record.kind} has fields of a later version, left out: {names}")
        )
    return Step(record.seq, record.at_s, record.kind, event)


def _mark_partial(steps: list[Step], damage: list[Damage]) -> None:
    """A step behind whose last known record something is missing may lack commands."""
    holes = sorted(each.seq for each in damage)
    for step, after in zip_longest(steps, steps[1:]):
        end = after.seq if after is not None else math.inf
        step.partial |= any(step.seq < hole < end for hole in holes)


def _leg_id(records: Sequence[JournalRecord], call_id: str) -> str:
    for record in records:
        leg_id = record.data.get("leg_id")
        if isinstance(leg_id, str):
            return leg_id
    return call_id
