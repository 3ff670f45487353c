"""Speech to text: a recogniser that is fed a call's audio and tells, as it goes, what was said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Word:
    """One word and its place in the audio, in seconds since the stream's first sample."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SttCapabilities:
    """What a recogniser can do, declared once."""

    rates_hz: tuple[int, ...]
    interims: bool
    finalize: bool
    word_times: bool


@dataclass(frozen=True, slots=True)
class SttOptions:
    """rate_hz: of the PCM16 mono audio that will be fed. language: BCP 47. keyterms: words to expect. extra: the
    assistant's `transcriber` document, for what only this vendor knows."""

    rate_hz: int
    language: str = "en"
    keyterms: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class SttResult:
    """A transcript of the audio since the last final.

    is_final: the text will not change, and the next result begins after it.
    from_finalize: answers `finalize()`: the text holds everything that had been fed when it was asked.
    An empty text with from_finalize means that what was said so far is complete.
    turn_ended: the recogniser itself holds the caller's turn for over (True) or for begun or going on again (False).
    """

    text: str
    is_final: bool
    from_finalize: bool = False
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    audio_s: float = 0.0
    turn_ended: bool | None = None


class SttStream(Protocol):
    """One caller's recognition. The feeding methods never wait; results and errors come by iteration."""

    def feed(self, pcm: bytes) -> None:
        """Takes PCM16 LE mono at the opened rate, any whole number of samples."""

    def voice(self, active: bool) -> None:
        """Says that the voice detector found voice, or its end. Recognisers that segment by themselves ignore it."""

    def finalize(self) -> None:
        """Asks for the text of everything fed so far, at once. Answered by a result with from_finalize."""

    def commit(self) -> None:
        """The turn was taken: what was said until the last result is settled, begin afresh after it."""

    def results(self) -> AsyncIterator[SttResult]:
        """Yields until closed. Raises ProviderError when the recogniser fails."""

    async def close(self) -> None:
        """Ends the stream within 1 s, whatever the far side does."""


class Stt(Protocol):
    """A route to a recogniser."""

    @property
    def name(self) -> str:
        """The route's name."""

    @property
    def capabilities(self) -> SttCapabilities:
        """What it can do."""

    async def open(self, options: SttOptions) -> SttStream:
        """Raises ProviderError."""

    async def warm(self, options: SttOptions) -> None:
        """Makes the next `open` with these options quick. Never raises."""

    async def close(self) -> None:
        """Closes its connections."""
