"""Full-text search over a few documents: Okapi BM25 (Robertson and Zaragoza, 2009) over passages. Refuses to know languages:
a word is what stands between two characters that are neither letters nor digits, and its ending counts little."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

K1, B = 1.2, 0.75
PASSAGE_CHARACTERS = 800
"""As long as a passage becomes before it ends with its paragraph or sentence."""
PASSAGES_MAX = 20_000
QUERY_WORDS_MAX = 64
STEM = 6
"""Letters by which two forms of a word are taken for one, if it is longer."""
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_BREAK = re.compile(r"\n\s*\n|(?<=[.!?])\s+|\n")


@dataclass(frozen=True, slots=True)
class Passage:
    """Of the document `source`."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage, and how well it fits."""

    passage: Passage
    score: float


class Index:
    """Made once of the documents, (name, text) each; `search` as often as wanted."""

    def __init__(self, documents: Iterable[tuple[str, str]]) -> None:
        self._passages: list[Passage] = []
        self._counts: list[Counter[str]] = []
        self._holding: Counter[str] = Counter()
        for name, text in documents:
            for passage in passages(text):
                if len(self._passages) >= PASSAGES_MAX:
                    break
                counts = Counter(terms(passage))
                self._passages.append(Passage(name, passage))
                self._counts.append(counts)
                self._holding.update(counts.keys())
        self._length = sum(counts.total() for counts in self._counts) / max(len(self._counts), 1)

    def search(self, query: str, most: int = 5) -> list[Hit]:
        """The best passages, best first; of equals the first in the documents. None without a word in common."""
        wanted = list(dict.fromkeys(terms(query)))[:QUERY_WORDS_MAX]
        scores = [(self._score(counts, wanted), number) for number, counts in enumerate(self._counts)]
        best = sorted((pair for pair in scores if pair[0] > 0), key=lambda pair: (-pair[0], pair[1]))
        return [Hit(self._passages[number], score) for score, number in best[:most]]

    def _score(self, counts: Counter[str], wanted: Sequence[str]) -> float:
        total, length = len(self._counts), counts.total()
        score = 0.0
        for word in wanted:
            often = counts.get(word, 0)
            if often:
                holding = self._holding[word]
                rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5))
                score += rarity * often * (K1 + 1) / (often + K1 * (1 - B + B * length / self._length))
        return score


def terms(text: str) -> Iterator[str]:
    """The words, and of longer ones their beginning."""
    for match in _WORD.finditer(text.casefold()):
        yield match[0][:STEM]


def passages(text: str) -> Iterator[str]:
    """Pieces of about PASSAGE_CHARACTERS that end where a sentence or a line does; what has no end is cut."""
    piece = ""
    for part in _BREAK.split(text):
        for begin in range(0, len(part), PASSAGE_CHARACTERS):
            some = part[begin : begin + PASSAGE_CHARACTERS].strip()
            if piece and len(piece) + len(some) > PASSAGE_CHARACTERS:
                yield piece
                piece = ""
            piece = f"{piece} {some}".strip()
    if piece:
        yield piece
