"""A coverage-guided fuzzer for what takes bytes: it keeps the inputs that reach code which none reached before.

The same seed finds the same; it runs so many times and no more. It watches lines by tracing, so only the modules that are
named are slow. Refuses to judge: the target raises where something is wrong.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

# What parsers trip over: bounds of a byte, of 16 and 32 bits, and of a few syntaxes.
_NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 24, 32, 64, 100, 127, 128, 129, 192, 200, 255, 256, 1000, 4096, 32767, 32768,
            65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)  # fmt: skip
_TEXTS = (b"\0", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\t", b":", b";", b",", b"=", b'"', b"\\", b"<", b">", b"@", b"%00", b"%",
          b"-1", b"0", b"99999999999999999999", b"1e9", b"\xff\xfe", b"\xc3\xa4", b"a" * 300, b"(" * 300)  # fmt: skip
_MOST_BYTES = 4096
# Of the inputs that are kept, more only make it slower.
_MOST_KEPT = 2000

_Edge = tuple[CodeType, int, int]


class FuzzFound(AssertionError):
    """The target raised. `data` makes it raise again."""

    def __init__(self, data: bytes, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error} for {data!r}")
        self.data = data


@dataclass(frozen=True, slots=True)
class FuzzReport:
    """kept: inputs that reached something new. edges: steps from line to line that were seen."""

    runs: int
    kept: int
    edges: int


def fuzz(
    target: Callable[[bytes], object],
    seeds: Sequence[bytes],
    watched: Sequence[str],
    runs: int,
    seed: int = 0,
) -> FuzzReport:
    """Runs the target on the seeds and on what becomes of them. watched: parts of the paths of the files whose lines count."""
    chance = random.Random(seed)
    watch = _Watch(watched)
    kept: list[bytes] = []
    waiting = [b"", *seeds]
    for _ in range(runs):
        data = waiting.pop() if waiting else _mutated(kept, chance)
        try:
            new = watch.run(target, data)
        except Exception as error:
            raise FuzzFound(data, error) from error
        if new and len(kept) < _MOST_KEPT:
            kept.append(data)
    return FuzzReport(runs, len(kept), len(watch.edges))


class _Watch:
    """Which steps from line to line the watched files have made. A tracer that is at work, a coverage run's, comes back."""

    def __init__(self, watched: Sequence[str]) -> None:
        self.edges: set[_Edge] = set()
        self._watched = tuple(watched)
        self._files: dict[str, bool] = {}
        self._lines: dict[int, int] = {}

    def run(self, target: Callable[[bytes], object], data: bytes) -> bool:
        """Whether there was a new one."""
        before = len(self.edges)
        tracer = sys.gettrace()
        sys.settrace(self._call)
        try:
            target(data)
        finally:
            sys.settrace(tracer)
            self._lines.clear()
        return len(self.edges) > before

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        watched = self._files.get(name)
        if watched is None:
            watched = self._files[name] = any(part in name for part in self._watched)
        return self._line if watched else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            line = frame.f_lineno
            self.edges.add((frame.f_code, self._lines.get(id(frame), 0), line))
            self._lines[id(frame)] = line
        elif event == "return":
            self._lines.pop(id(frame), None)
        return self._line


def _mutated(kept: list[bytes], chance: random.Random) -> bytes:
    """One of the kept, changed in a few places; the newer ones more often."""
    chosen = kept[-1 - int(len(kept) * chance.random() ** 2)] if kept else b""
    data = bytearray(chosen)
    for _ in range(1 << chance.randrange(4)):
        chance.choice(_MUTATIONS)(data, kept, chance)
    return bytes(data[:_MOST_BYTES])


def _flip(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _put_number(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    number = chance.choice(_NUMBERS)
    size = next(size for size in (1, 2, 4) if number < 1 << (8 * size))
    at = chance.randrange(len(data) + 1)
    data[at : at + size] = number.to_bytes(chance.choice([size, max(size, 2), 4]))


def _put_text(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice(_TEXTS)


def _cut(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.randrange(1, 17)]


def _end(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _double(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randrange(1, 65)]
    data[start:start] = piece * chance.choice([1, 1, 2, 8])


def _splice(data: bytearray, kept: list[bytes], chance: random.Random) -> None:
    other = chance.choice(kept) if kept else b""
    start = chance.randrange(len(other) + 1)
    at = chance.randrange(len(data) + 1)
    data[at : at + chance.choice([0, 8])] = other[start : start + chance.randrange(1, 65)]


_MUTATIONS = (_flip, _set, _put_number, _put_text, _cut, _end, _double, _splice)
