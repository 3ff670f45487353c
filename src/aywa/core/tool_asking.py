"""The runs of tools outside of the call: what was asked, what has come of it, what is said while it is awaited (contract 5).

One attempt a call of the model's: what is not answered in time has failed, and is not asked again. Refuses to speak: it says
what is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.tool_messages import COMPLETE, FAILED, START, ToolMessage, delays, message_for
from aywa.core.tools import Tool

DONE, FAILURE, REFUSED = "done", "failed", "refused"
RESULT_MAX = 16_000
"""Characters of a result that the model is given."""
SENT = "The request was sent."
CUT = " [cut: the result was longer]"
# The shell's own limit comes first; this one holds whatever became of the shell's.
GRACE_S = 0.5
# Contract 5: between two messages about a late tool.
COOL_DOWN_S = 2.5


@dataclass(slots=True, eq=False)
class Run:
    """One. begun_s: None while what is said before it has not been said. silent: the assistant is to say nothing meanwhile."""

    number: int
    call: ev.ToolCall
    tool: Tool
    arguments: Mapping[str, Any]
    begun_s: float | None = None
    late: tuple[ToolMessage, ...] = ()
    answer: ev.ToolReturned | None = None

    @property
    def due_s(self) -> float | None:
        """When it has failed, if nothing is heard of it until then."""
        if self.begun_s is None or self.answer is not None:
            return None
        return self.begun_s + self.tool.timeout_s + GRACE_S

    @property
    def opening(self) -> ToolMessage | None:
        """What is said before it, or as it begins."""
        return message_for(self.tool.messages, START, self.arguments)

    @property
    def silent(self) -> bool:
        """Contract 5: an empty request-start is silence on purpose."""
        return self.opening is not None and not any(text for _, text in self.opening.texts)

    @property
    def blocked(self) -> bool:
        """It is begun when its request-start was said."""
        return self.opening is not None and self.opening.blocking and not self.silent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from an answer. result: into the history. said: to the caller; ends_call: and the call ends. hint: for the
    model. asks: the model is to say something to it."""

    result: str
    said: str = ""
    hint: str = ""
    ends_call: bool = False
    asks: bool = True


@dataclass(slots=True)
class Asking:
    """All runs of a call that are awaited."""

    language: str = "en"
    runs: list[Run] = field(default_factory=list)
    _tools: dict[int, Tool] = field(default_factory=dict)
    _count: int = 0
    _told_s: float = float("-inf")

    def plan(self, call: ev.ToolCall, tool: Tool, arguments: Mapping[str, Any]) -> Run:
        """One more, which is not begun yet."""
        self._count += 1
        run = Run(self._count, call, tool, arguments)
        self._tools[run.number] = tool
        if not tool.detached:
            self.runs.append(run)
        return run

    def begin(self, run: Run, now: float) -> do.Command:
        """Its request leaves."""
        run.begun_s = now
        run.late = delays(run.tool.messages, run.arguments)
        return do.StartTool(
            run.number, run.call.id, run.tool.name, run.arguments, run.tool.timeout_s, run.tool.detached
        )

    def returned(self, event: ev.ToolReturned) -> Run | None:
        """Which run the answer is for; None: for none that is awaited."""
        self._tools.pop(event.run, None)
        for run in self.runs:
            if run.number == event.run and run.answer is None and run.begun_s is not None:
                run.answer = event
                return run
        return None

    def overdue(self, now: float) -> list[tuple[Run, do.Command]]:
        """Those that have failed because nothing was heard of them."""
        found: list[tuple[Run, do.Command]] = []
        for run in self.runs:
            due_s = run.due_s
            if due_s is not None and now >= due_s:
                text = f"The tool did not answer within {run.tool.timeout_s:g} seconds."
                run.answer = ev.ToolReturned(run.number, FAILURE, text, detail="deadline")
                self._tools.pop(run.number, None)
                found.append((run, do.GiveUpTool(run.number)))
        return found

    def tool_of(self, number: int) -> Tool | None:
        """Which tool a run is of, until it is answered."""
        return self._tools.get(number)

    def forget(self, runs: Iterable[Run]) -> None:
        """They are over."""
        gone = {run.number for run in runs}
        for number in gone:
            self._tools.pop(number, None)
        self.runs = [run for run in self.runs if run.number not in gone]

    @property
    def deadline(self) -> float | None:
        """When the next of them has failed."""
        return min((due for run in self.runs if (due := run.due_s) is not None), default=None)

    # --- what is said about it -----------------------------------------------------------------------------------

    def late_s(self, runs: Sequence[Run]) -> float | None:
        """When the next message about a late one is due."""
        dues = [
            run.begun_s + run.late[0].after_s
            for run in runs
            if run.answer is None and run.begun_s is not None and run.late
        ]
        return max(min(dues), self._told_s + COOL_DOWN_S) if dues else None

    def say_late(self, runs: Sequence[Run], now: float) -> str:
        """The message that is due, once; empty where there is none, or nothing in it."""
        for run in runs:
            due_s = self.late_s([run])
            if due_s is not None and now >= due_s:
                message, run.late = run.late[0], run.late[1:]
                self._told_s = now
                return message.text(self.language)
        return ""

    def outcome(self, run: Run) -> Outcome:
        """What follows from the run's answer."""
        answer = run.answer
        assert answer is not None
        result = answer.result
        if len(result) > RESULT_MAX:
            result = result[:RESULT_MAX] + CUT
        if answer.said:
            return Outcome(result, answer.said, ends_call=answer.ends_call, asks=False)
        if answer.status == REFUSED:
            return Outcome(result)
        kind = COMPLETE if answer.status == DONE else FAILED
        message = message_for(run.tool.messages, kind, run.arguments)
        if message is None:
            return Outcome(result)
        text = message.text(self.language)
        if "{{" in text:
            # It was to be filled in by whoever ran the tool, and nobody has.
            return Outcome(result, ends_call=message.ends_call, asks=not message.ends_call)
        if message.role == "system":
            return Outcome(result, hint=text)
        return Outcome(result, text, ends_call=message.ends_call, asks=not (text or message.ends_call))
