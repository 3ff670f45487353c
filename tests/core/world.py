"""A conversation in a world of toy size: a recogniser, makers of replies and a media plane that answer its commands.

Everything happens when the script says so, in any order that a real world could bring about. What each side then
knows to be true (what left, what was said, what was asked for) is held against every command that comes out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.conversation import Conversation
from aywa.core.silence import GAP_S
from tests.core.feed import LEG, RATE_HZ, WORD, clause

# Contract 6.5 and Appendix A, as far as this side can bring them about.
PUBLISHED = frozenset(
    (
        "customer-ended-call",
        "assistant-forwarded-call",
        "phone-call-provider-closed-websocket",
        "call.in-progress.error-assistant-did-not-receive-customer-audio",
        "call.in-progress.error-providerfault-transport-never-connected",
        "manually-canceled",
        "silence-timed-out",
        "exceeded-max-duration",
        "assistant-said-end-call-phrase",
        "assistant-ended-call",
        "call.in-progress.error-transfer-failed",
        "customer-ended-call-during-transfer",
        "assistant-ended-call-after-message-spoken",
        "pipeline-error-custom-voice-failed",
        "pipeline-error-custom-llm-llm-failed",
        "pipeline-error-custom-transcriber-failed",
        "worker-shutdown",
    )
)
# Longer than any call may go on by itself once everybody else has done their part.
PATIENCE_S = 120.0
WAKES_AT_ONCE = 6
# Longer than any wait after the caller's last sign of life: who is silent for so long has given the floor away.
LONGEST_WAIT_S = 2.7
# What is put into the history from outside begins with it, and only that does.
NOTE = "note "


@dataclass
class Making:
    """A reply that is being made. fixed: its text was given. answers: the caller's turn, which must be over. guess: it was
    begun before that was known, and not released yet. filled: how many stock phrases were put into it."""

    reply_id: int
    answers: bool
    fixed: str | None = None
    guess: bool = False
    clauses: list[list[str]] = field(default_factory=list)
    given: int = 0
    filled: int = 0
    done: bool = False
    cancelled: bool = False
    finished: bool = False
    over: bool = False

    @property
    def live(self) -> bool:
        return not (self.done or self.cancelled)


@dataclass
class Playing:
    """What the media plane plays."""

    reply_id: int
    words: list[str] = field(default_factory=list)
    position: int = 0
    started: bool = False
    paused: bool = False
    last: bool = False
    dry: bool = False

    @property
    def idle(self) -> bool:
        """It has told that it has nothing left to play."""
        return self.dry and not self.last

    @property
    def end(self) -> int:
        return len(self.words) * WORD

    def heard(self) -> str:
        """By its own count: a word is WORD samples, and half of them are enough."""
        return " ".join(self.words[: (self.position + WORD // 2) // WORD])


class World:
    """The script's verbs are methods; `settle` lets everybody do their part until the call is over.

    lagging: the media plane begins to play only when the script says so. live: it plays as time passes, always.
    stocked: stock phrases are prepared when they are asked for.
    """

    def __init__(
        self, assistant: Mapping[str, Any], *, lagging: bool = False, live: bool = False, stocked: bool = True
    ) -> None:
        self.conversation = Conversation(LEG)
        self.live = live
        self.stocked = stocked
        self.phrases: dict[int, list[str]] = {}
        self.gaps: list[do.RecordGap] = []
        self.sign_s = 0.0
        self.transcripts = 0
        self.initiatives: list[str] = []
        self.now = 0.0
        self.inbox: deque[ev.Event] = deque()
        self.held = False
        self.lagging = lagging
        self.making: dict[int, Making] = {}
        self.playing: Playing | None = None
        self.left: dict[int, str] = {}
        self.armed = False
        self.voiced = False
        self.said: list[str] = []
        self.spoken = 0
        self.asked = 0
        self.taken = False
        self.hung_up = False
        self.connected = False
        self.gone = False
        self.ends: list[do.EndCall] = []
        self.told_ended = 0
        self.recorded: list[Mapping[str, Any]] = []
        self.answered_turns = 0
        self.pressed = False
        self.transferring = False
        self.tools: list[str] = []
        self._acts = False
        self._event: ev.Event | None = None
        self._last: ev.Event | None = None
        self.post(ev.CallStarted("c1", "o1", 0, dict(assistant)))

    # --- the script's verbs --------------------------------------------------------------------------------------

    def post(self, event: ev.Event) -> None:
        self.inbox.append(event)
        self.transcripts += isinstance(event, ev.TranscriptReceived)
        self._arrived()

    def drain(self) -> None:
        """The session's rhythm: every event, every command of it, then the alarm if it is due."""
        self.held = False
        while self.inbox:
            self._event = self._last = self.inbox.popleft()
            self._carry_out(self.conversation.handle(self._event, self.now))
        self._wake()

    def let_pass(self, seconds: float) -> None:
        """Time passes, alarms ring."""
        self.drain()
        until_s = self.now + seconds
        while (due_s := self._next_s()) is not None and due_s <= until_s:
            self._pass(max(0.0, due_s - self.now))
            self._wake()
            self.drain()
        self._pass(until_s - self.now)
        self.drain()

    def _next_s(self) -> float | None:
        """When the next thing happens that nobody brings about."""
        dues = [self.conversation.deadline, self._played_out_s()]
        return min((due for due in dues if due is not None), default=None)

    def _played_out_s(self) -> float | None:
        """When a live media plane has played all that it has."""
        playing = self.playing
        if not self.live or playing is None or playing.paused or playing.idle:
            return None
        return self.now + (playing.end - playing.position) / RATE_HZ

    def _pass(self, seconds: float) -> None:
        out_s = self._played_out_s()
        done = out_s is not None and out_s <= self.now + seconds
        self.now += seconds
        playing = self.playing
        if out_s is None or playing is None:
            return
        if done:
            self.play(playing.end)
        else:
            playing.position += round(seconds * RATE_HZ)

    def connect(self) -> None:
        self.connected = True
        self.post(ev.LegConnected(LEG, RATE_HZ))

    def toggle_voice(self) -> None:
        if not self.connected or self.gone:
            return
        self.voiced = not self.voiced
        if not self.voiced:
            self.post(ev.VoiceStopped(LEG, self.now))
            return
        playing = self.playing
        if self.armed and playing is not None and playing.started and not playing.paused:
            playing.paused = True
            # Both are in the inbox before either is read.
            self.inbox.append(ev.PlayoutPaused(LEG, playing.reply_id, playing.position, self.now))
        self.post(ev.VoiceStarted(LEG, self.now))

    def speak(self, words: int, *, final: bool = False, mumble: str = "") -> None:
        """The recogniser hears so many words that nobody said before, or a mumble."""
        if not self.connected or self.gone:
            return
        self.drain()
        for _ in range(words):
            self.spoken += 1
            self.said.append(f"w{self.spoken}")
        if mumble:
            self.said.append(mumble)
        text = " ".join(self.said)
        if final:
            self.said.clear()
        self.post(ev.TranscriptReceived(LEG, text, final))

    def confirm(self) -> None:
        """The recogniser answers what it was asked, late or never asked."""
        self.drain()
        self.asked = 0
        self.post(ev.TranscriptReceived(LEG, " ".join(self.said), False, confirmed=True))

    def make(self, step: str) -> None:
        """The reply that is being made comes one step further: text, clause, complete, llm, tts."""
        making = next((m for m in reversed(self.making.values()) if m.live), None)
        if making is None:
            return
        if step == "text":
            self.post(ev.ReplyTextReceived(making.reply_id, "a "))
        elif step == "clause":
            words = [f"a{making.reply_id}.{len(making.clauses)}.{n}" for n in range(3)]
            making.clauses.append(words)
            self.post(clause(making.reply_id, len(making.clauses) - 1, " ".join(words)))
        elif step == "complete":
            making.done = True
            text = making.fixed or " ".join(w for c in making.clauses for w in c)
            self.post(ev.ReplyCompleted(making.reply_id, text, len(making.clauses)))
        else:
            making.done = True
            self.post(ev.ReplyFailed(making.reply_id, step, "unavailable"))

    def call_tool(self, name: str, arguments: str = "{}") -> None:
        """The model ends its reply by wanting a tool run."""
        self.drain()
        making = next((m for m in reversed(self.making.values()) if m.live), None)
        if making is None or making.fixed is not None:
            return
        making.done = True
        self.post(ev.ToolCallsReceived(making.reply_id, (ev.ToolCall("c1", name, arguments),)))
        text = " ".join(w for c in making.clauses for w in c)
        self.post(ev.ReplyCompleted(making.reply_id, text, len(making.clauses)))

    def press(self, key: str) -> None:
        """The caller presses a key."""
        if self.connected and not self.gone:
            self.pressed = True
            self.post(ev.DtmfReceived(LEG, key))

    def news(self, status: str) -> None:
        """Whom the caller is transferred to answers, or does not."""
        if not self.transferring or self.gone:
            return
        self.transferring = False
        self.post(ev.TransferChanged(status))
        if status == "connected":
            self.leave("forwarded")

    def play(self, samples: int) -> None:
        """The media plane lets so many samples leave, if it has them."""
        playing = self.playing
        if playing is None or playing.paused:
            return
        if playing.idle:
            return
        if not playing.started:
            self._start(playing)
        playing.position = min(playing.end, playing.position + samples)
        if playing.position < playing.end:
            self.post(ev.PlayoutAdvanced(LEG, playing.reply_id, playing.position, self.now))
        elif playing.last:
            self._over(ev.PlayoutFinished)
            self._arrived()
        else:
            playing.dry = True
            self.post(ev.PlayoutStarved(LEG, playing.reply_id, playing.position, self.now))

    def ask(self, message: Mapping[str, Any]) -> None:
        if self.connected and not self.gone:
            self.post(ev.ClientMessageReceived(LEG, message))

    def steer(self, message: Mapping[str, Any], source: str = "control") -> None:
        """Somebody outside asks for something."""
        if not self.gone:
            self.post(ev.ControlReceived(message, source))

    def leave(self, cause: str = "closed") -> None:
        """The far side goes away."""
        self._close(cause)
        self._arrived()

    def repeat(self) -> None:
        """The last event comes twice; not the recogniser's, who would mean it."""
        self.drain()
        if self._last is not None and not isinstance(self._last, ev.TranscriptReceived):
            self.post(self._last)

    def settle(self) -> None:
        """Everybody does their part, and nobody begins anything: the call must come to its end by itself."""
        began_s = self.now
        for _ in range(400):
            self.drain()
            if self.ends:
                break
            if any(m.live for m in self.making.values()):
                self._make_whole()
            elif self.playing is not None and not (self.playing.paused or self.playing.idle):
                self.play(self.playing.end)
            elif self.voiced:
                self.toggle_voice()
            elif self.asked:
                self.confirm()
            elif self.transferring:
                self.news("failed")
            else:
                due_s = self.conversation.deadline
                assert due_s is not None, "nothing will ever happen again"
                self.let_pass(max(0.0, due_s - self.now))
        assert self.ends, "the call goes on for ever"
        assert self.now - began_s <= PATIENCE_S, "the call hung until its longest duration"
        assert self.conversation.deadline is None
        assert self.told_ended == 1
        assert not any(m.live for m in self.making.values()) or self.gone
        self._end_is_the_end()

    def _arrived(self) -> None:
        if not self.held:
            self.drain()

    # --- the commands, and what must be true of them -------------------------------------------------------------

    def _wake(self) -> None:
        self._event = None
        for _ in range(WAKES_AT_ONCE):
            due_s = self.conversation.deadline
            if due_s is None or due_s > self.now:
                return
            self._carry_out(self.conversation.wake(self.now))
        due_s = self.conversation.deadline
        assert due_s is None or due_s > self.now, "the alarm rings for ever"

    def _carry_out(self, cmds: list[do.Command]) -> None:
        before = len(self.recorded)
        was_hung_up = self.hung_up
        self._acts = any(isinstance(c, do.RecordMessage) and c.message["role"] == "tool_calls" for c in cmds)
        for command in cmds:
            assert not self.ends, f"{command} after the end"
            assert not was_hung_up or self._may_end_with(command), f"{command} while the call ends"
            self._do(command)
        if self.voiced or isinstance(self._event, ev.VoiceStopped | ev.TranscriptReceived | ev.DtmfReceived):
            self.sign_s = self.now
        if self.live and not self.hung_up and self.conversation.floor.caller_has_floor:
            assert self.now - self.sign_s <= LONGEST_WAIT_S, "the floor is said to be the caller's"
        assert list(self.conversation.history.messages) == self.recorded
        self._check_event(self.recorded[before:])

    def _may_end_with(self, command: do.Command) -> bool:
        begins = (
            do.StartReply,
            do.SayText,
            do.ReleaseReply,
            do.PreparePhrase,
            do.PlayClause,
            do.PlayPhrase,
            do.FinalizeTranscript,
            do.ScoreTurn,
            do.ResumePlayout,
            do.SendKeys,
            do.StartTransfer,
        )
        return not isinstance(command, begins) and command != do.ArmPause(LEG, armed=True)

    def _do(self, command: do.Command) -> None:
        match command:
            case do.StartReply() | do.SayText():
                self._asked_for(command)
            case do.CancelReply():
                making = self.making.get(command.reply_id)
                assert making is not None or self.gone
                if making is not None:
                    making.cancelled = True
            case do.ReleaseReply():
                making = self.making[command.reply_id]
                assert self.taken
                assert not any((making.cancelled, making.over))
                making.guess = False
            case do.PreparePhrase():
                self._prepare(command)
            case do.PlayClause() | do.PlayPhrase() | do.FinishPlayout() if self.gone:
                # Nobody is there any more, and the news of it is still in the inbox.
                pass
            case do.PlayClause():
                self._play(command)
            case do.PlayPhrase():
                self._play_phrase(command)
            case do.FinishPlayout():
                self._finish(command)
            case do.DropPlayout():
                if self.playing is not None:
                    self._over(ev.PlayoutDropped)
            case do.ResumePlayout():
                self._resume(command)
            case do.ArmPause():
                self.armed = command.armed
            case do.FinalizeTranscript():
                self.asked += 1
            case do.CommitTranscript():
                started = isinstance(self._event, ev.PlayoutStarted)
                assert started or self._let_go or self._acts, (
                    "the recogniser was told of a turn that nobody took"
                )
                if self._acts and self.taken:
                    # A reply without a word has taken the turn.
                    self.taken = False
                    self.answered_turns += 1
                self.said.clear()
            case do.SendKeys() | do.StartTransfer():
                assert not self.transferring
                assert self.playing is None, "a tool is run into the agent's own words"
                self.transferring = isinstance(command, do.StartTransfer)
            case do.RecordDecision():
                self._decided(command)
            case do.RecordMessage():
                self.recorded.append(command.message)
                if command.message["role"] == "tool_call_result":
                    self.tools.append(command.message["result"])
            case do.RecordGap():
                assert command.to_s - command.from_s > GAP_S - 0.001
                assert not self.gaps or self.gaps[-1].to_s <= command.from_s
                assert abs(sum(command.reasons.values()) - (command.to_s - command.from_s)) < 0.01
                self.gaps.append(command)
            case do.TellClient():
                self.told_ended += command.type == "status-update" and command.body["status"] == "ended"
                assert self.told_ended <= 1
            case do.HangUp():
                self.hung_up = True
                if not self.lagging:
                    self._close("local")
            case do.EndCall():
                assert command.reason in PUBLISHED, command
                self.ends.append(command)
            case _:
                pass

    def _asked_for(self, command: do.StartReply | do.SayText) -> None:
        self._alone(command.reply_id)
        if isinstance(command, do.StartReply):
            # The caller's words that are not in the history yet are what is answered.
            said = [
                [m["content"] for m in chat if m["role"] == "user"]
                for chat in (command.messages, self._chat())
            ]
            made = Making(command.reply_id, answers=said[0] != said[1], guess=command.speculative)
        else:
            made = Making(command.reply_id, answers=self._excuses(), fixed=command.text)
        self.making[command.reply_id] = made

    def _alone(self, reply_id: int) -> None:
        assert reply_id not in self.making
        for other in self.making.values():
            wordless = other.done and not other.given and not other.filled
            assert other.over or other.cancelled or wordless, "two replies at once"

    def _play(self, command: do.PlayClause) -> None:
        making = self.making[command.reply_id]
        assert not any((making.cancelled, making.finished, making.over))
        assert self.taken or making.given or making.filled or not making.answers, (
            "played before its turn was over"
        )
        assert not making.guess, "played before it was released"
        assert command.clause == making.given, "a clause twice, or out of order"
        making.given += 1
        self._give(command.reply_id, making.clauses[command.clause])

    def _prepare(self, command: do.PreparePhrase) -> None:
        assert command.phrase_id not in self.phrases, "a phrase prepared twice"
        words = self.phrases[command.phrase_id] = command.text.split()
        places = tuple(ev.HeardWord(w, n * WORD, (n + 1) * WORD) for n, w in enumerate(words))
        samples = len(words) * WORD if self.stocked else 0
        self.inbox.append(ev.PhrasePrepared(command.phrase_id, command.text, samples, places[:samples]))

    def _play_phrase(self, command: do.PlayPhrase) -> None:
        assert self.stocked, "a phrase that is not there"
        if command.reply_id not in self.making:
            # A message of nothing but a phrase is whole from the beginning.
            self._alone(command.reply_id)
            self.making[command.reply_id] = Making(command.reply_id, answers=self._excuses(), done=True)
        making = self.making[command.reply_id]
        assert not any((making.cancelled, making.finished, making.over))
        assert self.taken or making.given or making.filled or not making.answers
        assert not making.guess
        making.filled += 1
        self._give(command.reply_id, self.phrases[command.phrase_id])

    def _give(self, reply_id: int, words: list[str]) -> None:
        if self.playing is None:
            self.playing = Playing(reply_id)
        assert self.playing.reply_id == reply_id, "two replies play at once"
        self.playing.words += words
        self.playing.dry = False
        if (self.live or not self.lagging) and not self.playing.started:
            self._start(self.playing)

    def _excuses(self) -> bool:
        """Whether what is said now takes the place of an answer that failed."""
        event = self._event
        failed = (
            self.making.get(event.reply_id) if isinstance(event, ev.ReplyFailed | ev.ReplyCompleted) else None
        )
        return failed is not None and failed.answers and self.taken

    def _start(self, playing: Playing) -> None:
        playing.started = True
        self.inbox.append(ev.PlayoutStarted(LEG, playing.reply_id, self.now))

    def _finish(self, command: do.FinishPlayout) -> None:
        making = self.making[command.reply_id]
        assert making.given or making.filled
        assert not making.finished
        making.finished = True
        playing = self.playing
        if playing is None:
            return
        assert playing.reply_id == command.reply_id
        playing.last = True
        if playing.started and not playing.paused and playing.position == playing.end:
            self._over(ev.PlayoutFinished)

    def _resume(self, command: do.ResumePlayout) -> None:
        playing = self.playing
        if playing is None or not playing.paused:
            return
        assert command.at_sample == playing.position, "it does not go on from where it stopped"
        playing.paused = playing.dry = False
        self.inbox.append(ev.PlayoutResumed(LEG, playing.reply_id, playing.position, self.now))

    def _over(self, kind: type[ev.PlayoutFinished] | type[ev.PlayoutDropped]) -> None:
        playing, self.playing = self.playing, None
        assert playing is not None
        self.making[playing.reply_id].over = True
        self.left[playing.reply_id] = playing.heard()
        self.inbox.append(kind(LEG, playing.reply_id, playing.position, self.now))

    def _close(self, cause: str) -> None:
        if not self.connected or self.gone:
            return
        if self.playing is not None:
            self._over(ev.PlayoutDropped)
        self.gone = True
        self.inbox.append(ev.LegEnded(LEG, cause))

    def _decided(self, command: do.RecordDecision) -> None:
        assert command.reason
        if command.machine == "initiative":
            self.initiatives.append(command.reason)
        # A turn that nobody answers, a backchannel, and what was said to nobody while the caller was muted.
        self._let_go = command.decision in ("turn_dropped", "kept", "turn_noted", "control")
        self._noted = self._noted or command.decision == "turn_noted"
        if command.decision == "turn_taken":
            assert not self.taken
            self.taken = True
        elif command.decision == "turn_given_back":
            self.taken = False

    _let_go = False
    _noted = False

    def _check_event(self, entries: list[Mapping[str, Any]]) -> None:
        """What may enter the history at this event, and what must."""
        event, self._let_go = self._event, False
        noted, self._noted = self._noted, False
        entries = [
            e
            for e in entries
            if e.get("message") and e["role"] != "system" and not e["message"].startswith(NOTE)
        ]
        of_user = [e for e in entries if e["role"] == "user"]
        of_bot = [e["message"] for e in entries if e["role"] == "bot"]
        match event:
            case ev.PlayoutStarted() if self.taken and self.making[event.reply_id].answers:
                # What was entered on the keypad stands by itself.
                assert len(of_user) == 1 or (of_user and self.pressed), (
                    "an answer whose question is not in the history"
                )
                self.taken = False
                self.answered_turns += 1
                assert not of_bot
            case ev.PlayoutFinished() | ev.PlayoutDropped() if not self._was_over:
                heard = self.left.pop(event.reply_id, "")
                assert of_bot == ([heard] if heard else []), "what was heard is not what is kept"
                assert noted or not of_user
            case _ if self.ends:
                # The leg is gone: what the caller said and nobody will answer is kept all the same.
                assert len(of_user) <= 1 or self.pressed
                assert not of_bot
            case _ if self._acts:
                assert not of_bot
            case _ if noted:
                assert len(of_user) == 1 or (of_user and self.pressed)
                assert not of_bot
            case _:
                assert not entries, f"{entries} at {event}"

    @property
    def _was_over(self) -> bool:
        return bool(self.ends) and not isinstance(self._event, ev.LegEnded)

    def _chat(self) -> tuple[Mapping[str, Any], ...]:
        return self.conversation.history.chat()

    def _make_whole(self) -> None:
        making = next(m for m in reversed(self.making.values()) if m.live)
        if not making.clauses:
            self.make("clause")
        if making.live:
            self.make("complete")

    def _end_is_the_end(self) -> None:
        assert len(self.ends) == 1
        for event in (
            ev.EndRequested("manually-canceled"),
            ev.LegConnected(LEG, RATE_HZ),
            ev.LegEnded(LEG, "lost"),
            ev.VoiceStarted(LEG, self.now),
            ev.ClientMessageReceived(LEG, {"type": "end-call"}),
        ):
            assert self.conversation.handle(event, self.now) == []
            assert self.conversation.wake(self.now) == []
        said = [
            w for m in self.recorded if m["role"] == "user" for w in re.findall(r"\bw\d+\b", m["message"])
        ]
        assert len(said) == len(set(said)), "the same words twice in the history"
