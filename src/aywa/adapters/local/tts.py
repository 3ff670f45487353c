"""The local voice behind the port: one request to the child per text. Cuts no text and keeps no audio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from aywa.adapters.local.process import ChildProcess
from aywa.ports.stt import Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

_BYTES_A_SAMPLE = 2


class LocalTts:
    """A route to the child's voice. A chunk is a sentence; its words come with it, timed by the model's durations."""

    name = "local-hibari"
    capabilities = TtsCapabilities(rates_hz=(24000,), word_times=True)

    def __init__(self, child: ChildProcess) -> None:
        self._child = child

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncGenerator[TtsChunk]:
        """Closing the iterator cancels the synthesis. Raises ProviderError. Any rate_hz; speed .5 to 2."""
        speed = min(max(options.speed, 0.5), 2.0)
        start_s = 0.0
        request = self._child.stream("tts", "speak", text=text, rate=options.rate_hz, speed=speed)
        async with contextlib.aclosing(request) as pieces:
            async for piece in pieces:
                words = tuple(
                    Word(word, start_s + first, start_s + last) for word, first, last in piece["words"]
                )
                pcm: bytes = piece["pcm"]
                yield TtsChunk(pcm, options.rate_hz, words)
                start_s += len(pcm) / _BYTES_A_SAMPLE / options.rate_hz

    async def warm(self, options: TtsOptions) -> None:
        """Its child is there."""

    async def close(self) -> None:
        """The child is closed by who opened it."""
