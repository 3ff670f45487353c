"""A text and what is spoken of it, word for word: which written words are heard when a voice says which words.

Edits are places of the written text with other words in their stead. Refuses to know why.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from aywa.core.events import HeardWord
from aywa.core.spoken import spoken_s

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Edit:
    """text[start:end] is spoken as this. fixed: it is not changed again."""

    start: int
    end: int
    spoken: str
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """The written words from first until last (excluded) are spoken as the voiced words from voiced_first until voiced_last;
    as none when those are equal."""

    first: int
    last: int
    voiced_first: int
    voiced_last: int


@dataclass(frozen=True, slots=True)
class Voiced:
    """written: as the model wrote it, with single spaces. spoken: as the voice is given it. spans: in order, covering both."""

    written: str
    spoken: str
    spans: tuple[Span, ...]


def unchanged(text: str) -> Voiced:
    """Spoken as it is written."""
    words = text.split()
    plain = " ".join(words)
    return Voiced(plain, plain, tuple(Span(n, n + 1, n, n + 1) for n in range(len(words))))


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with its edits, which are in order and do not overlap."""
    pieces: list[str] = []
    at = 0
    for edit in edits:
        pieces += (text[at : edit.start], edit.spoken)
        at = edit.end
    return "".join((*pieces, text[at:]))


def merge(edits: Sequence[Edit], more: Iterable[Edit]) -> list[Edit]:
    """Both, in order; of two that overlap the earlier one stays."""
    merged = list(edits)
    starts = [edit.start for edit in merged]
    for edit in more:
        place = bisect_left(starts, edit.start)
        if (place and merged[place - 1].end > edit.start) or (
            place < len(merged) and merged[place].start < edit.end
        ):
            continue
        merged.insert(place, edit)
        starts.insert(place, edit.start)
    return merged


def spoken_places(edits: Sequence[Edit]) -> list[tuple[int, int]]:
    """Where in the spoken text they stand."""
    shifts = accumulate((_growth(edit) for edit in edits), initial=0)
    return [(e.start + by, e.start + by + len(e.spoken)) for e, by in zip(edits, shifts, strict=False)]


def _growth(edit: Edit) -> int:
    return len(edit.spoken) - (edit.end - edit.start)


def rewrite(text: str, edits: Sequence[Edit], changes: Sequence[Edit]) -> list[Edit]:
    """The edits with more changes: of the spoken text, in order, none of them within a fixed edit. They are fixed."""
    spoken_text = apply(text, edits)
    shifts = list(accumulate((_growth(edit) for edit in edits), initial=0))
    places = spoken_places(edits)
    made: list[Edit] = []
    taken = 0
    kept: list[Edit] = []
    for first, last, some in _grouped(changes, places):
        low, high = some[0].start, some[-1].end
        kept += edits[taken:first]
        taken = last
        if last > first:
            # Together they stand for all that was written under any of them.
            low, high = min(low, places[first][0]), max(high, places[last - 1][1])
        inner = apply(spoken_text[low:high], [Edit(c.start - low, c.end - low, c.spoken) for c in some])
        made.append(Edit(low - shifts[first], high - shifts[last], inner, fixed=True))
    return sorted((*kept, *edits[taken:], *made), key=lambda edit: edit.start)


def _grouped(changes: Sequence[Edit], places: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[Edit]]]:
    """The changes, those together that touch the same edit: (first edit, edit after the last, changes)."""
    groups: list[tuple[int, int, list[Edit]]] = []
    for change in changes:
        first = sum(1 for _, end in places if end <= change.start)
        last = max(first, sum(1 for start, _ in places if start < change.end))
        if groups and groups[-1][1] > first:
            before = groups.pop()
            groups.append((before[0], max(before[1], last), [*before[2], change]))
        else:
            groups.append((first, last, [change]))
    return groups


def voiced(text: str, edits: Sequence[Edit]) -> Voiced:
    """The text and what is spoken of it, with single spaces, and which words belong together."""
    if not edits:
        return unchanged(text)
    raw = apply(text, edits)
    words = [match.span() for match in _WORD.finditer(raw)]
    begins, ends = [begin for begin, _ in words], [end for _, end in words]
    spans: list[Span] = []
    place = shift = 0
    for number, match in enumerate(_WORD.finditer(text)):
        edges: list[int] = []
        for at, is_end in ((match.start(), False), (match.end(), True)):
            # Edits that are over here; one that this edge is inside of counts whole.
            while place < len(edits) and edits[place].end <= at:
                shift += _growth(edits[place])
                place += 1
            edge = at + shift
            if place < len(edits) and edits[place].start < at:
                edge = edits[place].start + shift + (len(edits[place].spoken) if is_end else 0)
            edges.append(edge)
        low, high = edges
        first = bisect_right(ends, low)
        last = max(first, bisect_left(begins, high)) if high > low else first
        _add(spans, number, first, last)
    return Voiced(" ".join(text.split()), " ".join(raw.split()), _closed(spans, len(words)))


def _add(spans: list[Span], number: int, first: int, last: int) -> None:
    """Another written word. Voiced words are never shared by two spans."""
    begin = number
    while spans and last > first and spans[-1].voiced_last > first:
        before = spans.pop()
        begin, first, last = before.first, min(first, before.voiced_first), max(last, before.voiced_last)
    spans.append(Span(begin, number + 1, first, last))


def _closed(spans: Sequence[Span], words: int) -> tuple[Span, ...]:
    """With the voiced words that belong to no written one given to the span before them, or to the first."""
    begins = [span.voiced_first for span in spans[1:]]
    closed: list[Span] = []
    at = 0
    for span, until in zip(spans, [*begins, words], strict=False):
        closed.append(Span(span.first, span.last, at, max(at, until)))
        at = max(at, until)
    return tuple(closed)


def written_places(text: Voiced, placed: Sequence[HeardWord]) -> tuple[HeardWord, ...]:
    """Where the written words are heard. placed: all voiced words with their places, in order. Written words that are
    spoken together share the time by how long each takes to say."""
    words = text.written.split()
    heard: list[HeardWord] = []
    at = 0
    for span in text.spans:
        some = words[span.first : span.last]
        of = placed[span.voiced_first : span.voiced_last]
        start, end = (of[0].start, of[-1].end) if of else (at, at)
        share = list(accumulate((spoken_s(word) for word in some), initial=0.0))
        edges = [round(start + (end - start) * each / share[-1]) for each in share]
        heard += map(HeardWord, some, edges, edges[1:])
        at = end
    return tuple(heard)
