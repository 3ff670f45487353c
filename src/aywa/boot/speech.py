"""A voice and an ear from the local models, for programs on the caller's side of the wire; takes no part in a call.

They live in a child process of their own, opened before a call to make what will be said and after it to hear what
was received, so that nothing of it runs while a call is measured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aywa.adapters.local import LocalEngine, open_local
from aywa.boot.models import require
from aywa.ports.stt import SttOptions
from aywa.ports.tts import TtsOptions
from aywa.testing.sound import pieces, trim

Line = Sequence[str | float]
"""What is said: texts, and pauses in seconds between them."""

_VOICE = ("hibari",)
_EAR = ("moonshine",)
# The recogniser decodes a piece at once; longer ones take it more than their share of time.
_PIECE_S = 10.0
# What a recogniser expects around speech.
_MARGIN_S = 0.3


class Speech:
    """Speaks and listens. Raises ProviderError."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    async def say(self, line: Line, rate_hz: int) -> bytes:
        """PCM16 of the line: silence before and after each text is cut off, so that its pauses are exact."""
        parts = [
            await self._speak(part, rate_hz) if isinstance(part, str) else bytes(2 * round(part * rate_hz))
            for part in line
        ]
        return b"".join(parts)

    async def recognise(self, pcm: bytes, rate_hz: int) -> str:
        """The words in PCM16 at 8 or 16 kHz."""
        texts = [await self._hear(piece, rate_hz) for piece in pieces(pcm, rate_hz, _PIECE_S)]
        return " ".join(text for text in texts if text)

    async def _speak(self, text: str, rate_hz: int) -> bytes:
        chunks = [chunk.pcm async for chunk in self._engine.tts.synthesize(text, TtsOptions(rate_hz))]
        return trim(b"".join(chunks), rate_hz)

    async def _hear(self, pcm: bytes, rate_hz: int) -> str:
        spoken = trim(pcm, rate_hz)
        if not spoken:
            return ""
        margin = bytes(2 * round(_MARGIN_S * rate_hz))
        stream = await self._engine.stt.open(SttOptions(rate_hz))
        try:
            stream.voice(True)
            stream.feed(margin + spoken + margin)
            stream.voice(False)
            stream.finalize()
            async for result in stream.results():
                if result.from_finalize:
                    return result.text
        finally:
            await stream.close()
        return ""


@asynccontextmanager
async def open_speech(*, voice: bool = False, ear: bool = False) -> AsyncIterator[Speech]:
    """Loads what is asked for, and ends it. Raises ProviderError, with one line that mends a missing model."""
    roles = (("tts",) if voice else ()) + (("stt",) if ear else ())
    folder = require((_VOICE if voice else ()) + (_EAR if ear else ()))
    engine = await open_local(folder, roles, llm="rules")
    try:
        await engine.ready()
        yield Speech(engine)
    finally:
        await engine.close()
