"""Two nodes on machines of their own (network namespaces), under every fault, and what is said of what was seen."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from aywa.adapters.stores.postgres import engine
from tests.e2e.production import PASSWORD, make_roles
from tests.faults import node_faults
from tests.faults.node_faults import FAULTS, Fault, Result, suffer, table
from tests.faults.onlooker import Seen, judged
from tests.peers.networks import Machine, inside, networks
from tests.peers.postgres import postgres

LET_GO_S = 40.0
TOUCH = "UPDATE held SET n = n + 1"
SHOWN = [(0.0, "a"), (10.0, "a"), (0.0, "b"), (20.0, "b")]


@pytest.mark.all
async def test_two_nodes_under_every_fault() -> None:
    found = await suffer(FAULTS)
    print(table(found))
    assert all(one.good for one in found), table(found)


@dataclass
class Holder:
    """A process that holds a row in the middle of a transaction, and does nothing more: not even read, where the server is
    answering it."""

    machine: Machine
    address: str
    answer: str
    holds: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with inside(self.machine):
            asyncio.run(self._hold())

    async def _hold(self) -> None:
        database = engine.engine_of(self.address)
        connection = await database.connect()
        await connection.execute(text(TOUCH))
        driver: Any = (await connection.get_raw_connection()).driver_connection
        asking = asyncio.create_task(driver.execute(self.answer))
        # It is on its way when the loop stands still.
        await asyncio.sleep(0)
        self.holds.set()
        self.over.wait(LET_GO_S)
        driver.terminate()
        await asyncio.gather(asking, return_exceptions=True)
        await connection.invalidate()
        await database.dispose()


@pytest.mark.all
@pytest.mark.parametrize("answer", ["SELECT 1", "SELECT repeat('x', 1000000) FROM generate_series(1, 50)"])
async def test_rows_that_a_vanished_machine_holds_are_let_go_of(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """The second answer is more than all buffers on its way take: the server stands in the middle of it."""
    monkeypatch.setattr(engine, "ABANDONED_S", 2.0)
    with networks("store") as made, ExitStack() as stack:
        server, gone = made.machine("postgres", "store"), made.machine("one", "store")
        with inside(server):
            cluster = stack.enter_context(postgres(f"listen_addresses={server.at('store')}", "fsync=off"))
            cluster.admit(made.all)
        await make_roles(cluster, PASSWORD)
        waits = await asyncpg.connect(cluster.address_of("aywa"))
        await waits.execute("CREATE TABLE held AS SELECT 0 AS n; ALTER TABLE held OWNER TO aywa")
        holder = Holder(gone, f"postgresql://aywa:{PASSWORD}@{server.at('store')}/aywa", answer)
        thread = threading.Thread(target=holder.run)
        thread.start()
        try:
            assert await asyncio.to_thread(holder.holds.wait, LET_GO_S)
            made.pull(gone, "store")
            async with asyncio.timeout(LET_GO_S / 2):
                assert await waits.fetchval(f"{TOUCH} RETURNING n") == 1
        finally:
            holder.over.set()
            thread.join()
            await waits.close()


def test_a_call_that_was_given_away_once_is_no_double() -> None:
    writes = [(1.0, "c", 1, "a", "a"), (2.0, "c", 2, "a", "a"), (15.0, "c", 3, "b", "b")]
    seen = judged(writes, [(0.5, "c", "a"), (14.0, "c", "b")], SHOWN, 4.0)
    assert seen == Seen(taken=frozenset("c"))


def test_who_writes_what_is_another_s_is_seen() -> None:
    writes = [(1.0, "c", 1, "a", "a"), (15.0, "c", 2, "b", "b"), (16.0, "c", 3, "a", "b")]
    seen = judged(writes, [(0.5, "c", "a"), (14.0, "c", "b")], SHOWN, 4.0)
    assert seen.stale == ("c:3 by a, was b's",)
    assert seen.doubles == ("c written by ['a', 'b', 'a']",)


def test_who_is_taken_for_dead_too_soon_is_seen() -> None:
    seen = judged([], [(0.5, "c", "a"), (13.0, "c", "b")], SHOWN, 4.0)
    assert seen.doubles == ("c taken from a, which was heard 3.00 s before",)


def test_the_command_prints_the_table_and_fails_when_a_fault_did_harm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    came = [Result("nothing happens", calls=4)]

    async def suffered(faults: Sequence[Fault], *_: object) -> list[Result]:
        assert [one.name for one in faults] == ["none", "valkey_ten_minutes"]
        return came

    monkeypatch.setattr(node_faults, "suffer", suffered)
    monkeypatch.setattr(sys, "argv", ["node_faults", "--only", "none", "--only", "valkey_ten_minutes"])
    node_faults.main()
    assert "nothing happens" in capsys.readouterr().out
    came.append(Result("worse", stale=1))
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--json"])
    with pytest.raises(SystemExit):
        node_faults.main()
    assert [one["stale"] for one in json.loads(capsys.readouterr().out)] == [0, 1]


def test_what_was_not_as_it_should_be_is_told() -> None:
    assert Result("none").good
    bad = [Result("a", doubles=1), Result("b", stale=1), Result("c", lost=1), Result("d", hole_ms=5000)]
    assert not any(one.good for one in bad)
    assert "broken: e: why" in table([Result("e", broken=["why"])])
