"""A round of tool calls: the reply that asked for them is over, they are run one after the other, and what came of them is put
into the history, from which the model may go on.

Runs what is built in: endCall, dtmf, transferCall. Refuses to speak while one runs, except for what is said before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.rtp.dtmf import dialling_s
from aywa.core.settings import AssistantSettings
from aywa.core.stock import EXCUSE
from aywa.core.tools import (
    DTMF,
    END_CALL,
    Tool,
    arguments_in,
    destination_in,
    keys_in,
    message_of,
    target_of,
    told_of,
)
from aywa.core.turns.floor import Floor, Message

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
ENDED = "assistant-ended-call"
TRANSFER_FAILED = "call.in-progress.error-transfer-failed"
DURING_TRANSFER = "customer-ended-call-during-transfer"
# Contract 11.3: what a transfer that is not to be taken up again ends the call for.
_FALLEN_BACK = {"busy": "call.forwarding.operator-busy", "no-answer": "call.forwarding.no-answer"}
_CONNECTED = ("connected", "completed")


class Stage(Enum):
    """IDLE: no round. SAYING: what is said before the tool is run. PRESSING: keys leave. TRANSFERRING: somebody is called.
    GIVEN: somebody has answered, and the leg is about to be gone."""

    IDLE = auto()
    SAYING = auto()
    PRESSING = auto()
    TRANSFERRING = auto()
    GIVEN = auto()


class ToolRound:
    """`begin` a round; `settle` after every change. stage: what is being waited for."""

    def __init__(self, leg_id: str, settings: AssistantSettings, history: History, floor: Floor) -> None:
        self._leg_id = leg_id
        self._settings = settings
        self._tools = {tool.name: tool for tool in settings.tools}
        self._history = history
        self._floor = floor
        self._left: deque[ev.ToolCall] = deque()
        self._call = ev.ToolCall("", "", "")
        self._command: do.SendKeys | do.StartTransfer | None = None
        self._destination: Mapping[str, Any] = {}
        self._due_s: float | None = None
        self._spoke = False
        # The model is to say something to what came of it.
        self._answer = False
        self._turn_id = 0
        self._rounds = 0
        self.stage = Stage.IDLE

    @property
    def deadline(self) -> float | None:
        """When something that was begun is over, or has to be."""
        return self._due_s

    def begin(self, calls: tuple[ev.ToolCall, ...], now: float, *, spoke: bool) -> Commands:
        """spoke: the reply that asked for them had words, which were heard."""
        turn_id = self._floor.caller.turn_id
        self._rounds = self._rounds + 1 if turn_id == self._turn_id else 1
        self._turn_id = turn_id
        self._spoke, self._answer = spoke, False
        taken = calls[:CALLS_MAX]
        self._left = deque(taken)
        written = [(call.id, call.name, call.arguments) for call in taken]
        entry = self._history.tools_called(written, now)
        told = do.TellClient("tool-calls", told_of(written))
        return [do.RecordMessage(entry), told, *self._next(now)]

    def settle(self, now: float) -> Commands:
        """What was said before a tool has been said."""
        if self.stage is not Stage.SAYING or self._floor.reply is not None or self._floor.leaving:
            return []
        return self._run(now)

    def wake(self, now: float) -> Commands:
        """Time has passed."""
        if self._due_s is None or now < self._due_s:
            return []
        if self.stage is Stage.PRESSING:
            return [*self._result("The keys were pressed.", now), *self._next(now)]
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
            return self._result("The caller was transferred.", now)
        plan = self._destination.get("transferPlan")
        fallback = plan.get("fallbackPlan") if isinstance(plan, Mapping) else None
        text = fallback.get("message") if isinstance(fallback, Mapping) else None
        why = f" ({event.reason})" if event.reason else ""
        told = f"The transfer did not succeed: {event.status}{why}. The caller is still on the line."
        if not isinstance(fallback, Mapping) or not isinstance(text, str):
            return self._failed(told, now)
        cmds = self._result(told, now)
        if fallback.get("endCallEnabled") is False:
            return cmds + self._next(now) + self._floor.say(Message(text), now)
        self._stop()
        return cmds + self._floor.take_leave(text, _FALLEN_BACK.get(event.status, TRANSFER_FAILED), now)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _next(self, now: float) -> Commands:
        cmds: Commands = []
        self.stage, self._due_s = Stage.IDLE, None
        while self._left:
            self._call = self._left.popleft()
            begun = self._begin_one(self._call, now)
            if isinstance(begun, str):
                self._answer = True
                cmds += self._result(begun, now)
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
        if tool.kind == END_CALL:
            return self._end(tool, now)
        before: str | None = tool.start
        if tool.kind == DTMF:
            keys = keys_in(arguments)
            if not keys:
                return "dtmf must name keys: 0-9, *, #, and w or W for pauses."
            self._command = do.SendKeys(self._leg_id, keys, tool.signalled)
        else:
            destination = destination_in(tool, arguments)
            if destination is None:
                known = ", ".join(target_of(each) for each in tool.destinations)
                return f"destination must be one of: {known or 'a number in E.164 form, or a SIP URI'}."
            self._destination = destination
            self._command = do.StartTransfer(self._leg_id, call.id, destination)
            own = message_of(destination)
            before = own if own is not None else before
            if before is None and not self._spoke:
                before = TRANSFERRING
        if before:
            self.stage = Stage.SAYING
            return self._floor.announce(before, now)
        return self._run(now)

    def _run(self, now: float) -> Commands:
        command = self._command
        assert command is not None
        if isinstance(command, do.SendKeys):
            self.stage, self._due_s = Stage.PRESSING, now + dialling_s(command.digits) + KEYS_GRACE_S
        else:
            self.stage, self._due_s = Stage.TRANSFERRING, now + TRANSFER_LATEST_S
            return [command, do.TellClient("transfer-update", {"destination": dict(command.destination)})]
        return [command]

    def _end(self, tool: Tool, now: float) -> Commands:
        cmds = self._result("The call ends.", now)
        self._stop()
        last = tool.start if tool.start is not None else self._settings.end_call_message
        if last and not self._spoke:
            return cmds + self._floor.take_leave(last, ENDED, now)
        return [*cmds, do.EndCall(ENDED)]

    def _failed(self, told: str, now: float) -> Commands:
        self._answer = True
        return [*self._result(told, now), *self._next(now)]

    def _result(self, text: str, now: float) -> Commands:
        """Into the history: the model sees it with the next request."""
        call = self._call
        return [do.RecordMessage(self._history.tool_returned(call.id, call.name, text, now))]

    def _over(self, now: float) -> Commands:
        self._stop()
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
