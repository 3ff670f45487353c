"""/analytics answered by the store and by ClickHouse: the same, for calls and questions that nobody chose."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.analytics.clickhouse import ClickHouseStore
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.boot.analytics import FallingBack, reconciled
from aywa.core.sums import COLUMNS, GROUPS, OPERATIONS, STEPS
from aywa.ports.store import Document, NewCall, Store
from aywa.service.analytics import Analytics, StoredSums
from aywa.service.clock import iso
from aywa.service.teller import Teller
from tests.adapters.analytics.test_clickhouse import opened
from tests.peers.clickhouse import ClickHouse

NOW = 1_773_576_000_000
CALLS, QUESTIONS = 60, 40
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "America/Santiago",
)
VALUES = ("Bonn", "K\u00f6ln", 1, 1.5, True, None, {"a": 1}, "", 'it\'s \\ "quoted"')


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


@pytest.fixture
async def clickhouse(engine: ClickHouse) -> AsyncIterator[ClickHouseStore]:
    made = opened(engine.url())
    yield made
    await made.close()


def document(chance: random.Random, call_id: str) -> dict[str, Any]:
    began = NOW - chance.randrange(400 * 86_400_000)
    body: dict[str, Any] = {
        "id": call_id,
        "type": chance.choice(("webCall", "inboundPhoneCall")),
        "status": chance.choice(("ended", "queued")),
        "artifact": {
            "variableValues": {
                name: chance.choice(VALUES) for name in ("city", "a.b") if chance.random() < 0.8
            }
        },
    }
    if chance.random() < 0.8:
        body |= {
            "startedAt": iso(began),
            "endedAt": iso(began + chance.randrange(10**6)),
            "endedReason": "hangup",
        }
    if chance.random() < 0.7:
        names = [name.split(".")[-1] for name in COLUMNS.values() if name.count(".") == 1]
        counted = {
            name: chance.randrange(5000) for name in names if name[:3] in ("tts", "llm") and len(name) > 3
        }
        spent = {name: round(chance.random(), 6) for name in names if len(name) <= 9}
        body |= {"cost": round(chance.random(), 6), "costBreakdown": spent | counted}
        body["costBreakdown"]["analysisCostBreakdown"] = {"summary": 0.125}
    if chance.random() < 0.5:
        body |= {
            "assistantId": chance.choice("ab"),
            "analysis": {"successEvaluation": chance.choice(("true", "7"))},
        }
    return body | {"createdAt": iso(began)}


def question(chance: random.Random) -> dict[str, Any]:
    some = chance.randrange(1, 4)
    operations = [
        {"operation": chance.choice(OPERATIONS), "column": chance.choice(tuple(COLUMNS))} for _ in range(some)
    ]
    asked: dict[str, Any] = {"name": "q", "table": "call", "operations": operations}
    if chance.random() < 0.5:
        asked["groupBy"] = chance.sample(GROUPS, chance.randrange(1, 3))
    if chance.random() < 0.3:
        asked["groupByVariableValue"] = [{"key": name} for name in ("city", "a.b")[: chance.randrange(1, 3)]]
    span: dict[str, Any] = {
        "start": iso(NOW - chance.randrange(420 * 86_400_000)),
        "timezone": chance.choice(ZONES),
    }
    return asked | {"timeRange": span | ({"step": chance.choice(STEPS)} if chance.random() < 0.6 else {})}


def same(one: Any, other: Any) -> bool:
    """As JSON says it; a sum's last digit depends on the order of adding up."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= 2e-9
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


async def filled(store: Store, chance: random.Random, calls: int) -> None:
    for index in range(calls):
        body = document(chance, f"c{index:04}")
        made = round(random.Random(index).random() * 400 * 86_400_000)
        org = chance.choice(("org", "org", "other"))
        row = Document(body["id"], org, NOW - made, NOW - made, json.dumps(body))
        await store.calls.insert(NewCall(row, body["type"], body["status"]), 0)
    for index in range(0, calls, 15):
        await store.calls.delete("org", f"c{index:04}", NOW)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.all) for seed in range(2, 22))])
async def test_both_say_the_same(store: Store, clickhouse: ClickHouseStore, seed: int) -> None:
    chance = random.Random(seed)
    await filled(store, chance, CALLS)
    teller = Teller(store.notches, clickhouse)
    while await teller.tell():
        pass
    checked = await reconciled(store.notches, clickhouse)
    assert (checked.calls, checked.missing, checked.behind, checked.waiting) == (CALLS, (), (), 0)
    ours, theirs = (
        Analytics(sums, lambda: NOW) for sums in (StoredSums(store.calls), FallingBack(clickhouse, NOBODY))
    )
    found = 0
    for _ in range(QUESTIONS // 20):
        body = {"queries": [question(chance) for _ in range(20)]}
        one, other = await ours.run("org", body), await theirs.run("org", body)
        for asked, mine, its in zip(body["queries"], one, other, strict=True):
            rows = zip(mine["result"], its["result"], strict=True)
            differ = next((pair for pair in rows if not same(*pair)), None)
            assert differ is None, (asked, differ)
            assert same(mine, its)
            found += len(mine["result"])
    assert found > QUESTIONS


class Nobody:
    async def sums(self, query: object) -> Any:
        raise AssertionError("the store was asked instead")


NOBODY = Nobody()


async def test_while_clickhouse_is_away_the_store_answers(store: Store) -> None:
    chance = random.Random(3)
    await filled(store, chance, 20)
    away = opened("http://nobody@127.0.0.1:1/none")
    body = {"queries": [question(chance) for _ in range(5)]}
    both = FallingBack(away, StoredSums(store.calls))
    assert await Analytics(both, lambda: NOW).run("org", body) == await Analytics(
        StoredSums(store.calls), lambda: NOW
    ).run("org", body)
    await away.close()


async def test_what_was_lost_there_is_found_and_told_anew(store: Store, clickhouse: ClickHouseStore) -> None:
    await filled(store, random.Random(4), 16)
    teller = Teller(store.notches, clickhouse)
    while await teller.tell():
        pass
    _ = clickhouse._ask("DELETE FROM calls WHERE call_id IN ('c0003', 'c0004')", {})
    checked = await reconciled(store.notches, clickhouse)
    assert (checked.calls, checked.missing, checked.waiting) == (16, ("c0003", "c0004"), 0)
    assert await store.notches.again() == 16
    checked = await reconciled(store.notches, clickhouse)
    assert (len(checked.behind), checked.waiting) == (14, 16)
    while await teller.tell():
        pass
    checked = await reconciled(store.notches, clickhouse)
    assert (checked.missing, checked.behind, checked.waiting) == ((), (), 0)
