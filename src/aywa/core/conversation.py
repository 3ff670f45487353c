"""One call's events, each to the machine whose business it is. Routes, keeps the call's clocks, decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.lifecycle import LEG_REASONS, NEVER_CONNECTED, CallInput, CallState, Lifecycle
from aywa.core.settings import AssistantSettings, FirstMessageMode, read_settings
from aywa.core.turns.caller import CallerState
from aywa.core.turns.floor import Floor

Commands = list[do.Command]

CLOSE_TIMEOUT_S = 3.0


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
        self.floor = Floor(leg_id, self._settings, self.history)
        self.started_s: float | None = None
        self.ended_s: float | None = None

    def handle(self, event: ev.Event, now: float) -> Commands:
        """What follows from the event. While the call ends nothing begins; after its end nothing follows."""
        if self.lifecycle.state is CallState.ENDED:
            return []
        cmds = self._route(event, now)
        return self._intercept_end(cmds, now)

    def wake(self, now: float) -> Commands:
        """What follows from the time alone."""
        state = self.lifecycle.state
        if state is CallState.QUEUED:
            return (
                self._gone(NEVER_CONNECTED, "nobody connected in time", now) if now >= self._join_by_s else []
            )
        if state is CallState.ENDING:
            overdue = self._close_by_s is not None and now >= self._close_by_s
            return self._gone("", "the connection did not close", now) if overdue else []
        if state is CallState.ENDED:
            return []
        if (timed_out := self._timed_out(now)) is not None:
            return self._intercept_end([timed_out], now)
        return self._intercept_end(self.floor.wake(now), now)

    @property
    def deadline(self) -> float | None:
        """The call's second at which it next wants to be woken; None once it has ended."""
        state = self.lifecycle.state
        if state is CallState.QUEUED:
            return self._join_by_s
        if state is CallState.ENDING:
            return self._close_by_s
        if state is CallState.ENDED:
            return None
        dues = [self.floor.deadline, self._silence_by_s(), self._max_by_s()]
        return min((due for due in dues if due is not None), default=None)

    # --- routing -------------------------------------------------------------------------------------------------

    def _route(self, event: ev.Event, now: float) -> Commands:
        match event:
            case ev.CallStarted():
                return self._configure(event)
            case ev.LegConnected():
                return self._connected(event, now)
            case ev.LegEnded():
                return self._leg_ended(event, now)
            case ev.EndRequested():
                return [do.EndCall(event.reason, event.detail)]
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
        match event:
            case ev.VoiceStarted():
                self._sounded(event.at_s)
                return floor.voice_started(event, now)
            case ev.VoiceStopped():
                return floor.voice_stopped(event, now)
            case ev.VoiceLevelMeasured():
                return floor.voice_measured(event, now)
            case ev.TranscriptReceived():
                return floor.transcript_received(event, now)
            case ev.TurnScored():
                return floor.turn_scored(event, now)
            case ev.ReplyTextReceived():
                return floor.text_received(event, now)
            case ev.ClauseSynthesized():
                return floor.clause_synthesized(event, now)
            case ev.ReplyCompleted():
                return floor.reply_completed(event, now)
            case ev.ReplyFailed():
                return floor.reply_failed(event, now)
            case ev.ClientMessageReceived():
                return self._client_message(event.message, now)
            case _:
                # PlayoutStarved, VoiceScored, MediaWarned, ChildFailed, DtmfReceived: on record, nothing to decide.
                return []

    def _configure(self, event: ev.CallStarted) -> Commands:
        if self.lifecycle.state is not CallState.QUEUED:
            return []
        self._settings = read_settings(event.assistant)
        self.history = History(self._settings.prompt, event.epoch_ms)
        self.floor = Floor(self._leg_id, self._settings, self.history)
        return []

    def _connected(self, event: ev.LegConnected, now: float) -> Commands:
        if self.lifecycle.state is not CallState.QUEUED:
            return []
        self.floor.rate_hz = event.rate_hz
        self.lifecycle.apply(CallInput.CONNECTED)
        self.started_s = now
        self.floor.last_sound_s = now
        settings = self._settings
        cmds: Commands = [
            do.TellClient("status-update", {"status": "in-progress"}),
            do.TellClient(
                "assistant.started", {"newAssistant": {"id": settings.assistant_id, "name": settings.name}}
            ),
        ]
        if settings.first_message_mode is FirstMessageMode.MODEL_GENERATED:
            return cmds + self.floor.open_by_model(now)
        if settings.first_message_mode is FirstMessageMode.ASSISTANT_SPEAKS_FIRST and settings.first_message:
            return cmds + self.floor.open_with(settings.first_message, now)
        return cmds

    def _client_message(self, message: Mapping[str, Any], now: float) -> Commands:
        """Contract 15.1; what is not known is told so, and changes nothing."""
        kind = message.get("type")
        if kind in ("end-call", "hangup"):
            return [do.EndCall("customer-ended-call", "asked by the caller's client")]
        if kind == "say":
            text = message.get("content") or message.get("message")
            if isinstance(text, str) and text.strip():
                ends = message.get("endCallAfterSpoken") is True
                over = message.get("interruptAssistantEnabled") is True
                return self.floor.say(text, now, ends_call=ends, interrupt=over)
        if kind == "add-message":
            return self._add_message(message.get("message"), now)
        return [
            do.TellClient(
                "error", {"code": "unknown_message", "message": f"unknown or incomplete type: {kind}"}
            )
        ]

    def _add_message(self, message: Any, now: float) -> Commands:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            return [
                do.TellClient("error", {"code": "bad_message", "message": "message.content must be a string"})
            ]
        role = message.get("role")
        role = role if role in ("user", "assistant", "system") else "system"
        return [do.RecordMessage(self.history.note(role, message["content"], now))]

    # --- the end -------------------------------------------------------------------------------------------------

    def _intercept_end(self, cmds: Commands, now: float) -> Commands:
        """A wish to end becomes the steps of ending: be silent, tell, hang up."""
        if self.lifecycle.state is CallState.ENDED:
            return cmds
        wish = next((c for c in cmds if isinstance(c, do.EndCall)), None)
        if wish is None:
            return cmds
        rest: Commands = [c for c in cmds if not isinstance(c, do.EndCall)]
        if self.lifecycle.over:
            return rest
        if self.lifecycle.state is CallState.QUEUED:
            return rest + self._gone(wish.reason, wish.message, now)
        self.lifecycle.apply(CallInput.END_ASKED, wish.reason, wish.message)
        self._close_by_s = now + CLOSE_TIMEOUT_S
        return [
            *rest,
            *self.floor.fall_silent("call_ending"),
            _ended(wish.reason),
            do.HangUp(self._leg_id, wish.reason),
        ]

    def _leg_ended(self, event: ev.LegEnded, now: float) -> Commands:
        cause = f"{event.cause}: {event.detail}" if event.detail else event.cause
        return self._gone(LEG_REASONS.get(event.cause, "customer-ended-call"), cause, now)

    def _gone(self, reason: str, message: str, now: float) -> Commands:
        cmds = self.floor.fall_silent("call_ended") + self.floor.settle(now)
        if not self.lifecycle.over:
            cmds.append(_ended(reason))
        self.lifecycle.apply(CallInput.GONE, reason, message)
        self.ended_s = now
        return [*cmds, do.EndCall(self.lifecycle.reason or reason, self.lifecycle.message)]

    # --- the clocks ----------------------------------------------------------------------------------------------

    def _timed_out(self, now: float) -> do.EndCall | None:
        max_by_s = self._max_by_s()
        if max_by_s is not None and now >= max_by_s:
            return do.EndCall("exceeded-max-duration")
        silence_by_s = self._silence_by_s()
        if silence_by_s is not None and now >= silence_by_s:
            return do.EndCall("silence-timed-out")
        return None

    def _max_by_s(self) -> float | None:
        # The timer starts at the first audio, not at dial (contract 4.1).
        return None if self._first_sound_s is None else self._first_sound_s + self._settings.max_duration_s

    def _silence_by_s(self) -> float | None:
        floor = self.floor
        busy = floor.caller.state is CallerState.SPEAKING or floor.reply is not None
        return None if busy else floor.last_sound_s + self._settings.silence_timeout_s

    def _sounded(self, at_s: float) -> None:
        if self._first_sound_s is None:
            self._first_sound_s = at_s


def _ended(reason: str) -> do.TellClient:
    return do.TellClient("status-update", {"status": "ended", "endedReason": reason})
