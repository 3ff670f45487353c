"""One call's events, each to the machine whose business it is. Routes, keeps the call's clocks, decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.budget import Budget
from aywa.core.handoff import name_of
from aywa.core.history import History
from aywa.core.initiative import CALL_ENDING, SESSION_CREATED, UNHEARD, Due, Initiative
from aywa.core.lifecycle import LEG_REASONS, NEVER_CONNECTED, CallInput, CallState, Lifecycle
from aywa.core.server_messages import read_servers
from aywa.core.settings import ADD_MESSAGE, SAY, AssistantSettings, FirstMessageMode, read_settings
from aywa.core.silence import GapReason, SilenceWatch
from aywa.core.steering import CLIENT, Steering
from aywa.core.stock import EXCUSE, FAREWELL, NOBODY_THERE, REPROMPT, TIME_IS_UP, Stock
from aywa.core.tool_round import DURING_TRANSFER, Handover, Stage, ToolRound
from aywa.core.tools import Tool
from aywa.core.turns.caller import CallerState
from aywa.core.turns.floor import Floor, Message
from aywa.core.turns.keypad import MOST_KEYS, Keypad, entry_text
from aywa.core.turns.phrases import words_of

Commands = list[do.Command]

CLOSE_TIMEOUT_S = 3.0
# What the record counts, whoever is told.
_RECORDED = ("user-interrupted",)
# An end that the runtime brings about, and that the caller is owed a word about.
_OWED_A_WORD = "pipeline-error-"


# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_ENDED, _ENDING, _IN_PROGRESS, _QUEUED, _RINGING = (
    CallState.ENDED,
    CallState.ENDING,
    CallState.IN_PROGRESS,
    CallState.QUEUED,
    CallState.RINGING,
)
_SILENT = CallerState.SILENT
_AWAITING_ANSWER, _CALLER_HAS_FLOOR = GapReason.AWAITING_ANSWER, GapReason.CALLER_HAS_FLOOR
_MUTED, _TAKEN_OVER = GapReason.MUTED, GapReason.TAKEN_OVER
_TOOL_SILENCED = GapReason.TOOL_SILENCED
# While a transfer rings the caller hears music; while keys are pressed, those.
_ACTING = {
    Stage.TRANSFERRING: GapReason.HELD,
    Stage.GIVEN: GapReason.HELD,
    Stage.PRESSING: GapReason.PRESSING_KEYS,
}
# Whose going away is the caller's own doing, also in the middle of a transfer.
_HUNG_UP = ("closed", "lost")
# What comes of the caller: of one that is muted, nothing.
_OF_CALLER = (
    ev.VoiceStarted,
    ev.VoiceSuspected,
    ev.VoiceStopped,
    ev.VoiceFaded,
    ev.VoiceLevelMeasured,
    ev.TranscriptReceived,
    ev.DtmfReceived,
)


class Conversation:
    """`handle` takes an event, `wake` the time; both answer commands. `deadline` says when to wake it.

    leg_id: the caller's leg. join_timeout_s: how long a queued call waits for its party.
    """

    def __init__(self, leg_id: str = "caller", join_timeout_s: float = 15.0) -> None:
        self._leg_id = leg_id
        self._join_by_s: float = join_timeout_s
        self._close_by_s: float | None = None
        self._first_sound_s: float | None = None
        self._settings = AssistantSettings()
        self.lifecycle = Lifecycle()
        self.history = History()
        self._stock = Stock(())
        self._initiative = Initiative(self._settings)
        self._budget = Budget()
        self._leave_note = ""
        self._asked_over = 0
        self.silence = SilenceWatch()
        self._keypad = Keypad()
        self.floor = Floor(leg_id, self._settings, self.history, self._stock)
        self._tools = ToolRound(leg_id, self._settings, self.history, self.floor)
        self._steering = Steering(
            leg_id, self._settings, self.floor, self._tools, self._add_asked, self._hand_asked
        )
        # Of the call: as it began with them, and as answers have told since.
        self.variables: Mapping[str, Any] = {}
        self._wanted: frozenset[str] = frozenset()
        self.started_s: float | None = None
        self.ended_s: float | None = None

    @property
    def tools(self) -> Mapping[str, Tool]:
        """Those that the model is offered, by name."""
        return self._tools.tools

    def tool_of(self, run: int) -> Tool | None:
        """Which tool a run is of, until it is answered."""
        return self._tools.tool_of(run)

    def handle(self, event: ev.Event, now: float) -> Commands:
        """What follows from the event. While the call ends nothing begins; after its end nothing follows."""
        if self.lifecycle.state is _ENDED:
            return []
        cmds = self._route(event, now)
        self._budget.happened(event, now)
        return self._settle(cmds, now)

    def wake(self, now: float) -> Commands:
        """What follows from the time alone."""
        state = self.lifecycle.state
        if state is _QUEUED or state is _RINGING:
            return (
                self._gone(NEVER_CONNECTED, "nobody connected in time", now) if now >= self._join_by_s else []
            )
        if state is _ENDING:
            overdue = self._close_by_s is not None and now >= self._close_by_s
            return self._gone("", "the connection did not close", now) if overdue else []
        if state is _ENDED:
            return []
        cmds = self._timed_out(now)
        if not any(isinstance(c, do.EndCall) for c in cmds):
            cmds += self._perform(
                self._initiative.wake(now, self.floor.awaiting_since_s, self._first_sound_s), now
            )
            cmds += self._entered(self._keypad.wake(now), now)
            cmds += self._tools.wake(now)
            cmds += self.floor.wake(now)
            if self.silence.alarm(now):
                asking = self._tools.awaiting and self.floor.reply is None
                broken = self._tools.break_silence(now) if asking else self.floor.break_silence(now)
                cmds += [do.TellClient("hang"), *broken]
        return self._settle(cmds, now)

    @property
    def deadline(self) -> float | None:
        """The call's second at which it next wants to be woken; None once it has ended."""
        state = self.lifecycle.state
        if state is _QUEUED or state is _RINGING:
            return self._join_by_s
        if state is _ENDING:
            return self._close_by_s
        if state is _ENDED:
            return None
        dues = [self.floor.deadline, self.silence.deadline, self._keypad.deadline, self._tools.deadline]
        if self.floor.leaving:
            dues.append(self.floor.leave_by_s)
        else:
            dues += [self._idle_by_s(), self._silence_by_s(), self._max_by_s(), self._budget.due_s]
        return min((due for due in dues if due is not None), default=None)

    def _settle(self, cmds: Commands, now: float) -> Commands:
        """What is true after every change: hooks are told, an end is carried out, and silence has a reason."""
        happenings, self.floor.happenings[:] = self.floor.happenings[:], []
        if UNHEARD in happenings:
            self._initiative.caller_spoke()
        for on in happenings:
            cmds += self._perform(self._initiative.happened(on, now), now)
        cmds += self._act(now)
        cmds = self._intercept_end(self._keep_to_budget(cmds, now), now)
        if self.lifecycle.state is _IN_PROGRESS:
            cmds += self.silence.observe(now, sounding=self.floor.sounding, reason=self._gap_reason(now))
        return [c for c in cmds if c.__class__ is not do.TellClient or self._tells(c)]

    def _tells(self, told: do.TellClient) -> bool:
        final = told.body.get("transcriptType") == "final"
        return told.type in _RECORDED or self._settings.tells(told.type, final)

    def _act(self, now: float) -> Commands:
        """Tools that are due are run."""
        floor = self.floor
        calls, floor.calls = floor.calls, ()
        if self.lifecycle.over:
            return []
        if calls:
            cmds = self._tools.begin(calls, now, spoke=floor.spoke)
        else:
            early = floor.reply is not None and floor.reply.calls
            cmds = self._tools.ask_early(now) if early else []
        cmds += self._tools.settle(now)
        handover, self._tools.handover = self._tools.handover, None
        return cmds if handover is None else cmds + self._change_assistant(handover, now)

    # --- routing -------------------------------------------------------------------------------------------------

    def _route(self, event: ev.Event, now: float) -> Commands:
        match event:
            case ev.CallStarted():
                return self._configure(event)
            case ev.RingingStarted():
                return self._rang()
            case ev.LegConnected():
                return self._connected(event, now)
            case ev.LegEnded():
                return self._leg_ended(event, now) if event.leg_id == self._leg_id else []
            case ev.EndRequested():
                return self._end_requested(event, now)
            case _:
                pass
        told = self._route_playout(event, now)
        if told is not None:
            return told
        return [] if self.lifecycle.over else self._route_live(event, now)

    def _route_playout(self, event: ev.Event, now: float) -> Commands | None:
        """What left has left, also while the call ends."""
        floor = self.floor
        match event:
            case ev.PlayoutStarted():
                self._sounded(event.at_s)
                return floor.playout_started(event, now)
            case ev.PlayoutAdvanced():
                return floor.playout_advanced(event, now)
            case ev.PlayoutStarved():
                return floor.playout_starved(event, now)
            case ev.PlayoutPaused():
                return floor.playout_paused(event, now)
            case ev.PlayoutResumed():
                return floor.playout_resumed(event, now)
            case ev.PlayoutFinished() | ev.PlayoutDropped():
                return floor.playout_over(event, now)
            case _:
                return None

    def _route_live(self, event: ev.Event, now: float) -> Commands:
        floor = self.floor
        if floor.deaf and isinstance(event, _OF_CALLER):
            return []
        match event:
            case ev.VoiceStarted():
                self._sounded(event.at_s)
                return floor.voice_started(event, now)
            case ev.VoiceSuspected():
                return floor.voice_suspected(now)
            case ev.VoiceStopped():
                return floor.voice_stopped(event, now)
            case ev.VoiceFaded():
                return floor.voice_faded(event)
            case ev.VoiceLevelMeasured():
                return floor.voice_measured(event, now)
            case ev.TranscriptReceived():
                if event.text:
                    self._initiative.caller_spoke()
                return floor.transcript_received(event, now) + self._doubted(event, now)
            case ev.TurnScored():
                return floor.turn_scored(event, now)
            case ev.RulesMatched():
                return floor.rules_matched(event, now)
            case ev.EndpointingAnswered():
                return floor.endpointing_answered(event, now)
            case ev.ReplyTextReceived():
                return floor.text_received(event, now)
            case ev.ClauseSynthesized():
                return floor.clause_synthesized(event, now)
            case ev.PhrasePrepared():
                return floor.phrase_prepared(event)
            case ev.ToolCallsReceived():
                return floor.calls_received(event)
            case ev.ReplyCompleted():
                return floor.reply_completed(event, now)
            case ev.ReplyFailed():
                return floor.reply_failed(event, now)
            case ev.ClientMessageReceived():
                return self._client_message(event.message, now)
            case ev.ControlReceived():
                return self._steered(event, now)
            case ev.ChildFailed(child="stt", repeats=False):
                return floor.recogniser_broke()
            case ev.DtmfReceived():
                return self._pressed(event.digit, now)
            case ev.MediaWarned():
                return self._tools.warned(event, now)
            case ev.TransferChanged():
                return self._tools.transfer_changed(event, now)
            case ev.ToolReturned():
                self.variables = {**self.variables, **event.variables}
                return self._tools.returned(event, now)
            case ev.ToolsFound():
                self._tools.found(event)
                return []
            case ev.HandoffPrepared():
                return self._tools.handoff_prepared(event, now)
            case ev.HandoffRefused():
                return self._tools.handoff_refused(event, now)
            case _:
                # VoiceScored, QualityMeasured, ChildFailed: on record, nothing to decide.
                return []

    def _configure(self, event: ev.CallStarted) -> Commands:
        if self.lifecycle.state is not _QUEUED:
            return []
        self._wanted = read_servers(event.webhooks).wanted
        self._settings = read_settings(event.assistant, self._wanted)
        self.variables = event.variables
        self.history = History(self._settings.prompt, event.epoch_ms)
        if event.squad:
            self.history.speaker = _speaker(self._settings)
        self._initiative = Initiative(self._settings)
        self._budget = Budget(self._settings.max_dollars, event.assistant, event.prices)
        self._stock = Stock(self._phrases())
        self._keypad = Keypad(self._settings.keypad)
        self.floor = Floor(self._leg_id, self._settings, self.history, self._stock)
        self._tools = ToolRound(self._leg_id, self._settings, self.history, self.floor)
        self._steering = Steering(
            self._leg_id, self._settings, self.floor, self._tools, self._add_asked, self._hand_asked
        )
        return []

    # --- another assistant ---------------------------------------------------------------------------------------

    def hand_over(
        self, destination: Mapping[str, Any], now: float, *, said: str = "", trusted: bool = False
    ) -> Commands:
        """Somebody from outside wants another assistant to have the call (contract 15.1). said: what the caller is told before.
        trusted: who asks may name anybody of the organisation, and not only those whom the call knows."""
        refused = do.RecordDecision("handoff", "refused", "tools_are_run")
        if self.lifecycle.state is not _IN_PROGRESS or self.floor.leaving or not self._tools.free:
            return [refused]
        self._asked_over += 1
        whole = {"type": "assistant", **destination}
        command = do.StartHandoff(f"control-{self._asked_over}", whole, trusted=trusted)
        cmds = self.floor.say(Message(said), now) if said.strip() else []
        return cmds + self._tools.hand_over(command, now)

    def _change_assistant(self, handover: Handover, now: float) -> Commands:
        """The next assistant has the call from now on: its settings, its own view of the conversation, and its greeting."""
        event, before = handover.event, self._settings
        if event.webhooks:
            self._wanted = read_servers(event.webhooks).wanted
        settings = read_settings(event.assistant, self._wanted)
        self.variables = {**self.variables, **event.variables}
        # A call lasts as long as the most patient of its assistants lets it.
        longest_s = max(before.max_duration_s, settings.max_duration_s)
        self._settings = settings = replace(settings, max_duration_s=longest_s)
        if entry := self._keypad.finish():
            self.floor.caller.entered(entry_text(entry))
        self._keypad = Keypad(settings.keypad)
        self.history.hand_over(settings.prompt, handover.plan, event.call_id)
        self.history.speaker = _speaker(settings)
        self._initiative = Initiative(settings)
        self._initiative.passed(self._first_sound_s, now)
        self._budget.adopt(settings.max_dollars, event.assistant, event.prices, now)
        self._stock = Stock(self._phrases(), self._stock.after)
        self.floor.adopt(settings, self._stock)
        self._tools.adopt(settings, event.assistant)
        self._steering.adopt(settings)
        who = {"fromAssistant": _named(before), "toAssistant": _named(settings)}
        details = {"context": handover.plan.context.value, "variables": len(event.variables)}
        return [
            do.ChangeAssistant(event.call_id),
            do.RecordDecision("handoff", "taken_over", name_of(event.destination), {**who, **details}),
            do.TellClient("transfer-update", {"destination": dict(event.destination), **who}),
            do.TellClient("assistant.started", {"newAssistant": _named(settings)}),
            *self._greet_again(now),
            # After the greeting, which must not wait for them.
            *self._stock.prepare(),
        ]

    def _greet_again(self, now: float) -> Commands:
        greeting = self.floor.greet_again(now)
        return greeting + self.floor.acted(now)

    def _phrases(self) -> list[str]:
        """What may have to be said at once, the most pressing first."""
        settings = self._settings
        fillers = settings.fillers.texts if settings.fillers.enabled else ()
        own = [self._silence_text, settings.end_call_message or TIME_IS_UP]
        if settings.max_dollars is not None:
            own.append(self._budget_text)
        return [*fillers, EXCUSE, REPROMPT, FAREWELL, *own, *self._initiative.texts]

    @property
    def _silence_text(self) -> str:
        return self._settings.silence_timeout_message or self._settings.end_call_message or NOBODY_THERE

    @property
    def _budget_text(self) -> str:
        # What the call costs is not the caller's business: to them, its time is up.
        return self._settings.budget_message or self._settings.end_call_message or TIME_IS_UP

    def _rang(self) -> Commands:
        if self.lifecycle.state is not _QUEUED:
            # Told twice, or later than the answer.
            return []
        self.lifecycle.apply(CallInput.RANG)
        return [do.TellClient("status-update", {"status": CallState.RINGING.value})]

    def _connected(self, event: ev.LegConnected, now: float) -> Commands:
        if not self.lifecycle.waiting:
            return []
        self.floor.rate_hz = event.rate_hz
        self.lifecycle.apply(CallInput.CONNECTED)
        self.started_s = now
        self.floor.connected(now)
        settings = self._settings
        cmds: Commands = [
            do.TellClient("status-update", {"status": "in-progress"}),
            do.TellClient("assistant.started", {"newAssistant": _named(settings)}),
        ]
        if settings.parting:
            cmds += self.floor.take_leave(settings.first_message, settings.parting, now)
        elif self.floor.muted:
            # Somebody wants to begin the call in another way.
            pass
        elif settings.first_message_mode is FirstMessageMode.MODEL_GENERATED:
            cmds += self.floor.open_by_model(now)
        elif settings.first_message_mode is FirstMessageMode.ASSISTANT_SPEAKS_FIRST and words_of(
            settings.first_message
        ):
            cmds += self.floor.open_with(settings.first_message, now)
        # After the greeting, which must not wait for them.
        cmds += self._stock.prepare()
        return cmds + self._perform(self._initiative.happened(SESSION_CREATED, now), now)

    def _doubted(self, event: ev.TranscriptReceived, now: float) -> Commands:
        """What hooks have to say to words that the recogniser is not sure of."""
        if not event.is_final or event.confidence is None:
            return []
        return self._perform(self._initiative.understood(event.confidence, now), now)

    def _pressed(self, keys: str, now: float) -> Commands:
        """Keys of an entry; while the assistant takes none they are on record, and that is all."""
        cmds: Commands = []
        for key in keys[:MOST_KEYS]:
            if self._keypad.takes(key):
                self._initiative.caller_spoke()
                self._sounded(now)
                cmds += self.floor.key_pressed(now)
                cmds += self._entered(self._keypad.press(key, now), now)
        return cmds

    def _entered(self, entry: str | None, now: float) -> Commands:
        return self.floor.entered(entry_text(entry), now) if entry else []

    def _client_message(self, message: Mapping[str, Any], now: float) -> Commands:
        """Contract 15.1; what is not known is told so, and changes nothing."""
        if message.get("type") == "dtmf" and isinstance(
            keys := message.get("digits") or message.get("digit"), str
        ):
            # Ours: a client without a telephone's keypad presses keys like this.
            return self._pressed(keys, now)
        return self._steering.asked(message, CLIENT, now)

    def _steered(self, event: ev.ControlReceived, now: float) -> Commands:
        there = not self.lifecycle.waiting
        return self._steering.asked(event.message, event.source, now, connected=there)

    def _hand_asked(self, destination: Mapping[str, Any], now: float, said: str, trusted: bool) -> Commands:
        return self.hand_over(destination, now, said=said, trusted=trusted)

    def _add_asked(self, message: Any, now: float, answer: bool) -> Commands:
        # Before anybody is there nobody is to be answered.
        return self._add_message(message, now, answer=answer and self.lifecycle.state is _IN_PROGRESS)

    def _add_message(self, message: Any, now: float, *, answer: bool) -> Commands:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            return [
                do.TellClient("error", {"code": "bad_message", "message": "message.content must be a string"})
            ]
        role = message.get("role")
        role = role if role in ("user", "assistant", "system") else "system"
        cmds: Commands = [do.RecordMessage(self.history.note(role, message["content"], now))]
        return cmds + self.floor.answer_note(now) if answer else cmds

    def _perform(self, due: list[Due], now: float, *, ending: bool = False) -> Commands:
        """What hooks and prompts ask for."""
        cmds: Commands = []
        for each in due:
            action, details = each.action, {"hook": each.hook, "count": each.count + 1}
            cmds.append(do.RecordDecision("initiative", action.kind, each.hook, details))
            if action.kind == SAY:
                asks = None if action.texts else action.prompt
                cmds += self.floor.say(Message(each.text, asks=asks, prompt=True), now)
            elif action.kind == ADD_MESSAGE:
                added = {"role": action.role, "content": action.content}
                cmds += self._add_message(
                    added, now, answer=action.trigger_response and not self.lifecycle.over
                )
            else:
                cmds += self._tools.run_hook(action.tool or {}, now, ending=ending)
        return cmds

    def _gap_reason(self, now: float) -> GapReason | None:
        """Why the caller hears nothing, if there is a reason that the product stands by."""
        acting = _ACTING.get(self._tools.stage)
        if acting is not None:
            return acting
        if self._steering.taken or self.floor.muted or self.floor.deaf:
            return _TAKEN_OVER if self._steering.taken else _MUTED
        if self._tools.silenced:
            return _TOOL_SILENCED
        if self.floor.caller_has_floor:
            return _CALLER_HAS_FLOOR
        by_s = min((s for s in (self._idle_by_s(), self._silence_by_s()) if s is not None), default=None)
        awaited = self.floor.awaiting_since_s is not None and by_s is not None and now <= by_s
        return _AWAITING_ANSWER if awaited else None

    # --- the end -------------------------------------------------------------------------------------------------

    def _keep_to_budget(self, cmds: Commands, now: float) -> Commands:
        """A call that has cost all that it may is brought to an end, with a word about it."""
        self._budget.commanded(cmds)
        ends = self.floor.leaving or any(isinstance(c, do.EndCall) for c in cmds)
        if ends or self.lifecycle.state is not _IN_PROGRESS:
            return cmds
        spent = self._budget.spent(now)
        if spent is None:
            return cmds
        limit = self._budget.limit
        self._leave_note = (
            f"the call's budget is spent: {spent:.4f} of {limit:g} dollars (costPlan.maxDollars)"
        )
        details = {"dollars": round(spent, 6), "limit": limit}
        said = do.RecordDecision("budget", "budget_spent", "max_dollars", details)
        # Of the published reasons the nearest: the call has reached a limit that was set for it.
        last = self.floor.take_leave(self._budget_text, "exceeded-max-duration", now)
        self._budget.commanded(last)
        return [*cmds, said, *last]

    def _intercept_end(self, cmds: Commands, now: float) -> Commands:
        """A wish to end becomes the steps of ending: be silent, tell, hang up."""
        if self.lifecycle.state is _ENDED:
            return cmds
        wish = next((c for c in cmds if isinstance(c, do.EndCall)), None)
        if wish is None:
            return cmds
        rest: Commands = [c for c in cmds if not isinstance(c, do.EndCall)]
        if self.lifecycle.over:
            return rest
        if self.lifecycle.waiting:
            return rest + self._gone(wish.reason, wish.message, now)
        note = self._leave_note if wish.reason == self.floor.leave_reason else ""
        message = "; ".join(filter(None, (note, wish.message)))
        self.lifecycle.apply(CallInput.END_ASKED, wish.reason, message)
        self._close_by_s = now + CLOSE_TIMEOUT_S
        return [
            *rest,
            *self._ending(wish.reason, now),
            *self.floor.fall_silent("call_ending"),
            _ended(wish.reason),
            do.HangUp(self._leg_id, wish.reason),
        ]

    def _ending(self, reason: str, now: float) -> Commands:
        """The last entries: what hooks of the end add, and the silence that goes on."""
        hooked = [d for d in self._initiative.happened(CALL_ENDING, now, reason) if d.action.kind != SAY]
        return self._perform(hooked, now, ending=True) + self.silence.end(now)

    def _end_requested(self, event: ev.EndRequested, now: float) -> Commands:
        live = self.lifecycle.state is _IN_PROGRESS
        if live and event.reason.startswith(_OWED_A_WORD):
            return self.floor.take_leave(FAREWELL, event.reason, now)
        return [do.EndCall(event.reason, event.detail)]

    def _leg_ended(self, event: ev.LegEnded, now: float) -> Commands:
        cause = f"{event.cause}: {event.detail}" if event.detail else event.cause
        reason = LEG_REASONS.get(event.cause, "customer-ended-call")
        if self._tools.stage is Stage.TRANSFERRING and event.cause in _HUNG_UP:
            reason = DURING_TRANSFER
        return self._gone(reason, cause, now)

    def _gone(self, reason: str, message: str, now: float) -> Commands:
        live = self.lifecycle.state is _IN_PROGRESS
        if entry := self._keypad.finish():
            # It was pressed all the same.
            self.floor.caller.entered(entry_text(entry))
        cmds = self.floor.fall_silent("call_ended") + self.floor.settle(now)
        if live:
            cmds += self._ending(reason, now)
        if not self.lifecycle.over:
            cmds.append(_ended(reason))
        self.lifecycle.apply(CallInput.GONE, reason, message)
        self.ended_s = now
        return [*cmds, do.EndCall(self.lifecycle.reason or reason, self.lifecycle.message)]

    # --- the clocks ----------------------------------------------------------------------------------------------

    def _timed_out(self, now: float) -> Commands:
        if self.floor.leaving:
            by_s = self.floor.leave_by_s
            late = now >= by_s
            reason = self.floor.leave_reason
            return [do.EndCall(reason, "the last message was not spoken in time")] if late else []
        max_by_s = self._max_by_s()
        if max_by_s is not None and now >= max_by_s:
            text = self._settings.end_call_message or TIME_IS_UP
            return self.floor.take_leave(text, "exceeded-max-duration", now)
        silence_by_s = self._silence_by_s()
        if silence_by_s is not None and now >= silence_by_s:
            # Whoever answers this is there after all.
            last = Message(self._silence_text, ends_call=True, end_reason="silence-timed-out", prompt=True)
            return self.floor.say(last, now)
        return []

    def _idle_by_s(self) -> float | None:
        return self._initiative.deadline(self.floor.awaiting_since_s, self._first_sound_s)

    def _max_by_s(self) -> float | None:
        # The timer starts at the first audio, not at dial (contract 4.1).
        return None if self._first_sound_s is None else self._first_sound_s + self._settings.max_duration_s

    def _silence_by_s(self) -> float | None:
        floor = self.floor
        busy = floor.caller.state is not _SILENT or floor.reply is not None or floor.queued or floor.acting
        busy = busy or floor.muted or floor.deaf
        return None if busy else floor.last_sound_s + self._settings.silence_timeout_s

    def _sounded(self, at_s: float) -> None:
        if self._first_sound_s is None:
            self._first_sound_s = at_s


def _named(settings: AssistantSettings) -> dict[str, str]:
    return {"id": settings.assistant_id, "name": settings.name}


def _speaker(settings: AssistantSettings) -> dict[str, str]:
    """Whom a message of the history names as its speaker (contract 6.4)."""
    named = {"assistantName": settings.name, "assistantId": settings.assistant_id}
    return {name: value for name, value in named.items() if value}


def _ended(reason: str) -> do.TellClient:
    return do.TellClient("status-update", {"status": "ended", "endedReason": reason})
