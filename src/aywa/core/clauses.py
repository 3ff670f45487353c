"""Cuts a model's stream of text into clauses that can be spoken: the first one early, the others at sentence ends.

Text comes out as it went in, apart from white space and markup that no voice should read. What is spoken as one thing stays
in one clause: 1,200.50, Dr. Smith, 5 p.m., May 5, 2024, 555 123 4567. However the text comes, in letters or whole, the clauses
are the same. What a chunk plan sends goes before these habits (contract 4.4); how a clause is pronounced is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from aywa.core.settings import ChunkPlan

FIRST_MIN_WORDS = 1
FIRST_JOIN_WORDS = 8
FIRST_JOIN_MIN_WORDS = 4
FIRST_MAX_WORDS = 10
NEXT_MAX_WORDS = 40
MIN_CHARACTERS = 30
"""Of a clause after the first where only the boundaries are the customer's: what the contract has by default."""

_CLOSING = "\"')\\]\u201d\u300d\u300f\uff09"
_WIDE = "\u3002\uff01\uff1f\uff0c\u0964\u0965\u06d4\u060c"
# Scripts without spaces do not put one behind their stops.
_BREAK = re.compile(
    rf"[.!?;:,\u2014\u2026]+[{_CLOSING}]*(?=\s)|[\u3002\uff01\uff1f]+[{_CLOSING}]*(?=[^\u3002\uff01\uff1f{_CLOSING}])"
)
# A mark behind a word of letters needs no look at what follows: the first clause is spoken one token sooner.
_EARLY = re.compile(r"(?:^|\s)[^\W\d_]+(?:['\u2019-][^\W\d_]+)*[,;!?]")
_OPENED = re.compile(r"[\"\u201c(]")
_SENTENCE = re.compile(rf"[.!?\u2026\u3002\uff01\uff1f]+[{_CLOSING}]*$")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'\u201c])(?:mr|mrs|ms|dr|prof|st|ave|vs|etc|e\.g|i\.e|a\.m|p\.m|jr|sr|approx|dept|ext|fig|sgt|capt|lt|gen|gov"
    r"|rev|hon|inc|ltd|corp|co|jan|feb|aug|sept?|oct|nov|dec|[a-z](?:\.[a-z])+|(?-i:[A-HJ-Z]))\.$",
    re.I,
)
# An abbreviation only before a number.
_NO = re.compile(r"(?:^|\s)nos?\.$", re.I)
# The number of a line in a list.
_LISTED = re.compile(r"(?:^|\n)\s*\d{1,3}\.$")
_IN_NUMBER = re.compile(r"\d[,:)]$")
# A star or an underscore inside a word is the word's: an address, a product.
_MARKUP = re.compile(r"(?<!\w)[*_]+|[*_]+(?!\w)|[`#>|~]+|\[(?=[^\]]*\]\()|\]\([^)]*\)")
_NUMBER_SIGN = re.compile(r"(?<![\w#])#(?=\d)")
_SPACE = re.compile(r"[^\S\n]*\n\s*|\s+")
# A speaker may draw breath before one of these, so a first clause without a stop is cut there.
_JOINS = frozenset(
    "and but or so because which who when while where if to for with from at on in by then".split()
)
# Words that go with a number next to them.
_BEFORE_NUMBER = re.compile(
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|no\.|number|room|suite|code"
    r"|[a-z]{3}\.|[$\u20ac\u00a3#+(]+)$",
    re.I,
)
_AFTER_NUMBER = re.compile(
    r"(?:%|[ap]\.?m\b|million|billion|thousand|hundred|dollars?|euros?|pounds?|cents?|percent|km|kg|cm|mm|mi|lbs?|oz|mph|m|g"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)[.,;:!?)]*$",
    re.I,
)
_TITLE = re.compile(r"(?:mr|mrs|ms|dr|prof|st|[a-z])\.$", re.I)


