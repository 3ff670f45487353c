"""Cuts a model's stream of text into clauses that can be spoken: the first one early, the others at sentence ends.

Text comes out as it went in, apart from white space and markup that no voice should read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_MIN_WORDS = 1
FIRST_JOIN_WORDS = 8
FIRST_JOIN_MIN_WORDS = 4
FIRST_MAX_WORDS = 10
NEXT_MAX_WORDS = 40

_BREAK = re.compile(r"[.!?;:,\u2014\u2026]+[\"')\]]*(?=\s)")
# A mark behind a word of letters needs no look at what follows: the first clause is spoken one token sooner.
_EARLY = re.compile(r"(?:^|\s)[^\W\d_]+(?:['\u2019-][^\W\d_]+)*[,;!?]")
_OPENED = re.compile(r"[\"\u201c(]")
_SENTENCE = re.compile(r"[.!?\u2026]+[\"')\]]*$")
_ABBREVIATION = re.compile(
    r"(?:^|\s)(?:mr|mrs|ms|dr|st|no|vs|etc|e\.g|i\.e|a\.m|p\.m|jr|sr|approx|dept)\.$", re.I
)
# A star or an underscore inside a word is the word's: an address, a product.
_MARKUP = re.compile(r"(?<!\w)[*_]+|[*_]+(?!\w)|[`#>|~]+|\[(?=[^\]]*\]\()|\]\([^)]*\)")
_SPACE = re.compile(r"\s+")
# A speaker may draw breath before one of these, so a first clause without a stop is cut there.
_JOINS = frozenset(
    "and but or so because which who when while where if to for with from at on in by then".split()
)


@dataclass(slots=True)
class ClauseCutter:
    """Feed it deltas; it answers the clauses that are complete. early: the first one is cut as soon as it can be spoken."""

    early: bool = True

    _held: str = ""
    _given: int = 0

    def feed(self, delta: str) -> list[str]:
        """Some more text."""
        self._held += delta
        clauses = []
        while (end := self._end()) is not None:
            clauses += self._take(end)
        return clauses

    def finish(self) -> list[str]:
        """No more text will come."""
        return self._take(len(self._held))

    @property
    def _first(self) -> bool:
        return self.early and self._given == 0

    def _end(self) -> int | None:
        # A stop within reach goes before a forced cut, so that the clauses do not depend on how the text came.
        reach, forced = self._forced_end()
        early = self._early_end()
        if early is not None and (forced is None or early <= reach):
            return early
        for match in _BREAK.finditer(self._held):
            if forced is not None and match.end() > reach:
                break
            if self._may_end(self._held[: match.end()]):
                return match.end()
        return forced

    def _early_end(self) -> int | None:
        """Of the first clause: behind its first mark, unless a stop comes before it or something is quoted."""
        match = _EARLY.search(self._held) if self._first else None
        if match is None or _OPENED.search(self._held[: match.end()]):
            return None
        stops = (stop.end() for stop in _BREAK.finditer(self._held[: match.end()]))
        return None if any(self._may_end(self._held[:end]) for end in stops) else match.end()

    def _may_end(self, head: str) -> bool:
        words = len(head.split())
        if _ABBREVIATION.search(head):
            return False
        if _SENTENCE.search(head.strip()):
            return words > 0
        return self._first and words >= FIRST_MIN_WORDS

    def _forced_end(self) -> tuple[int, int | None]:
        """How far a stop is looked for, and where the text is cut if there is none; None: not yet."""
        words = list(re.finditer(r"\S+", self._held))
        if self._first and len(words) > FIRST_JOIN_WORDS:
            join = _join_within(words[:FIRST_JOIN_WORDS])
            if join is not None:
                return words[FIRST_JOIN_WORDS - 1].end(), words[join - 1].end()
        limit = FIRST_MAX_WORDS if self._first else NEXT_MAX_WORDS
        if len(words) <= limit:
            return 0, None
        join = _join_within(words[:limit]) if self._first else None
        return words[limit - 1].end(), words[(join or limit) - 1].end()

    def _take(self, end: int) -> list[str]:
        clause = _SPACE.sub(" ", _MARKUP.sub("", self._held[:end])).strip()
        if self._given:
            # Of "Really?!" the first clause took one mark.
            clause = clause.lstrip("!?").lstrip()
        self._held = self._held[end:]
        if not any(c.isalnum() for c in clause):
            return []
        self._given += 1
        return [clause]


def _join_within(words: Sequence[re.Match[str]]) -> int | None:
    """How many words stand before the last one that a clause may begin with."""
    at = range(len(words) - 1, FIRST_JOIN_MIN_WORDS - 1, -1)
    return next((each for each in at if words[each].group().lower() in _JOINS), None)
