"""Who holds the floor: joins the caller's turn, the reply being made or played, and a contest between the two.

Until the first frame of a reply has left, every decision is reversible: a caller who goes on adds to the turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aywa.core import commands as do
from aywa.core import ended_reasons
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.initiative import INTERRUPTED, SLOW_MODEL, TALKED_OVER, UNHEARD
from aywa.core.latency import turn_parts
from aywa.core.reply import Marks, Purpose, Reply
from aywa.core.settings import AssistantSettings, FirstMessageMode
from aywa.core.stock import EXCUSE, FAREWELL, NOBODY_THERE, REPROMPT, Stock
from aywa.core.turns.barge_in import BargeIn, Ruling, Verdict, gate_db
from aywa.core.turns.caller import Ask, CallerState, CallerTurn
from aywa.core.turns.endpointing import UNFINISHED, Wait
from aywa.core.turns.loudness import Loudness
from aywa.core.turns.phrases import contains_phrase, normalise, words_of

Commands = list[do.Command]

MAX_FAILURES = 3
# So many turns in a row of which nothing was understood are asked about; one more, and the call ends.
MAX_REPROMPTS = 4
MAX_QUEUED = 16
# How long the last words may take to begin, and to go on: they may be long.
LEAVE_TIMEOUT_S = 12.0
# How often a turn that was taken is given back because the recogniser still changed its words.
MAX_REVISIONS = 2
# How long a voice that one window suspects has to be confirmed before the agent begins to speak: two more windows.
SUSPICION_S = 0.075
# A turn without words is asked about again if it had so much voice: when the recogniser did not answer, and when it
# answered that there was nothing.
UNREAD_VOICE_S = 0.5
WORDLESS_VOICE_S = 1.2
# One that was shorter, and not as short as a click, is asked about when the caller says no more.
MURMUR_S = 0.4
REPROMPT_AFTER_S = 2.6
# So many turns in a row that the recogniser did not answer for, and there is no recogniser.
MAX_UNREAD = 3
DEAF = ended_reasons.of_failure(ended_reasons.STT)
AFTER_MESSAGE = "assistant-ended-call-after-message-spoken"
# A filler comes no sooner than this after the turn was taken: the reply may be on its way.
FILLER_GRACE_S = 0.3


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be said that no turn of the caller asked for. asks: no fixed text, but what the model makes of the
    conversation and these messages. prompt: it only asks a caller who says nothing. moot_from: the caller's turn says it too,
    if its answer is this reply or a later one."""

    text: str = ""
    asks: tuple[Mapping[str, object], ...] | None = None
    ends_call: bool = False
    end_reason: str = AFTER_MESSAGE
    interruptible: bool = True
    prompt: bool = False
    moot_from: int | None = None


# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_PAUSED, _SILENT, _SPEAKING = CallerState.PAUSED, CallerState.SILENT, CallerState.SPEAKING
_ANSWER, _GREETING, _MESSAGE = Purpose.ANSWER, Purpose.GREETING, Purpose.MESSAGE