@dataclass(slots=True)
class ClauseCutter:
    """Feed it deltas; it answers the clauses that are complete. early: the first one is cut as soon as it can be spoken."""

    early: bool = True
    plan: ChunkPlan = field(default_factory=ChunkPlan)

    _held: str = ""
    _given: int = 0
    _boundary: re.Pattern[str] | None = None
    _keeps_markup: bool = False

    def __post_init__(self) -> None:
        plan = self.plan
        # Where the formatters are the customer's choice, markup is theirs as well.
        self._keeps_markup = not (plan.enabled and plan.format.enabled) or plan.format.formatters is not None
        if not plan.enabled or (plan.boundaries is None and plan.min_characters is None):
            return
        marks = plan.boundaries or (
            ".",
            "!",
            "?",
            ";",
            ":",
            ",",
            "\u2014",
            "\u2026",
            "\u3002",
            "\uff01",
            "\uff1f",
        )
        wide = "".join(mark for mark in marks if mark in _WIDE)
        narrow = "".join(re.escape(mark) for mark in sorted(set("".join(marks)) - set(wide)))
        tail = f"[{narrow}{wide}{_CLOSING}]*"
        ways = [f"[{narrow}]{tail}(?=\\s)"] * bool(narrow) + [
            f"[{wide}]{tail}(?=[^{narrow}{wide}{_CLOSING}])"
        ] * bool(wide)
        self._boundary = re.compile("|".join(ways))

    def feed(self, delta: str) -> list[str]:
        """Some more text."""
        self._held += delta
        return self._cut(last=False)

    def flush(self) -> list[str]:
        """What is held is to be spoken now; more text may come."""
        return self.finish() if self.plan.enabled else []

    def forget(self) -> str:
        """What is held will not be spoken: answers it."""
        held, self._held = self._held, ""
        return held

    def finish(self) -> list[str]:
        """No more text will come."""
        clauses = self._cut(last=True)
        return clauses + self._take(len(self._held))

    @property
    def _first(self) -> bool:
        return self.early and self._given == 0

    def _cut(self, *, last: bool) -> list[str]:
        clauses = []
        while (end := self._end(last=last)) is not None:
            clauses += self._take(end)
        return clauses

    def _end(self, *, last: bool) -> int | None:
        # A stop within reach goes before a forced cut, so that the clauses do not depend on how the text came.
        reach, forced = self._forced_end(last=last)
        early = self._early_end()
        if early is not None and early <= reach:
            return early
        for match in (self._boundary or _BREAK).finditer(self._held):
            if match.end() > reach:
                break
            ends = self._may_end(match.end(), last=last)
            if ends is None:
                return None
            if ends:
                return match.end()
        return forced

    def _early_end(self) -> int | None:
        """Of the first clause: behind its first mark, unless a stop comes before it or something is quoted."""
        match = _EARLY.search(self._held) if self._first and self._boundary is None else None
        if match is None or _OPENED.search(self._held[: match.end()]):
            return None
        stops = (stop.end() for stop in _BREAK.finditer(self._held[: match.end()]))
        return None if any(self._may_end(end, last=True) for end in stops) else match.end()

    def _may_end(self, end: int, *, last: bool) -> bool | None:
        """Whether a clause ends there; None: what follows will tell."""
        head = self._held[:end].rstrip(_CLOSING)
        if _ABBREVIATION.search(head) or _LISTED.search(head):
            return False
        if _NO.search(head) or _IN_NUMBER.search(self._held[:end]):
            after = self._held[end:].lstrip()[:1]
            if not after and not last:
                return None
            if after.isdecimal():
                return False
        if self._boundary is not None:
            return self._long_enough(end)
        words = len(head.split())
        if _SENTENCE.search(self._held[:end].strip()):
            return words > 0
        return self._first and words >= FIRST_MIN_WORDS

    def _long_enough(self, end: int) -> bool:
        least = self.plan.min_characters
        if least is None:
            least = 1 if self._first else MIN_CHARACTERS
        return len(self._held[:end].strip()) >= least

    def _forced_end(self, *, last: bool) -> tuple[float, int | None]:
        """How far a stop is looked for, and where the text is cut if there is none; None: not yet."""
        words = list(re.finditer(r"\S+", self._held))
        short = self._first and self._boundary is None
        if short and len(words) > FIRST_JOIN_WORDS:
            join = _join_within(words[:FIRST_JOIN_WORDS])
            if join is not None:
                return words[FIRST_JOIN_WORDS - 1].end(), words[join - 1].end()
        limit = FIRST_MAX_WORDS if short else NEXT_MAX_WORDS
        if len(words) <= limit:
            return inf, None
        reach = words[limit - 1].end()
        unfinished = len(words) == limit + 1 and not last and not self._held[-1].isspace()
        if unfinished and _opens(words[limit - 1].group()):
            # The word behind the limit may be the rest of a number.
            return reach, None
        join = _join_within(words[:limit]) if short else None
        return reach, words[(join or _loose(words, limit)) - 1].end()

    def _take(self, end: int) -> list[str]:
        clause = self._held[:end]
        if not self._keeps_markup:
            # "#5" is a number, "# Hours" a heading.
            clause = _MARKUP.sub("", _NUMBER_SIGN.sub("\0", clause)).replace("\0", "#")
        clause = _SPACE.sub(_one_space, clause).strip()
        if self._given:
            # Of "Really?!" the first clause took one mark.
            clause = clause.lstrip("!?").lstrip()
        self._held = self._held[end:]
        if not any(c.isalnum() for c in clause):
            return []
        self._given += 1
        return [clause]


def _one_space(found: re.Match[str]) -> str:
    """The end of a line is a pause, and stays one."""
    return "\n" if "\n" in found[0] else " "


def _join_within(words: Sequence[re.Match[str]]) -> int | None:
    """How many words stand before the last one that a clause may begin with."""
    at = range(len(words) - 1, FIRST_JOIN_MIN_WORDS - 1, -1)
    return next((each for each in at if words[each].group().lower() in _JOINS), None)


def _loose(words: Sequence[re.Match[str]], limit: int) -> int:
    """How many words, at most the limit, can be taken without cutting through a number or a name."""
    for count in range(limit, limit // 2, -1):
        if not _bound(words[count - 1].group(), words[count].group()):
            return count
    return limit


def _opens(word: str) -> bool:
    """Whether the next word may belong to it."""
    bare = word.rstrip(",;:")
    return (
        bare[-1:].isdecimal()
        or bare.endswith(")")
        or bool(_BEFORE_NUMBER.search(bare) or _TITLE.search(word))
    )


def _bound(word: str, following: str) -> bool:
    if _TITLE.search(word):
        return True
    bare = word.rstrip(",;:")
    starts_number = following.lstrip("(+-$\u20ac\u00a3#")[:1].isdecimal()
    if bare[-1:].isdecimal() or bare.endswith(")"):
        return starts_number or (bare[-1:].isdecimal() and bool(_AFTER_NUMBER.match(following)))
    return starts_number and bool(_BEFORE_NUMBER.search(bare))
