"""The outbox under faults: two couriers in processes of their own, a store, a server that counts, and what goes wrong by a seed.

Each run puts messages into the outbox while couriers are killed (-9), held up past their leases, and find their database
restarted, its disk full, and their clock set by an hour. In the end: nothing lost, no request without an attempt's row, no more
duplicates than deliveries were in flight when something went wrong.

    python -m tests.faults --store sqlite --runs 100
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import signal
import sqlite3
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import asyncpg

from aywa.adapters.stores.postgres import open_outbox
from aywa.adapters.stores.sqlite.engine import Database
from aywa.adapters.stores.sqlite.migrations import migrate
from aywa.adapters.stores.sqlite.outbox import SqliteOutbox
from aywa.core.webhooks import Delivery, Endpoint
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import Outbox
from tests.faults.courier_process import LEASE_S, POSTGRES, SQLITE, courier_process
from tests.peers.postgres import Postgres, postgres

COURIERS = 2
MESSAGES = 40
OVER_S = 40.0
"""A run that takes longer has lost something."""
JUMP_S = 3600.0
KINDS = ("kill", "pause", "database", "disk", "clock")
TELLING = {
    "kill": "kill -9",
    "pause": "paused past its lease",
    "database": "database restarted",
    "disk": "disk full",
    "clock": "clock set by an hour",
}
_PYTHON = ("tests.faults.courier_process",)


# --- the server ----------------------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """Hears every request; answers most with 200, some late, some with 500 or by hanging up."""

    chance: random.Random
    requests: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(fields["content-length"]))
                self.requests[fields["webhook-id"]] += 1
                await self._answer(fields["webhook-id"], writer)
        writer.close()

    async def _answer(self, message: str, writer: asyncio.StreamWriter) -> None:
        way = self.chance.random()
        if way < 0.3:
            await asyncio.sleep(self.chance.random() * 0.05)
        if way > 0.97:
            writer.close()
            return
        status = b"500 Oh" if way > 0.9 else b"200 OK"
        if status.startswith(b"200"):
            self.accepted[message] += 1
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()


# --- one run -------------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What came of one run. in_flight: deliveries that were under way at the faults, all together."""

    seed: int
    faults: list[str]
    lost: int = 0
    requests: int = 0
    attempts: int = 0
    unrecorded: int = 0
    duplicates: int = 0
    in_flight: int = 0
    took_s: float = 0.0
    offset_s: float = 0.0
    left: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.lost and not self.unrecorded and self.duplicates <= self.in_flight


class Look:
    """The store as the judge sees it, past everything that is tested."""

    def __init__(self, store: str, place: str) -> None:
        self._store = store
        self._place = place

    async def rows(self, text: str) -> list[Any]:
        """Asks until there is an answer."""
        while True:
            try:
                if self._store == SQLITE:
                    connection = sqlite3.connect(self._place, timeout=30)
                    try:
                        return connection.execute(text).fetchall()
                    finally:
                        connection.close()
                asked = await asyncpg.connect(self._place, timeout=10)
                try:
                    return list(await asked.fetch(text))
                finally:
                    await asked.close()
            except (
                OSError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                TimeoutError,
                sqlite3.OperationalError,
            ):
                await asyncio.sleep(0.05)

    async def sending(self) -> int:
        return int((await self.rows("SELECT count(*) FROM outbox_deliveries WHERE state = 'sending'"))[0][0])

    async def open(self) -> int:
        return int(
            (await self.rows("SELECT count(*) FROM outbox_deliveries WHERE state <> 'delivered'"))[0][0]
        )


