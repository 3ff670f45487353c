"""The ledger of a reply's audio: which words have left for the caller, and so were heard.

A word is heard when at least half of its samples have left. Positions count samples of the reply, from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aywa.core.events import ClauseSynthesized, HeardWord


@dataclass(slots=True)
class Ledger:
    """The clauses given to the media plane, in order."""

    _words: list[HeardWord] = field(default_factory=list)
    samples: int = 0

    def add(self, clause: ClauseSynthesized) -> None:
        """The clause's audio follows what was there before."""
        words = clause.words or estimate_words(clause.text, clause.samples)
        self._words += [HeardWord(w.text, w.start + self.samples, w.end + self.samples) for w in words]
        self.samples += clause.samples

    def heard(self, position: int) -> str:
        """The words heard when so many samples have left."""
        return " ".join(w.text for w in self.words_until(position))

    def words_until(self, position: int) -> list[HeardWord]:
        """The words heard, with their places in the reply."""
        # A word without length is heard no sooner than a sample that follows it.
        return [w for w in self._words if position > w.start and 2 * position >= w.start + w.end]

    @property
    def text(self) -> str:
        """All words of the audio."""
        return " ".join(w.text for w in self._words)


def estimate_words(text: str, samples: int) -> tuple[HeardWord, ...]:
    """Places for the words of a clause whose voice tells none: by their length in letters, a stop counting as two."""
    words = text.split()
    weights = [len(word) + 1 + 2 * word.endswith((".", ",", "?", "!", ";", ":")) for word in words]
    total = sum(weights)
    placed: list[HeardWord] = []
    passed = 0
    for word, weight in zip(words, weights, strict=True):
        placed.append(HeardWord(word, samples * passed // total, samples * (passed + weight) // total))
        passed += weight
    return tuple(placed)
