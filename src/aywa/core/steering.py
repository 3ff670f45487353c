"""What somebody outside asks of a call while it goes on: its client, whoever has its controlUrl, a person who listens to it
(contract 15.1). Says who may ask what, and has it done; what is not known, or not possible now, changes nothing and is told.

Refuses to know who anybody is: whoever is heard here was let in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aywa.core import commands as do
from aywa.core.settings import AssistantSettings, FirstMessageMode
from aywa.core.tool_round import Stage, ToolRound
from aywa.core.turns.floor import Floor, Message
from aywa.core.turns.phrases import words_of

Commands = list[do.Command]
Asked = Mapping[str, Any]

CLIENT, CONTROL, LISTENER = "client", "control", "listener"
"""Who asks: the call's own client, the controlUrl, a person at the listenUrl."""

SAY, ADD_MESSAGE, APPEND_CONTEXT, SWITCH = "say", "add-message", "append-context", "control"
END_CALL, HANG_UP, TRANSFER, HANDOFF = "end-call", "hangup", "transfer", "handoff"
TAKE_OVER, GIVE_BACK = "take-over", "give-back"
MUTE, UNMUTE, FIRST_MESSAGE = "mute-assistant", "unmute-assistant", "say-first-message"
MUTE_CUSTOMER, UNMUTE_CUSTOMER = "mute-customer", "unmute-customer"
SWITCHES = (MUTE, UNMUTE, MUTE_CUSTOMER, UNMUTE_CUSTOMER, FIRST_MESSAGE)

# What the model is told when it has the caller again.
TAKEN_NOTE = "A person has joined the call and speaks with the caller in your place."
GIVEN_NOTE = "The person has left the call. The caller is yours again: go on from what was said."
# Before anybody is there, this much makes sense.
_WITHOUT_CALLER = (SWITCH, ADD_MESSAGE, APPEND_CONTEXT, END_CALL, HANG_UP)
_OF_PERSONS = (TAKE_OVER, GIVE_BACK)


def needs_caller(kind: object) -> bool:
    """Whether it can only be asked of a call whose caller is there."""
    return kind not in _WITHOUT_CALLER


