"""How a simulated recogniser hears: an ear that finds voice by its level, words from a script, a pace like a real one's.

The words are known beforehand and "heard" as the caller speaks; or a real recogniser is asked. The clock of words is the
audio that came, the clock of partials is the loop's. No voice, no words. It refuses to know a vendor's messages.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from aywa.ports.errors import ProviderError
from aywa.ports.stt import Stt, SttOptions, SttStream, Word
from aywa.testing.vendors.plan import Plan
from aywa.testing.vendors.world import Messages, World

VOICE_DBFS = -45.0
FRAME_S = 0.02
HANG_S = 0.06
"""Quiet that ends voice. Shorter than any voice detector's, whose end of speech is when words are asked for."""
GAP_S = 1.0
"""Quiet before voice begins the next sentence of the script; after less of it the same one goes on."""
WORD_S = 0.3
"""Of a sentence without times."""
MOST_MESSAGES = 2_000
SENTENCE = "hello, this is a test"
_GRAIN_S = 1e-6


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds, as in aywa.testing.simulated_stt. partial_s: between two partials, give or take jitter (a share). lag_s: a
    word is shown so long after its end. finalize_s: until what was asked for comes. final_s: quiet before a final that nobody
    asked for."""

    partial_s: float = 0.3
    jitter: float = 0.3
    lag_s: float = 0.25
    finalize_s: float = 0.1
    final_s: float = 0.3

    @classmethod
    def of(cls, extra: Mapping[str, Any]) -> Pace:
        """The fields that a plan's `extra` names."""
        return cls(**{one.name: float(extra[one.name]) for one in fields(cls) if one.name in extra})


class Ear:
    """Where in the audio there is voice, and which words were said by now. Times in seconds of audio.

    sentences: what is said, one after another and then again from the first, each begun by voice after GAP_S of quiet: a text,
    or words as (text, start_s, end_s) from the first voice of the sentence on. words: placed in the audio already."""

    def __init__(self, rate_hz: int, sentences: Sequence[Any] = (), words: Sequence[Any] = ()) -> None:
        self.heard_s = 0.0
        self.voiced = False
        self.voice_began_s = 0.0
        self.last_voice_s = -GAP_S
        self.words = [Word(str(text), float(start), float(end)) for text, start, end in words]
        self._rate_hz = rate_hz
        self._sentences: Iterator[Any] = itertools.cycle(sentences)
        self._loud = 32768 * 10 ** (VOICE_DBFS / 20)
        self._rest = np.zeros(0, np.int16)
        # From here on words have no times of their own and are over when the voice is.
        self._elastic = len(self.words)

    @classmethod
    def of(cls, rate_hz: int, plan: Plan, text: str) -> Ear:
        """As the plan says: extra["words"], extra["sentences"], or its text."""
        if "words" in plan.extra:
            return cls(rate_hz, words=plan.extra["words"])
        return cls(rate_hz, plan.extra.get("sentences") or ([text] if text else []))

    @property
    def quiet_s(self) -> float:
        """Since the last voice."""
        return self.heard_s - self.last_voice_s

    def hear(self, pcm: bytes) -> None:
        """PCM16."""
        samples = np.frombuffer(pcm, "<i2")
        frame = round(self._rate_hz * FRAME_S)
        if self._rest.size:
            samples = np.concatenate([self._rest, samples])
        count = samples.size // frame
        self._rest = samples[count * frame :]
        frames = samples[: count * frame].reshape(count, frame).astype(np.float32)
        for level in np.sqrt(np.mean(frames * frames, axis=1)):
            self.heard_s += FRAME_S
            if level >= self._loud:
                if not self.voiced:
                    self._voice_begins()
                self.last_voice_s = self.heard_s
            elif self.voiced and self.quiet_s >= HANG_S - _GRAIN_S:
                self.voiced = False
        if not self.voiced or self.quiet_s >= HANG_S - FRAME_S:
            self._end_elastic()

    def shown(self, lag_s: float) -> int:
        """How many words are over since lag_s."""
        return self._count(lambda word: word.end_s + lag_s <= self.heard_s + _GRAIN_S)

    def said(self) -> int:
        """Of how many words at least half was said."""
        return self._count(lambda word: word.start_s + word.end_s <= 2 * self.heard_s + _GRAIN_S)

    def _voice_begins(self) -> None:
        began_s = self.heard_s - FRAME_S
        fresh = began_s - self.last_voice_s >= GAP_S - _GRAIN_S
        self.voiced, self.voice_began_s = True, began_s
        if not fresh or (sentence := next(self._sentences, None)) is None:
            return
        self._elastic = len(self.words)
        if isinstance(sentence, str):
            for at, text in enumerate(sentence.split()):
                self.words.append(Word(text, began_s + at * WORD_S, began_s + (at + 1) * WORD_S))
        else:
            self.words += [Word(str(text), began_s + start, began_s + end) for text, start, end in sentence]
            self._elastic = len(self.words)

    def _end_elastic(self) -> None:
        end_s = self.last_voice_s
        for at in range(self._elastic, len(self.words)):
            word = self.words[at]
            if word.end_s > end_s:
                self.words[at] = Word(word.text, min(word.start_s, end_s), end_s)
        self._elastic = len(self.words)

    def _count(self, over: Any) -> int:
        return next((at for at, word in enumerate(self.words) if not over(word)), len(self.words))


