"""What simulated voices say: a tone for each word, always the same for the same text, with exact word times; or a real voice.

A text is made once and kept, so that many calls may say the same at no cost. The audio of two texts, one after the other, is
that of both together.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from zlib import crc32

import numpy as np

from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.ports.stt import Word
from aywa.ports.tts import Tts, TtsOptions

PIECE_S = 0.1
"""How much audio a vendor sends at once."""
UNKNOWN = "unknown"
"""Voices and models whose names begin so do not exist."""

_WORD_S, _LETTER_S, _PAUSE_S = 0.08, 0.06, 0.05
_RAMP_S = 0.005
_LOUDNESS = 8000.0
_LOWEST_HZ, _STEP_HZ, _TONES = 300, 25, 56
_KEPT = 256
"""Texts: a second of one costs about 40 kB at 8 kHz."""


@dataclass(frozen=True)
class Piece:
    """Some audio, as PCM16, and the words that begin in it, in seconds since the text's first sample."""

    pcm: bytes
    rate_hz: int
    start_s: float
    words: tuple[Word, ...] = ()
    mulaw: bool = False

    @property
    def length_s(self) -> float:
        """Of the audio."""
        return len(self.pcm) / 2 / self.rate_hz

    @cached_property
    def audio(self) -> bytes:
        """As it is sent: PCM16, or mu-law."""
        return pcm_to_mulaw(self.pcm) if self.mulaw else self.pcm

    @cached_property
    def base64(self) -> str:
        """As it is sent in JSON."""
        return base64.b64encode(self.audio).decode()


@lru_cache(_KEPT)
def spoken(text: str, rate_hz: int, speed: float = 1.0) -> tuple[bytes, tuple[Word, ...]]:
    """PCM16 of the text, and its words' places."""
    parts: list[bytes] = []
    words: list[Word] = []
    at = 0
    for word in text.split():
        samples = round((_WORD_S + _LETTER_S * len(word)) / speed * rate_hz)
        pause = round(_PAUSE_S / speed * rate_hz)
        parts += [_tone(word, samples, rate_hz), bytes(2 * pause)]
        words.append(Word(word, at / rate_hz, (at + samples) / rate_hz))
        at += samples + pause
    return b"".join(parts), tuple(words)


@lru_cache(_KEPT)
def pieces(text: str, rate_hz: int, speed: float = 1.0, *, mulaw: bool = False) -> tuple[Piece, ...]:
    """The same, cut as vendors send it."""
    pcm, words = spoken(text, rate_hz, speed)
    step = round(PIECE_S * rate_hz)
    cut = []
    for start in range(0, len(pcm) // 2, step):
        start_s, end_s = start / rate_hz, (start + step) / rate_hz
        some = tuple(word for word in words if start_s <= word.start_s < end_s)
        cut.append(Piece(pcm[2 * start : 2 * (start + step)], rate_hz, start_s, some, mulaw))
    return tuple(cut)


async def speak(
    tts: Tts | None, text: str, rate_hz: int, speed: float = 1.0, *, mulaw: bool = False
) -> AsyncIterator[Piece]:
    """Of a real voice if there is one, as it is made."""
    if tts is None:
        for piece in pieces(text, rate_hz, speed, mulaw=mulaw):
            yield piece
        return
    start_s = 0.0
    async for chunk in tts.synthesize(text, TtsOptions(rate_hz, speed=speed)):
        piece = Piece(chunk.pcm, rate_hz, start_s, chunk.words, mulaw)
        start_s += piece.length_s
        yield piece


def exists(name: str) -> bool:
    """Of a voice or a model."""
    return bool(name) and not name.startswith(UNKNOWN)


def _tone(word: str, samples: int, rate_hz: int) -> bytes:
    time_s = np.arange(samples) / rate_hz
    pitch_hz = _LOWEST_HZ + crc32(word.lower().encode()) % _TONES * _STEP_HZ
    loudness = np.clip(np.minimum(time_s, time_s[::-1]) / _RAMP_S, 0, 1) if samples else time_s
    return (_LOUDNESS * loudness * np.sin(2 * np.pi * pitch_hz * time_s)).astype("<i2").tobytes()
