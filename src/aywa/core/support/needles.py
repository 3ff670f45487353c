"""Finds many byte strings in many texts at once: by their first eight bytes (or four), as numbers, in all places together.

Ten thousand forms of secrets in megabytes of text would take a minute one by one. Refuses to know what is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aywa.core.support.forms import ANYWHERE, LEAST

CHUNK_BYTES = 1 << 20
_GAP: Final = b"\n\0\n"
"""Stands between texts, and in none that is looked for."""
Span = tuple[int, int]


class Needles:
    """What is looked for; what is shorter than LEAST never is."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self._by_start: dict[int, dict[bytes, list[bytes]]] = {ANYWHERE: {}, LEAST: {}}
        for needle in sorted(set(wanted), key=len, reverse=True):
            if len(needle) >= LEAST:
                width = ANYWHERE if len(needle) >= ANYWHERE else LEAST
                self._by_start[width].setdefault(needle[:width], []).append(needle)

    def spans(self, texts: Sequence[bytes]) -> dict[int, list[Span]]:
        """By a text's number, where something that is wanted stands in it, joined where they overlap, in order."""
        blob = _GAP.join(texts)
        starts = np.cumsum([0, *(len(text) + len(_GAP) for text in texts)])[:-1] if texts else np.array([0])
        found: dict[int, list[Span]] = {}
        for at, end in self._hits(blob):
            number = int(np.searchsorted(starts, at, side="right")) - 1
            first = int(starts[number])
            if end - first <= len(texts[number]):
                found.setdefault(number, []).append((at - first, end - first))
        return {number: _joined(spans) for number, spans in found.items()}

    def _hits(self, blob: bytes) -> Iterable[Span]:
        for width, by_start in self._by_start.items():
            if not by_start:
                continue
            wanted = np.sort(np.array([_number(start) for start in by_start], dtype=np.uint64))
            for at in _candidates(blob, width, wanted):
                for needle in by_start.get(blob[at : at + width], ()):
                    end = at + len(needle)
                    if blob.startswith(needle, at) and (width == ANYWHERE or _alone(blob, at, end)):
                        yield at, end
                        break


def _number(start: bytes) -> int:
    return int.from_bytes(start, "little")


def _candidates(blob: bytes, width: int, wanted: NDArray[np.uint64]) -> Iterable[int]:
    """Where the next bytes are the beginning of something."""
    for offset in range(0, len(blob), CHUNK_BYTES):
        chunk = np.frombuffer(blob[offset : offset + CHUNK_BYTES + width - 1], np.uint8)
        count = len(chunk) - width + 1
        if count <= 0:
            return
        numbers = np.zeros(count, np.uint64)
        for place in range(width):
            numbers |= chunk[place : place + count].astype(np.uint64) << np.uint64(8 * place)
        where = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1)
        for index in np.flatnonzero(wanted[where] == numbers):
            yield offset + int(index)


def _alone(blob: bytes, start: int, end: int) -> bool:
    """Neither a letter nor a digit stands beside it."""
    return not blob[max(0, start - 1) : start].isalnum() and not blob[end : end + 1].isalnum()


def _joined(spans: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
