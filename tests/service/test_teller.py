"""The teller: batches, an outage of a day on a virtual clock, who dies in the middle, and one call that cannot be written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.tally import Tally
from aywa.ports.analytics import (
    AnalyticsRefused,
    AnalyticsUnavailable,
    HistoryQuery,
    HistoryStep,
)
from aywa.ports.journal import CallProjection, JournalRecord, StoreUnavailable
from aywa.ports.store import Store
from aywa.service.teller import BATCH_CALLS, LEASE_MS, REST_S, RETRY_MAX_S, Teller

DAY_S = 86_400
Row = tuple[str, int, str]
"""Call, seq, kind."""


class Kept:
    """Analytics in memory, which can be away: for whom the newest version counts, as for ClickHouse."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.away: Callable[[], bool] = lambda: False
        self.writes = 0
        self.asked = 0
        self.refused = ""
        self.begun = asyncio.Event()
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def write(self, tallies: Sequence[Tally]) -> None:
        self.asked += 1
        self.begun.set()
        await self.hangs.wait()
        if self.away():
            raise AnalyticsUnavailable("ClickHouse: scripted to be away")
        if any(each.call_id == self.refused for each in tallies):
            raise AnalyticsRefused("turns.seq")
        self.writes += 1
        for each in tallies:
            known = self.tallies.get(each.call_id)
            if known is None or known.version <= each.version:
                self.tallies[each.call_id] = each

    async def sums(self, query: object) -> Sequence[dict[str, Any]]:
        raise NotImplementedError

    async def history(self, query: HistoryQuery) -> Sequence[HistoryStep]:
        raise NotImplementedError

    async def versions(self, call_ids: Collection[str]) -> Mapping[str, int]:
        return {name: each.version for name, each in self.tallies.items() if name in call_ids}

    async def check(self) -> None:
        self.asked += 1
        if self.away():
            raise AnalyticsUnavailable("ClickHouse: scripted to be away")

    async def close(self) -> None:
        raise NotImplementedError

    def rows(self) -> set[Row]:
        """The ids of what is there of turns and timings."""
        turns = {(each.call_id, row.seq, "turn") for each in self.tallies.values() for row in each.turns}
        return turns | {
            (each.call_id, row.seq, row.kind) for each in self.tallies.values() for row in each.timings
        }


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


