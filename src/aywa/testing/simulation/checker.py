"""What must hold in every call, judged by what really happened and by the journal; the engine's own watch is not asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aywa.ports.journal import JournalRecord
from aywa.testing.simulation.truth import Truth, Voice, Voiced

GAP_S = 3.0
# A turn may be waited for so long before it is taken; the silence that must be explained begins then.
LONGEST_WAIT_S = 1.9
RECOVERY_S = 1.2
IDLE_S = 10.0
IDLE_SLACK_S = 0.6
OVERLAP_S = 1.6
OVERLAP_COUNTED_S = 4.0
WORDS_OFF = 1
WORDS_OFF_ESTIMATED = 2
# What was heard is kept so soon after its end, also with a slow leg.
KEPT_WITHIN_S = 1.0
_GRAIN_S = 0.01


@dataclass(frozen=True, slots=True)
class Violation:
    """What did not hold, when, and what was seen instead."""

    kind: str
    at_s: float
    detail: str

    def __str__(self) -> str:
        return f"{self.at_s:8.2f} s  {self.kind}: {self.detail}"


# A caller's noise past this is no claim to the floor.
ENDLESS_S = 6.0
_SPOKEN_ENDS = ("exceeded-max-duration", "assistant-ended-call-after-message-spoken")


class Checker:
    """One call. ended_s: when the engine ended it; word_times: the voice told where its words are."""

    def __init__(
        self,
        truth: Truth,
        records: Sequence[JournalRecord],
        assistant: Mapping[str, Any],
        ended_s: float,
        *,
        word_times: bool,
    ) -> None:
        self._truth = truth
        self._records = records
        self._assistant = assistant
        self._word_times = word_times
        self._end_s = min(ended_s, truth.unreachable_s, ended_s if truth.left_s is None else truth.left_s)
        self._sounds = _merged([(s.from_s, s.to_s) for s in truth.heard])
        self.recoveries_s: list[float] = []

    def violations(self) -> list[Violation]:
        """All of them, in time."""
        found = [
            *self._gaps(), *self._recoveries(), *self._history(), *self._double_answers(), *self._talked_over(),
            *self._collisions(),
        ]  # fmt: skip
        return sorted(found, key=lambda v: v.at_s)

    # --- silence -------------------------------------------------------------------------------------------------

    def _gaps(self) -> Iterator[Violation]:
        voices = [(v.from_s, v.to_s) for v in self._truth.voice]
        for from_s, to_s in _between(_merged([*self._sounds, *voices]), 0.0, self._end_s):
            reason, begins_s, limit_s = self._reason(from_s, to_s)
            lasted_s = to_s - begins_s - self._frozen_s(begins_s, to_s)
            if lasted_s > limit_s + _GRAIN_S:
                yield Violation(
                    f"gap.{reason}", from_s, f"{lasted_s:.2f} s without a sound, {limit_s:g} allowed"
                )

    def _reason(self, from_s: float, to_s: float) -> tuple[str, float, float]:
        """Why it is quiet, since when that must be explained, and how long it may last."""
        truth = self._truth
        if any(s.from_s <= from_s + _GRAIN_S and s.to_s >= min(to_s, from_s + GAP_S) for s in truth.spans):
            return "mid_reply", from_s, GAP_S
        owing = self._owing(from_s)
        if owing is not None:
            taken_s = self._taken_s(from_s, to_s)
            heard = any(
                r.kind == "TranscriptReceived" and owing.from_s <= r.at_s <= to_s and r.data["text"]
                for r in self._records
            )
            return ("owed" if heard else "unheard"), taken_s, GAP_S
        speaks_first = self._assistant.get("firstMessageMode") != "assistant-waits-for-user"
        if speaks_first and not any(s_from < from_s for s_from, _ in self._sounds):
            return "greeting", from_s, GAP_S
        return "awaiting", from_s, IDLE_S + IDLE_SLACK_S

    def _owing(self, at_s: float) -> Voiced | None:
        """The words of the caller that nothing has been said to since."""
        asked = [
            v
            for v in self._truth.voice
            if v.to_s <= at_s + _GRAIN_S and v.kind in (Voice.TURN, Voice.INTERRUPTION) and v.text
        ]
        if not asked:
            return None
        last = asked[-1]
        answered = any(to_s > last.to_s + _GRAIN_S and from_s < at_s for from_s, to_s in self._sounds)
        return None if answered else last

    def _taken_s(self, from_s: float, to_s: float) -> float:
        taken = [
            r.at_s
            for r in self._decisions("turn_taken")
            if from_s - _GRAIN_S <= r.at_s <= min(to_s, from_s + LONGEST_WAIT_S)
        ]
        return taken[-1] if taken else from_s

    def _frozen_s(self, from_s: float, to_s: float) -> float:
        return sum(max(0.0, min(to_s, end) - max(from_s, begin)) for begin, end in self._truth.frozen)

    def _recoveries(self) -> Iterator[Violation]:
        """A reply that failed while it was waited for: how long until there is a sound."""
        for failed in self._decisions("reply_failed"):
            at_s = self._awaited_s(failed)
            if at_s is None:
                continue
            if at_s >= self._end_s or any(
                v.from_s <= at_s + 3 and v.to_s >= at_s - 0.3 for v in self._truth.voice
            ):
                continue
            next_s = next((max(begin, at_s) for begin, end in self._sounds if end > at_s), None)
            if next_s is None:
                lasted_s, what = self._end_s - at_s, "nothing was heard until the end"
            else:
                lasted_s, what = next_s - at_s, "until the next sound"
            lasted_s -= self._frozen_s(at_s, at_s + lasted_s)
            self.recoveries_s.append(lasted_s)
            if lasted_s > RECOVERY_S + _GRAIN_S:
                code = failed.data["reason"]
                yield Violation("recovery", at_s, f"{lasted_s:.2f} s {what}, after {code}")

    def _awaited_s(self, failed: JournalRecord) -> float | None:
        """Since when what failed was waited for; None if the turn was not over yet, and another reply was asked for when it
        was: what is waited for then is that one, and its failures are its own."""
        reply_id = failed.data["details"].get("reply_id")
        at = next(number for number, record in enumerate(self._records) if record is failed)
        awaited = True
        for record in self._records[:at]:
            if record.kind == "StartReply" and record.data["reply_id"] == reply_id:
                awaited = not record.data["speculative"]
            elif _decided(record, "turn_taken"):
                awaited = True
            elif _decided(record, "turn_given_back") and record.data["details"].get("reply_id") == reply_id:
                awaited = False
        if awaited:
            return failed.at_s
        later = self._records[at:]
        taken_s = next((r.at_s for r in later if _decided(r, "turn_taken")), None)
        begun_s = next((r.at_s for r in later if r.kind == "StartReply"), float("inf"))
        return None if taken_s is None or begun_s <= taken_s else taken_s

    # --- words ---------------------------------------------------------------------------------------------------

    def _history(self) -> Iterator[Violation]:
        """Every message of the agent's, in order, is a reply that was heard, to the word."""
        stock = {
            r.data["reply_id"]
            for r in self._records
            if r.kind == "PlayPhrase" and r.data.get("source") == "stock"
        }
        kept = [
            (r.at_s, r.data["message"]["message"].split())
            for r in self._records
            if r.kind == "RecordMessage" and r.data["message"]["role"] == "bot"
        ]
        for span in self._truth.spans:
            heard = self._truth.heard_words(span.reply_id)
            # Stock phrases have no word times.
            exact = self._word_times and span.reply_id not in stock
            off = WORDS_OFF if exact else WORDS_OFF_ESTIMATED
            its = bool(kept) and self._kept_in_time(span.to_s, kept[0][0])
            if its and _differ(kept[0][1], heard) <= off:
                kept.pop(0)
            elif len(heard) > off and span.from_s < self._end_s:
                said = " ".join(kept[0][1]) if kept else ""
                yield Violation("history", span.from_s, f"heard {' '.join(heard)!r}, kept {said!r}")
                if its:
                    kept.pop(0)
        for at_s, words in kept:
            if at_s < self._truth.unreachable_s:
                yield Violation("history", at_s, f"kept {' '.join(words)!r}, which nobody heard")

    def _kept_in_time(self, heard_s: float, kept_s: float) -> bool:
        """A process that stands still keeps nothing."""
        return kept_s - self._frozen_s(heard_s, kept_s) <= heard_s + KEPT_WITHIN_S

    def _double_answers(self) -> Iterator[Violation]:
        """What was heard names the request that it answers; no two of them may answer the same last words."""
        answered: dict[int, int] = {}
        requests = {f"r{r.number},": r for r in self._truth.requests}
        for span in self._truth.spans:
            first = next((w for w in self._truth.heard_words(span.reply_id) if w in requests), None)
            request = requests.get(first or "")
            if request is None or not request.newest:
                continue
            before = answered.setdefault(request.newest, request.number)
            if before != request.number:
                yield Violation(
                    "two_answers", span.from_s, f"requests {before} and {request.number} to w{request.newest}"
                )

    # --- floor ---------------------------------------------------------------------------------------------------

    def _talked_over(self) -> Iterator[Violation]:
        counted = "numWords" in self._assistant.get("stopSpeakingPlan", {})
        limit_s = OVERLAP_COUNTED_S if counted else OVERLAP_S
        spared = self._greetings() | self._last_words()
        runs = _merged(
            [
                (v.from_s, v.to_s + 0.3)
                for v in self._truth.voice
                # A noise that never ends is not waited for.
                if v.kind is not Voice.BACKCHANNEL
                and not (v.kind is Voice.NOISE and v.to_s - v.from_s > ENDLESS_S)
            ]
        )
        for begin, end in runs:
            for stretch in self._truth.heard:
                if stretch.reply_id in spared:
                    continue
                overlap_s = min(end - 0.3, stretch.to_s) - max(begin, stretch.from_s)
                if overlap_s > limit_s:
                    detail = f"reply {stretch.reply_id} for {overlap_s:.2f} s while the caller spoke"
                    yield Violation("talked_over", max(begin, stretch.from_s), detail)

    def _greetings(self) -> set[int]:
        """Replies that may not be interrupted."""
        if self._assistant.get("firstMessageInterruptionsEnabled") is True or not self._truth.spans:
            return set()
        return {self._truth.spans[0].reply_id}

    def _last_words(self) -> set[int]:
        """What is said before the call ends in any case."""
        ended = [r.data["reason"] for r in self._records if r.kind == "EndCall"]
        owed = any(reason.startswith("pipeline-error-") or reason in _SPOKEN_ENDS for reason in ended)
        return {self._truth.spans[-1].reply_id} if owed and self._truth.spans else set()

    def _collisions(self) -> Iterator[Violation]:
        if self._truth.collisions:
            yield Violation("collision", 0.0, f"{self._truth.collisions} replies played into another")

    def _decisions(self, name: str) -> list[JournalRecord]:
        return [r for r in self._records if _decided(r, name)]


def _decided(record: JournalRecord, name: str) -> bool:
    return record.kind == "RecordDecision" and record.data["decision"] == name


def _merged(stretches: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(stretches):
        if merged and begin <= merged[-1][1] + _GRAIN_S:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _between(
    merged: Sequence[tuple[float, float]], from_s: float, to_s: float
) -> Iterator[tuple[float, float]]:
    at_s = from_s
    for begin, end in merged:
        if begin > to_s:
            break
        if begin > at_s:
            yield at_s, begin
        at_s = max(at_s, end)
    if to_s > at_s:
        yield at_s, to_s


def _differ(kept: Sequence[str], heard: Sequence[str]) -> int:
    """By how many words: 0 when equal; where one is not the beginning of the other, all of them."""
    short, long = sorted((kept, heard), key=len)
    return len(long) - len(short) if list(long[: len(short)]) == list(short) else len(long)