class Recognition(ABC):
    """One connection: takes audio and orders, tells what is heard at the plan's pace. `settled` words are in a final, `told`
    ones in a partial."""

    def __init__(
        self, world: World, plan: Plan, ear: Ear, out: Messages, rate_hz: int, stt: Stt | None
    ) -> None:
        self.ear = ear
        self.pace = Pace.of(plan.extra)
        self.plan = plan
        self.settled = self.told = 0
        self.rate_hz = rate_hz
        self._chance = random.Random(world.plans.chance.random())
        self._out = out
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._stt = stt
        self._stream: SttStream | None = None
        self._voice = False
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: set[asyncio.TimerHandle] = set()

    async def run(self, socket: web.WebSocketResponse) -> None:
        """Until either side has had enough."""
        if self._stt is not None:
            self._stream = await self._stt.open(SttOptions(self.rate_hz))
            self._start(self._relay(self._stream))
        else:
            self._start(self._tick())
        self._start(self._send())
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self._note(len(message.data))
                    self.take(self.decoded(message.data))
                elif message.type is WSMsgType.TEXT:
                    self._note(message.data)
                    if await self.ordered(message.data):
                        await self._flush()
                        await socket.close()
        finally:
            for timer in self._timers:
                timer.cancel()
            for task in self._tasks:
                task.cancel()
            try:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            finally:
                # Also when the far side's going cancels this meanwhile.
                if self._stream is not None:
                    await self._stream.close()

    # --- the vendor's own ----------------------------------------------------------------------------------------

    def decoded(self, data: bytes) -> bytes:
        """Its audio as PCM16."""
        return data

    @abstractmethod
    async def ordered(self, text: str) -> bool:
        """A text message; True ends the connection."""

    @abstractmethod
    def partial(self, words: Sequence[Word]) -> None:
        """The words since the last final have changed."""

    @abstractmethod
    def final(self, words: Sequence[Word], *, asked: bool) -> None:
        """They will not change. asked: somebody asked for them."""

    def listened(self) -> None:
        """More audio came."""
        if self.ear.quiet_s >= self.pace.final_s - _GRAIN_S and self.ear.shown(0) > self.settled:
            self.settle(self.ear.shown(0), asked=False)

    # --- for the vendor's ----------------------------------------------------------------------------------------

    def tell(self, message: str) -> None:
        """Sends it, in order."""
        self._outbox.put_nowait(message)

    def later(self, after_s: float, do: Any, *arguments: Any) -> None:
        """Unless the connection is over by then."""
        waiting: list[asyncio.TimerHandle] = []

        def due() -> None:
            self._timers.discard(waiting[0])
            do(*arguments)

        waiting.append(asyncio.get_running_loop().call_later(after_s, due))
        self._timers.add(waiting[0])

    def take(self, pcm: bytes) -> None:
        """Audio."""
        self.ear.hear(pcm)
        if self._stream is None:
            self.listened()
            return
        self._stream.feed(pcm)
        if self.ear.voiced != self._voice:
            self._voice = self.ear.voiced
            self._stream.voice(self._voice)

    def finalize(self) -> None:
        """All words of which half was said by now come in finalize_s."""
        if self._stream is not None:
            self._stream.finalize()
        else:
            self.later(self.pace.finalize_s, self._finalized, self.ear.said())

    def settle(self, until: int, *, asked: bool) -> None:
        """A final with the words before `until`."""
        until = max(until, self.told, self.settled)
        words = self.ear.words[self.settled : until]
        self.settled = self.told = until
        self.final(words, asked=asked)

    # --- inside --------------------------------------------------------------------------------------------------

    def _finalized(self, until: int) -> None:
        self.settle(until, asked=True)

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def _note(self, what: Any) -> None:
        if len(self._out.asked.messages) < MOST_MESSAGES:
            self._out.asked.messages.append(what)

    async def _tick(self) -> None:
        spread = self.pace.jitter
        await asyncio.sleep(self.pace.partial_s * self._chance.random())
        while True:
            shown = self.ear.shown(self.pace.lag_s)
            if shown > self.told:
                self.told = shown
                self.partial(self.ear.words[self.settled : shown])
            await asyncio.sleep(self.pace.partial_s * (1 + self._chance.uniform(-spread, spread)))

    async def _relay(self, stream: SttStream) -> None:
        """What a real recogniser says; it gives no times, so a text is spread over the audio since the last final."""
        since_s = 0.0
        with suppress(ProviderError):
            async for result in stream.results():
                texts = result.text.split()
                step_s = (self.ear.heard_s - since_s) / max(1, len(texts))
                words = [
                    Word(text, since_s + at * step_s, since_s + (at + 1) * step_s)
                    for at, text in enumerate(texts)
                ]
                if result.is_final or result.from_finalize:
                    since_s = self.ear.heard_s
                    self.final(words, asked=result.from_finalize)
                    stream.commit()
                else:
                    self.partial(words)

    async def _send(self) -> None:
        with suppress(ConnectionError):
            while True:
                message = await self._outbox.get()
                try:
                    await self._out.send(message)
                finally:
                    self._outbox.task_done()

    async def _flush(self) -> None:
        """What is in order to be sent goes out first, unless the plan has broken the line."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._outbox.join()


def scripted(plan: Plan) -> bool:
    """The plan says what is heard."""
    return plan.text is not None or "words" in plan.extra or "sentences" in plan.extra
