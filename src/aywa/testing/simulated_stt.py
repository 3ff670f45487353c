"""A recogniser that knows what the caller says, and when: it hears as late and as unevenly as a real one, or fails as one.

Nothing is recognised: the words and their times are given. On the loop's clock, so it is as fast as that clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from random import Random

from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult, Word

_GRAIN_S = 1e-6
GARBAGE = "krs tfl nn"


@dataclass(frozen=True, slots=True)
class Hearing:
    """How it hears, in seconds. partial_s: between two partials, give or take jitter (a share). lag_s: a word is shown in
    the first partial so long after its end. finalize_s: until `finalize` is answered. final_s: after the end of speech,
    when nobody asked. late_s: what a fault adds."""

    partial_s: float = 0.3
    jitter: float = 0.3
    lag_s: float = 0.25
    finalize_s: float = 0.1
    final_s: float = 0.3
    late_s: float = 2.0


TYPICAL = Hearing()
FAST = Hearing(partial_s=0.1, lag_s=0.05)


class SttStep(StrEnum):
    """Where it can fail."""

    OPEN = "open"
    PARTIAL = "partial"
    FINALIZE = "finalize"


class SttFault(StrEnum):
    """How it can fail. DEAF: nothing comes any more, and nothing says why. STALE: the result before comes again."""

    LATE = "late"
    NEVER = "never"
    TWICE = "twice"
    STALE = "stale"
    WRONG = "wrong"
    EMPTY = "empty"
    BROKEN = "broken"
    DEAF = "deaf"


# Asked at every step what goes wrong with it.
SttFaults = Callable[[SttStep], SttFault | None]


class SimulatedStt:
    """Opens streams over one timeline of words. Their times, and those of words added later, count from epoch_s (loop
    time), which is when the first stream is opened unless it was set."""

    name = "simulated-stt"
    capabilities = SttCapabilities((8000, 16000), interims=True, finalize=True, word_times=True)

    def __init__(
        self,
        words: Iterable[Word] = (),
        hearing: Hearing = TYPICAL,
        seed: int = 0,
        faults: SttFaults | None = None,
    ) -> None:
        self.words = sorted(words, key=lambda w: w.end_s)
        self.hearing = hearing
        self.epoch_s: float | None = None
        self.streams: list[SimulatedSttStream] = []
        self._chance = Random(seed)
        self._faults = faults

    def say(self, words: Iterable[Word]) -> None:
        """More words, after those there are; their times may lie ahead, not behind."""
        self.words += words
        for before, after in pairwise(self.words):
            if after.end_s < before.end_s:
                raise ValueError(f"{after.text!r} ends before {before.text!r}, which was said first")
        if self.streams:
            self.streams[-1].look()

    async def open(self, options: SttOptions) -> SimulatedSttStream:
        """A stream that begins with the words of now; what was said before it is lost."""
        loop = asyncio.get_running_loop()
        if self.epoch_s is None:
            self.epoch_s = loop.time()
        match self.fault(SttStep.OPEN):
            case None:
                pass
            case SttFault.LATE:
                await asyncio.sleep(self.hearing.late_s)
            case SttFault.NEVER | SttFault.DEAF:
                await loop.create_future()
            case other:
                raise self.error(other)
        self.streams.append(SimulatedSttStream(self, self._chance))
        return self.streams[-1]

    async def warm(self, options: SttOptions) -> None:
        """Nothing to dial."""

    async def close(self) -> None:
        """Nothing to close."""

    def fault(self, step: SttStep) -> SttFault | None:
        """What goes wrong with this step."""
        return None if self._faults is None else self._faults(step)

    def error(self, fault: SttFault) -> ProviderError:
        """The failure as the port tells it."""
        return ProviderError(
            self.name, "unavailable", f"simulated: {fault}", fault=Fault.PROVIDER, retryable=True
        )


class SimulatedSttStream:
    """One stream. Words before `_settled` belong to a turn that was taken, or to a final; those before `_shown` were told;
    those before `_asked` were asked for."""

    def __init__(self, stt: SimulatedStt, chance: Random) -> None:
        assert stt.epoch_s is not None
        self._stt = stt
        self._epoch_s = stt.epoch_s
        self._hearing = stt.hearing
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._results: asyncio.Queue[SttResult | ProviderError | None] = asyncio.Queue()
        self._opened_s = self._now()
        begun = self._count(lambda w: w.start_s < self._opened_s - _GRAIN_S)
        self._settled = self._shown = self._asked = begun
        self._tick_s = self._opened_s + self._chance.random() * self._hearing.partial_s
        self._timer: asyncio.TimerHandle | None = None
        self._answers: set[asyncio.TimerHandle] = set()
        self._before = SttResult("", is_final=False)
        self._deaf = False
        self.finalized = 0
        self.closed = False
        self.look()

    # --- the port ------------------------------------------------------------------------------------------------

    def feed(self, pcm: bytes) -> None:
        """It knows already."""

    def voice(self, active: bool) -> None:
        """It goes by its words."""

    def finalize(self) -> None:
        """Answers, finalize_s later, with the words of which at least half has been said by now."""
        if self.closed:
            return
        self.finalized += 1
        now = self._now()
        heard = self._count(lambda w: (w.start_s + w.end_s) / 2 <= now + _GRAIN_S)
        self._asked = max(self._asked, heard)
        fault = self._stt.fault(SttStep.FINALIZE)
        if fault is SttFault.NEVER:
            return
        after_s = self._hearing.finalize_s + (self._hearing.late_s if fault is SttFault.LATE else 0.0)
        self._answer_in(after_s, heard, fault)

    def commit(self) -> None:
        """What was told is settled. An answer that is still due is due no more, unless it comes late: see `_answer_in`."""
        self._settled = self._shown
        for timer in self._answers:
            timer.cancel()
        self._answers.clear()
        self.look()

    async def results(self) -> AsyncIterator[SttResult]:
        """What is heard, as it is heard."""
        while (result := await self._results.get()) is not None:
            if isinstance(result, ProviderError):
                raise result
            yield result

    async def close(self) -> None:
        """Ends the iteration."""
        self.closed = True
        for timer in (self._timer, *self._answers):
            if timer is not None:
                timer.cancel()
        self._results.put_nowait(None)

    # --- time ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Sets the timer for the next thing to tell."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dues = [due for due in (self._partial_due_s(), self._final_due_s()) if due is not None]
        if dues and not self.closed:
            self._timer = self._loop.call_at(self._epoch_s + min(dues), self._tell_due)

    def _now(self) -> float:
        return self._loop.time() - self._epoch_s

    def _partial_due_s(self) -> float | None:
        """The first tick at which there is a word to show that was not shown."""
        words = self._stt.words
        if self._shown >= len(words):
            return None
        visible_s = words[self._shown].end_s + self._hearing.lag_s
        while self._tick_s < visible_s - _GRAIN_S:
            self._next_tick()
        return self._tick_s

    def _next_tick(self) -> None:
        spread = self._hearing.jitter * (2 * self._chance.random() - 1)
        self._tick_s += self._hearing.partial_s * (1 + spread)

    def _final_due_s(self) -> float | None:
        """final_s after the next end of speech, if nobody has asked for it."""
        return (
            None
            if (last := self._speech_end()) is None
            else self._stt.words[last].end_s + self._hearing.final_s
        )

    def _speech_end(self) -> int | None:
        """The next word that no other follows within final_s."""
        words = self._stt.words
        for at in range(max(self._settled, self._asked), len(words)):
            follows = at + 1 < len(words) and words[at + 1].start_s < words[at].end_s + self._hearing.final_s
            if not follows:
                return at
        return None

    def _tell_due(self) -> None:
        self._timer = None
        now = self._now()
        final_due_s = self._final_due_s()
        if final_due_s is not None and final_due_s <= now + _GRAIN_S:
            last = self._speech_end()
            assert last is not None
            result = self._result(last + 1, is_final=True)
            self._settled = self._asked = last + 1
            self._deliver(result, self._stt.fault(SttStep.FINALIZE))
        else:
            visible = self._count(lambda w: w.end_s + self._hearing.lag_s <= now + _GRAIN_S)
            self._next_tick()
            if visible > self._shown:
                self._deliver(self._result(visible), self._stt.fault(SttStep.PARTIAL))
        self.look()

    # --- telling -------------------------------------------------------------------------------------------------

    def _answer_in(self, after_s: float, heard: int, fault: SttFault | None) -> None:
        """A commit cancels the answer. One that a fault made late comes nevertheless: the far side knew no better."""

        def answer() -> None:
            self._answers.discard(timer)
            if not self.closed:
                self._deliver(self._result(max(heard, self._shown), from_finalize=True), fault)
                self.look()

        timer = self._loop.call_later(after_s, answer)
        if fault is not SttFault.LATE:
            self._answers.add(timer)

    def _result(self, until: int, *, is_final: bool = False, from_finalize: bool = False) -> SttResult:
        self._shown = max(self._shown, until)
        words = self._stt.words[self._settled : until]
        placed = tuple(Word(w.text, w.start_s - self._opened_s, w.end_s - self._opened_s) for w in words)
        text = " ".join(w.text for w in words)
        return SttResult(
            text, is_final, from_finalize, placed, audio_s=round(self._now() - self._opened_s, 3)
        )

    def _deliver(self, result: SttResult, fault: SttFault | None) -> None:
        if self._deaf:
            return
        before, self._before = self._before, result
        told: list[SttResult | ProviderError] = [result]
        match fault:
            case SttFault.TWICE:
                told = [result, result]
            case SttFault.STALE:
                told = [result, before]
            case SttFault.WRONG:
                told = [SttResult(GARBAGE, result.is_final, result.from_finalize)]
            case SttFault.EMPTY:
                told = [SttResult("", result.is_final, result.from_finalize)]
            case SttFault.BROKEN:
                told = [self._stt.error(fault)]
            case SttFault.DEAF:
                self._deaf, told = True, []
            case SttFault.NEVER:
                told = []
            case SttFault.LATE if not result.from_finalize:
                self._loop.call_later(self._hearing.late_s, self._results.put_nowait, result)
                told = []
            case _:
                pass
        for each in told:
            self._results.put_nowait(each)

    def _count(self, said: Callable[[Word], bool]) -> int:
        """How many words from the beginning on."""
        words: Sequence[Word] = self._stt.words
        return next((at for at, word in enumerate(words) if not said(word)), len(words))
