"""The limit of open files, with a system that is made up."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from aywa.boot import open_files
from aywa.boot.open_files import PER_CALL, SPARE, raise_limit


@dataclass
class System:
    """Of the resource module what is used."""

    limits: tuple[int, int]
    refuses: bool = False
    RLIMIT_NOFILE: int = 7
    RLIM_INFINITY: int = -1

    def getrlimit(self, kind: int) -> tuple[int, int]:
        assert kind == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, kind: int, limits: tuple[int, int]) -> None:
        if self.refuses:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1024, 4096), (4096, 4096)),
        ((1024, -1), (100_000, -1)),
        ((1024, 1_000_000), (100_000, 1_000_000)),
        ((200_000, 1_000_000), (200_000, 1_000_000)),
        ((-1, -1), (-1, -1)),
        ((4096, 4096), (4096, 4096)),
    ],
)
def test_as_far_as_it_goes_and_no_farther(
    before: tuple[int, int], after: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(before)
    monkeypatch.setattr(open_files, "resource", system)
    assert raise_limit(50, 100_000) == after[0]
    assert system.limits == after


def test_a_system_that_refuses_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "resource", System((1024, -1), refuses=True))
    assert raise_limit(50) == 1024


def test_a_system_that_knows_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "resource", None)
    assert raise_limit(50) == 0


@pytest.mark.parametrize(("calls", "warned"), [(96, False), (97, True)])
def test_too_small_a_limit_is_told_of(
    calls: int, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    monkeypatch.setattr(open_files, "resource", System((1024, 1024)))
    monkeypatch.setattr(open_files._log, "warning", lambda event, **more: told.append(more["mend"]))
    raise_limit(calls)
    assert SPARE + PER_CALL * 96 == 1024
    assert bool(told) is warned
    assert not warned or "1032" in told[0]
