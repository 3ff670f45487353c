"""A round of tool calls: the reply that asked for them is over, they are run, and what came of them is put into the history,
from which the model may go on.

Those that ask somebody outside are asked at once and all together, when the reply that wants them is whole and has begun to be
heard; what acts on the call (endCall, dtmf, transferCall, voicemail, handoff) comes after their answers, one after the other.
Refuses to speak while one runs, except for what is said around it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.handoff import ASSISTANT, HANDOFF, ContextPlan, name_of, read_context, variables_in
from aywa.core.history import History
from aywa.core.rtp.dtmf import dialling_s
from aywa.core.settings import AssistantSettings
from aywa.core.silence import ALARM_S
from aywa.core.stock import EXCUSE
from aywa.core.tool_asking import SENT, Asking, Run
from aywa.core.tools import (
    DTMF,
    END_CALL,
    TOOLS_MAX,
    TRANSFER,
    VOICEMAIL,
    Tool,
    arguments_in,
    destination_in,
    found_at,
    keys_in,
    message_of,
    read_tools,
    target_of,
    told_of,
    written_in,
)
from aywa.core.turns.floor import AFTER_MESSAGE, FILLER_GRACE_S, Floor, Message
from aywa.core.turns.phrases import words_of

Commands = list[do.Command]

CALLS_MAX = 16
ROUNDS_MAX = 5
"""So many rounds in one turn of the caller's; then the model has lost its way, and is not asked again."""
# Contract 11.1.
TRANSFERRING = "Transferring the call now."
# After the keys have left, whatever is in the way of the news that they could not.
KEYS_GRACE_S = 0.3
# Contract 11.2: a transfer rings for 600 s at most. Nobody waits longer on hold, whatever became of the news.
TRANSFER_LATEST_S = 630.0
HANDOFFS_MAX = 100
"""So many times one call changes hands."""
HANDOFF_LATEST_S = 30.0
"""Whoever takes a call over is known by then, or nobody does: a customer's server has been asked, and variables found."""
ENDED = "assistant-ended-call"
LEFT_MESSAGE = "voicemail"
# Contract 6.5: a hangup task.
BY_HOOK = "assistant-ended-call-with-hangup-task"
TRANSFER_FAILED = "call.in-progress.error-transfer-failed"
DURING_TRANSFER = "customer-ended-call-during-transfer"
# Contract 11.3: what a transfer that is not to be taken up again ends the call for.
_FALLEN_BACK = {"busy": "call.forwarding.operator-busy", "no-answer": "call.forwarding.no-answer"}
_CONNECTED = ("connected", "completed")


class Stage(Enum):
    """IDLE: no round. ASKED: somebody outside wants a tool run; what the agent was saying ends first. ASKING: answers are
    awaited. SEEKING: it is asked where a transfer goes. SAYING: what is said before the tool is run. PRESSING: keys leave.
    TRANSFERRING: somebody is called. GIVEN: somebody has answered, and the leg is about to be gone. HANDING: another assistant
    is got ready. READY: it is, and takes over as soon as nobody speaks."""

    IDLE = auto()
    ASKED = auto()
    ASKING = auto()
    SEEKING = auto()
    SAYING = auto()
    PRESSING = auto()
    TRANSFERRING = auto()
    GIVEN = auto()
    HANDING = auto()
    READY = auto()


@dataclass(frozen=True, slots=True)
class Handover:
    """An assistant who takes the call over now, and what of the conversation goes along."""

    event: ev.HandoffPrepared
    plan: ContextPlan


