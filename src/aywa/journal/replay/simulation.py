"""Plays a recorded caller to an assistant with other settings: open-loop, on a clock of its own, without providers.

The caller's audio is fixed. An answer is the recorded one where the request is equal; where it is not it is made from the
call's own, and everything from there on is estimated.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.clauses import ClauseCutter
from aywa.core.conversation import Conversation
from aywa.core.settings import ChunkPlan, read_settings
from aywa.core.tool_asking import FAILURE
from aywa.journal.replay.identity import Told
from aywa.journal.replay.material import (
    Asked,
    Input,
    Inquired,
    Made,
    Material,
    key_of,
    key_of_handoff,
    key_of_question,
    key_of_tool,
)
from aywa.journal.replay.playout import GRAIN_S, Playout
from aywa.journal.replay.rules import first_match

# Two questions at so nearly the same time are the same question.
SAME_S = 0.03
NEAR_S = 0.3
# How long after the recorded call's end an answer may still be waited for.
AFTER_S = 10.0
# A reply that was stopped when it was recorded goes on this much later.
GOES_ON_S = 0.25
# Trying a call's rules takes no longer than this.
RULES_S = 0.002
STEPS_MAX = 200_000
# So many windows without voice end it, as in VoiceSettings: a pause that is armed acts once a voice.
QUIET_WINDOWS = 2


class Simulation:
    """`run` once. told: what happened. estimated_from_s: from when on it rests on answers nobody gave; None: never.
    open_end: the recorded call is over, and this one is not."""

    def __init__(
        self, material: Material, started: ev.CallStarted, assistant: Mapping[str, Any], join_s: float
    ) -> None:
        self._material = material
        self._conversation = Conversation(material.leg_id, join_s)
        self._playout = Playout(material.leg_id, material.rate_hz, material.lead_s, material.framed)
        self._now = 0.0
        self._heap: list[tuple[float, int, int, Callable[[], None]]] = []
        self._order = count()
        self._inbox: deque[ev.Event] = deque()
        self._text = _Text()
        self._replies = _Replies(material, read_settings(assistant).chunks)
        self._clauses: dict[tuple[int, int], int] = {}
        self._phrases: dict[tuple[int, str], int] = {}
        self._cancelled: set[int] = set()
        self._held: dict[int, list[tuple[float, ev.Event, bool]]] = {}
        # The rules of the other settings; None: the recorded ones, whose answers are known.
        self._own_rules = read_settings(started.assistant).start.rules
        rules = read_settings(assistant).start.rules
        self._rules = None if rules == self._own_rules else rules
        self._armed_s: float | None = None
        self._armed_voice_s = 0.0
        self._paused_for_voice = False
        self._quiet_windows = 0
        self._done = False
        self.told: list[Told] = []
        self.estimated_from_s: float | None = None
        self.open_end = False
        for each in material.inputs:
            event = each.event
            if isinstance(event, ev.CallStarted):
                event = dataclasses.replace(started, assistant=dict(assistant))
            self._at(each.at_s, self._input(each, event))
        if material.voiced:
            before_s = None
            for at_s, voiced in material.voiced:
                window_s = 0.032 if before_s is None else min(max(at_s - before_s, 0.0), 0.1)
                self._at(at_s, self._window(voiced, window_s), late=-1)
                before_s = at_s

    def run(self) -> None:
        """From the first record to the call's end, or a while past the recorded one."""
        until_s = self._material.end_s + AFTER_S
        for _ in range(STEPS_MAX):
            if self._done:
                return
            if not self._next(until_s):
                break
        self.open_end = not self._done

    # --- the clock -----------------------------------------------------------------------------------------------

    def _at(self, at_s: float, work: Callable[[], None], late: int = 0) -> None:
        heapq.heappush(self._heap, (max(at_s, self._now), late, next(self._order), work))

    def _next(self, until_s: float) -> bool:
        """One thing that happens; False when nothing more will."""
        if self._inbox:
            event = self._inbox.popleft()
            self.told.append(Told(self._now, event))
            self._carry_out(self._conversation.handle(event, self._now))
            return True
        heap_s = self._heap[0][0] if self._heap else None
        wake_s, play_s = self._conversation.deadline, self._playout.due_s
        times = [each for each in (heap_s, wake_s, play_s) if each is not None]
        if not times or min(times) > until_s:
            return False
        due_s = min(times)
        # What came by then is taken first, as a session takes its inbox before it wakes.
        if wake_s is not None and wake_s <= due_s and (heap_s is None or heap_s > wake_s + GRAIN_S):
            return self._wake(wake_s, [each for each in (heap_s, play_s) if each is not None])
        self._now = max(self._now, due_s)
        if heap_s is not None and heap_s <= due_s + GRAIN_S:
            heapq.heappop(self._heap)[3]()
        else:
            self._inbox.extend(self._playout.tick(self._now))
        return True

    def _wake(self, wake_s: float, others: Sequence[float]) -> bool:
        self._now = max(self._now, wake_s)
        cmds = self._conversation.wake(self._now)
        self._carry_out(cmds)
        if not cmds and self._conversation.deadline == wake_s:
            # Nothing came of it and nothing moved: the next thing to happen is something else.
            if not others:
                return False
            self._now = max(self._now, min(others))
            if self._heap and self._heap[0][0] <= self._now:
                heapq.heappop(self._heap)[3]()
            else:
                self._inbox.extend(self._playout.tick(self._now))
        return True

    def _post(self, event: ev.Event, estimated: bool = False) -> None:
        if estimated and self.estimated_from_s is None:
            self.estimated_from_s = self._now
        self._inbox.append(event)

    # --- the caller ----------------------------------------------------------------------------------------------

    def _input(self, each: Input, event: ev.Event) -> Callable[[], None]:
        def happen() -> None:
            match event:
                case ev.TranscriptReceived():
                    told, moved = self._text.told(event, each.segment)
                    self._post(told, moved)
                case ev.VoiceStarted():
                    if not self._material.voiced:
                        self._pause_if_armed()
                    self._post(event)
                case ev.LegEnded():
                    self._inbox.extend(self._playout.drop(self._now))
                    self._post(event)
                case _:
                    self._post(event)

        return happen

    def _window(self, voiced: bool, window_s: float) -> Callable[[], None]:
        """As the media plane counts voice under an armed pause."""

        def happen() -> None:
            self._quiet_windows = 0 if voiced else self._quiet_windows + 1
            if self._quiet_windows >= QUIET_WINDOWS:
                self._paused_for_voice = False
            if self._armed_s is None:
                return
            if not voiced or not self._playout.flowing or self._paused_for_voice:
                self._armed_voice_s = 0.0
                return
            self._armed_voice_s += window_s
            if self._armed_voice_s >= self._armed_s - 1e-3:
                self._armed_voice_s = 0.0
                self._paused_for_voice = True
                # The windows' times are reckoned, the pause's is known if there was one.
                near = [at_s for at_s in self._material.pauses if abs(at_s - self._now) <= 0.06]
                self._at(near[0] if near else self._now, self._pause_if_armed, late=-1)

        return happen

    def _pause_if_armed(self) -> None:
        if self._armed_s is not None:
            self._inbox.extend(self._playout.pause(self._now))

    # --- commands ------------------------------------------------------------------------------------------------

    def _carry_out(self, cmds: Sequence[do.Command]) -> None:
        for command in cmds:
            self.told.append(Told(self._now, command))
            self._do(command)

    def _do(self, command: do.Command) -> None:
        match command:
            case do.FinalizeTranscript():
                self._finalize()
            case do.CommitTranscript():
                self._text.commit()
            case do.ScoreTurn():
                self._score(command)
            case do.StartReply() | do.SayText():
                self._make(command)
            case do.CancelReply():
                self._cancelled.add(command.reply_id)
            case do.PlayClause():
                samples = self._clauses.get((command.reply_id, command.clause), 0)
                self._inbox.extend(self._playout.play(command.reply_id, samples, self._now))
            case do.FinishPlayout():
                self._inbox.extend(self._playout.finish(command.reply_id, self._now))
            case do.PausePlayout():
                self._inbox.extend(self._playout.pause(self._now))
            case do.ResumePlayout():
                self._inbox.extend(self._playout.resume(command.at_sample, self._now))
            case do.DropPlayout():
                self._inbox.extend(self._playout.drop(self._now))
            case do.ArmPause():
                self._armed_s, self._armed_voice_s = (command.voice_s if command.armed else None), 0.0
                self._paused_for_voice = False
            case do.HangUp():
                self._inbox.extend(self._playout.drop(self._now))
                gone = ev.LegEnded(self._material.leg_id, "local", command.reason)
                self._at(self._now + self._material.hang_up_s, lambda: self._post(gone))
            case do.EndCall():
                self._done = True
            case do.ReleaseReply():
                for after_s, event, estimated in self._held.pop(command.reply_id, []):
                    self._reply_event(after_s, event, estimated)
            case do.PreparePhrase():
                self._prepare(command)
            case do.PlayPhrase():
                samples = self._phrases.get((command.phrase_id, command.source), 0)
                self._inbox.extend(self._playout.play(command.reply_id, samples, self._now))
            case do.MatchRules():
                self._match_rules(command)
            case do.AskEndpointing():
                self._ask_endpointing(command)
            case do.StartHandoff():
                self._hand_over(command)
            case do.StartTool():
                self._run_tool(command)
            case _:
                # For the record or the client: nothing answers.
                pass

    # --- the customer's word on endpointing ------------------------------------------------------------------------

    def _match_rules(self, command: do.MatchRules) -> None:
        known = None if self._rules is not None else self._equal(command)
        if known is not None and isinstance(known.answer, ev.RulesMatched):
            wait_s, rule, after_s = known.answer.wait_s, known.answer.rule, known.after_s
        else:
            # A rule is no provider: what it would have said is known.
            rules = self._own_rules if self._rules is None else self._rules
            rule, wait_s = first_match(rules, command.said, command.heard)
            after_s = RULES_S
        matched = ev.RulesMatched(command.turn_id, command.question, wait_s, rule)
        self._at(self._now + after_s, lambda: self._post(matched))

    def _ask_endpointing(self, command: do.AskEndpointing) -> None:
        known = self._equal(command)
        answered = [
            each for each in self._material.inquired if isinstance(each.answer, ev.EndpointingAnswered)
        ]
        estimated = known is None
        if known is None:
            known = min(answered, key=lambda each: abs(each.at_s - self._now), default=None)
        answer = ev.EndpointingAnswered(command.turn_id, command.question, None, "no_server")
        if known is not None and isinstance(known.answer, ev.EndpointingAnswered):
            answer = dataclasses.replace(known.answer, turn_id=command.turn_id, question=command.question)
        after_s = 0.0 if known is None else known.after_s
        self._at(self._now + after_s, lambda: self._post(answer, estimated))

    def _equal(self, command: do.MatchRules | do.AskEndpointing) -> Inquired | None:
        key = key_of_question(command)
        equal = [each for each in self._material.inquired if each.key == key and each.answer is not None]
        return min(equal, key=lambda each: abs(each.at_s - self._now), default=None)

    # --- handoffs ----------------------------------------------------------------------------------------------------

    def _hand_over(self, command: do.StartHandoff) -> None:
        """Who took the call over when it was recorded does so now; of anybody else nobody knows."""
        key = key_of_handoff(command)
        equal = [each for each in self._material.sought if each.key == key and each.answer is not None]
        known = min(equal, key=lambda each: abs(each.at_s - self._now), default=None)
        refused = ev.HandoffRefused(command.call_id, "nobody took it over when it was recorded")
        answer = refused if known is None else _with(known.answer, call_id=command.call_id)
        after_s = 0.0 if known is None else known.after_s
        self._at(self._now + after_s, lambda: self._post(answer, estimated=known is None))

    # --- tools -------------------------------------------------------------------------------------------------------

    def _run_tool(self, command: do.StartTool) -> None:
        """What was answered when it was recorded is answered now. Of anything else nobody knows, and nobody is asked."""
        key = key_of_tool(command)
        equal = [each for each in self._material.ran if each.key == key and each.answer is not None]
        known = min(equal, key=lambda each: abs(each.at_s - self._now), default=None)
        unknown = ev.ToolReturned(
            command.run, FAILURE, "Nobody was asked: it was not asked when the call was recorded."
        )
        answer = unknown if known is None else _with(known.answer, run=command.run)
        after_s = 0.0 if known is None else known.after_s
        self._at(self._now + after_s, lambda: self._post(answer, estimated=known is None))

    # --- the recogniser and the turn model -------------------------------------------------------------------------

    def _finalize(self) -> None:
        material = self._material
        asked = _same(material.finalize, self._now)
        if asked is not None:
            asked.used = True
            if isinstance(asked.answer, ev.TranscriptReceived):
                event, segment = asked.answer, asked.segment
                self._at(self._now + asked.after_s, lambda: self._tell(event, segment))
            return
        if any(each.answer is not None for each in material.finalize):
            near = _nearest(material.finalize, self._now, NEAR_S)
            answer = None if near is None else near.answer
            self._at(self._now + material.finalize_s, lambda: self._estimate_text(answer))

    def _tell(self, event: ev.TranscriptReceived, segment: int) -> None:
        told, moved = self._text.told(event, segment)
        self._post(told, moved)

    def _estimate_text(self, near: ev.Event | None) -> None:
        text = self._text.now
        if isinstance(near, ev.TranscriptReceived) and near.text.startswith(self._text.latest):
            text = self._text.cut(near.text)
        answer = ev.TranscriptReceived(self._material.leg_id, text, is_final=False, confirmed=True)
        self._post(answer, estimated=True)

    def _score(self, command: do.ScoreTurn) -> None:
        material = self._material
        asked = _same(material.scores, self._now)
        if asked is not None:
            asked.used = True
            if isinstance(asked.answer, ev.TurnScored):
                event = _renumbered(asked.answer, command)
                self._at(self._now + asked.after_s, lambda: self._post(event))
            return
        near = _nearest(material.scores, self._now, NEAR_S)
        if near is not None and isinstance(near.answer, ev.TurnScored):
            guess = _renumbered(near.answer, command)
            self._at(self._now + material.score_s, lambda: self._post(guess, estimated=True))

    # --- replies ---------------------------------------------------------------------------------------------------

    def _make(self, command: do.StartReply | do.SayText) -> None:
        plan = self._replies.plan(command, self._now)
        held = self._held.setdefault(command.reply_id, [])
        for after_s, event, estimated in plan.events:
            renamed = _with(event, reply_id=command.reply_id)
            if plan.released_s is not None and after_s >= plan.released_s and not _is_text(event):
                held.append((after_s - plan.released_s, renamed, estimated))
            else:
                self._reply_event(after_s, renamed, estimated)

    def _reply_event(self, after_s: float, event: ev.Event, estimated: bool) -> None:
        reply_id: int = event.reply_id  # type: ignore[union-attr]

        def happen() -> None:
            if reply_id in self._cancelled:
                return
            if isinstance(event, ev.ClauseSynthesized):
                self._clauses[(reply_id, event.clause)] = event.samples
            self._post(event, estimated)

        self._at(self._now + after_s, happen)

    def _prepare(self, command: do.PreparePhrase) -> None:
        known = next((p for p in self._material.phrases if p.text == command.text), None)
        for after_s, answer in () if known is None else known.answers:
            self._at(
                self._now + after_s, self._prepared(dataclasses.replace(answer, phrase_id=command.phrase_id))
            )

    def _prepared(self, event: ev.PhrasePrepared) -> Callable[[], None]:
        def happen() -> None:
            self._phrases[(event.phrase_id, event.source)] = event.samples
            self._post(event)

        return happen


