"""Text to speech: one piece of text in, PCM out, as it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from aywa.ports.stt import Word


@dataclass(frozen=True, slots=True)
class TtsCapabilities:
    """What a voice can do, declared once. rates_hz: what it gives without resampling by us."""

    rates_hz: tuple[int, ...]
    word_times: bool


@dataclass(frozen=True, slots=True)
class TtsOptions:
    """rate_hz: the wanted rate of the PCM16 mono audio. voice: the vendor's voice id, empty for its default."""

    rate_hz: int
    voice: str = ""
    language: str = "en"
    speed: float = 1.0


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