class ToolRound:
    """`begin` a round; `settle` after every change. stage: what is being waited for. handover: who takes the call over, until
    somebody takes it."""

    def __init__(self, leg_id: str, settings: AssistantSettings, history: History, floor: Floor) -> None:
        self._leg_id = leg_id
        self._settings = settings
        self._tools = {tool.name: tool for tool in settings.tools}
        self._history = history
        self._floor = floor
        self._left: deque[ev.ToolCall] = deque()
        self._call = ev.ToolCall("", "", "")
        self._command: do.SendKeys | do.StartTransfer | do.StartHandoff | None = None
        self._prepared: ev.HandoffPrepared | None = None
        self._handed = ""
        self._destination: Mapping[str, Any] = {}
        self._due_s: float | None = None
        self._spoke = False
        # The model is to say something to what came of it.
        self._answer = False
        self._asking = Asking(settings.language)
        # Asked while the words before them were heard; in a round, those of the round.
        self._early: list[Run] = []
        self._asked: list[Run] = []
        self._since_s = 0.0
        self._fillers = 0
        self._told = False
        self._sought: Run | None = None
        self._hooked: list[Run] = []
        self._hooks = 0
        self._says: list[Message] = []
        self._hints: list[str] = []
        self._turn_id = 0
        self._rounds = 0
        self._transfers = 0
        self._before = ""
        self._by_transfer = False
        self._handoffs = 0
        # Of hooks: what acts on the call waits until nobody speaks.
        self._acts: deque[Tool] = deque()
        self.stage = Stage.IDLE
        self.handover: Handover | None = None
        self._assistant: Mapping[str, Any] | None = None

    def adopt(self, settings: AssistantSettings, assistant: Mapping[str, Any]) -> None:
        """Another assistant's tools, from now on. assistant: its document; what a server of the last one's tells late is none of
        its tools."""
        self._settings, self._assistant = settings, assistant
        self._tools = {tool.name: tool for tool in settings.tools}
        self._asking.language = settings.language

    @property
    def deadline(self) -> float | None:
        """When something that was begun is over, or has to be, or something is due to be said."""
        dues = [self._due_s, self._asking.deadline]
        if self._may_speak:
            dues += [self._asking.late_s(self._asked), self._filler_s]
        return min((due for due in dues if due is not None), default=None)

    @property
    def awaiting(self) -> bool:
        """Somebody outside is to answer before the call goes on."""
        return self.stage in (Stage.ASKING, Stage.SEEKING)

    @property
    def silenced(self) -> bool:
        """Answers are awaited in silence, because the assistant wants it so."""
        return self.stage is Stage.ASKING and all(run.silent for run in self._asked if run.answer is None)

    @property
    def tools(self) -> Mapping[str, Tool]:
        """Those that the model may call, by name."""
        return self._tools

    def found(self, event: ev.ToolsFound) -> None:
        """An MCP server has told what it can do. What is there keeps its name."""
        if self._assistant is not None and event.tool not in written_in(self._assistant):
            return
        for tool in found_at(event.tool, event.listed):
            if len(self._tools) < TOOLS_MAX:
                self._tools.setdefault(tool.name, tool)

    def ask_early(self, now: float) -> Commands:
        """A reply that is whole and has begun to be heard: what it wants asked is asked while its words are heard. A
        request-start that blocks (contract 5) is said first, and so is waited for."""
        reply = self._floor.reply
        if reply is None or reply.asked is not None or self.stage is not Stage.IDLE or not self._floor.stands:
            return []
        self._drop(self._early)
        meant = [(call, *self._meant(call)) for call in reply.calls[:CALLS_MAX]]
        cmds: Commands = []
        for call, tool, arguments in meant:
            if tool is None or arguments is None or not tool.asks:
                continue
            run = self._asking.plan(call, tool, arguments)
            if run.blocked:
                self._asking.forget([run])
                continue
            self._early.append(run)
            cmds.append(self._asking.begin(run, now))
        reply.asked = tuple(run.call for run in self._early)
        return cmds

    def begin(self, calls: tuple[ev.ToolCall, ...], now: float, *, spoke: bool) -> Commands:
        """spoke: the reply that asked for them had words, which were heard."""
        turn_id = self._floor.caller.turn_id
        self._rounds = self._rounds + 1 if turn_id == self._turn_id else 1
        self._turn_id = turn_id
        self._spoke, self._answer = spoke, False
        self._says, self._hints, self._fillers, self._since_s = [], [], 0, now
        taken = calls[:CALLS_MAX]
        written = [(call.id, call.name, call.arguments) for call in taken]
        entry = self._history.tools_called(written, now)
        told = do.TellClient("tool-calls", told_of(written))
        self._left = deque()
        return [do.RecordMessage(entry), told, *self._ask(taken, now)]

    def returned(self, event: ev.ToolReturned, now: float) -> Commands:
        """Somebody outside has answered."""
        run = self._asking.returned(event)
        if run is not None and run is self._sought:
            return self._found(run, now)
        if run is not None and run in self._hooked:
            return self._hook_over(run, now)
        return self._take(run, now) if run is not None and run in self._asked else []

    def transfer(self, destination: Mapping[str, Any], now: float, *, before: str | None = None) -> Commands:
        """Somebody outside has the caller passed on: the model learns of it as if it had asked. before: what is said first."""
        self._transfers += 1
        target = target_of(destination)
        call = ev.ToolCall(f"transfer-{self._transfers}", TRANSFER, json.dumps({"destination": target}))
        self._turn_id, self._rounds = self._floor.caller.turn_id, 0
        self._spoke = self._answer = False
        self._says, self._hints, self._asked, self._since_s = [], [], [], now
        self._left.clear()
        self._call, self._destination = call, destination
        self._command = do.StartTransfer(self._leg_id, call.id, destination)
        own = before if before is not None else message_of(destination)
        self._before = TRANSFERRING if own is None else own
        self.stage = Stage.ASKED
        written = [(call.id, call.name, call.arguments)]
        entry = self._history.tools_called(written, now)
        told = do.TellClient("tool-calls", told_of(written))
        return [do.RecordMessage(entry), told, *self._floor.act_for("transfer")]

    def settle(self, now: float) -> Commands:
        """What was said before a tool has been said, or all answers are there."""
        free = self._floor.reply is None and not self._floor.leaving
        if self.stage is Stage.ASKED and free:
            self.stage = Stage.SAYING
            said = words_of(self._before) and not self._floor.muted
            return self._floor.announce(self._before, now) if said else self._run(now)
        if self._acts and free and self.free and not self._floor.calls:
            return self._act(now)
        if self.stage is Stage.SAYING and free:
            return self._run(now)
        if self.stage is Stage.READY and free:
            return self._take_over(now)
        if self.stage is not Stage.ASKING:
            return []
        cmds: Commands = []
        if free:
            cmds += [self._asking.begin(run, now) for run in self._asked if run.begun_s is None]
        if any(run.answer is None for run in self._asked) or (self._left and not free):
            return cmds
        return cmds + self._asked_all(now)

    def break_silence(self, now: float) -> Commands:
        """The time without a reason runs out while answers are awaited."""
        return self._fill(now) if self._settings.fillers.enabled and self._may_speak else []

    def wake(self, now: float) -> Commands:
        """Time has passed."""
        cmds: Commands = []
        for run, gave_up in self._asking.overdue(now):
            cmds.append(gave_up)
            if run in self._asked:
                cmds += self._take(run, now)
            elif run is self._sought:
                cmds += self._found(run, now)
            elif run in self._hooked:
                cmds += self._hook_over(run, now)
        if self._may_speak:
            late_s, filler_s = self._asking.late_s(self._asked), self._filler_s
            if late_s is not None and now >= late_s:
                text = self._asking.say_late(self._asked, now)
                cmds += self._floor.announce(text, now) if text else []
            elif filler_s is not None and now >= filler_s:
                cmds += self._fill(now)
        return cmds + self._wake_built_in(now)

    def _wake_built_in(self, now: float) -> Commands:
        if self._due_s is None or now < self._due_s:
            return []
        if self.stage is Stage.PRESSING:
            return [*self._result(self._call, "The keys were pressed.", now), *self._next(now)]
        if self.stage is Stage.HANDING:
            return self._failed("Nobody could take the conversation over in time.", now)
        self._due_s = None
        return [do.EndCall(TRANSFER_FAILED, "nothing was heard of the transfer")]

    def warned(self, event: ev.MediaWarned, now: float) -> Commands:
        """The media plane could not do something."""
        if self.stage is not Stage.PRESSING or event.code != "dtmf_unsupported":
            return []
        return self._failed("The keys could not be pressed: this line carries none.", now)

    def transfer_changed(self, event: ev.TransferChanged, now: float) -> Commands:
        """News of whom the caller is transferred to."""
        if self.stage is not Stage.TRANSFERRING:
            return []
        if event.status in _CONNECTED:
            # The leg goes now, and the call with it.
            self.stage = Stage.GIVEN
            return self._result(self._call, "The caller was transferred.", now)
        plan = self._destination.get("transferPlan")
        fallback = plan.get("fallbackPlan") if isinstance(plan, Mapping) else None
        text = fallback.get("message") if isinstance(fallback, Mapping) else None
        why = f" ({event.reason})" if event.reason else ""
        told = f"The transfer did not succeed: {event.status}{why}. The caller is still on the line."
        if not isinstance(fallback, Mapping) or not isinstance(text, str):
            return self._failed(told, now)
        cmds = self._result(self._call, told, now)
        if fallback.get("endCallEnabled") is False:
            return cmds + self._next(now) + self._floor.say(Message(text), now)
        self._stop()
        return cmds + self._floor.take_leave(text, _FALLEN_BACK.get(event.status, TRANSFER_FAILED), now)

    # --- handing over ----------------------------------------------------------------------------------------------

    @property
    def free(self) -> bool:
        """Nothing is run, or about to be."""
        return self.stage is Stage.IDLE and not self._floor.acting

    def hand_over(self, command: do.StartHandoff, now: float) -> Commands:
        """Somebody from outside wants another assistant to have the call. To be asked while `free`."""
        self._left.clear()
        self._answer, self._floor.acting = False, True
        self._call, self._command = ev.ToolCall(command.call_id, "", ""), command
        return self._run(now)

    def handoff_prepared(self, event: ev.HandoffPrepared, now: float) -> Commands:
        """Whoever takes the call over is ready."""
        if self.stage is not Stage.HANDING or event.call_id != self._call.id:
            return []
        self._prepared, self._due_s = event, None
        self.stage = Stage.READY
        return self.settle(now)

    def handoff_refused(self, event: ev.HandoffRefused, now: float) -> Commands:
        """Nobody takes it over."""
        if self.stage is not Stage.HANDING or event.call_id != self._call.id:
            return []
        decided = do.RecordDecision("handoff", "refused", event.reason)
        told = event.result or f"The conversation was not handed over: {event.reason}."
        return [decided, *self._failed(told, now)]

    def _take_over(self, now: float) -> Commands:
        event, command = self._prepared, self._command
        assert event is not None
        assert isinstance(command, do.StartHandoff)
        cmds = self._result(self._call, event.result or self._handed, now)
        for call in self._left:
            # The next assistant has tools of its own; and every call needs its result.
            cmds += self._result(call, "It was not run: the conversation was handed over before.", now)
        self._stop()
        self._handoffs += 1
        # Who answered the customer's question may have said what goes along.
        whole = {**command.destination, **event.destination}
        plan = read_context(whole, transfer=whole.get("type") == ASSISTANT and self._by_transfer)
        self.handover = Handover(event, plan)
        return cmds

    def _hand_over(self, tool: Tool, destination: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        variables = variables_in(arguments) if tool.keeps else {}
        self._by_transfer = tool.kind != HANDOFF
        self._handed = tool.result
        self._command = do.StartHandoff(self._call.id, destination, variables)

    # --- hooks (contract 12.1) ---------------------------------------------------------------------------------------

    def run_hook(self, written: Mapping[str, Any], now: float, *, ending: bool = False) -> Commands:
        """A tool that no model asked for: beside the conversation, which goes on meanwhile and does not remember it. ending: the
        call does, so nothing is said around it."""
        found = read_tools({"model": {"tools": [written]}})
        tool = found[0] if found else None
        if tool is not None and tool.kind == END_CALL and not ending:
            last = tool.start if tool.start is not None else self._settings.end_call_message
            return self._floor.take_leave(last, BY_HOOK, now) if last else [do.EndCall(BY_HOOK)]
        if tool is None or (
            not tool.asks and (ending or self._floor.leaving or len(self._acts) >= CALLS_MAX)
        ):
            details = {"type": str(written.get("type"))}
            return [do.RecordDecision("initiative", "tool_skipped", "not_runnable", details)]
        self._hooks += 1
        if not tool.asks:
            self._acts.append(tool)
            return []
        call = ev.ToolCall(f"hook_{self._hooks}", tool.name, "{}")
        tool = replace(tool, detached=tool.detached or ending)
        run = self._asking.plan(call, tool, {})
        cmds: Commands = [self._asking.begin(run, now)]
        if tool.detached:
            return cmds
        self._hooked.append(run)
        text = run.opening.text(self._settings.language) if run.opening is not None else ""
        return cmds + (self._floor.say(Message(text), now) if text else [])

    def _act(self, now: float) -> Commands:
        """What a hook wants done to the call, as soon as nobody speaks and nothing else is done."""
        tool = self._acts.popleft()
        self._left.clear()
        self._says, self._answer, self._spoke, self._floor.acting = [], False, False, True
        self._call = ev.ToolCall(f"hook_{self._hooks}", "", "{}")
        begun = self._begin_tool(tool, {}, now)
        if isinstance(begun, str):
            details = {"type": tool.kind}
            skipped = do.RecordDecision("initiative", "tool_skipped", "not_runnable", details)
            return [skipped, *self._next(now)]
        return begun

    def tool_of(self, run: int) -> Tool | None:
        """Which tool a run is of, until it is answered."""
        return self._asking.tool_of(run)

    def _hook_over(self, run: Run, now: float) -> Commands:
        outcome = self._asking.outcome(run)
        self._hooked.remove(run)
        self._asking.forget([run])
        if outcome.ends_call:
            said = outcome.said
            return self._floor.take_leave(said, AFTER_MESSAGE, now) if said else [do.EndCall(AFTER_MESSAGE)]
        return self._floor.say(Message(outcome.said), now) if outcome.said else []

    # --- inside: asking ------------------------------------------------------------------------------------------------

    def _meant(self, call: ev.ToolCall) -> tuple[Tool | None, Mapping[str, Any] | None]:
        return self._tools.get(call.name), arguments_in(call.arguments)

    def _ask(self, calls: tuple[ev.ToolCall, ...], now: float) -> Commands:
        """All that ask; the others are left for later."""
        cmds: Commands = []
        early, self._early, self._asked = self._early, [], []
        for call in calls:
            tool, arguments = self._meant(call)
            if tool is None or arguments is None or not tool.asks:
                self._left.append(call)
                continue
            run = next((each for each in early if each.call == call), None)
            if run is not None:
                early.remove(run)
            else:
                run = self._asking.plan(call, tool, arguments)
                if not run.blocked or tool.detached:
                    cmds.append(self._asking.begin(run, now))
            if tool.detached:
                self._answer = True
                cmds += self._result(call, SENT, now)
            else:
                self._asked.append(run)
        self._drop(early)
        for run in self._asked:
            # It may have been asked early, and answered since.
            cmds += self._take(run, now) if run.answer is not None else []
        awaited = [run for run in self._asked if run.answer is None]
        if not awaited:
            return cmds + self._asked_all(now)
        self.stage = Stage.ASKING
        texts = (run.opening.text(self._settings.language) for run in awaited if run.opening is not None)
        text = next((text for text in texts if text), "")
        self._told = bool(text)
        return cmds + (self._floor.announce(text, now) if text else [])

    def _asked_all(self, now: float) -> Commands:
        self._drop(self._asked)
        hints = [do.RecordMessage(self._history.note("system", hint, now)) for hint in self._hints]
        self._hints = []
        return [*hints, *self._next(now)]

    def _take(self, run: Run, now: float) -> Commands:
        """What came of a run of this round."""
        outcome = self._asking.outcome(run)
        if outcome.hint:
            self._hints.append(outcome.hint)
        if outcome.said or outcome.ends_call:
            self._says.append(Message(outcome.said, ends_call=outcome.ends_call))
        self._answer = self._answer or outcome.asks
        return self._result(run.call, outcome.result, now)

    def _drop(self, runs: list[Run]) -> None:
        self._asking.forget(runs)
        runs.clear()

    @property
    def _may_speak(self) -> bool:
        """Answers are awaited, and nobody says anything."""
        floor = self._floor
        return self.awaiting and floor.reply is None and not (floor.leaving or floor.muted or floor.spoken_to)

    @property
    def _filler_s(self) -> float | None:
        fillers = self._settings.fillers
        if not fillers.enabled or self.silenced:
            return None
        heard_s, late_s = self._floor.heard_until_s, self._asking.late_s(self._asked)
        if late_s is not None and late_s <= heard_s + ALARM_S:
            # What the assistant has to say about it comes soon enough.
            return None
        after_s = fillers.repeat_after_s if self._told else fillers.after_s
        return max(heard_s + after_s, self._since_s + FILLER_GRACE_S)

    def _fill(self, now: float) -> Commands:
        texts = self._settings.fillers.texts
        text = texts[self._fillers % len(texts)]
        self._fillers += 1
        self._told = True
        details = {"count": self._fillers}
        said = do.RecordDecision("tools", "filler_said", "no_answer", details)
        return [said, *self._floor.announce(text, now)]

    # --- inside: what is built in --------------------------------------------------------------------------------------

    def _next(self, now: float) -> Commands:
        cmds: Commands = []
        self.stage, self._due_s = Stage.IDLE, None
        while self._left:
            self._call = self._left.popleft()
            begun = self._begin_one(self._call, now)
            if isinstance(begun, str):
                self._answer = True
                cmds += self._result(self._call, begun, now)
                continue
            return cmds + begun
        return cmds + self._over(now)

    def _begin_one(self, call: ev.ToolCall, now: float) -> Commands | str:
        """What follows from the call at once; a text: why nothing can."""
        tool = self._tools.get(call.name)
        if tool is None:
            return f"There is no tool {call.name[:64]!r}."
        arguments = arguments_in(call.arguments)
        if arguments is None:
            return "The arguments are not a JSON object."
        return self._begin_tool(tool, arguments, now)

    def _begin_tool(self, tool: Tool, arguments: Mapping[str, Any], now: float) -> Commands | str:
        if tool.kind in (END_CALL, VOICEMAIL):
            return self._end(tool, now)
        before: str | None = tool.start
        if tool.kind == DTMF:
            keys = keys_in(arguments)
            if not keys:
                return "dtmf must name keys: 0-9, *, #, and w or W for pauses."
            self._command = do.SendKeys(self._leg_id, keys, tool.signalled)
        else:
            destination = destination_in(tool, arguments)
            if destination is None and tool.kind == TRANSFER and not tool.destinations:
                return self._seek(tool, arguments, now)
            if destination is None:
                named = name_of if tool.kind == HANDOFF else target_of
                known = ", ".join(named(each) for each in tool.destinations)
                return f"destination must be one of: {known or 'a number in E.164 form, or a SIP URI'}."
            return self._go_to(tool, destination, arguments, now)
        return self._announce(before, now)

    def _go_to(
        self, tool: Tool, destination: Mapping[str, Any], arguments: Mapping[str, Any], now: float
    ) -> Commands | str:
        before = tool.start
        if tool.kind == HANDOFF or destination.get("type") == ASSISTANT:
            if self._rounds >= ROUNDS_MAX or self._handoffs >= HANDOFFS_MAX:
                return "The conversation was handed over too often: go on with it."
            self._hand_over(tool, destination, arguments)
        else:
            self._destination = destination
            self._command = do.StartTransfer(self._leg_id, self._call.id, destination)
        if tool.kind != HANDOFF:
            own = message_of(destination)
            before = own if own is not None else before
            if before is None and not self._spoke:
                before = TRANSFERRING
        return self._announce(before, now)

    def _seek(self, tool: Tool, arguments: Mapping[str, Any], now: float) -> Commands:
        """Contract 11.1: without a list, and without a word of the model's, the customer's server says where to."""
        self._sought = run = self._asking.plan(self._call, tool, arguments)
        self.stage, self._since_s, self._told = Stage.SEEKING, now, False
        return [self._asking.begin(run, now)]

    def _found(self, run: Run, now: float) -> Commands:
        """Where the transfer goes, or nobody says it."""
        answer, self._sought = run.answer, None
        self._asking.forget([run])
        assert answer is not None
        if not answer.destination:
            return self._failed(answer.result, now)
        begun = self._go_to(run.tool, answer.destination, run.arguments, now)
        return self._failed(begun, now) if isinstance(begun, str) else begun

    def _announce(self, before: str | None, now: float) -> Commands:
        if before:
            self.stage = Stage.SAYING
            return self._floor.announce(before, now)
        return self._run(now)

    def _run(self, now: float) -> Commands:
        command = self._command
        assert command is not None
        if isinstance(command, do.SendKeys):
            self.stage, self._due_s = Stage.PRESSING, now + dialling_s(command.digits) + KEYS_GRACE_S
        elif isinstance(command, do.StartHandoff):
            self.stage, self._due_s = Stage.HANDING, now + HANDOFF_LATEST_S
        else:
            self.stage, self._due_s = Stage.TRANSFERRING, now + TRANSFER_LATEST_S
            return [command, do.TellClient("transfer-update", {"destination": dict(command.destination)})]
        return [command]

    def _end(self, tool: Tool, now: float) -> Commands:
        cmds = self._result(self._call, "The call ends.", now)
        self._stop()
        if tool.kind == VOICEMAIL:
            # To a machine something is said whatever was said to it before (contract 10).
            last, reason = tool.start or self._settings.voicemail_message, LEFT_MESSAGE
        else:
            own = tool.start if tool.start is not None else self._settings.end_call_message
            last, reason = "" if self._spoke else own, ENDED
        return cmds + (self._floor.take_leave(last, reason, now) if last else [do.EndCall(reason)])

    def _failed(self, told: str, now: float) -> Commands:
        # A model is told with its own tool call; what somebody else asked for is not its business.
        self._answer = self._answer or bool(self._call.name)
        return [*self._result(self._call, told, now), *self._next(now)]

    def _result(self, call: ev.ToolCall, text: str, now: float) -> Commands:
        """Into the history: the model sees it with the next request."""
        if not call.name:
            # Nobody's model asked for it.
            return []
        entry = self._history.tool_returned(call.id, call.name, text, now)
        told = {"toolCallId": call.id, "name": call.name, "result": text}
        return [do.RecordMessage(entry), do.TellClient("tool-calls-result", {"toolCallResult": told})]

    def _over(self, now: float) -> Commands:
        self._stop()
        last = next((each for each in self._says if each.ends_call), None)
        if last is not None:
            return (
                self._floor.take_leave(last.text, AFTER_MESSAGE, now)
                if last.text
                else [do.EndCall(AFTER_MESSAGE)]
            )
        spoken = [command for each in self._says for command in self._floor.say(each, now)]
        return spoken + self._go_on(now)

    def _go_on(self, now: float) -> Commands:
        if not self._answer:
            return self._floor.acted(now)
        if self._rounds >= ROUNDS_MAX:
            details = {"rounds": self._rounds}
            cmds: Commands = [do.RecordDecision("tools", "rounds_over", "too_many_rounds", details)]
            return cmds + self._floor.acted(now) + self._floor.say(Message(EXCUSE), now)
        return self._floor.acted(now, answer=True)

    def _stop(self) -> None:
        self._left.clear()
        self.stage, self._due_s = Stage.IDLE, None
        self._floor.acting = False
