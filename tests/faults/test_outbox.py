"""The outbox under faults: a few runs each time, a thousand with --all (half of them over each store)."""

from __future__ import annotations

import sys

import pytest

from tests.faults import outbox_world
from tests.faults.courier_process import POSTGRES, SQLITE
from tests.faults.outbox_world import KINDS, Result, main, runs, table


def good(store: str, found: list[Result]) -> None:
    told = table(store, found)
    print(told)
    assert all(one.good for one in found), told
    assert sum(one.requests for one in found) >= len(found) * 40


@pytest.mark.parametrize(("store", "seeds"), [(SQLITE, range(1, 4)), (POSTGRES, range(3, 5))])
async def test_nothing_is_lost_and_every_request_has_its_attempt(store: str, seeds: range) -> None:
    good(store, await runs(store, seeds, quiet=True))


@pytest.mark.all
@pytest.mark.parametrize("store", [SQLITE, POSTGRES])
async def test_nothing_is_lost_in_hundreds_of_runs(store: str) -> None:
    found = await runs(store, range(1000, 1500), quiet=True)
    good(store, found)
    assert {kind for one in found for kind in one.faults} == set(KINDS)


def test_the_command_prints_the_table_and_fails_when_a_run_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.faults", "--store", "sqlite", "--seed", "1", "--runs", "1"])
    main()
    assert capsys.readouterr().out.startswith("sqlite: 1 runs, 40 messages each")

    async def broken(*_: object, **__: object) -> list[Result]:
        return [Result(1, ["kill"], lost=1)]

    monkeypatch.setattr(outbox_world, "runs", broken)
    with pytest.raises(SystemExit):
        main()


def test_a_run_that_lost_something_is_told() -> None:
    bad = [
        Result(1, ["kill"], lost=1),
        Result(2, ["disk"], unrecorded=1),
        Result(3, ["clock"], duplicates=2, in_flight=1),
    ]
    assert not any(one.good for one in bad)
    assert Result(4, ["clock"], duplicates=2, in_flight=2).good
    assert table(SQLITE, bad).count("broken:") == 3
