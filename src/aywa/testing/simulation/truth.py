"""What really happened in a simulated call, by the caller, the media plane and the providers; the engine has no part in it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from aywa.testing.scripted_media import Stretch


class Voice(StrEnum):
    """Why the caller makes a sound. NOISE: no words."""

    TURN = "turn"
    INTERRUPTION = "interruption"
    BACKCHANNEL = "backchannel"
    NOISE = "noise"


@dataclass(slots=True)
class Voiced:
    """The caller's voice without a break, in the call's seconds."""

    kind: Voice
    from_s: float
    to_s: float
    text: str = ""


@dataclass(slots=True)
class Span:
    """A reply from its first sample given to its end, whether it was heard or not."""

    reply_id: int
    from_s: float
    to_s: float = float("inf")


@dataclass(slots=True)
class Lexicon:
    """Every word that a voice made, under a number that its samples carry: so the audio itself says what was heard."""

    words: list[str] = field(default_factory=lambda: [""])
    samples: list[int] = field(default_factory=lambda: [0])

    def speak(self, word: str, samples: int) -> bytes:
        """PCM16 of the word."""
        self.words.append(word)
        self.samples.append(samples)
        return struct.pack("<h", len(self.words) - 1) * samples

    def heard(self, pieces: Sequence[bytes]) -> list[int]:
        """The numbers of the words of which at least half is in the pieces, in the order of hearing; a phrase may be played
        more than once."""
        numbers = np.frombuffer(b"".join(pieces), "<i2")
        if not len(numbers):
            return []
        starts = np.flatnonzero(np.diff(numbers, prepend=np.int16(-1)))
        lengths = np.diff(starts, append=len(numbers))
        runs = zip(numbers[starts].tolist(), lengths.tolist(), strict=True)
        return [n for n, length in runs if 0 < n < len(self.words) and 2 * length >= self.samples[n]]


@dataclass(slots=True)
class Request:
    """What the model was asked: newest: the highest number of a caller's word (w1, w2 ...) in it, 0 for none."""

    number: int
    at_s: float
    newest: int


@dataclass(slots=True)
class Truth:
    """The call's facts, times in its seconds. frozen: the process stood still. audio: what the media plane was given, by
    reply. unreachable_s: the far side hears nothing from then on."""

    lexicon: Lexicon = field(default_factory=Lexicon)
    voice: list[Voiced] = field(default_factory=list)
    heard: list[Stretch] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    audio: dict[int, bytearray] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    frozen: list[tuple[float, float]] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    left_s: float | None = None
    unreachable_s: float = float("inf")
    collisions: int = 0

    def heard_words(self, reply_id: int) -> list[str]:
        """The reply's words that the caller heard, each at least half."""
        audio = self.audio.get(reply_id, b"")
        pieces = [
            bytes(audio[2 * s.from_sample : 2 * s.to_sample]) for s in self.heard if s.reply_id == reply_id
        ]
        return [self.lexicon.words[n] for n in self.lexicon.heard(pieces)]
