"""Feeds a recorded call to a fresh conversation and compares every command with the recorded one.

Tells the first that differs. Where the record has a hole the rest is compared as far as it goes.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.codec import plain
from aywa.core.conversation import Conversation
from aywa.journal.replay.recording import DIED, Recording, Step
from aywa.ports.journal import JournalRecord

# A session may be late for its deadline by so much and still have been on its way there.
LATE_S = 0.05
SHOWN_MAX = 240


@dataclass(frozen=True, slots=True)
class Difference:
    """seq, at_s: the record where it shows. after: what happened there. machine: whose decision it is. recorded, new: in
    words, `nothing` where there is none. after_damage: something before it is missing, which may be the cause."""

    seq: int
    at_s: float
    after: str
    machine: str
    recorded: str
    new: str
    after_damage: bool


@dataclass(frozen=True, slots=True)
class Told:
    """An event that came, or a command that followed, and when."""

    at_s: float
    item: ev.Event | do.Command


@dataclass(slots=True)
class Identity:
    """decisions: how many commands were compared. same: how many were the same. told: what the call was, this time.
    commands: those of each step."""

    decisions: int = 0
    same: int = 0
    difference: Difference | None = None
    told: list[Told] = field(default_factory=list)
    commands: list[Sequence[do.Command]] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Every decision is the recorded one."""
        return self.difference is None


def compare(recording: Recording) -> Identity:
    """The whole recording; nothing when its beginning is missing."""
    found = Identity()
    if recording.started is None:
        return found
    conversation = Conversation(recording.leg_id, recording.join_timeout_s)
    damaged_from = recording.damaged_from
    for number, step in enumerate(recording.steps):
        if step.event is not None:
            conversation = _slept(conversation, recording.steps, number, found)
        cmds = _advance(conversation, step, recording, found)
        found.commands.append(cmds)
        found.told += [Told(step.at_s, command) for command in cmds]
        last = number == len(recording.steps) - 1
        _compare_step(step, cmds, found, last=last, damaged_from=damaged_from)
    return found


def _advance(
    conversation: Conversation, step: Step, recording: Recording, found: Identity
) -> Sequence[do.Command]:
    if step.event is not None:
        found.told.append(Told(step.at_s, step.event))
    try:
        return (
            conversation.wake(step.at_s) if step.event is None else conversation.handle(step.event, step.at_s)
        )
    except Exception as error:  # noqa: BLE001 - a defect of a machine is a finding, not the end of the replay
        broken = found.difference is None and not _broke_off(step, recording)
        if broken:
            text = f"{type(error).__name__} in a machine"
            found.difference = Difference(
                step.seq, step.at_s, _happened(step), "conversation", _several(step.commands), text, False
            )
        return []


def _broke_off(step: Step, recording: Recording) -> bool:
    """Whether the call broke here when it was taken, too: then its own end follows, and no commands."""
    at = recording.steps.index(step)
    after = recording.steps[at + 1].event if at + 1 < len(recording.steps) else None
    return not step.commands and isinstance(after, ev.EndRequested) and DIED in after.reason


def _slept(conversation: Conversation, steps: Sequence[Step], number: int, found: Identity) -> Conversation:
    """Wakes the record has nothing of changed nothing then. One that decides something now is a difference, unless the
    session was merely late, and woke after the events that had come meanwhile."""
    step = steps[number]
    while (due_s := conversation.deadline) is not None and due_s < step.at_s - LATE_S:
        trial = copy.deepcopy(conversation)
        try:
            cmds = trial.wake(due_s)
        except Exception:  # noqa: BLE001 - told where the recorded wake is replayed
            return conversation
        if cmds:
            if found.difference is None and not _wakes_late(steps, number):
                after = f"waking at {due_s:.3f} s"
                found.difference = Difference(
                    step.seq, due_s, after, _machine(cmds), "nothing", _several_new(cmds), step.partial
                )
            return conversation
        if trial.deadline == due_s:
            return conversation
        conversation = trial
    return conversation


def _wakes_late(steps: Sequence[Step], number: int) -> bool:
    """A wake is on record right after the events of one burst."""
    at_s = steps[number].at_s
    for step in steps[number:]:
        if step.at_s > at_s + LATE_S:
            return False
        if step.event is None:
            return True
    return False


# --- one step ------------------------------------------------------------------------------------------------------