class Steering:
    """add_message(message, now, answered): puts a message into the history. hand_over(destination, now, said, trusted): has
    another assistant take the call. taken: a person speaks in the agent's place."""

    def __init__(
        self,
        leg_id: str,
        settings: AssistantSettings,
        floor: Floor,
        tools: ToolRound,
        add_message: Callable[[Any, float, bool], Commands],
        hand_over: Callable[[Asked, float, str, bool], Commands],
    ) -> None:
        self._leg_id = leg_id
        self._settings = settings
        self._floor = floor
        self._tools = tools
        self._add = add_message
        self._hand_over = hand_over
        self.taken = False
        self._acts: dict[str, Callable[[Asked, str, float], Commands | str]] = {
            SAY: self._say,
            ADD_MESSAGE: self._add_message,
            APPEND_CONTEXT: self._append_context,
            SWITCH: self._switch,
            END_CALL: self._end,
            HANG_UP: self._end,
            TRANSFER: self._transfer,
            HANDOFF: self._handoff,
            TAKE_OVER: self._take_over,
            GIVE_BACK: self._give_back,
        }

    def adopt(self, settings: AssistantSettings) -> None:
        """Another assistant has the call."""
        self._settings = settings

    def asked(self, message: Asked, source: str, now: float, *, connected: bool = True) -> Commands:
        """What follows. connected: the caller is there."""
        kind = message.get("type")
        act = self._acts.get(kind) if isinstance(kind, str) else None
        if act is None or not isinstance(kind, str):
            return self._refused(kind, source, "unknown_message")
        if kind in _OF_PERSONS and source == CLIENT:
            return self._refused(kind, source, "unknown_message")
        if not connected and needs_caller(kind):
            return self._refused(kind, source, "not_connected")
        answer = act(message, source, now)
        if isinstance(answer, str):
            return self._refused(kind, source, answer)
        if source == CLIENT:
            return answer
        return [do.RecordDecision("steering", kind, source, {"control": message.get("control")}), *answer]

    # --- inside ------------------------------------------------------------------------------------------------------

    def _say(self, message: Asked, source: str, now: float) -> Commands | str:
        text = message.get("content") or message.get("message")
        if not isinstance(text, str) or not text.strip():
            return "unknown_message"
        over = message.get("interruptAssistantEnabled") is True
        ends = message.get("endCallAfterSpoken") is True
        open_to_caller = not ends and message.get("interruptionsEnabled") is not False
        said = Message(text, ends_call=ends, interruptible=open_to_caller)
        return self._floor.say(said, now, interrupt=over)

    def _add_message(self, message: Asked, source: str, now: float) -> Commands | str:
        wanted = message.get("triggerResponseEnabled") is not False
        return self._add(message.get("message"), now, wanted)

    def _append_context(self, message: Asked, source: str, now: float) -> Commands | str:
        return self._add({"role": "system", "content": message.get("content")}, now, False)

    def _end(self, message: Asked, source: str, now: float) -> Commands | str:
        if source == CLIENT:
            return [do.EndCall("customer-ended-call", "asked by the caller's client")]
        return [do.EndCall("manually-canceled", "asked by a control")]

    def _switch(self, message: Asked, source: str, now: float) -> Commands | str:
        floor = self._floor
        match message.get("control"):
            case "mute-assistant":
                return "call_ending" if floor.leaving else floor.mute(now)
            case "unmute-assistant":
                # While a person speaks the agent stays muted: it gets the caller back with `give-back`.
                return "taken_over" if self.taken else floor.unmute(now)
            case "mute-customer":
                return floor.deafen(now)
            case "unmute-customer":
                return floor.undeafen(now)
            case "say-first-message":
                return self._first_message(now)
            case _:
                return "unknown_message"

    def _first_message(self, now: float) -> Commands | str:
        settings = self._settings
        if settings.first_message_mode is FirstMessageMode.MODEL_GENERATED:
            return self._floor.say(Message(asks=()), now)
        if not words_of(settings.first_message):
            return "no_first_message"
        open_to_caller = settings.first_message_interruptible
        return self._floor.say(Message(settings.first_message, interruptible=open_to_caller), now)

    def _transfer(self, message: Asked, source: str, now: float) -> Commands | str:
        destination = message.get("destination")
        if not isinstance(destination, Mapping):
            return "bad_destination"
        if self._floor.leaving or self._floor.acting:
            return "busy"
        content = message.get("content")
        before = content if isinstance(content, str) else None
        freed: Commands = []
        if self.taken:
            self.taken = False
            freed = [do.GiveBack(self._leg_id), *self._floor.unmute(now)]
        return freed + self._tools.transfer(destination, now, before=before)

    def _handoff(self, message: Asked, source: str, now: float) -> Commands | str:
        destination, content = message.get("destination"), message.get("content")
        if not isinstance(destination, Mapping):
            return "unknown_message" if source == CLIENT else "bad_destination"
        if self.taken:
            return "taken_over"
        # A client knows the call's own assistants; whoever has the controlUrl, all of the organisation.
        said = content if isinstance(content, str) else ""
        return self._hand_over(destination, now, said, source != CLIENT)

    def _take_over(self, message: Asked, source: str, now: float) -> Commands | str:
        if self.taken or source != LISTENER:
            return "taken_over" if self.taken else "no_audio"
        if self._floor.leaving or self._floor.acting or self._tools.stage is not Stage.IDLE:
            return "busy"
        self.taken = True
        told = self._add({"role": "system", "content": TAKEN_NOTE}, now, False)
        return [*self._floor.mute(now), do.TakeOver(self._leg_id), *told]

    def _give_back(self, message: Asked, source: str, now: float) -> Commands | str:
        if not self.taken:
            return "not_taken_over"
        self.taken = False
        content = message.get("content")
        note = (
            f"{GIVEN_NOTE} {content.strip()}" if isinstance(content, str) and content.strip() else GIVEN_NOTE
        )
        wanted = message.get("triggerResponseEnabled") is not False
        given = [do.GiveBack(self._leg_id), *self._floor.unmute(now)]
        return given + self._add({"role": "system", "content": note}, now, wanted)

    def _refused(self, kind: object, source: str, reason: str) -> Commands:
        cmds: Commands = []
        if kind == TAKE_OVER and not self.taken:
            # Whoever asked is told by this that nobody hears them.
            cmds.append(do.GiveBack(self._leg_id))
        if source == CLIENT:
            told = (
                f"unknown or incomplete type: {kind}" if reason == "unknown_message" else f"{kind}: {reason}"
            )
            return [do.TellClient("error", {"code": reason, "message": told})]
        named = kind[:64] if isinstance(kind, str) else ""
        return [*cmds, do.RecordDecision("steering", "refused", reason, {"type": named, "source": source})]
