"""Who owns a call, under faults: a few runs each time, a thousand with --all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aywa.boot.node import Node
from tests.faults import lease_faults, lease_world
from tests.faults.lease_world import FAULTS, Result, in_memory, outage_in_memory, over_files, table

TEN_MINUTES_S = 600.0
REFUSED = 23
"""A run in which somebody who was stopped has several writes refused."""


def good(found: list[Result]) -> None:
    told = table(found)
    print(told)
    assert all(one.good for one in found), told
    assert sum(one.takes for one in found) >= len(found) / 4
    assert sum(one.refused for one in found) >= len(found) / 4


async def test_nobody_who_was_stopped_writes_what_is_another_s() -> None:
    good(await in_memory(range(50)))


async def test_ten_minutes_without_redis_change_nobody_s_calls() -> None:
    found = await outage_in_memory(1, "redis", TEN_MINUTES_S)
    assert found.good
    assert (found.takes, found.refused) == (0, 0)


LOST_ANSWERS = ("answer", "kill", "answer", "pause")


async def test_what_the_database_did_without_saying_so_is_found() -> None:
    found = await in_memory(range(200, 230), LOST_ANSWERS)
    assert all(one.good for one in found), table(found)
    assert sum(one.unanswered for one in found) > 0
    assert sum(one.takes for one in found) > len(found) / 2


async def test_nor_into_a_real_store(tmp_path: Path) -> None:
    good(await over_files([REFUSED], tmp_path))


@pytest.mark.all
async def test_nor_in_a_thousand_runs(tmp_path: Path) -> None:
    found = await in_memory(range(1000, 2000))
    good(found)
    assert {kind for one in found for kind in one.faults} == set(FAULTS)
    good(await over_files(range(40), tmp_path))


async def test_without_the_check_it_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_world, "admits", lambda *_asked: True)
    [found] = await in_memory([REFUSED])
    assert found.stale > 3


async def test_without_asking_again_calls_would_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forgets(node: Node, _dead: str) -> None:
        node._unsure = None

    monkeypatch.setattr(Node, "_take_unanswered", forgets)
    assert sum(one.left for one in await in_memory(range(200, 230), LOST_ANSWERS)) > 0


def test_the_command_prints_the_table_and_fails_when_a_run_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lease_faults", "--seed", str(REFUSED), "--runs", "1"])
    lease_faults.main()
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["all", "1"]

    async def broken(*_: object) -> list[Result]:
        return [Result(1, stale=1, faults=["kill"])]

    monkeypatch.setattr(lease_world, "in_memory", broken)
    with pytest.raises(SystemExit):
        lease_faults.main()
    assert "broken: Result(seed=1, stale=1" in capsys.readouterr().out


def test_a_run_in_which_something_went_wrong_is_told() -> None:
    assert Result(1).good
    bad = [Result(1, stale=1), Result(2, lost=1), Result(3, doubles=1), Result(4, left=1)]
    assert not any(one.good for one in bad)
    assert table(bad).count("broken:") == 4