class World:
    """One run's parts."""

    def __init__(self, seed: int, store: str, place: str, folder: Path, cluster: Postgres | None) -> None:
        self.chance = random.Random(seed)
        self.receiver = Receiver(random.Random(seed + 1))
        self.look = Look(store, place)
        self.store, self.place, self.cluster = store, place, cluster
        self.clock_file = folder / "clock"
        self.offset_s = 0.0
        self.set_clock(0.0)
        self.couriers: list[BaseProcess] = []
        self.result = Result(seed, [])
        self._started = 0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_PYTHON))

    def set_clock(self, offset_s: float) -> None:
        self.offset_s = offset_s
        # In one write: who reads it sees the old or the new.
        draft = self.clock_file.with_suffix(".draft")
        draft.write_bytes(struct.pack("d", offset_s))
        draft.replace(self.clock_file)

    def start_courier(self) -> None:
        self._started += 1
        arguments = (self.store, self.place, str(self.clock_file), f"c{self._started}")
        made = self._context.Process(target=courier_process, args=arguments, daemon=True)
        made.start()
        self.couriers.append(made)

    def end_courier(self, courier: BaseProcess) -> None:
        self.couriers.remove(courier)
        with suppress(ProcessLookupError):
            os.kill(_pid(courier), signal.SIGKILL)
        courier.join()
        courier.close()

    def end_couriers(self) -> None:
        for courier in list(self.couriers):
            self.end_courier(courier)

    @asynccontextmanager
    async def frozen(self, held: BaseProcess | None = None) -> AsyncIterator[None]:
        """Nobody moves while it is counted what is in flight, and the fault is made. held: who does not move afterwards."""
        for courier in self.couriers:
            # Whoever died of a fault by himself would be missed here.
            assert courier.exitcode is None, f"a courier ended with {courier.exitcode}: {self.result}"
            os.kill(_pid(courier), signal.SIGSTOP)
        # What they had sent to the store comes to its end without them.
        await asyncio.sleep(0.02)
        self.result.in_flight += await self.look.sending()
        try:
            yield
        finally:
            for courier in self.couriers:
                if courier is not held:
                    os.kill(_pid(courier), signal.SIGCONT)

    async def fault(self, kind: str) -> None:
        self.result.faults.append(kind)
        await getattr(self, f"_{kind}")()

    async def _kill(self) -> None:
        async with self.frozen():
            self.end_courier(self.chance.choice(self.couriers))
        await asyncio.sleep(self.chance.random() * 0.1)
        self.start_courier()

    async def _pause(self) -> None:
        held = self.chance.choice(self.couriers)
        async with self.frozen(held):
            pass
        await asyncio.sleep(LEASE_S * (1.1 + self.chance.random()))
        os.kill(_pid(held), signal.SIGCONT)

    async def _database(self) -> None:
        """PostgreSQL: a crash and a start. SQLite has no server: somebody holds the file."""
        if self.cluster is not None:
            async with self.frozen():
                await asyncio.to_thread(self.cluster.stop, "immediate")
            await asyncio.to_thread(self.cluster.start)
            return
        holder = sqlite3.connect(self.place, timeout=30, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        # Nobody can put an end on record from here on.
        self.result.in_flight += await self.look.sending()
        await asyncio.sleep(LEASE_S * 1.5)
        holder.execute("ROLLBACK")
        holder.close()

    async def _disk(self) -> None:
        """No file may grow, for those who write: the limit on a file's size fails them as a full disk does."""
        async with self.frozen():
            pids = await self._writers()
            before = self.receiver.requests.total()
            self._limit(pids, 4096)
        await asyncio.sleep(0.1 + 0.4 * self.chance.random())
        self._limit(pids, None)
        # Some still fit (what does not grow a file does); the end of each of them may not have.
        self.result.in_flight += self.receiver.requests.total() - before

    async def _writers(self) -> list[int]:
        if self.cluster is None:
            return [_pid(courier) for courier in self.couriers]
        found = await self.look.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return [int(row[0]) for row in found]

    def _limit(self, pids: list[int], size: int | None) -> None:
        if self.cluster is not None:
            self.cluster.limit_files(pids, "unlimited" if size is None else str(size))
            return
        for pid in pids:
            limits = (resource.RLIM_INFINITY if size is None else size, resource.RLIM_INFINITY)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    async def _clock(self) -> None:
        async with self.frozen():
            self.set_clock(self.offset_s + self.chance.choice((-JUMP_S, JUMP_S)))
        await asyncio.sleep(0.2)


def _pid(courier: BaseProcess) -> int:
    assert courier.pid is not None
    return courier.pid


async def run(
    seed: int, store: str, folder: Path, cluster: Postgres | None = None, kinds: Sequence[str] = KINDS
) -> Result:
    """One run, in an empty folder. kinds: of faults."""
    place = cluster.address if cluster is not None else str(folder / "aywa.db")
    outbox, close = await _opened(store, place)
    world = World(seed, store, place, folder, cluster)
    began = time.monotonic()
    async with AsyncExitStack() as parts:
        parts.push_async_callback(close)
        server = await asyncio.start_server(world.receiver.serve, "127.0.0.1", 0)
        parts.callback(server.close)
        world.receiver.port = server.sockets[0].getsockname()[1]
        parts.callback(world.end_couriers)
        for _ in range(COURIERS):
            world.start_courier()
        filling = asyncio.create_task(_fill(world, outbox))
        # What goes wrong before anybody carries anything proves nothing.
        while not world.receiver.requests:  # noqa: ASYNC110 - another process sends them
            await asyncio.sleep(0.01)
        for kind in world.chance.choices(kinds, k=world.chance.randint(2, 4)):
            await asyncio.sleep(world.chance.random() * 0.25)
            await world.fault(kind)
        await filling
        await _over(world, began)
        await _judge(world)
    world.result.took_s = time.monotonic() - began
    return world.result


async def _opened(store: str, place: str) -> tuple[Outbox, Callable[[], Any]]:
    if store == POSTGRES:
        opened = await open_outbox(place)
        connection = await asyncpg.connect(place)
        await connection.execute("TRUNCATE outbox_deliveries, outbox_attempts, outbox_endpoints")
        await connection.close()
        return opened, opened.close
    await asyncio.to_thread(migrate, Path(place))
    database = Database(Path(place))
    return SqliteOutbox(database), database.close


async def _fill(world: World, outbox: Outbox) -> None:
    """As the projector does: a batch comes again until the store has it."""
    paths = [f"http://127.0.0.1:{world.receiver.port}/{number}" for number in range(4)]
    for first in range(0, MESSAGES, 8):
        batch = [
            Delivery(
                f"m{number}",
                "org",
                "status-update",
                json.dumps({"message": {"type": "status-update", "number": number}}),
                (Endpoint(paths[number % 4], timeout_s=10.0),),
                number,
                f"call{number % 10}",
                number,
            )
            for number in range(first, first + 8)
        ]
        while True:
            try:
                now_ms = int((time.time() + world.offset_s) * 1000)
                await outbox.enqueue(batch, now_ms)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.05 + 0.1 * world.receiver.chance.random())