class Time:
    """A clock that stands while its one sleeper is awake. (The store's threads are none that a virtual loop could see.)"""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due_s = 0.0
        self._asleep = asyncio.Event()
        self._woken = asyncio.Event()

    def ms(self) -> int:
        return round(self.now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        self._due_s = self.now_s + seconds
        self._woken.clear()
        self._asleep.set()
        await self._woken.wait()

    async def passes(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while True:
            await self._asleep.wait()
            if self._due_s > end_s:
                self.now_s = end_s
                return
            self.now_s = self._due_s
            self._asleep.clear()
            self._woken.set()


async def journalled(store: Store, call_id: str, turns: int, *, ended: bool = True) -> set[Row]:
    """A call as the projector writes it; the ids that its journal has."""
    told: list[tuple[str, dict[str, Any]]] = [("CallStarted", {"epoch_ms": 1, "assistant": {}})]
    rows: set[Row] = set()
    for turn in range(turns):
        told.append(("StartReply", {"reply_id": turn}))
        rows.add((call_id, len(told), "llm"))
        told.append(("ReplyCompleted", {"reply_id": turn}))
        told.append(("RecordTurn", {"turn_id": turn, "latency_ms": 500.0, "parts_ms": {}}))
        rows.add((call_id, len(told), "turn"))
    records = [
        JournalRecord(call_id, "org", seq, seq / 10, "event", kind, data)
        for seq, (kind, data) in enumerate(told, 1)
    ]
    status = "ended" if ended else "in-progress"
    await store.apply(records, [CallProjection(call_id, "org", len(records), {"status": status})])
    return rows if ended else set()


class Running:
    """A teller's task, for a while."""

    def __init__(self, store: Store, kept: Kept) -> None:
        self.time = Time()
        self.teller = Teller(store.notches, kept, self.time.ms, self.time.sleep)
        self.told = self.teller.told

    async def __aenter__(self) -> Running:
        self._task = asyncio.create_task(self.teller.run())
        return self

    async def passes(self, seconds: float) -> None:
        await self.time.passes(seconds)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def test_what_changes_is_told_together(store: Store) -> None:
    kept = Kept()
    rows: set[Row] = set()
    for index in range(BATCH_CALLS + 5):
        rows |= await journalled(store, f"c{index}", 2)
    async with Running(store, kept) as running:
        await running.passes(2 * REST_S)
        assert kept.rows() == rows
        assert (kept.writes, running.told.calls, running.told.batches) == (2, BATCH_CALLS + 5, 2)
        assert running.told.rows == (BATCH_CALLS + 5) * 5
        assert (await running.teller.backlog()).calls == 0


async def test_a_running_call_is_told_without_its_turns_and_whole_when_it_has_ended(store: Store) -> None:
    kept = Kept()
    async with Running(store, kept) as running:
        await journalled(store, "a", 2, ended=False)
        await running.passes(2 * REST_S)
        call = kept.tallies["a"].call
        assert call is not None
        assert (call.status, kept.rows()) == ("in-progress", set())
        rows = await journalled(store, "a", 4)
        await running.passes(2 * REST_S)
        assert kept.rows() == rows


async def test_an_outage_of_a_day_loses_nothing_and_asks_seldom(store: Store) -> None:
    kept = Kept()
    rows: set[Row] = set()
    chance = random.Random(5)
    async with Running(store, kept) as running:
        kept.away = lambda: running.time.now_s < DAY_S
        for index in range(48):
            rows |= await journalled(store, f"c{index}", chance.randrange(4), ended=chance.random() < 0.9)
            if chance.random() < 0.2:
                await store.calls.delete("org", f"c{chance.randrange(index + 1)}", 1)
            await running.passes(DAY_S / 48)
        assert running.told.problem == "ClickHouse: scripted to be away"
        assert kept.asked <= DAY_S / RETRY_MAX_S + 10
        backlog = await running.teller.backlog()
        # However often a call changed, it waits once; nothing waits in memory.
        assert backlog.calls == 48
        await running.passes(2 * RETRY_MAX_S)
        assert running.told.problem is None
        assert (await running.teller.backlog()).calls == 0
    deleted = {name for name, each in kept.tallies.items() if each.call is None}
    assert deleted
    assert len(kept.tallies) == 48
    assert kept.rows() == {row for row in rows if row[0] not in deleted}
    pages = await store.notches.page("", 100)
    assert dict(pages) == {name: each.version for name, each in kept.tallies.items()}


async def test_whoever_dies_in_the_middle_is_followed_by_somebody_who_tells_it_again(store: Store) -> None:
    after = Kept()
    rows = await journalled(store, "a", 3)
    assert len(await store.notches.claim(0, LEASE_MS, 10)) == 1
    async with Running(store, after) as running:
        await running.passes(LEASE_MS / 1000 - REST_S)
        assert after.tallies == {}
        await running.passes(2 * REST_S)
        assert after.rows() == rows


async def test_who_is_stopped_leaves_what_he_had_to_the_next_at_once(store: Store) -> None:
    kept = Kept()
    rows = await journalled(store, "a", 3)
    kept.hangs.clear()
    async with Running(store, kept):
        await kept.begun.wait()
    kept.hangs.set()
    again = Teller(store.notches, kept, lambda: 0)
    await again.tell()
    assert kept.rows() == rows


async def test_a_call_that_cannot_be_written_keeps_no_other_from_it(store: Store) -> None:
    kept = Kept()
    for name in ("a", "b", "c"):
        await journalled(store, name, 1)
    kept.refused = "b"
    teller = Teller(store.notches, kept, lambda: 0)
    await teller.tell()
    assert set(kept.tallies) == {"a", "c"}
    assert (teller.told.left_out, teller.told.last_left_out) == (1, "b")
    assert (await teller.backlog()).calls == 0


async def test_while_the_store_is_away_it_waits_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    rows = await journalled(store, "a", 1)

    async def away(*_: object) -> Any:
        raise StoreUnavailable("scripted")

    async with Running(store, kept) as running:
        await running.passes(2 * REST_S)
        assert kept.rows() == rows
        with monkeypatch.context() as gone:
            for name in ("claim", "settle", "release"):
                gone.setattr(store.notches, name, away)
            await running.passes(600)
            assert running.told.problem == "scripted"
        more = await journalled(store, "b", 1)
        await running.passes(2 * RETRY_MAX_S)
        assert kept.rows() == rows | more
        assert running.told.problem is None


async def test_a_write_that_was_not_settled_is_made_again_and_counts_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    rows = await journalled(store, "a", 2)

    async def away(*_: object) -> Any:
        raise StoreUnavailable("scripted")

    with monkeypatch.context() as gone:
        gone.setattr(store.notches, "settle", away)
        with pytest.raises(StoreUnavailable):
            await Teller(store.notches, kept, lambda: 0).tell()
    assert kept.rows() == rows
    async with Running(store, kept) as running:
        await running.passes(LEASE_MS / 1000 + 2 * REST_S)
    assert (kept.writes, kept.rows()) == (2, rows)
