"""Who holds the floor: joins the caller's turn, the reply being made or played, and a contest between the two.

Until the first frame of a reply has left, every decision is reversible: a caller who goes on adds to the turn.
"""

from __future__ import annotations

from collections.abc import Mapping

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.history import History
from aywa.core.latency import turn_parts
from aywa.core.reply import Marks, Purpose, Reply
from aywa.core.settings import AssistantSettings
from aywa.core.turns.barge_in import BargeIn, Ruling, Verdict
from aywa.core.turns.caller import Ask, CallerState, CallerTurn
from aywa.core.turns.endpointing import UNFINISHED, Wait
from aywa.core.turns.loudness import Loudness
from aywa.core.turns.phrases import contains_phrase, normalise, words_of

Commands = list[do.Command]

MAX_FAILURES = 3
EXCUSE = "Sorry, I had a problem just now. Could you say that again?"
FAREWELL = "I am sorry, I have a technical problem and have to end this call. Goodbye."


class Floor:
    """The floor of one caller's leg. Every method answers the commands that follow; none of them waits."""

    def __init__(self, leg_id: str, settings: AssistantSettings, history: History) -> None:
        self.leg_id = leg_id
        self._settings = settings
        self._history = history
        self._reply_ids = 0
        self._attempts = 0
        self._taken: Wait | None = None
        self._taken_s = 0.0
        self._not_before_s = 0.0
        self._holder = "none"
        self._contest: BargeIn | None = None
        self._loudness = Loudness()
        self._closing = False
        self.caller = CallerTurn(settings.start)
        self.reply: Reply | None = None
        self.queued: list[tuple[str, bool]] = []
        self.last_sound_s = 0.0
        self.failures = 0
        self.rate_hz = 8000

    # --- the agent's own initiative ------------------------------------------------------------------------------

    def open_with(self, text: str, now: float) -> Commands:
        """The greeting, word for word."""
        reply = self._new_reply(Purpose.GREETING, now)
        reply.interruptible = self._settings.first_message_interruptible
        reply.released = True
        return [do.SayText(reply.reply_id, text)]

    def open_by_model(self, now: float) -> Commands:
        """The greeting, as the model makes it."""
        reply = self._new_reply(Purpose.GREETING, now)
        reply.interruptible = self._settings.first_message_interruptible
        reply.released = True
        return [do.StartReply(reply.reply_id, reply.turn_id, self._history.chat())]

    def say(self, text: str, now: float, *, ends_call: bool = False, interrupt: bool = False) -> Commands:
        """A message from outside or of the runtime's own: now, or when the floor is free."""
        cmds = self._give_up("message") if interrupt else []
        if not self._free:
            self.queued.append((text, ends_call))
            return cmds
        return cmds + self._say_now(text, ends_call, now)

    def fall_silent(self, reason: str) -> Commands:
        """The call ends: nothing more is said, asked or begun."""
        self._closing = True
        self.queued.clear()
        return self._give_up(reason)

    def settle(self, now: float) -> Commands:
        """The leg is gone: what was heard until the last word from the media plane is what was heard."""
        reply, self.reply = self.reply, None
        if reply is None or not reply.playing:
            return []
        return self._commit_reply(reply, reply.advanced_to, now, cut=True)

    # --- the caller ----------------------------------------------------------------------------------------------

    def voice_started(self, event: ev.VoiceStarted, now: float) -> Commands:
        """The caller's voice was found."""
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
            and reply.purpose is Purpose.ANSWER
            and self._taken is not None
            and not reply.ledger.samples
        ):
            cmds += self._take_back(reply)
        return cmds + self._hold("caller")

    def voice_stopped(self, event: ev.VoiceStopped, now: float) -> Commands:
        """The caller's voice ended a moment ago."""
        self.last_sound_s = max(self.last_sound_s, event.at_s)
        self.caller.voice_stopped(event.at_s)
        self._loudness.voice_stopped(event.at_s, event.level_db)
        if self._contest is not None:
            self._contest.voice_measured(event.level_db)
            self._contest.voice_stopped(event.at_s)
        told = do.TellClient("speech-update", {"status": "stopped", "role": "user", "turn": self._turn})
        return [told, *self.wake(now)]

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
            cmds.append(self._transcript("user", "partial", self.caller.text))
        return cmds + self.wake(now)

    def turn_scored(self, event: ev.TurnScored, now: float) -> Commands:
        """The acoustic model's word; one for an earlier turn is dropped."""
        if event.turn_id == self.caller.turn_id:
            self.caller.scored(event.probability)
        return self.wake(now)

    # --- the reply -----------------------------------------------------------------------------------------------

    def text_received(self, event: ev.ReplyTextReceived, now: float) -> Commands:
        """The model wrote."""
        reply = self._current(event.reply_id)
        if reply is not None:
            reply.marks.token_s = reply.marks.token_s or now
            reply.text += event.text
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

    def reply_completed(self, event: ev.ReplyCompleted, now: float) -> Commands:
        """The reply is whole. One without a word to say is a failure the caller must not hear as silence."""
        reply = self._current(event.reply_id)
        if reply is None or reply.completed:
            return []
        if not event.clauses:
            if reply.purpose is Purpose.MESSAGE and not words_of(event.text):
                return self._skip(reply, now)
            return self.reply_failed(ev.ReplyFailed(event.reply_id, "llm", "empty_reply"), now)
        reply.completed = True
        if reply.purpose is not Purpose.MESSAGE:
            # An excuse that could be spoken does not mean that the model works again.
            self.failures = 0
        phrase = contains_phrase(event.text, self._settings.end_call_phrases)
        if phrase is not None:
            reply.ends_call = True
            reply.end_reason = "assistant-said-end-call-phrase"
        return self._finish_if_all_given(reply)

    def reply_failed(self, event: ev.ReplyFailed, now: float) -> Commands:
        """The reply broke. What has been said stays said; a caller who heard nothing gets a word of excuse."""
        reply = self._current(event.reply_id)
        if reply is None or reply.completed:
            return []
        reply.completed = reply.failed = True
        cmds: Commands = [
            self._decided("reply_failed", event.code, {"step": event.step, "reply_id": event.reply_id})
        ]
        if reply.ledger.samples or reply.waiting:
            return cmds + self._finish_if_all_given(reply)
        self.reply = None
        if not reply.released:
            # The turn asks again when it is over, and not before: a route that is broken is not to be hammered.
            self._attempts = self._settings.start.speculation_attempts
            return cmds + self.wake(now)
        self.failures += 1
        return cmds + self._excuse(reply, event, now)

    # --- the playout ---------------------------------------------------------------------------------------------

    def playout_started(self, event: ev.PlayoutStarted, now: float) -> Commands:
        """The first frame left: the decision stands, and the caller's turn becomes history."""
        reply = self._current(event.reply_id)
        if reply is None or reply.playing or not reply.ledger.samples:
            return []
        reply.started_s = event.at_s
        reply.anchors.append((0, event.at_s))
        cmds: Commands = [do.TellClient("speech-update", self._speaking("started"))]
        if self._taken is not None:
            cmds += self._commit_turn(reply, event.at_s)
        if self.caller.state is CallerState.SPEAKING and reply.interruptible and not reply.dropping:
            # Both began at once; the caller goes first.
            cmds += self._yield(reply, "caller_resumed", now)
        return cmds + self._hold("assistant")

    def playout_advanced(self, event: ev.PlayoutAdvanced, now: float) -> Commands:
        """So much was heard by now."""
        reply = self._current(event.reply_id)
        if reply is None or not reply.playing:
            return []
        self.last_sound_s = max(self.last_sound_s, event.at_s)
        reply.advanced_to = event.position
        heard = reply.ledger.heard(event.position)
        body = {"text": heard, "turn": self._turn, "source": "model", "timing": "word-progress"}
        return [
            do.TellClient("assistant.speechStarted", body),
            self._transcript("assistant", "partial", heard),
        ]

    def playout_paused(self, event: ev.PlayoutPaused, now: float) -> Commands:
        """Playing stands still while the contest is decided."""
        reply = self._current(event.reply_id)
        if reply is not None:
            reply.paused_at = event.position
            reply.advanced_to = event.position
        return []

    def playout_resumed(self, event: ev.PlayoutResumed, now: float) -> Commands:
        """Playing went on."""
        reply = self._current(event.reply_id)
        if reply is not None:
            reply.paused_at = None
            reply.anchors.append((event.position, event.at_s))
        return self._hold("assistant") if reply is not None else []

    def playout_over(self, event: ev.PlayoutFinished | ev.PlayoutDropped, now: float) -> Commands:
        """The last sample that will leave has left: what was heard is now known."""
        reply = self._current(event.reply_id)
        if reply is None or not (reply.ledger.samples or reply.finishing):
            return []
        self.reply = None
        contest, self._contest = self._contest, None
        self.last_sound_s = max(self.last_sound_s, event.at_s)
        cut = isinstance(event, ev.PlayoutDropped)
        cmds: Commands = [] if cut else [do.ArmPause(self.leg_id, armed=False)]
        if contest is not None and contest.plays_on and not cut:
            # What was not said to the agent is not to be answered when the agent has done speaking.
            cmds += self._begin_next_turn()
        cmds += self._commit_reply(reply, event.position, event.at_s, cut=cut)
        cmds.append(do.TellClient("speech-update", self._speaking("stopped")))
        cmds += self._hold("caller" if self.caller.state is CallerState.SPEAKING else "none")
        if reply.ends_call and not cut:
            return [*cmds, do.EndCall(reply.end_reason)]
        return cmds + self._go_on_without_reply(now)

    # --- time ----------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> Commands:
        """Asks what is due to be asked, and decides what can be decided."""
        if self._closing:
            return []
        cmds: Commands = []
        for ask in self.caller.wake(now):
            cmds.append(self._ask(ask))
        reply = self.reply
        if self._contest is not None and reply is not None and not reply.dropping:
            return cmds + self._rule(self._contest, reply, now)
        if reply is not None and (reply.playing or reply.purpose is not Purpose.ANSWER):
            return cmds
        return cmds + self._speculate(now) + self._take_turn(now)

    @property
    def deadline(self) -> float | None:
        """When it next wants to be woken."""
        dues = [self.caller.ask_deadline]
        reply = self.reply
        if self._contest is not None and reply is not None and not reply.dropping:
            dues.append(self._contest.deadline)
        elif self._taken is None and (
            reply is None or (reply.purpose is Purpose.ANSWER and not reply.playing)
        ):
            over_s = self.caller.over_deadline
            dues.append(None if over_s is None else max(over_s, self._not_before_s))
        return min((due for due in dues if due is not None), default=None)

    # --- inside: taking the turn ---------------------------------------------------------------------------------

    def _speculate(self, now: float) -> Commands:
        caller, settings = self.caller, self._settings.start
        if (
            self._taken is not None
            or caller.state is not CallerState.PAUSED
            or not (caller.confirmed and caller.text)
        ):
            return []
        basis = normalise(caller.text)
        if self.reply is not None and self.reply.basis == basis:
            return []
        if not settings.speculation or self._attempts >= settings.speculation_attempts:
            return []
        # A wait that is long for another reason is the best one to hide work in.
        if caller.wait().reason == UNFINISHED:
            return []
        cmds = self._discard("text_changed") if self.reply is not None else []
        self._attempts += 1
        reason = {"attempt": self._attempts, "wait_s": round(caller.wait().wait_s, 3)}
        cmds.append(self._decided("reply_begun_early", "text_confirmed", reason))
        return cmds + self._answer(now, speculative=True)

    def _take_turn(self, now: float) -> Commands:
        if self._taken is not None or now < self._not_before_s:
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

    def _drop_turn(self, wait: Wait, now: float) -> Commands:
        cmds = self._discard("no_words") if self.reply is not None else []
        cmds.append(self._decided("turn_dropped", wait.reason, {}))
        return cmds + self._begin_next_turn() + self._hold("none") + self._say_queued(now)

    def _take_back(self, reply: Reply) -> Commands:
        # The reply is kept: if the voice was only a cough the text stays the same, and it is released after all.
        reply.released = False
        self._taken = None
        return [self._decided("turn_given_back", "caller_resumed", {"reply_id": reply.reply_id})]

    def _commit_turn(self, reply: Reply, at_s: float) -> Commands:
        caller, taken = self.caller, self._taken
        self._loudness.took()
        start_s = caller.last_voice_s if caller.started_s is None else caller.started_s
        entry = self._history.user_said(caller.text, start_s, caller.last_voice_s)
        latency_s = at_s - caller.last_voice_s
        parts = turn_parts(caller.last_voice_s, self._taken_s, caller.confirmed_s, reply.marks, at_s)
        body = {"turn": self._turn, "latencyMs": round(latency_s * 1000), "parts": parts}
        body["reason"] = taken.reason if taken is not None else ""
        cmds: Commands = [
            do.RecordMessage(entry),
            self._transcript("user", "final", caller.text),
            do.RecordTurn(caller.turn_id, reply.reply_id, round(latency_s * 1000, 1), parts),
            do.TellClient("turn-latency", body),
            self._conversation(),
        ]
        return cmds + self._begin_next_turn()

    def _begin_next_turn(self) -> Commands:
        self._taken = None
        self._attempts = 0
        self._loudness.forget()
        self.caller.next_turn()
        return [do.CommitTranscript(self.leg_id)]

    # --- inside: the reply ---------------------------------------------------------------------------------------

    def _answer(self, now: float, *, speculative: bool) -> Commands:
        reply = self._new_reply(Purpose.ANSWER, now)
        reply.basis = normalise(self.caller.text)
        messages = self._history.chat(self.caller.text)
        return [do.StartReply(reply.reply_id, reply.turn_id, messages, speculative)]

    def _new_reply(self, purpose: Purpose, now: float) -> Reply:
        self._reply_ids += 1
        self.reply = Reply(self._reply_ids, self.caller.turn_id, purpose, Marks(now))
        return self.reply

    def _release(self, reply: Reply, now: float) -> Commands:
        reply.released = True
        return self._play_waiting(reply, now)

    def _play_waiting(self, reply: Reply, now: float) -> Commands:
        if not reply.released or reply.dropping or not reply.waiting:
            return []
        cmds: Commands = []
        if not reply.ledger.samples:
            stop = self._settings.stop
            armed = reply.interruptible and not stop.num_words
            cmds.append(do.ArmPause(self.leg_id, armed, stop.pause_after_voice_s))
        for clause in reply.waiting:
            reply.ledger.add(clause)
            cmds.append(do.PlayClause(self.leg_id, reply.reply_id, clause.clause))
        reply.waiting.clear()
        return cmds + self._finish_if_all_given(reply)

    def _finish_if_all_given(self, reply: Reply) -> Commands:
        if not (reply.completed and reply.released) or reply.waiting or reply.finishing:
            return []
        reply.finishing = True
        return [do.FinishPlayout(self.leg_id, reply.reply_id)]

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
        said = self._decided("reply_discarded", reason, {"reply_id": reply.reply_id})
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
            else cmds + self._go_on_without_reply(now)
        )

    def _go_on_without_reply(self, now: float) -> Commands:
        cmds = self._say_queued(now)
        if self.reply is None and self._taken is not None:
            # The reply went before its first frame left: the turn is still to be answered.
            self._taken = None
            cmds.append(self._decided("turn_given_back", "reply_gone", {}))
        return cmds + self.wake(now)

    def _say_now(self, text: str, ends_call: bool, now: float) -> Commands:
        reply = self._new_reply(Purpose.MESSAGE, now)
        reply.released = True
        reply.ends_call = ends_call
        return [do.SayText(reply.reply_id, text)]

    def _say_queued(self, now: float) -> Commands:
        if not self.queued or not self._free:
            return []
        text, ends_call = self.queued.pop(0)
        return self._say_now(text, ends_call, now)

    def _excuse(self, reply: Reply, event: ev.ReplyFailed, now: float) -> Commands:
        if event.step == "tts" or reply.purpose is Purpose.MESSAGE:
            # There is no voice to say it with.
            return [do.EndCall("pipeline-error-custom-voice-failed", event.code)]
        if self.failures < MAX_FAILURES:
            return self._say_now(EXCUSE, False, now)
        ended = self._say_now(FAREWELL, True, now)
        assert self.reply is not None
        self.reply.end_reason = "pipeline-error-custom-llm-llm-failed"
        return ended

    @property
    def _free(self) -> bool:
        """Nobody speaks or is about to: no reply, and no turn of the caller that is still to be taken."""
        return self.reply is None and (self.caller.state is CallerState.SILENT or self._taken is not None)

    def _current(self, reply_id: int) -> Reply | None:
        reply = self.reply
        return reply if reply is not None and reply.reply_id == reply_id else None

    # --- inside: the contest -------------------------------------------------------------------------------------

    def _rule(self, contest: BargeIn, reply: Reply, now: float) -> Commands:
        ruling = contest.rule(self.caller.text, self.caller.confirmed, now)
        if ruling.verdict is Verdict.YIELD:
            return [self._ruled("yielded", ruling, contest, now), *self._yield(reply, ruling.reason, now)]
        if ruling.verdict is Verdict.RESUME:
            return [self._ruled("kept", ruling, contest, now), *self._go_on(reply)]
        if ruling.verdict is Verdict.PLAY_ON:
            return [self._ruled("played_on", ruling, contest, now), *self._resume(reply)]
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
        told = do.TellClient("user-interrupted", {"turnId": str(reply.turn_id), "reason": reason})
        return [*self._drop(reply), told]

    def _go_on(self, reply: Reply) -> Commands:
        self._contest = None
        return self._begin_next_turn() + self._resume(reply)

    def _resume(self, reply: Reply) -> Commands:
        cmds: Commands = []
        if reply.paused_at is not None:
            cmds.append(do.ResumePlayout(self.leg_id, reply.paused_at))
        return cmds + self._hold("assistant")

    # --- inside: telling -----------------------------------------------------------------------------------------

    @property
    def _turn(self) -> int:
        return self.caller.turn_id

    def _ask(self, ask: Ask) -> do.Command:
        if ask is Ask.FINALIZE:
            return do.FinalizeTranscript(self.leg_id)
        return do.ScoreTurn(self.leg_id, self.caller.turn_id)

    def _speaking(self, status: str) -> dict[str, object]:
        return {"status": status, "role": "assistant", "turn": self._turn}

    def _transcript(self, role: str, kind: str, text: str) -> do.TellClient:
        return do.TellClient("transcript", {"role": role, "transcriptType": kind, "transcript": text})

    def _conversation(self) -> do.TellClient:
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
