"""ClickHouse as a store for analytics: what is written twice or late, deleted calls, the past in steps, and failing with a
mend."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from aywa.adapters.analytics.clickhouse import ClickHouseStore
from aywa.adapters.analytics.clickhouse.tables import CALLS, COSTS, FIGURES, SCHEMA, TABLES, TIMINGS, TURNS
from aywa.boot.analytics import clickhouse_from_environment
from aywa.core.sums import COLUMNS, Sum, SumsQuery
from aywa.core.tally import CallFigures, Cost, Tally, Timing, TurnFigures
from aywa.ports.analytics import (
    AnalyticsRefused,
    AnalyticsUnavailable,
    HistoryQuery,
    HistoryStep,
    ProviderStep,
)
from tests.peers.clickhouse import ClickHouse

T = 1_773_576_000_000
CALL = CallFigures("webCall", "ended", minutes=2.0, ended_reason="hangup", figures={"cost": 0.5})
COUNT = (Sum("count", "id", "n"), Sum("sum", "cost", "dollars"))


def turn(seq: int, wire_ms: float) -> TurnFigures:
    return TurnFigures(seq, T, seq, seq, wire_ms, wire_ms, 0, 0, 0, 0, 0)


def timing(seq: int, first_ms: float | None, outcome: str = "answered") -> Timing:
    return Timing(seq, T, "llm", "openai/gpt", "openai", "gpt", outcome, first_ms=first_ms)


def tally(call_id: str, version: int = 1, created_ms: int = T, **more: Any) -> Tally:
    values: dict[str, Any] = {"call": CALL} | more
    return Tally("org", call_id, created_ms, version, **values)


def full(call_id: str, version: int = 1) -> Tally:
    cost = Cost("model", "openai", "gpt", "", 0.5)
    return tally(call_id, version, turns=(turn(3, 500.0),), timings=(timing(2, 90.0),), costs=(cost,))


def opened(url: str) -> ClickHouseStore:
    address = clickhouse_from_environment({"RUNTIME_ANALYTICS_CLICKHOUSE_URL": url})
    assert address is not None
    return ClickHouseStore(address)


@pytest.fixture
async def store(engine: ClickHouse) -> AsyncIterator[ClickHouseStore]:
    made = opened(engine.url())
    yield made
    await made.close()


async def counted(store: ClickHouseStore) -> list[dict[str, Any]]:
    return list(await store.sums(SumsQuery("org", 0, 2 * T, UTC, COUNT)))


def rows_in(store: ClickHouseStore, table: str) -> Sequence[Any]:
    return store._ask(f"SELECT call_id FROM {table} FINAL ORDER BY call_id", {})


def test_every_column_has_its_figure() -> None:
    key = ["org_id", "created_ms", "call_id", "version"]
    for table, kind in ((TURNS, TurnFigures), (TIMINGS, Timing), (COSTS, Cost)):
        assert list(table.columns) == key + [each.name for each in dataclasses.fields(kind)]
    own = [each.name for each in dataclasses.fields(CallFigures) if each.name not in ("figures", "variables")]
    assert list(CALLS.columns) == [*key, "deleted", *own, *FIGURES.values(), "variables"]
    derived = {"id", "duration", "minutesUsed", "concurrency", "costBreakdown.transcriber"}
    assert set(FIGURES) == set(COLUMNS) - derived | {"costBreakdown.stt"}


async def test_what_is_written_twice_or_late_counts_once(store: ClickHouseStore) -> None:
    new = tally("a", 5, call=replace(CALL, figures={"cost": 0.75}))
    for batch in ([full("a", 4), full("b")], [new], [full("a", 4)], [full("a", 4), full("b")]):
        await store.write(batch)
    assert await counted(store) == [{"n": 2, "dollars": 1.25}]
    assert [len(rows_in(store, table.name)) for table in TABLES] == [2, 2, 2, 2]
    assert await store.versions(["a", "b", "c"]) == {"a": 5, "b": 1}


async def test_of_a_deleted_call_nothing_stays_and_nothing_comes_back(store: ClickHouseStore) -> None:
    await store.write([full("a", 2), full("b")])
    await store.write([tally("a", 3, call=None)])
    await store.write([tally("a", 2)])
    assert await counted(store) == [{"n": 1, "dollars": 0.5}]
    assert [rows_in(store, table.name) for table in TABLES] == [[("b",)]] * 4
    assert await store.versions(["a"]) == {"a": 3}


async def test_the_past_in_steps(store: ClickHouseStore) -> None:
    await store.write(
        [
            tally(
                "a",
                turns=(turn(1, 400.0), turn(2, 800.0)),
                timings=(timing(3, 100.0), timing(4, None, "failed")),
            ),
            tally("b", created_ms=T + 1, call=replace(CALL, ended_reason="busy", minutes=None)),
            tally("c", created_ms=T + 120_000, call=CallFigures("webCall", "queued")),
            tally("d", created_ms=T + 180_000),
        ]
    )
    steps = await store.history(HistoryQuery(T, T + 180_000, 60))
    provider = ProviderStep("llm", "openai", 2, 1, 100.0, 100.0)
    assert steps == [
        HistoryStep(T, 2, {"busy": 1, "hangup": 1}, 2.0, 1.0, 2, 600.0, 780.0, (provider,)),
        HistoryStep(T + 60_000, ended={}),
        HistoryStep(T + 120_000, 1, {}),
    ]


async def test_figures_that_are_none_of_the_tables_are_refused(store: ClickHouseStore) -> None:
    wrong: Any = "a lot"
    with pytest.raises(AnalyticsRefused) as refused:
        await store.write([tally("a", turns=(turn(1, wrong),))])
    assert "a lot" not in str(refused.value)


# --- failing -----------------------------------------------------------------------------------------------------


async def test_a_wrong_password_is_told_with_its_mend(engine: ClickHouse) -> None:
    store = opened(engine.url(password="sesame"))
    with pytest.raises(AnalyticsUnavailable, match="user or password is wrong") as told:
        await store.check()
    assert "sesame" not in str(told.value)
    await store.close()


async def test_nobody_at_the_address(unused_tcp_port: int) -> None:
    store = opened(f"http://u:sesame@127.0.0.1:{unused_tcp_port}/db")
    with pytest.raises(AnalyticsUnavailable, match="does not answer: is it running"):
        await store.check()
    with pytest.raises(AnalyticsUnavailable):
        await store.write([tally("a")])
    await store.close()


async def test_tables_of_a_newer_release_are_left_alone(store: ClickHouseStore, engine: ClickHouse) -> None:
    await store.check()
    _ = store._ask(f"INSERT INTO aywa_schemas VALUES ({SCHEMA + 1})", {})
    later = opened(f"http://127.0.0.1:{engine.port}/{store._address.database}")
    later._address = store._address
    with pytest.raises(AnalyticsUnavailable, match="start the newer release, or name another database"):
        await later.write([tally("a")])
    await later.close()


async def test_it_goes_on_after_it_was_away(store: ClickHouseStore) -> None:
    await store.write([tally("a")])
    away = store._address
    store._address = replace(away, port=1)
    await store.close()
    with pytest.raises(AnalyticsUnavailable):
        await store.check()
    store._address = away
    assert await counted(store) == [{"n": 1, "dollars": 0.5}]