class _Text:
    """What the recogniser would say, when it is told at other times than it was that a turn was taken.

    carried: words that were given up when they were recorded and are still wanted now. skip: words of the recorded
    stretch that were already taken. latest: the stretch's last recorded text."""

    def __init__(self) -> None:
        self.segment = 0
        self.latest = ""
        self._carried = ""
        self._skip = 0

    @property
    def now(self) -> str:
        """All words that are not taken yet."""
        return self.cut(self.latest)

    def cut(self, text: str) -> str:
        """A recorded text as it would be now."""
        words = text.split()[self._skip :] if self._skip else [text.strip()]
        return " ".join(part for part in (self._carried, *words) if part)

    def told(self, event: ev.TranscriptReceived, segment: int) -> tuple[ev.TranscriptReceived, bool]:
        """The event of a recorded stretch as it would be now, and whether it is another."""
        if segment < self.segment:
            # A late answer about a stretch that is over.
            return event, False
        while self.segment < segment:
            self._begin_anew()
        if event.text.strip() or not event.confirmed:
            self.latest = event.text.strip()
        moved = bool(self._carried or self._skip)
        told = dataclasses.replace(event, text=self.cut(event.text)) if moved else event
        if event.is_final:
            self._restart()
        return told, moved

    def commit(self) -> None:
        """A turn is taken now."""
        self._carried = ""
        self._skip = len(self.latest.split())

    def _begin_anew(self) -> None:
        """A turn was taken when it was recorded."""
        left = self.now
        self._restart()
        self._carried = left

    def _restart(self) -> None:
        self.segment += 1
        self.latest, self._carried, self._skip = "", "", 0


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """What will come of a request: (seconds after it, event, whether it is estimated)."""

    events: Sequence[tuple[float, ev.Event, bool]]
    released_s: float | None = None


