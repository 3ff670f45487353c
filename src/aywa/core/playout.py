"""The ledger of a reply's audio: which words have left for the caller, and so were heard.

A word is heard when at least half of its samples have left. Positions count samples of the reply, from 0. The words are
those of the clause as it is written, whatever the voice calls them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from aywa.core.events import ClauseSynthesized, HeardWord
from aywa.core.spoken import spoken_s

# A stop is a pause of so many seconds.
_STOPS_S = {".": 0.35, "?": 0.35, "!": 0.35, ",": 0.2, ";": 0.2, ":": 0.2}
_PART = re.compile(r"\S+")

# A letter, and where it begins and ends.
_Letter = tuple[str, int, int]


@dataclass(slots=True)
class Ledger:
    """The clauses given to the media plane, in order."""

    _words: list[HeardWord] = field(default_factory=list)
    samples: int = 0

    def add(self, clause: ClauseSynthesized) -> None:
        """The clause's audio follows what was there before."""
        for word in place_words(clause.text, clause.words, clause.samples):
            # A word that has no sound of its own comes with the last sample, or it would never be heard.
            start = max(0, min(word.start, clause.samples - 1))
            self._words.append(
                HeardWord(word.text, start + self.samples, max(start, word.end) + self.samples)
            )
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
    """Places for the words of a clause when only its length is known: by how long each takes to say."""
    words = text.split()
    until = list(accumulate((spoken_s(word) + _STOPS_S.get(word[-1], 0.0) for word in words), initial=0.0))
    edges = [round(samples * each / until[-1]) for each in until] if words else []
    return tuple(map(HeardWord, words, edges, edges[1:]))


def place_words(
    text: str,
    told: Sequence[HeardWord],
    samples: int,
    guess: Callable[[], Sequence[HeardWord]] | None = None,
) -> tuple[HeardWord, ...]:
    """A place in the clause for each word that is written, in order and without overlap, from what the voice told.

    told: words or pieces of words; some may be missing, out of order, or as they were read ("twenty twenty five").
    guess: places for all written words; asked for where something is missing, and bent to fit what was told.
    """
    written = text.split()
    edges = _known_edges(written, _in_words(told, samples))
    if len(edges) < 2 * len(written):
        guessed = estimate_words(text, samples) if guess is None else guess()
        edges = _bend([edge for word in guessed for edge in (word.start, word.end)], edges, samples)
    placed: list[HeardWord] = []
    ends = 0
    for place, word in enumerate(written):
        start = min(max(edges[2 * place], ends), samples)
        # What overlaps the next word ends where that begins.
        limit = max(start, edges[2 * place + 2]) if place + 1 < len(written) else samples
        ends = min(max(edges[2 * place + 1], start), limit, samples)
        placed.append(HeardWord(word, start, ends))
    return tuple(placed)


def _in_words(told: Sequence[HeardWord], samples: int) -> list[list[_Letter]]:
    """What the voice told, in the order of time and by words, also where it told letters or pieces with their spaces."""
    pieces = sorted((w for w in told if w.text and w.start <= samples), key=lambda piece: piece.start)
    # Times of another unit, of another clause, or of no account.
    if 2 * len(pieces) <= len(told) or pieces[-1].end <= pieces[0].start:
        return []
    spaced = any(letter.isspace() for piece in pieces for letter in piece.text)
    words: list[list[_Letter]] = []
    joins = False
    for piece in pieces:
        text, length = piece.text.strip(), piece.end - piece.start
        joins = joins and not piece.text[0].isspace()
        for part in _PART.finditer(text):
            joins = joins and part.start() == 0
            start, end = (piece.start + length * at // len(text) for at in part.span())
            bare = _bare(part.group())
            if bare and not joins:
                words.append([])
            for place, letter in enumerate(bare):
                # What is not said takes no time: a word ends with its last letter, not with its stop.
                since, until = (start + (end - start) * each // len(bare) for each in (place, place + 1))
                words[-1].append((letter, since, until))
            joins = spaced and (joins or bool(bare))
        joins = joins and not piece.text[-1].isspace()
    return words


def _known_edges(written: Sequence[str], told: Sequence[Sequence[_Letter]]) -> dict[int, int]:
    """Where written words begin (2 n) and end (2 n + 1), as far as the voice told."""
    bare = [_bare(word) for word in written]
    places = [place for place, word in enumerate(bare) if word]
    words = [bare[place] for place in places]
    heard = ["".join(letter for letter, _, _ in word) for word in told]
    edges: dict[int, int] = {}
    steps = [("equal", 0, len(words), 0, len(heard))]
    if "".join(words) != "".join(heard):
        steps = list(SequenceMatcher(None, words, heard, autojunk=False).get_opcodes())
    for tag, first, last, told_first, told_last in steps:
        mine, letters = places[first:last], [letter for word in told[told_first:told_last] for letter in word]
        if tag == "insert" and first:
            # More was said than is written: it belongs to the word before.
            edges[2 * places[first - 1] + 1] = letters[-1][2]
        elif tag == "replace" and "".join(words[first:last]) != "".join(heard[told_first:told_last]):
            # They were read in another way: together they begin and end where those do.
            edges |= {2 * mine[0]: letters[0][1], 2 * mine[-1] + 1: letters[-1][2]}
        elif tag in ("equal", "replace"):
            until = accumulate((len(word) for word in words[first:last]), initial=0)
            for place, (begin, end) in zip(mine, pairwise(until), strict=True):
                edges |= {2 * place: letters[begin][1], 2 * place + 1: letters[end - 1][2]}
    return edges


def _bend(guessed: Sequence[int], known: Mapping[int, int], samples: int) -> dict[int, int]:
    """All edges: the known ones, and the guessed ones moved with the known ones around them."""
    fixed = [(-1, 0, 0), *((edge, guessed[edge], at) for edge, at in sorted(known.items()))]
    edges = dict(known)
    for (left, from_guess, from_at), (right, to_guess, to_at) in pairwise(
        [*fixed, (len(guessed), samples, samples)]
    ):
        for edge in range(left + 1, right):
            span = to_guess - from_guess
            # Without room in the guess they share the room that there is.
            part, whole = (guessed[edge] - from_guess, span) if span > 0 else (edge - left, right - left)
            edges[edge] = from_at + (to_at - from_at) * part // whole
    return edges


def _bare(text: str) -> str:
    """Letters and digits only, without accents, in one case: one voice writes "café", another "Cafe,"."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if c.isalnum())