def _compare_step(
    step: Step, cmds: Sequence[do.Command], found: Identity, *, last: bool, damaged_from: int | None
) -> None:
    recorded = step.commands
    if last and recorded and recorded[-1].kind == "EndCall" and DIED in str(recorded[-1].data.get("reason")):
        recorded = recorded if len(cmds) >= len(recorded) else recorded[:-1]
    if step.partial:
        _compare_loosely(recorded, cmds, step, found, damaged_from)
        return
    found.decisions += max(len(recorded), len(cmds))
    for number in range(max(len(recorded), len(cmds))):
        old = recorded[number] if number < len(recorded) else None
        new = cmds[number] if number < len(cmds) else None
        if old is not None and new is not None and is_same(old, new):
            found.same += 1
        elif found.difference is None:
            found.difference = _differs(step, old, new, damaged_from)


def _compare_loosely(
    recorded: Sequence[JournalRecord],
    cmds: Sequence[do.Command],
    step: Step,
    found: Identity,
    damaged_from: int | None,
) -> None:
    """Some of the commands are missing: those that are there must stand among the new ones, in their order."""
    left = list(cmds)
    for old in recorded:
        found.decisions += 1
        at = next((index for index, new in enumerate(left) if is_same(old, new)), None)
        if at is not None:
            found.same += 1
            del left[: at + 1]
        elif found.difference is None:
            found.difference = _differs(step, old, left[0] if left else None, damaged_from)


def _differs(
    step: Step, old: JournalRecord | None, new: do.Command | None, damaged_from: int | None
) -> Difference:
    seq = step.seq if old is None else old.seq
    return Difference(
        seq,
        step.at_s,
        _happened(step),
        _machine([new]) if new is not None and old is None else _machine_of(old),
        "nothing" if old is None else in_words(old.kind, old.data),
        "nothing" if new is None else in_words(type(new).__name__, plain(new)),
        damaged_from is not None and damaged_from <= seq,
    )


def is_same(old: JournalRecord, new: do.Command) -> bool:
    """The recorded command is the new one. The record holds a request's messages by their number, and a
    conversation-update without its body: both are the history, which is compared entry by entry."""
    if old.kind != type(new).__name__:
        return False
    data, fresh = old.data, brief(new)
    if fresh == data:
        return True
    # An earlier version's record lacks what has been added since.
    missing = {name: fresh[name] for name in fresh if name not in data and _is_default(new, name)}
    return bool(plain({**data, **missing}) == fresh)


def brief(command: do.Command) -> dict[str, Any]:
    """The command as a session puts it on record."""
    match command:
        case do.StartReply():
            # The messages are the history, which is on record already.
            return {**plain(dataclasses.replace(command, messages=())), "messages": len(command.messages)}
        case do.TellClient(type="conversation-update"):
            return {"type": command.type}
        case _:
            fields: dict[str, Any] = plain(command)
            return fields


def _is_default(command: do.Command, name: str) -> bool:
    for each in dataclasses.fields(command):
        if each.name == name:
            if each.default_factory is not dataclasses.MISSING:
                return bool(getattr(command, name) == each.default_factory())
            return bool(getattr(command, name) == each.default)
    return False


# --- in words ------------------------------------------------------------------------------------------------------


def in_words(kind: str, data: Mapping[str, Any]) -> str:
    """A command as a person may read it."""
    if kind == "RecordDecision":
        details = _listed(data.get("details") or {})
        return f"{data.get('machine')} decided {data.get('decision')}: {data.get('reason')}{details}"[
            :SHOWN_MAX
        ]
    if kind == "TellClient":
        return f"tell the client {data.get('type')}{_listed(data.get('body') or {})}"[:SHOWN_MAX]
    if kind == "RecordMessage":
        message = data.get("message") or {}
        return f"history: {message.get('role')} said {str(message.get('message'))!r}"[:SHOWN_MAX]
    if kind == "StartReply":
        messages = data.get("messages")
        count = messages if isinstance(messages, int) else len(messages or ())
        data = {**data, "messages": count}
    return f"{kind}{_listed(data)}"[:SHOWN_MAX]


def _listed(data: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name} {value}" for name, value in data.items() if name != "leg_id")
    return f" ({shown})" if shown else ""


def _happened(step: Step) -> str:
    return "the time passing" if step.event is None else step.kind


def _machine_of(record: JournalRecord | None) -> str:
    if record is None:
        return ""
    return str(record.data.get("machine")) if record.kind == "RecordDecision" else record.kind


def _machine(cmds: Sequence[do.Command]) -> str:
    for command in cmds:
        if isinstance(command, do.RecordDecision):
            return command.machine
    return type(cmds[0]).__name__


def _several(records: Sequence[JournalRecord]) -> str:
    return "; ".join(in_words(each.kind, each.data) for each in records)[:SHOWN_MAX] or "nothing"


def _several_new(cmds: Sequence[do.Command]) -> str:
    return "; ".join(in_words(type(each).__name__, plain(each)) for each in cmds)[:SHOWN_MAX]