class _Replies:
    """The recorded replies, by what was asked."""

    def __init__(self, material: Material, chunks: ChunkPlan) -> None:
        self._material = material
        self._chunks = chunks

    def plan(self, command: do.StartReply | do.SayText, now: float) -> _Plan:
        key = key_of(command)
        is_answer = isinstance(command, do.StartReply)
        equal = [m for m in self._material.made if m.key == key and m.is_answer is is_answer]
        # Equal requests got several answers only by chance: the one of that time, and one not taken yet, comes first.
        equal.sort(
            key=lambda made: (made.used, abs(made.at_s - now) > SAME_S, not made.whole, abs(made.at_s - now))
        )
        if equal:
            made = equal[0]
            made.used = True
            known = [(when, event, False) for when, event in made.events]
            return _Plan([*known, *self._rest(made, command, now)], made.released_s)
        if isinstance(command, do.SayText):
            return _Plan(self._spoken(command.text, self._material.voice_s))
        return _Plan(self._guessed(now, self._material.first_clause_s))

    def _rest(
        self, made: Made, command: do.StartReply | do.SayText, now: float
    ) -> Sequence[tuple[float, ev.Event, bool]]:
        """How a reply that was stopped when it was recorded would have gone on."""
        if made.whole:
            return []
        # Never stopped and never done: nothing more came for as long as the recorded call lasted.
        silent_s = self._material.end_s - made.at_s if made.stopped_s is None else made.stopped_s
        last_s = max([silent_s, *(when for when, _ in made.events)])
        clauses = [e for _, e in made.events if isinstance(e, ev.ClauseSynthesized)]
        if clauses:
            text = " ".join(clause.text for clause in clauses)
            return [(last_s + GOES_ON_S, ev.ReplyCompleted(0, text, len(clauses)), True)]
        soonest_s = last_s + GOES_ON_S
        if isinstance(command, do.SayText):
            guess = self._spoken(command.text, max(self._material.voice_s, soonest_s))
        else:
            guess = self._guessed(now, max(self._material.first_clause_s, soonest_s))
        return [(max(when, soonest_s), event, estimated) for when, event, estimated in guess]

    def _guessed(self, now: float, first_s: float) -> Sequence[tuple[float, ev.Event, bool]]:
        """The answer that was given nearest to this time, at the call's usual speed."""
        spoken = [made for made in self._material.made if made.is_answer and made.spoken]
        if not spoken:
            return self._spoken("One moment please, I will find that out for you.", first_s)
        made = min(spoken, key=lambda each: abs(each.at_s - now))
        shift_s = first_s - (made.first_clause_s or 0.0)
        # What tools a model would have wanted run nobody can guess.
        events = [each for each in made.events if not isinstance(each[1], ev.ToolCallsReceived)]
        return [(max(0.0, when + shift_s), event, True) for when, event in events]

    def _spoken(self, text: str, first_s: float) -> Sequence[tuple[float, ev.Event, bool]]:
        """A text that nobody has spoken yet, in this call's voice."""
        cutter = ClauseCutter(plan=self._chunks)
        clauses = [*cutter.feed(text), *cutter.finish()]
        pace = self._material.samples_per_letter
        events: list[tuple[float, ev.Event, bool]] = [(0.0, ev.ReplyTextReceived(0, text), True)]
        for number, clause in enumerate(clauses):
            samples = round(len(clause) * pace)
            events.append((first_s * (number + 1), ev.ClauseSynthesized(0, number, clause, samples), True))
        return [*events, (first_s * max(1, len(clauses)), ev.ReplyCompleted(0, text, len(clauses)), True)]


def _same(asked: Sequence[Asked], now: float) -> Asked | None:
    """The question that was asked at this time, and is still to be had."""
    fitting = [each for each in asked if not each.used and abs(each.at_s - now) <= SAME_S]
    return min(fitting, key=lambda each: abs(each.at_s - now), default=None)


def _nearest(asked: Sequence[Asked], now: float, within_s: float) -> Asked | None:
    fitting = [each for each in asked if each.answer is not None and abs(each.at_s - now) <= within_s]
    return min(fitting, key=lambda each: abs(each.at_s - now), default=None)


def _renumbered(score: ev.TurnScored, command: do.ScoreTurn) -> ev.TurnScored:
    names = {field.name for field in dataclasses.fields(score)} & {
        field.name for field in dataclasses.fields(command)
    }
    return dataclasses.replace(score, **{name: getattr(command, name) for name in names})


def _with(event: Any, **fields: Any) -> Any:
    """The event under another number. Any: the classes that have such a number have no name in common."""
    return dataclasses.replace(event, **fields)


def _is_text(event: ev.Event) -> bool:
    return isinstance(event, ev.ReplyTextReceived)
