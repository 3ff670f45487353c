"""Text to speech: one piece of text in, PCM out, as it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aywa.ports.stt import Word


@dataclass(frozen=True, slots=True)
class TtsCapabilities:
    """What a voice can do, declared once. rates_hz: what it gives without resampling by us."""

    rates_hz: tuple[int, ...]
    word_times: bool


@dataclass(frozen=True, slots=True)
class TtsOptions:
    """rate_hz: the wanted rate of the PCM16 mono audio. voice: the vendor's voice id, empty for its default. context: texts
    of one context (a reply) follow each other, one after the other, and may be spoken as one; empty: stands alone. more:
    another text of the context may follow. extra: the assistant's `voice` document, for what only this vendor knows."""

    rate_hz: int
    voice: str = ""
    language: str = "en"
    speed: float = 1.0
    context: str = ""
    more: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class TtsChunk:
    """A piece of the audio: PCM16 LE mono at rate_hz; words: those that begin in it, in seconds since the first sample."""

    pcm: bytes
    rate_hz: int
    words: tuple[Word, ...] = ()


class Tts(Protocol):
    """A route to a voice."""

    @property
    def name(self) -> str:
        """The route's name."""

    @property
    def capabilities(self) -> TtsCapabilities:
        """What it can do."""

    def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """Closing the iterator cancels the synthesis. Raises ProviderError."""

    async def warm(self, options: TtsOptions) -> None:
        """Makes the next synthesis with these options quick: dials. Never raises."""

    async def close(self) -> None:
        """Closes its connections; what is being synthesised ends with ProviderError."""
