"""A clause's audio as it comes: whole samples at one rate, each piece with the words that begin in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from aywa.core.audio.g711 import RATE_HZ as TELEPHONE_HZ
from aywa.core.audio.g711 import mulaw_to_pcm
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import Word
from aywa.ports.tts import TtsChunk

MOST_CLAUSE_S = 120.0
"""Of audio for one text: a stream that goes on for longer has no end."""

_SAMPLE_BYTES = 2


class ErrorMaker(Protocol):
    """Makes the route's failure, as `Address.error` does."""

    def __call__(
        self, code: str, message: str, fault: Fault, *, retryable: bool = ..., mend: str = ...
    ) -> ProviderError:
        """A ProviderError."""


class Sound:
    """Makes the chunks of one clause. mulaw: the bytes that come are mu-law, not PCM16."""

    def __init__(self, rate_hz: int, error: ErrorMaker, *, mulaw: bool = False) -> None:
        self.rate_hz = rate_hz
        self.samples = 0
        self._error = error
        self._mulaw = mulaw
        self._half = b""
        self._waiting: deque[Word] = deque()
        self._begun_s = 0.0

    @property
    def length_s(self) -> float:
        """Of what came."""
        return self.samples / self.rate_hz

    def words(self, words: Iterable[Word]) -> None:
        """Words of the clause, in seconds since its first sample. One that seems to begin before the last one begins with
        it: order is what the wire promises."""
        for word in words:
            self._begun_s = max(self._begun_s, word.start_s)
            self._waiting.append(Word(word.text, self._begun_s, max(self._begun_s, word.end_s)))

    def audio(self, data: bytes) -> TtsChunk | None:
        """The samples that the bytes complete; None without one. Raises ProviderError when there is no end to it."""
        if self._mulaw:
            pcm = mulaw_to_pcm(data)
        else:
            data = self._half + data
            whole = len(data) - len(data) % _SAMPLE_BYTES
            pcm, self._half = data[:whole], data[whole:]
        if not pcm:
            return None
        self.samples += len(pcm) // _SAMPLE_BYTES
        if self.length_s > MOST_CLAUSE_S:
            raise self._error(
                "overlong", f"it spoke for more than {MOST_CLAUSE_S:g} s", Fault.PROVIDER, retryable=True
            )
        begun = []
        while self._waiting and self._waiting[0].start_s < self.length_s:
            begun.append(self._waiting.popleft())
        return TtsChunk(pcm, self.rate_hz, tuple(begun))

    def end(self) -> TtsChunk | None:
        """The clause is complete: its words that came after their audio, if any. Half a sample is no sound. Raises
        ProviderError when there was no audio at all."""
        if not self.samples:
            raise self._error("malformed", "it gave no audio", Fault.PROVIDER, retryable=True)
        rest = tuple(
            Word(word.text, min(word.start_s, self.length_s), min(word.end_s, self.length_s))
            for word in self._waiting
        )
        return TtsChunk(b"", self.rate_hz, rest) if rest else None


def speakable(text: str) -> bool:
    """There is something in it to be said; vendors refuse what is only a dash or a smile, or give nothing for it."""
    return any(character.isalnum() for character in text)


def telephone(rate_hz: int) -> bool:
    """The rate is the telephone's: mu-law is asked for, which is what the line carries."""
    return rate_hz == TELEPHONE_HZ
