from __future__ import annotations

import sys

import pytest

from aywa.testing.fuzz import FuzzFound, fuzz


def fragile(data: bytes) -> None:
    """Breaks only behind four bytes that must all be right: chance alone would need some thousand million tries."""
    if len(data) < 5 or data[0] != 0x80:
        return
    if data[1] != 0xC8:
        return
    if data[2] <= 0xF0:
        return
    if data[3] == 7:
        raise KeyError("found")


def test_it_finds_step_by_step_what_chance_would_not() -> None:
    with pytest.raises(FuzzFound, match="KeyError: 'found'") as found:
        fuzz(fragile, [b"hello"], [__file__], runs=200_000, seed=1)
    with pytest.raises(KeyError):
        fragile(found.value.data)


def test_the_same_seed_does_the_same() -> None:
    def runs(seed: int) -> list[bytes]:
        given: list[bytes] = []
        fuzz(given.append, [b"one", b"two"], [], runs=500, seed=seed)
        return given

    assert runs(1) == runs(1)
    assert runs(1) != runs(2)
    assert set(runs(1)[:3]) == {b"", b"one", b"two"}


def test_it_counts_what_it_watches_and_gives_the_tracer_back() -> None:
    seen = []

    def tracer(frame: object, event: str, argument: object) -> None:
        seen.append(event)

    def target(data: bytes) -> int:
        return len(data) if data.startswith(b"\x80") else 0

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        watched = fuzz(target, [b"\x80"], [__file__], runs=50)
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is tracer
    assert watched.runs == 50
    assert watched.edges >= 1
    assert watched.kept >= 1
    assert fuzz(target, [b"\x80"], ["no such file"], runs=50).edges == 0


def test_inputs_stay_short() -> None:
    longest = 0

    def target(data: bytes) -> None:
        nonlocal longest
        longest = max(longest, len(data))

    fuzz(target, [bytes(4000)], [], runs=2000)
    assert 0 < longest <= 4096
