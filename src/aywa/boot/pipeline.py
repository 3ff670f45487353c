"""A voice pipeline that is switched off in part: an ear that hears nothing, a voice that says nothing. Refuses to guess.

Without an ear callers have their keypad. Without a voice agents answer in text: the words go to whoever reads the call's
messages, at a reader's pace, and count as heard as they go (ADR 35).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import numpy.typing as npt

from aywa.boot.providers import CallRoutes
from aywa.boot.serve_settings import PipelineSettings
from aywa.call.recogniser import EarRoute
from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult, Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
WORD_S = 0.06
"""Of a word that is only read: about a thousand a minute."""
OFF = "off"


class DeafStt:
    """ports.stt.Stt: says at once that nothing was said."""

    name = OFF
    capabilities = SttCapabilities(RATES_HZ, interims=False, finalize=True, word_times=False)

    async def open(self, options: SttOptions) -> _DeafStream:
        """As the port says."""
        return _DeafStream()

    async def warm(self, options: SttOptions) -> None:
        """Nothing to warm."""

    async def close(self) -> None:
        """Nothing to close."""


class _DeafStream:
    def __init__(self) -> None:
        self._answers: asyncio.Queue[SttResult | None] = asyncio.Queue()

    def feed(self, pcm: bytes) -> None: ...

    def voice(self, active: bool) -> None: ...

    def finalize(self) -> None:
        self._answers.put_nowait(SttResult("", is_final=True, from_finalize=True))

    def commit(self) -> None: ...

    async def results(self) -> AsyncIterator[SttResult]:
        while (answer := await self._answers.get()) is not None:
            yield answer

    async def close(self) -> None:
        self._answers.put_nowait(None)


class DeafVad:
    """ports.vad.Vad: nobody ever speaks, so that nobody is interrupted by what is not heard."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        # As Silero's, which it stands in for: 32 ms.
        self.window_samples = rate_hz * 32 // 1000
        self._rows = count()
        self._free: list[int] = []

    def open(self) -> int:
        """As the port says."""
        return self._free.pop() if self._free else next(self._rows)

    def close(self, row: int) -> None:
        """As the port says."""
        self._free.append(row)

    def score(self, rows: Sequence[int], windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """As the port says."""
        return np.zeros(len(rows), np.float32)


class MuteTts:
    """ports.tts.Tts: the words with their times, over silence."""

    name = OFF
    capabilities = TtsCapabilities(RATES_HZ, word_times=True)

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """As the port says."""
        words = tuple(Word(word, at * WORD_S, (at + 1) * WORD_S) for at, word in enumerate(text.split()))
        samples = round(max(len(words), 1) * WORD_S * options.rate_hz)
        yield TtsChunk(bytes(samples * SAMPLE_BYTES), options.rate_hz, words)

    async def warm(self, options: TtsOptions) -> None:
        """Nothing to warm."""

    async def close(self) -> None:
        """Nothing to close."""


def switched(found: CallRoutes, pipeline: PipelineSettings) -> CallRoutes:
    """The call's routes, as far as the switches let them be asked."""
    if not pipeline.stt:
        found.ears = [EarRoute(DeafStt())]
    if not pipeline.tts:
        found.voices = [replace(found.voices[0], tts=MuteTts())]
    return found