class Floor:
    """The floor of one caller's leg. Every method answers the commands that follow; none of them waits.

    happenings: what hooks may be waiting for, until somebody takes it. calls: of tools that are due to be run, until somebody
    takes them; spoke: after words that were heard. leaving: the last message is being said, until
    leave_by_s at the latest, and the call ends for leave_reason."""

    def __init__(self, leg_id: str, settings: AssistantSettings, history: History, stock: Stock) -> None:
        self.leg_id = leg_id
        self._settings = settings
        self._history = history
        self._stock = stock
        self._reply_ids = 0
        self._attempts = 0
        self._spent_tokens = 0
        self._revisions = 0
        self._misses = 0
        self._unread = 0
        self._reprompt_due_s: float | None = None
        self._taken: Wait | None = None
        self._taken_s = 0.0
        self._not_before_s = 0.0
        self._hold_until_s = 0.0
        self._given_s = 0.0
        self._holder = "none"
        self._contest: BargeIn | None = None
        self._loudness = Loudness()
        self._yielded = False
        self._closing = False
        self._quiet_since_s = 0.0
        self._heard_until_s = 0.0
        self.caller = CallerTurn(settings.start)
        self.reply: Reply | None = None
        self.queued: list[Message] = []
        self.happenings: list[str] = []
        self.last_sound_s = 0.0
        self.failures = 0
        self.leaving = False
        self.leave_reason = ""
        self.leave_by_s = 0.0
        self.rate_hz = 8000
        # Tools are run, or about to be: nobody takes a turn. Whoever runs them takes the calls.
        self.acting = False
        self.calls: tuple[ev.ToolCall, ...] = ()
        self.spoke = False
        # The agent says nothing until it is told otherwise; and nothing of the caller is heard until then.
        self.muted = False
        self.deaf = False

    # --- what others go by ---------------------------------------------------------------------------------------

    @property
    def sounding(self) -> bool:
        """The caller hears the agent now."""
        return self.reply is not None and self.reply.sounding

    @property
    def caller_has_floor(self) -> bool:
        """The caller speaks or presses keys, or pauses in a turn that is theirs to go on with, or what they say is being
        judged."""
        if self._contest is not None or self.caller.state is _SPEAKING or self.caller.keying:
            return True
        # While a message is being made, or the last one said, no turn is taken: the silence is not the caller's.
        return self.caller.state is _PAUSED and self._may_take(self.reply)

    @property
    def awaiting_since_s(self) -> float | None:
        """Since when the agent has said all it has to say and the caller says nothing; None while that is not so."""
        busy = self.reply is not None or self._taken is not None or bool(self.queued) or self.acting
        busy = busy or self.muted or self.deaf
        return None if busy or self.caller.state is not _SILENT else self._quiet_since_s

    @property
    def stands(self) -> bool:
        """The reply is whole, has begun to be heard, and nobody contests it: what it wants done may be begun."""
        reply = self.reply
        if reply is None or not (reply.completed and reply.playing) or reply.failed or self.leaving:
            return False
        return not reply.dropping and reply.paused_at is None and self._contest is None

    @property
    def heard_until_s(self) -> float:
        """When there was last anything to be heard, of either side."""
        return max(self._heard_until_s, self.caller.last_voice_s)

    @property
    def spoken_to(self) -> bool:
        """The caller says something now."""
        return self.caller.state is _SPEAKING or self.caller.keying

    def adopt(self, settings: AssistantSettings, stock: Stock) -> None:
        """Another assistant speaks from now on. The caller's turn, and what waits to be said, stay."""
        self._settings, self._stock = settings, stock
        self.caller.adopt(settings.start)

    def greet_again(self, now: float) -> Commands:
        """The greeting of an assistant who takes the call over, unless a turn of the caller's is answered first. Without one the
        model goes on."""
        settings = self._settings
        if settings.first_message_mode is FirstMessageMode.ASSISTANT_WAITS:
            return []
        text = settings.first_message
        if settings.first_message_mode is FirstMessageMode.MODEL_GENERATED or not words_of(text):
            return self.answer_note(now)
        open_to_caller = settings.first_message_interruptible
        greeting = Message(text, interruptible=open_to_caller, moot_from=self._reply_ids + 1)
        return self.say(greeting, now)

    def connected(self, now: float) -> None:
        """The caller can hear and be heard from now on."""
        self.last_sound_s = self._quiet_since_s = self._heard_until_s = now

    # --- the agent's own initiative ------------------------------------------------------------------------------

    def open_with(self, text: str, now: float) -> Commands:
        """The greeting, word for word."""
        reply = self._new_reply(_GREETING, now, released=True)
        reply.interruptible = self._settings.first_message_interruptible
        return [do.SayText(reply.reply_id, text)]

    def open_by_model(self, now: float) -> Commands:
        """The greeting, as the model makes it."""
        reply = self._new_reply(_GREETING, now, released=True)
        reply.interruptible = self._settings.first_message_interruptible
        return [do.StartReply(reply.reply_id, reply.turn_id, self._history.chat())]

    def say(self, message: Message, now: float, *, interrupt: bool = False) -> Commands:
        """A message from outside or of the runtime's own: now, or when the floor is free. Too many are refused."""
        ending = self.leaving or self._closing
        if ending or self.muted or len(self.queued) >= MAX_QUEUED:
            reason = "call_ending" if ending else "muted" if self.muted else "too_many"
            return [self._decided("message_refused", reason, {"queued": len(self.queued)})]
        if message.asks is None and not words_of(message.text) and (self._free or not message.ends_call):
            # It takes nobody's place: a reply in the making is still to be heard.
            skipped = self._decided("message_skipped", "no_words", {})
            return [skipped, do.EndCall(message.end_reason)] if message.ends_call else [skipped]
        cmds = self._give_up("message") if interrupt else []
        if not self._free:
            self.queued.append(message)
            return cmds
        return cmds + self._say_now(message, now)

    def answer_note(self, now: float) -> Commands:
        """A message was put into the history that wants an answer: one of its own, unless the caller's turn has one that
        is begun with the message in mind."""
        return self.say(Message(asks=(), moot_from=self._reply_ids + 1), now)

    def take_leave(self, text: str, reason: str, now: float) -> Commands:
        """The call is to end, and the caller is told: nothing else is said any more. reason: a published endedReason."""
        if self.leaving:
            return []
        self._leave(reason, now)
        self.queued.clear()
        # The last words are heard whoever wanted silence.
        self.muted = False
        cmds = self._give_up(reason)
        message = Message(text, ends_call=True, end_reason=reason, interruptible=False)
        if self.reply is not None:
            self.queued.append(message)
            return cmds
        return cmds + self._say_now(message, now)

    def announce(self, text: str, now: float) -> Commands:
        """Says what is said before a tool is run; nothing stops it."""
        return [] if self.muted else self._say_now(Message(text, interruptible=False), now)

    def act_for(self, reason: str) -> Commands:
        """Somebody outside has a tool run: what the agent is saying ends, and nobody takes a turn meanwhile."""
        self.acting = True
        return self._give_up(reason)

    def acted(self, now: float, *, answer: bool = False) -> Commands:
        """The tools have been run. answer: the model is to say something to it."""
        self.acting = False
        self._quiet_since_s = max(self._quiet_since_s, now)
        cmds = self.answer_note(now) if answer else []
        return cmds if self.reply is not None else cmds + self._go_on_without_reply(now)

    def _leave(self, reason: str, now: float) -> None:
        self.leaving = True
        self.leave_reason, self.leave_by_s = reason, now + LEAVE_TIMEOUT_S

    # --- from outside --------------------------------------------------------------------------------------------

    def mute(self, now: float) -> Commands:
        """The agent is silent until `unmute`: it says nothing, answers nothing, and keeps what the caller says in mind."""
        if self.muted:
            return []
        self.muted = True
        self.queued.clear()
        self._reprompt_due_s = None
        cmds = self._give_up("muted")
        return cmds if self.reply is not None else cmds + self._go_on_without_reply(now)

    def unmute(self, now: float) -> Commands:
        """The agent may speak again: from now on an answer is awaited."""
        self.muted = False
        self._wait_anew(now)
        return self.wake(now)

    def deafen(self, now: float) -> Commands:
        """Nothing of the caller is heard until `undeafen`; what was said before is answered."""
        if self.deaf:
            return []
        cmds = self.voice_stopped(ev.VoiceStopped(self.leg_id, now), now)
        self.deaf = True
        return cmds + (self._arm(self.reply) if self.reply is not None and self.reply.ledger.samples else [])

    def undeafen(self, now: float) -> Commands:
        """The caller is heard again, from here on."""
        if not self.deaf:
            return []
        self.deaf = False
        self._wait_anew(now)
        # What was recognised meanwhile is nobody's turn.
        return [do.CommitTranscript(self.leg_id), *self.wake(now)]

    def _wait_anew(self, now: float) -> None:
        self._quiet_since_s = max(self._quiet_since_s, now)
        self.last_sound_s = max(self.last_sound_s, now)

    def break_silence(self, now: float) -> Commands:
        """The time without a reason runs out: whatever went wrong, the caller hears something."""
        reply = self.reply
        if reply is None:
            fillers = self._settings.fillers
            # While something is done for the caller, there was nothing to catch.
            waits = self.acting and fillers.enabled and bool(fillers.texts)
            return self._say_now(Message(fillers.texts[0] if waits else REPROMPT), now)
        if reply.paused_at is not None and self._contest is None:
            return [do.ResumePlayout(self.leg_id, reply.paused_at)]
        on_its_way = bool(reply.ledger.samples) and not reply.playing
        return [] if on_its_way else self._fill(reply, now)

    def fall_silent(self, reason: str) -> Commands:
        """The call ends: nothing more is said, asked or begun."""
        self._closing = True
        self.queued.clear()
        return self._give_up(reason)

    def settle(self, now: float) -> Commands:
        """The leg is gone: what was heard until the last word from the media plane is what was heard."""
        reply, self.reply = self.reply, None
        cmds: Commands = []
        if reply is not None and reply.playing:
            cmds += self._commit_reply(reply, reply.advanced_to, now, cut=True)
        # Nobody answers it any more, and it was said all the same.
        return cmds + self._said()

    def _said(self) -> Commands:
        """The caller's turn becomes history: what was spoken, and what was entered on the keypad."""
        caller = self.caller
        start_s = caller.last_voice_s if caller.started_s is None else caller.started_s
        end_s = max(start_s, caller.last_voice_s)
        return [do.RecordMessage(self._history.user_said(part, start_s, end_s)) for part in caller.parts]

    # --- the caller ----------------------------------------------------------------------------------------------

    def voice_started(self, event: ev.VoiceStarted, now: float) -> Commands:
        """The caller's voice was found."""
        self._hold_until_s = 0.0
        self._reprompt_due_s = None
        self.caller.voice_started(event.at_s)
        self._loudness.voice_started(event.at_s)
        cmds: Commands = [
            do.TellClient("speech-update", {"status": "started", "role": "user", "turn": self._turn})
        ]
        reply = self.reply
        if reply is not None and reply.playing and reply.interruptible and not reply.dropping:
            if self._contest is None:
                usual_db = self._loudness.usual_db
                self._contest = BargeIn(self._settings.stop, event.at_s, self.caller.text, usual_db)
            else:
                self._contest.voice_started(event.at_s)
        elif (
            reply is not None
            and reply.purpose is _ANSWER
            and self._taken is not None
            and not reply.ledger.samples
        ):
            cmds += self._take_back(reply, "caller_resumed")
        return cmds + self._hold("caller")

    def voice_stopped(self, event: ev.VoiceStopped, now: float) -> Commands:
        """The caller's voice ended a moment ago."""
        hummed = self.caller.hums
        self.caller.voice_stopped(event.at_s)
        self._loudness.voice_stopped(event.at_s, event.level_db)
        if self._contest is not None:
            self._contest.voice_measured(event.level_db)
            self._contest.voice_stopped(event.at_s)
        told = do.TellClient("speech-update", {"status": "stopped", "role": "user", "turn": self._turn})
        reply = self.reply
        rearmed = self._arm(reply) if hummed and reply is not None and reply.ledger.samples else []
        return [told, *rearmed, *self.wake(now)]

    def voice_suspected(self, now: float) -> Commands:
        """There may be voice: whoever has not begun to speak waits until that is known."""
        if now >= self._hold_until_s:
            # Not longer: on a line that crackles the agent would never begin.
            self._hold_until_s = now + SUSPICION_S
        return []

    def voice_faded(self, event: ev.VoiceFaded) -> Commands:
        """The caller's voice may be over: its words are asked for before that is certain. A contest asks by itself."""
        if self._contest is None and self.caller.voice_faded(event.at_s):
            return [do.FinalizeTranscript(self.leg_id)]
        return []

    def recogniser_broke(self) -> Commands:
        """Another one will be opened, and begins afresh."""
        self.caller.recogniser_broke()
        return []

    def voice_measured(self, event: ev.VoiceLevelMeasured, now: float) -> Commands:
        """The caller's voice goes on."""
        if self._contest is not None:
            self._contest.voice_measured(event.level_db)
        return self.wake(now)

    def transcript_received(self, event: ev.TranscriptReceived, now: float) -> Commands:
        """The recogniser's word."""
        before = self.caller.text
        self.caller.heard(event, now)
        if self._contest is not None and event.confirmed:
            self._contest.answered()
        cmds: Commands = []
        if self.caller.text and (self.caller.text != before):
            self.last_sound_s = max(self.last_sound_s, now)
            cmds.append(self._transcript("user", "partial", self.caller.text))
            cmds += self._revise()
        return cmds + self.wake(now)

    def key_pressed(self, now: float) -> Commands:
        """A key of an entry. It takes the floor as a voice does, and at once: nobody presses one by the way."""
        self._reprompt_due_s = None
        self.last_sound_s = max(self.last_sound_s, now)
        self.caller.key_pressed(now)
        reply = self.reply
        cmds: Commands = []
        if reply is not None and not reply.dropping:
            if reply.playing and reply.interruptible:
                cmds += self._yield(reply, "key_pressed", now)
            elif reply.purpose is _ANSWER and self._taken is not None and not reply.ledger.samples:
                cmds += self._take_back(reply, "key_pressed")
        return cmds + self._hold("caller")

    def entered(self, text: str, now: float) -> Commands:
        """An entry on the keypad is whole, in the history's words: it is the end of the caller's turn."""
        self.caller.entered(text)
        return [self._transcript("user", "partial", self.caller.text), *self.wake(now)]

    def turn_scored(self, event: ev.TurnScored, now: float) -> Commands:
        """The acoustic model's word; one for an earlier turn is dropped."""
        if event.turn_id == self.caller.turn_id:
            self.caller.scored(event.probability, event.pause_id)
        return self.wake(now)

    def rules_matched(self, event: ev.RulesMatched, now: float) -> Commands:
        """The customer's rules were tried on what the caller said."""
        cmds: Commands = []
        if self.caller.rules_matched(event.question, event.wait_s) and event.rule is not None:
            cmds.append(
                self._endpointing("rule_matched", "custom_rule", rule=event.rule, wait_s=event.wait_s)
            )
        return cmds + self.wake(now)

    def endpointing_answered(self, event: ev.EndpointingAnswered, now: float) -> Commands:
        """The customer's endpointing model answered, or did not."""
        cmds: Commands = []
        if self.caller.endpointing_answered(event.question, event.wait_s):
            if event.wait_s is None:
                cmds.append(self._endpointing("endpointing_model_failed", event.problem))
            else:
                cmds.append(self._endpointing("endpointing_model_answered", "asked", wait_s=event.wait_s))
        return cmds + self.wake(now)

    # --- the reply -----------------------------------------------------------------------------------------------

    def text_received(self, event: ev.ReplyTextReceived, now: float) -> Commands:
        """The model wrote."""
        reply = self._current(event.reply_id)
        if reply is not None:
            reply.marks.token_s = reply.marks.token_s or now
            reply.text += event.text
            reply.tokens += event.pieces
        return []

    def clause_synthesized(self, event: ev.ClauseSynthesized, now: float) -> Commands:
        """A clause can be played."""
        reply = self._current(event.reply_id)
        if reply is None or reply.completed or event.clause < reply.clauses:
            return []
        reply.clauses = event.clause + 1
        reply.marks.clause_s = reply.marks.clause_s or now
        reply.waiting.append(event)
        return self._play_waiting(reply, now)

    def calls_received(self, event: ev.ToolCallsReceived) -> Commands:
        """The model wants tools run, when its words have been heard."""
        reply = self._current(event.reply_id)
        if reply is not None and not reply.completed:
            reply.calls = event.calls
        return []

    def reply_completed(self, event: ev.ReplyCompleted, now: float) -> Commands:
        """The reply is whole. One without a word to say is a failure the caller must not hear as silence."""
        reply = self._current(event.reply_id)
        if reply is None or reply.completed:
            return []
        if not event.clauses and not (reply.calls and not words_of(event.text)):
            wordless = not words_of(event.text)
            if reply.purpose is _MESSAGE and wordless and not reply.ledger.samples:
                return self._skip(reply, now)
            # Words without audio are the voice's failure.
            step = "tts" if words_of(event.text) else "llm"
            return self.reply_failed(ev.ReplyFailed(event.reply_id, step, "empty_reply"), now)
        reply.completed = True
        told = self._model_output(reply) if reply.released else []
        if reply.purpose is not _MESSAGE:
            # An excuse that could be spoken does not mean that the model works again.
            self.failures = 0
        phrase = contains_phrase(event.text, self._settings.end_call_phrases)
        if phrase is not None:
            reply.ends_call = True
            reply.end_reason = "assistant-said-end-call-phrase"
        if reply.acts:
            return told + (self._act(reply, now) if reply.released else [])
        return told + self._finish_if_all_given(reply, now)

    def reply_failed(self, event: ev.ReplyFailed, now: float) -> Commands:
        """The reply broke. What has been said stays said; a caller who heard nothing gets a word of excuse."""
        reply = self._current(event.reply_id)
        if reply is None or reply.completed:
            return []
        reply.completed = reply.failed = True
        reply.failed_step = event.step
        reply.failed_reason = ended_reasons.of_failure(event.step, event.route, event.code)
        cmds: Commands = [
            self._decided("reply_failed", event.code, {"step": event.step, "reply_id": event.reply_id})
        ]
        if reply.released or reply.waiting:
            return cmds + self._finish_if_all_given(reply, now)
        # The turn asks again when it is over, and not before: a route that is broken is not to be hammered.
        self.reply = None
        self._attempts = self._settings.start.speculation_attempts
        return cmds + self.wake(now)

    def phrase_prepared(self, event: ev.PhrasePrepared) -> Commands:
        """A stock phrase can be played."""
        self._stock.prepared(event)
        return []

    # --- the playout ---------------------------------------------------------------------------------------------

    def playout_started(self, event: ev.PlayoutStarted, now: float) -> Commands:
        """The first frame left: the decision stands, and the caller's turn becomes history."""
        reply = self._current(event.reply_id)
        if reply is None or reply.playing or not reply.ledger.samples:
            return []
        reply.started_s = event.at_s
        reply.anchors.append((0, event.at_s))
        cmds: Commands = [do.TellClient("speech-update", self._speaking("started"))]
        if self._taken is not None and reply.commits:
            cmds += self._commit_turn(reply, event.at_s, event.silent_s)
        began = self.caller.state is _SPEAKING or self.caller.keying
        if began and reply.interruptible and not reply.dropping:
            # Both began at once; the caller goes first.
            self.happenings.append(TALKED_OVER)
            cmds += self._yield(reply, "caller_resumed", now)
        return cmds + self._hold("assistant")

    def playout_advanced(self, event: ev.PlayoutAdvanced, now: float) -> Commands:
        """So much was heard by now."""
        reply = self._current(event.reply_id)
        if reply is None or not reply.playing:
            return []
        self._sounded(reply, event.at_s)
        if reply.ends_call:
            self.leave_by_s = max(self.leave_by_s, now + LEAVE_TIMEOUT_S)
        reply.advanced_to = event.position
        if not (self._settings.tells("assistant.speechStarted") or self._settings.tells("transcript")):
            return []
        heard = reply.ledger.heard(event.position)
        body = {"text": heard, "turn": self._turn, "source": "model", "timing": "word-progress"}
        return [
            do.TellClient("assistant.speechStarted", body),
            self._transcript("assistant", "partial", heard),
        ]

    def playout_starved(self, event: ev.PlayoutStarved, now: float) -> Commands:
        """All that was given was heard, and there is more to come."""
        reply = self._current(event.reply_id)
        if reply is None or not reply.playing or reply.finishing:
            return []
        if event.at_s <= self._given_s and event.position < reply.ledger.samples:
            # More was given while the news was on its way: playing goes on.
            return []
        self._sounded(reply, event.at_s)
        reply.advanced_to = event.position
        if reply.starved_s is not None and reply.filler_due_s is not None:
            # Told again, of the same hunger: what is due is due.
            return []
        reply.starved_s = reply.quiet_from_s = event.at_s
        fillers = self._settings.fillers
        after_s = fillers.repeat_after_s if reply.fillers else fillers.after_s
        reply.filler_due_s = event.at_s + after_s if fillers.enabled else None
        return []

    def playout_paused(self, event: ev.PlayoutPaused, now: float) -> Commands:
        """Playing stands still while the contest is decided."""
        reply = self._current(event.reply_id)
        if reply is not None:
            reply.paused_at = event.position
            if reply.quiet_from_s is None:
                reply.quiet_from_s = event.at_s
            reply.advanced_to = event.position
            if self._contest is not None:
                self._contest.paused(event.at_s)
            if not reply.interruptible or self.deaf:
                # It was paused before the media plane knew that nothing stops it any more.
                return [do.ResumePlayout(self.leg_id, event.position)]
        return []

    def playout_resumed(self, event: ev.PlayoutResumed, now: float) -> Commands:
        """Playing went on."""
        reply = self._current(event.reply_id)
        if reply is not None:
            reply.paused_at = None
            if reply.starved_s is None:
                reply.quiet_from_s = None
            reply.anchors.append((event.position, event.at_s))
        return self._hold("assistant") if reply is not None else []

    def playout_over(self, event: ev.PlayoutFinished | ev.PlayoutDropped, now: float) -> Commands:
        """The last sample that will leave has left: what was heard is now known."""
        reply = self._current(event.reply_id)
        if reply is None or not (reply.ledger.samples or reply.finishing):
            return []
        self.reply = None
        contest, self._contest = self._contest, None
        self._sounded(reply, event.at_s)
        # On a slow line the news comes late, and the caller's patience began before it.
        self._quiet_since_s = min(now, event.at_s)
        self._heard_until_s = event.at_s if reply.quiet_from_s is None else reply.quiet_from_s
        cut = isinstance(event, ev.PlayoutDropped)
        cmds: Commands = [] if cut else [do.ArmPause(self.leg_id, armed=False)]
        if contest is not None and contest.plays_on and not cut:
            # What was not said to the agent is not to be answered when the agent has done speaking.
            cmds.append(self._ruled("kept", Ruling(Verdict.RESUME, "reply_over"), contest, now))
            cmds += self._begin_next_turn(now)
        cmds += self._commit_reply(reply, event.position, event.at_s, cut=cut)
        cmds.append(do.TellClient("speech-update", self._speaking("stopped")))
        cmds += self._hold("caller" if self.caller.state is _SPEAKING else "none")
        if reply.ends_call and not cut:
            return [*cmds, do.EndCall(reply.end_reason)]
        if reply.calls and not reply.failed:
            if not cut:
                self._due(reply.calls, spoke=bool(words_of(reply.text)))
                return cmds
            # Whoever is interrupted has not done it yet. What was asked already is waited for: it may have done something.
            asked = reply.asked or ()
            if dropped := len(reply.calls) - len(asked):
                cmds.append(self._decided("tools_dropped", "interrupted", {"calls": dropped}))
            if asked and not (self.leaving or self._closing):
                self._due(asked, spoke=True)
                return cmds
        return cmds + self._go_on_without_reply(now)

    # --- time ----------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> Commands:
        """Asks what is due to be asked, and decides what can be decided."""
        if self._closing:
            return []
        cmds: Commands = []
        if self.caller.babbles(now):
            cmds.append(self._decided("voice_ignored", "no_new_words", {}))
            if self._contest is not None:
                self._contest.voice_stopped(self.caller.last_voice_s)
        for ask in self.caller.wake(now, self._history.last_heard):
            cmds.append(self._ask(ask))
        if self._reprompt_due_s is not None and now >= self._reprompt_due_s:
            cmds += self._reprompt(now)
        reply = self.reply
        if reply is not None:
            cmds += self._play_waiting(reply, now)
            if reply.filler_due_s is not None and now >= reply.filler_due_s and self._may_fill(reply):
                cmds += self._fill(reply, now)
        if self._contest is not None and reply is not None and not reply.dropping:
            return cmds + self._rule(self._contest, reply, now)
        engaged = reply is not None and (reply.playing or reply.purpose is not _ANSWER)
        if self.leaving or self.acting or engaged:
            return cmds
        if self.muted:
            return cmds + self._note_turn(now)
        return cmds + self._speculate(now) + self._take_turn(now)

    @property
    def deadline(self) -> float | None:
        """When it next wants to be woken."""
        caller, reply = self.caller, self.reply
        dues = [caller.ask_deadline, caller.babble_deadline, self._reprompt_due_s]
        if reply is not None and not reply.dropping:
            if self._may_fill(reply):
                dues.append(reply.filler_due_s)
            if reply.released and reply.waiting and not reply.ledger.samples:
                dues.append(self._hold_until_s)
        if self._contest is not None and reply is not None and not reply.dropping:
            dues.append(self._contest.deadline)
        elif self._may_take(reply):
            over_s = caller.over_deadline
            dues.append(None if over_s is None else max(over_s, self._not_before_s, self._hold_until_s))
        return min((due for due in dues if due is not None), default=None)

    def _may_take(self, reply: Reply | None) -> bool:
        if self._taken is not None or self.leaving or self.acting or self._closing:
            return False
        return reply is None or (reply.purpose is _ANSWER and not reply.playing)

    # --- inside: taking the turn ---------------------------------------------------------------------------------

    def _speculate(self, now: float) -> Commands:
        caller, settings = self.caller, self._settings.start
        if (
            self._taken is not None
            or caller.state is not _PAUSED
            or caller.keying
            or not caller.text
            or not (caller.confirmed or caller.trusted)
        ):
            return []
        basis = normalise(caller.text)
        if self.reply is not None and self.reply.basis == basis:
            return []
        if not settings.speculation or self._attempts >= settings.speculation_attempts:
            return []
        if self._spent_tokens >= settings.speculation_tokens:
            return []
        # A wait that is long for another reason is the best one to hide work in.
        if caller.wait().reason == UNFINISHED:
            return []
        cmds = self._discard("text_changed") if self.reply is not None else []
        self._attempts += 1
        reason = {"attempt": self._attempts, "wait_s": round(caller.wait().wait_s, 3)}
        known = "text_confirmed" if caller.confirmed else "partial_trusted"
        cmds.append(self._decided("reply_begun_early", known, reason))
        return cmds + self._answer(now, speculative=True)

    def _take_turn(self, now: float) -> Commands:
        if self._taken is not None or now < max(self._not_before_s, self._hold_until_s):
            return []
        wait = self.caller.over(now)
        if wait is None:
            return []
        if not self.caller.text:
            return self._drop_turn(wait, now)
        self._taken, self._taken_s = wait, now
        caller = self.caller
        details = {"wait_s": round(wait.wait_s, 3), "score": caller.score, "confirmed": caller.confirmed}
        cmds: Commands = [self._decided("turn_taken", wait.reason, details)]
        if self.reply is not None and self.reply.basis == normalise(caller.text):
            return cmds + self._release(self.reply, now)
        if self.reply is not None:
            cmds += self._discard("text_changed")
        cmds += self._answer(now, speculative=False)
        return cmds + ([] if self.reply is None else self._release(self.reply, now))

    def _note_turn(self, now: float) -> Commands:
        """What the caller says to an agent that is muted is history, and nobody answers it."""
        wait = self.caller.over(now)
        if wait is None:
            return []
        if not self.caller.text:
            cmds: Commands = [self._decided("turn_dropped", wait.reason, {})]
        else:
            final = self._transcript("user", "final", self.caller.text)
            cmds = [self._decided("turn_noted", "muted", {}), *self._said(), final, self._conversation()]
        return cmds + self._begin_next_turn(now) + self._hold("none")

    def _drop_turn(self, wait: Wait, now: float) -> Commands:
        cmds = self._discard("no_words") if self.reply is not None else []
        cmds.append(self._decided("turn_dropped", wait.reason, {}))
        caller = self.caller
        voiced_s = caller.last_voice_s - (
            caller.last_voice_s if caller.started_s is None else caller.started_s
        )
        unread = not caller.confirmed and voiced_s >= UNREAD_VOICE_S
        # A caller who stopped the agent has said something, and so has one who spoke for long.
        missed = unread or self._yielded or voiced_s >= WORDLESS_VOICE_S
        self._yielded = False
        self._unread = self._unread + 1 if unread else 0
        murmur = not missed and voiced_s >= MURMUR_S
        self._misses += missed or murmur
        cmds += self._begin_next_turn(now) + self._hold("none")
        if self._unread >= MAX_UNREAD:
            return cmds + self.take_leave(FAREWELL, DEAF, now)
        if self._misses > MAX_REPROMPTS:
            return cmds + self.take_leave(NOBODY_THERE, "silence-timed-out", now)
        cmds += self._say_queued(now)
        if missed or murmur:
            self.happenings.append(UNHEARD)
        if missed:
            cmds += self._reprompt(now)
        elif murmur:
            # It may have been a cough: the caller may say more first.
            self._reprompt_due_s = caller.last_voice_s + REPROMPT_AFTER_S
        return cmds

    def _reprompt(self, now: float) -> Commands:
        self._reprompt_due_s = None
        if not self._free or self.caller.state is not _SILENT:
            return []
        return self._say_now(Message(REPROMPT), now)

    def _revise(self) -> Commands:
        """The recogniser added words after the turn was taken: they belong to what is answered."""
        reply = self.reply
        if self._taken is None or reply is None or reply.purpose is not _ANSWER:
            return []
        late = bool(reply.ledger.samples) or self._revisions >= MAX_REVISIONS
        if late or normalise(self.caller.text) == reply.basis:
            return []
        self._revisions += 1
        return self._take_back(reply, "words_added")

    def _take_back(self, reply: Reply, reason: str) -> Commands:
        # The reply is kept: if the voice was only a cough the text stays the same, and it is released after all.
        reply.released = False
        reply.filler_due_s = None
        self._taken = None
        return [self._decided("turn_given_back", reason, {"reply_id": reply.reply_id})]

    def _commit_turn(self, reply: Reply, at_s: float, silent_s: float) -> Commands:
        caller, taken = self.caller, self._taken
        self._loudness.took()
        said = self._said()
        latency_s = at_s - caller.last_voice_s
        wire_ms = round((latency_s + silent_s) * 1000, 1)
        parts = turn_parts(caller.last_voice_s, self._taken_s, caller.confirmed_s, reply.marks, at_s)
        body = {"turn": self._turn, "latencyMs": round(latency_s * 1000), "parts": parts}
        body["reason"] = taken.reason if taken is not None else ""
        cmds: Commands = [
            *said,
            self._transcript("user", "final", caller.text),
            self._voice_input(),
            do.RecordTurn(caller.turn_id, reply.reply_id, round(latency_s * 1000, 1), parts, wire_ms),
            do.TellClient("turn-latency", body),
            self._conversation(),
        ]
        return cmds + self._answered(reply, at_s)

    def _answered(self, reply: Reply, now: float) -> Commands:
        """The turn has its reply, for good."""
        self.queued[:] = [m for m in self.queued if m.moot_from is None or reply.reply_id < m.moot_from]
        self._yielded = False
        self._misses = self._unread = 0
        return self._begin_next_turn(now)

    def _act(self, reply: Reply, now: float) -> Commands:
        """A reply without words: the turn is history, and its tools are run."""
        self.reply = None
        cmds: Commands = []
        if self._taken is not None and reply.commits:
            self._loudness.took()
            final = self._transcript("user", "final", self.caller.text)
            update = self._conversation()
            cmds = [*self._said(), final, self._voice_input(), update, *self._answered(reply, now)]
        self._due(reply.calls, spoke=False)
        return cmds

    def _due(self, calls: tuple[ev.ToolCall, ...], *, spoke: bool) -> None:
        self.calls, self.spoke, self.acting = calls, spoke, True

    def _begin_next_turn(self, now: float) -> Commands:
        self._taken = None
        self._attempts = 0
        self._spent_tokens = 0
        self._revisions = 0
        self._loudness.forget()
        self.caller.next_turn(now)
        return [do.CommitTranscript(self.leg_id)]

    # --- inside: the reply ---------------------------------------------------------------------------------------

    def _answer(self, now: float, *, speculative: bool) -> Commands:
        reply = self._new_reply(_ANSWER, now, released=False)
        reply.basis = normalise(self.caller.text)
        reply.commits = True
        reply.speculative = speculative
        messages = self._history.chat(self.caller.text)
        return [do.StartReply(reply.reply_id, reply.turn_id, messages, speculative)]

    def _new_reply(self, purpose: Purpose, now: float, *, released: bool) -> Reply:
        self._reply_ids += 1
        reply = Reply(self._reply_ids, self.caller.turn_id, purpose, Marks(now), released=released)
        if released and self._settings.fillers.enabled:
            # Counted from the last sound, if that is not long gone for a good reason.
            after_s = self._settings.fillers.repeat_after_s
            due_s = max(self._heard_until_s, self.caller.last_voice_s) + after_s
            reply.filler_due_s = now + after_s if due_s < now else max(due_s, now + FILLER_GRACE_S)
        self.reply = reply
        self._reprompt_due_s = None
        return reply

    def _release(self, reply: Reply, now: float) -> Commands:
        reply.released = True
        fillers = self._settings.fillers
        if fillers.enabled and reply.filler_due_s is None:
            reply.filler_due_s = max(self.caller.last_voice_s + fillers.after_s, now + FILLER_GRACE_S)
        cmds: Commands = [do.ReleaseReply(reply.reply_id)] if reply.speculative else []
        cmds += self._model_output(reply)
        return cmds + (self._act(reply, now) if reply.acts else self._play_waiting(reply, now))

    def _play_waiting(self, reply: Reply, now: float) -> Commands:
        if not reply.released or reply.dropping or not reply.waiting:
            return []
        first = not reply.ledger.samples
        if first and now < self._hold_until_s and reply.interruptible:
            return []
        cmds = self._arm(reply) if first else []
        self._given_s = now
        for clause in reply.waiting:
            reply.ledger.add(clause)
            cmds.append(do.PlayClause(self.leg_id, reply.reply_id, clause.clause))
        reply.waiting.clear()
        reply.starved_s = reply.filler_due_s = None
        return cmds + self._finish_if_all_given(reply, now)

    def _arm(self, reply: Reply) -> Commands:
        stop = self._settings.stop
        # A voice that goes on without words would pause every reply at once.
        armed = reply.interruptible and not stop.num_words and not (self.caller.hums or self.deaf)
        aside = self._contest is not None and self._contest.aside
        least_db = gate_db(stop, self._loudness.usual_db, aside=aside)
        return [do.ArmPause(self.leg_id, armed, stop.pause_after_voice_s, least_db)]

    def _finish_if_all_given(self, reply: Reply, now: float) -> Commands:
        if not (reply.completed and reply.released) or reply.waiting or reply.finishing or reply.dropping:
            return []
        if reply.failed and not reply.excused:
            return self._excuse(reply, now)
        reply.finishing = True
        return [do.FinishPlayout(self.leg_id, reply.reply_id)]

    def _may_fill(self, reply: Reply) -> bool:
        done = reply.dropping or reply.waiting or reply.finishing or not reply.released
        # A filler said into the caller's words would be cut, and the reply with it.
        quiet = self._contest is None and self.caller.state is not _SPEAKING
        return quiet and not done

    def _fill(self, reply: Reply, now: float) -> Commands:
        """Something is said while the reply is late, as a part of it: what was heard stays one message."""
        fillers = self._settings.fillers
        reply.filler_due_s = now + fillers.repeat_after_s
        texts = [text for text in fillers.texts if self._stock.has(text)]
        if not texts or not reply.released or reply.dropping or reply.finishing or reply.completed:
            return []
        text = texts[reply.fillers % len(texts)]
        reply.fillers += 1
        # What was waited for is known no better than this: whatever has not come yet.
        reply.marks.token_s = reply.marks.token_s or now
        reply.marks.clause_s = reply.marks.clause_s or now
        self.happenings.append(SLOW_MODEL)
        said = self._decided("filler_said", "no_audio", {"reply_id": reply.reply_id, "count": reply.fillers})
        return [said, *self._play_phrase(reply, text, now)]

    def _play_phrase(self, reply: Reply, text: str, now: float) -> Commands:
        self._given_s = now
        cmds = [] if reply.ledger.samples else self._arm(reply)
        reply.ledger.add(self._stock.clause(text, reply.reply_id, reply.clauses))
        reply.starved_s = reply.filler_due_s = None
        return [*cmds, self._stock.play(text, self.leg_id, reply.reply_id)]

    def _commit_reply(self, reply: Reply, position: int, at_s: float, *, cut: bool) -> Commands:
        heard = reply.ledger.heard(position)
        if not heard:
            return []
        start_s = at_s if reply.started_s is None else reply.started_s
        shortened = cut and not (reply.completed and heard == reply.ledger.text)
        entry = self._history.assistant_heard(heard, start_s, at_s, cut=shortened)
        words = reply.word_times(position, self.rate_hz)
        return [
            do.RecordMessage(entry, words),
            self._transcript("assistant", "final", heard),
            self._conversation(),
        ]

    def _discard(self, reason: str) -> Commands:
        reply, self.reply = self.reply, None
        assert reply is not None
        self._spent_tokens += reply.tokens
        details = {"reply_id": reply.reply_id, "tokens": reply.tokens, "speculative": reply.speculative}
        said = self._decided("reply_discarded", reason, details)
        return [said, do.CancelReply(reply.reply_id)]

    def _give_up(self, reason: str) -> Commands:
        """The reply ends, and not because of the caller."""
        reply = self.reply
        if reply is None or reply.dropping:
            return []
        self._contest = None
        if not reply.ledger.samples:
            return self._discard(reason)
        return [self._decided("reply_dropped", reason, {"reply_id": reply.reply_id}), *self._drop(reply)]

    def _skip(self, reply: Reply, now: float) -> Commands:
        """A message without a word to speak counts as spoken."""
        self.reply = None
        cmds: Commands = [self._decided("message_skipped", "no_words", {"reply_id": reply.reply_id})]
        return (
            [*cmds, do.EndCall(reply.end_reason)]
            if reply.ends_call
            else cmds + self._go_on_without_reply(now) + (self._reprompt(now) if self._misses else [])
        )

    def _go_on_without_reply(self, now: float) -> Commands:
        cmds = self._say_queued(now)
        if self.reply is None and self._taken is not None:
            # The reply went before its first frame left: the turn is still to be answered.
            self._taken = None
            cmds.append(self._decided("turn_given_back", "reply_gone", {}))
        return cmds + self.wake(now)

    def _say_now(self, message: Message, now: float, *, commits: bool = False) -> Commands:
        reply = self._new_reply(_MESSAGE, now, released=True)
        reply.ends_call = message.ends_call
        reply.end_reason = message.end_reason
        reply.interruptible = message.interruptible
        reply.prompt = message.prompt
        reply.commits = commits
        if message.asks is not None:
            messages = (*self._history.chat(), *message.asks)
            return [do.StartReply(reply.reply_id, reply.turn_id, messages)]
        if self._stock.has(message.text):
            reply.completed = True
            return self._play_phrase(reply, message.text, now) + self._finish_if_all_given(reply, now)
        return [do.SayText(reply.reply_id, message.text)]

    def _say_queued(self, now: float) -> Commands:
        if not self.queued or not self._free:
            return []
        return self._say_now(self.queued.pop(0), now)

    def _excuse(self, reply: Reply, now: float) -> Commands:
        """Owns up to what broke the reply, in words the caller hears: in the same reply if the phrase is in stock."""
        reply.excused = True
        self.failures += 1
        if reply.ends_call:
            # The last words cannot be said, or not to their end.
            return self._finish_if_all_given(reply, now) if reply.ledger.samples else self._end_unsaid(reply)
        last = self.failures >= MAX_FAILURES
        reason = reply.failed_reason
        message = Message(EXCUSE)
        if last:
            message = Message(FAREWELL, ends_call=True, end_reason=reason, interruptible=False)
        if self._stock.has(message.text):
            cmds = self._make_last(reply, reason, now) if last else []
            return cmds + self._play_phrase(reply, message.text, now) + self._finish_if_all_given(reply, now)
        if reply.ledger.samples:
            self.queued.insert(0, message)
            return self._finish_if_all_given(reply, now)
        if reply.failed_step == "tts" and reply.purpose is _MESSAGE:
            # There is no voice to say it with.
            reply.end_reason = reason
            return self._end_unsaid(reply)
        self.reply = None
        return self._say_now(message, now, commits=reply.commits)

    def _make_last(self, reply: Reply, reason: str, now: float) -> Commands:
        """The reply ends with a farewell: from now on nothing stops it."""
        reply.ends_call, reply.end_reason, reply.interruptible = True, reason, False
        self._leave(reason, now)
        self._contest = None
        cmds: Commands = [do.ArmPause(self.leg_id, armed=False)] if reply.ledger.samples else []
        if reply.paused_at is not None:
            cmds.append(do.ResumePlayout(self.leg_id, reply.paused_at))
        return cmds

    def _end_unsaid(self, reply: Reply) -> Commands:
        self.reply = None
        return [do.EndCall(reply.end_reason, "the last message could not be spoken")]

    @property
    def _free(self) -> bool:
        """Nobody speaks or is about to: no reply, and no turn of the caller that is still to be taken."""
        if self.leaving:
            return self.reply is None
        return (
            self.reply is None
            and not self.acting
            and (self.caller.state is _SILENT or self._taken is not None)
        )

    def _current(self, reply_id: int) -> Reply | None:
        reply = self.reply
        return reply if reply is not None and reply.reply_id == reply_id else None

    # --- inside: the contest -------------------------------------------------------------------------------------

    def _rule(self, contest: BargeIn, reply: Reply, now: float) -> Commands:
        ruling = contest.rule(self.caller.text, self.caller.confirmed, now)
        if ruling.verdict is Verdict.YIELD:
            return [self._ruled("yielded", ruling, contest, now), *self._yield(reply, ruling.reason, now)]
        if ruling.verdict is Verdict.RESUME:
            return [self._ruled("kept", ruling, contest, now), *self._go_on(reply, now)]
        if ruling.verdict is Verdict.PLAY_ON:
            rearmed = self._arm(reply) if contest.aside else []
            return [self._ruled("played_on", ruling, contest, now), *rearmed, *self._resume(reply)]
        # While the voice goes on the recogniser is asked in between; after it the turn asks by itself.
        if contest.wants_words(now):
            return [do.FinalizeTranscript(self.leg_id)]
        return []

    def _drop(self, reply: Reply) -> Commands:
        reply.dropping = True
        return [
            do.DropPlayout(self.leg_id),
            do.CancelReply(reply.reply_id),
            do.ArmPause(self.leg_id, armed=False),
        ]

    def _yield(self, reply: Reply, reason: str, now: float) -> Commands:
        backoff_s = self._settings.stop.backoff_s
        if backoff_s is not None:
            self._not_before_s = now + backoff_s
        self._yielded = True
        self.happenings.append(INTERRUPTED)
        told = do.TellClient("user-interrupted", {"turnId": str(reply.turn_id), "reason": reason})
        return [*self._drop(reply), told]

    def _go_on(self, reply: Reply, now: float) -> Commands:
        contest, self._contest = self._contest, None
        cmds = self._begin_next_turn(now)
        if self.caller.hums or (contest is not None and contest.aside):
            cmds += self._arm(reply)
        return cmds + self._resume(reply)

    def _resume(self, reply: Reply) -> Commands:
        cmds: Commands = []
        if reply.paused_at is not None:
            cmds.append(do.ResumePlayout(self.leg_id, reply.paused_at))
        return cmds + self._hold("assistant")

    def _sounded(self, reply: Reply, at_s: float) -> None:
        # Prompts to a caller who says nothing do not keep the call alive.
        if not reply.prompt:
            self.last_sound_s = max(self.last_sound_s, at_s)

    # --- inside: telling -----------------------------------------------------------------------------------------

    @property
    def _turn(self) -> int:
        return self.caller.turn_id

    def _ask(self, ask: Ask) -> do.Command:
        caller = self.caller
        if ask is Ask.FINALIZE:
            return do.FinalizeTranscript(self.leg_id)
        if ask is Ask.SCORE:
            return do.ScoreTurn(self.leg_id, caller.turn_id, caller.pause_id)
        if ask is Ask.RULES:
            heard = self._history.last_heard
            return do.MatchRules(caller.turn_id, caller.rules.number, caller.text, heard)
        start_s = caller.last_voice_s if caller.started_s is None else caller.started_s
        return do.AskEndpointing(
            caller.turn_id,
            caller.model.number,
            caller.text,
            start_s,
            caller.last_voice_s,
            self._settings.start.model_deadline_s,
        )

    def _endpointing(self, decision: str, reason: str, **details: object) -> do.RecordDecision:
        return do.RecordDecision("endpointing", decision, reason, {"turn_id": self.caller.turn_id, **details})

    def _speaking(self, status: str) -> dict[str, object]:
        return {"status": status, "role": "assistant", "turn": self._turn}

    def _transcript(self, role: str, kind: str, text: str) -> do.TellClient:
        return do.TellClient("transcript", {"role": role, "transcriptType": kind, "transcript": text})

    def _voice_input(self) -> do.TellClient:
        """What the model was given of the caller's."""
        return do.TellClient("voice-input", {"input": self.caller.text})

    def _model_output(self, reply: Reply) -> Commands:
        """What the model has written of a reply that will be heard, and was not told yet."""
        text, reply.told = reply.text[reply.told :], len(reply.text)
        if not text or not self._settings.tells("model-output"):
            return []
        return [do.TellClient("model-output", {"output": text, "turnId": str(reply.turn_id)})]

    def _conversation(self) -> do.TellClient:
        if "conversation-update" not in self._settings.client_messages:
            # The whole history, for nobody.
            return do.TellClient("conversation-update")
        chat = [dict(m) for m in self._history.chat()]
        body = {"messages": list(self._history.messages), "messagesOpenAIFormatted": chat}
        return do.TellClient("conversation-update", body)

    def _decided(self, decision: str, reason: str, details: Mapping[str, object]) -> do.RecordDecision:
        return do.RecordDecision("floor", decision, reason, {"turn_id": self.caller.turn_id, **details})

    def _ruled(self, decision: str, ruling: Ruling, contest: BargeIn, now: float) -> do.RecordDecision:
        details = {"voiced_s": round(contest.voiced_s(now), 3), "turn_id": self.caller.turn_id}
        return do.RecordDecision("barge_in", decision, ruling.reason, details)

    def _hold(self, holder: str) -> Commands:
        if holder == self._holder:
            return []
        self._holder = holder
        return [do.TellClient("floor", {"holder": holder})]