async def _over(world: World, began: float) -> None:
    while await world.look.open() and time.monotonic() - began < OVER_S:  # noqa: ASYNC110 - another process changes it
        await asyncio.sleep(0.05)


async def _judge(world: World) -> None:
    result, heard = world.result, world.receiver
    rows = await world.look.rows("SELECT delivery_id, count(*) FROM outbox_attempts GROUP BY delivery_id")
    attempts = Counter({row[0]: int(row[1]) for row in rows})
    wanted = [f"m{number}" for number in range(MESSAGES)]
    result.lost = sum(not heard.accepted[one] for one in wanted) + await world.look.open()
    if result.lost:
        # What became of them is why one looks.
        left = await world.look.rows("SELECT * FROM outbox_deliveries WHERE state <> 'delivered'")
        result.left = [str(tuple(row)) for row in left]
        result.offset_s = world.offset_s
    result.requests = heard.requests.total()
    result.attempts = attempts.total()
    result.unrecorded = sum(max(0, heard.requests[one] - attempts[one]) for one in wanted)
    result.duplicates = sum(max(0, heard.accepted[one] - 1) for one in wanted)


# --- many runs -----------------------------------------------------------------------------------------------------


async def runs(
    store: str, seeds: range, *, kinds: Sequence[str] = KINDS, quiet: bool = False
) -> list[Result]:
    """One after the other; PostgreSQL is one cluster for all of them."""
    found: list[Result] = []
    with postgres() if store == POSTGRES else nullcontext() as cluster:
        for seed in seeds:
            with tempfile.TemporaryDirectory(prefix="aywa-outbox-") as folder:
                found.append(await run(seed, store, Path(folder), cluster, kinds))
            if not quiet and (not found[-1].good or len(found) % 50 == 0):
                print(f"{len(found)} runs, the last: {found[-1]}", file=sys.stderr, flush=True)
    return found


def table(store: str, found: list[Result]) -> str:
    """What came of them, by fault."""
    lines = [
        f"{store}: {len(found)} runs, {MESSAGES} messages each, {sum(one.took_s for one in found):.0f} s",
        "FAULT                     RUNS  FAULTS  LOST  REQUESTS  ATTEMPTS  UNRECORDED  DUPLICATES  IN FLIGHT",
    ]
    for kind in (*KINDS, ""):
        own = [one for one in found if not kind or kind in one.faults]
        faults = sum(one.faults.count(kind) if kind else len(one.faults) for one in own)
        lines.append(
            f"{TELLING.get(kind, 'all'):24}{len(own):>6}{faults:>8}{sum(one.lost for one in own):>6}"
            f"{sum(one.requests for one in own):>10}{sum(one.attempts for one in own):>10}"
            f"{sum(one.unrecorded for one in own):>12}{sum(one.duplicates for one in own):>12}"
            f"{sum(one.in_flight for one in own):>11}"
        )
    lines += [f"broken: {one}" for one in found if not one.good]
    return "\n".join(lines)


def main() -> None:
    """Prints the table; ends with 1 when a run was not good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", choices=(SQLITE, POSTGRES), default=SQLITE)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=KINDS, help="this fault alone")
    asked = parser.parse_args()
    seeds, kinds = range(asked.seed, asked.seed + asked.runs), (asked.only,) if asked.only else KINDS
    found = asyncio.run(runs(asked.store, seeds, kinds=kinds))
    print(table(asked.store, found))
    if not all(one.good for one in found):
        sys.exit(1)
