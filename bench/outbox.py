"""How many deliveries a second the outbox carries, over SQLite and over PostgreSQL, and what one hanging server costs the others.

Three processes on two cores: the courier with its store's driver and aiohttp on the first; the customers' servers, a hundred
paths of one, and PostgreSQL (in its standard settings, fsync included) where the kernel puts them.

Rate: MESSAGES of BODY_BYTES, three to a call, wait in the store; from the first request to the last one's row. cpu_ms: of the
courier's process, by delivery. recorded: each has its attempt's row, with its times.

Hanging: a steady RATE of messages to all hundred servers, for PACED_S; first all of them answer, then one never does. The figures
are the other 99's: from a message's being written into the store to its request's arrival, the second's 95th percentile through
the first's (hanging.ratio_p95), and its median (hanging.ratio_p50). Both orders, twice, the medians of the ratios.

Prints {"sqlite": {"per_s", "cpu_ms"}, "postgres": {...}, "hanging": {"ratio_p95", ...}, "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.processes import answer, cpu_s, percentile, program

HOST = "127.0.0.1"
SERVERS = 100
MESSAGES = {"sqlite": 6000, "postgres": 12_000}
BODY_BYTES = 1500
OF_A_CALL = 3
RATE = 150
PACED_S = 12.0
TIMEOUT_S = 20.0
WARM = 300


# --- the courier's process -------------------------------------------------------------------------------------------


async def carry(store: str, place: str) -> None:
    """Carries from the first line on standard input, until it closes; answers each line with what it has carried."""
    from aywa.adapters.webhooks.sender import HttpSender
    from aywa.adapters.wire.outbound import Outbound
    from aywa.core.outbound import LOOPBACK
    from aywa.service.courier import Courier

    outbox, close = await opened(store, place)
    sender = HttpSender(Outbound(LOOPBACK))
    courier = Courier(outbox, sender, _Plain(), owner="bench")
    answer({"pid": os.getpid()})
    task: asyncio.Task[None] | None = None
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        task = task or loop.create_task(courier.run())
        courier.wake()
        answer({"delivered": courier.counts.delivered})
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await courier.close()
    await sender.close()
    await close()


class _Plain:
    async def headers(
        self, org_id: str, auth: str, *, url: str, body: str, message_id: str, timestamp_s: int
    ) -> dict[str, str]:
        return {"webhook-id": message_id, "content-type": "application/json"}

    def refused(self, org_id: str, auth: str) -> None:
        return None


async def opened(store: str, place: str) -> tuple[Any, Any]:
    """An outbox, and what closes it."""
    if store == "postgres":
        from aywa.adapters.stores.postgres import open_outbox

        outbox = await open_outbox(place)
        return outbox, outbox.close
    from aywa.adapters.stores.sqlite import open_sqlite

    whole = await open_sqlite(Path(place))
    return whole.outbox, whole.close


# --- the servers -----------------------------------------------------------------------------------------------------


class Servers:
    """All hundred. hangs: the path that never answers. arrived: when each message's request came."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.hangs = b""
        self.wanted = 0
        self.all_there = asyncio.Event()

    def heard(self, message: str) -> None:
        """A request came."""
        self.arrived.setdefault(message, time.perf_counter())
        if len(self.arrived) >= self.wanted:
            self.all_there.set()


class _Connection(asyncio.Protocol):
    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._rest = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end].lower()
            length = int(_field(head, b"content-length"))
            if len(self._rest) < end + 4 + length:
                return
            self._rest = self._rest[end + 4 + length :]
            if head.split(b" ", 2)[1] == self._servers.hangs:
                return
            self._servers.heard(_field(head, b"webhook-id").decode())
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _field(head: bytes, name: bytes) -> bytes:
    begin = head.index(b"\r\n" + name + b":") + len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else None].strip()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Servers, int]]:
    """The servers, and their port."""
    servers = Servers()
    listening = await asyncio.get_running_loop().create_server(
        lambda: _Connection(servers), HOST, 0, backlog=1024
    )
    try:
        yield servers, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


# --- measuring -------------------------------------------------------------------------------------------------------


def messages(name: str, number: int, port: int, first: int = 0) -> list[Any]:
    """To all servers in turn, three to a call."""
    from aywa.core.webhooks import Delivery, Endpoint

    text = json.dumps({"message": {"type": "status-update", "artifact": "x" * BODY_BYTES}})
    ends = [(Endpoint(f"http://{HOST}:{port}/{server}", timeout_s=TIMEOUT_S),) for server in range(SERVERS)]
    now = time.time_ns() // 1_000_000
    return [
        Delivery(
            f"{name}-{one}", "org", "status-update", text, ends[one % SERVERS], now,
            f"{name}-{one % SERVERS}-{one // (SERVERS * OF_A_CALL)}", one,
        )
        for one in range(first, first + number)
    ]  # fmt: skip


async def rate(store: str, place: str, number: int, cores: list[int]) -> dict[str, float]:
    """Deliveries a second."""
    outbox, close = await opened(store, place)
    async with (
        served() as (servers, port),
        program(__file__, "--carry", store, place, core=cores[0]) as courier,
    ):
        await outbox.enqueue(messages("warm", WARM, port), 0)
        servers.wanted = WARM
        await courier.ask()
        await servers.all_there.wait()
        while (await courier.ask())["delivered"] < WARM:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.05)
        servers.all_there.clear()
        servers.arrived.clear()
        servers.wanted = number
        # Due a little later, so that they all are before the first goes.
        held = time.time_ns() // 1_000_000 + 3000 + number // 2
        wanted = messages("m", number, port)
        for first in range(0, number, 500):
            await outbox.enqueue(wanted[first : first + 500], held)
        cpu = cpu_s(courier.pid)
        await servers.all_there.wait()
        while (await courier.ask())["delivered"] < WARM + number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        took_s = time.perf_counter() - min(servers.arrived.values())
        cpu = cpu_s(courier.pid) - cpu
        recorded = await _recorded(outbox, number)
    await close()
    return {"per_s": number / took_s, "cpu_ms": 1000 * cpu / number, "recorded": recorded}


async def _recorded(outbox: Any, number: int) -> int:
    """How many have one attempt with its times on record."""
    from aywa.core.webhooks import Cause

    good = 0
    for first in range(0, number, 500):
        rows = await outbox.attempts("org", [f"m-{one}" for one in range(first, min(first + 500, number))])
        good += sum(row.cause is Cause.ANSWERED and row.first_byte_ms is not None for row in rows)
    return good


async def paced(store: str, place: str, name: str, cores: list[int], *, hanging: bool) -> list[float]:
    """How long the messages to the first 99 servers took, in ms."""
    outbox, close = await opened(store, place)
    written: dict[str, float] = {}
    async with (
        served() as (servers, port),
        program(__file__, "--carry", store, place, core=cores[0]) as courier,
    ):
        servers.hangs = f"/{SERVERS - 1}".encode() if hanging else b""
        await courier.ask()
        began, first, step = time.perf_counter(), 0, 5
        while time.perf_counter() - began < PACED_S:
            now = time.time_ns() // 1_000_000
            batch = messages(name, step, port, first)
            await outbox.enqueue(batch, now)
            written |= dict.fromkeys((one.id for one in batch), time.perf_counter())
            # As the projector does behind each batch.
            await courier.ask()
            first += step
            await asyncio.sleep(max(0.0, began + first / RATE - time.perf_counter()))
        own = [one for one in written if int(one.rpartition("-")[2]) % SERVERS != SERVERS - 1]
        for _ in range(200):
            if all(one in servers.arrived for one in own):
                break
            await asyncio.sleep(0.1)
    await close()
    return [1000 * (servers.arrived[one] - written[one]) for one in own]


async def hanging(cores: list[int]) -> dict[str, float]:
    """The others' times with one hanging server, through those without."""
    found: dict[bool, list[list[float]]] = {True: [], False: []}
    for turn, hangs in enumerate((False, True, True, False)):
        with tempfile.TemporaryDirectory() as folder:
            place = str(Path(folder) / "aywa.db")
            found[hangs].append(await paced("sqlite", place, f"p{turn}", cores, hanging=hangs))
    pairs = list(zip(found[True], found[False], strict=True))
    row = {
        f"ratio_p{share}": statistics.median(
            percentile(bad, share) / percentile(well, share) for bad, well in pairs
        )
        for share in (50, 95)
    }
    row["ms_p95"] = statistics.median(percentile(bad, 95) for bad, _ in pairs)
    row["ms_p95_without"] = statistics.median(percentile(well, 95) for _, well in pairs)
    return row | {"messages": sum(map(len, found[True]))}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All of it, or what the arguments say."""
    from tests.peers.postgres import postgres

    figures: dict[str, Any] = {"samples": {}}
    for store in options.only.split(","):
        if store == "hanging":
            row = await hanging(options.cores)
            figures["samples"] |= {f"hanging.{name}": round(row["messages"]) for name in row}
        elif store == "postgres":
            with postgres() as cluster:
                row = await rate(store, cluster.address, MESSAGES[store], options.cores)
        else:
            with tempfile.TemporaryDirectory() as folder:
                row = await rate(store, str(Path(folder) / "aywa.db"), MESSAGES[store], options.cores)
        if store != "hanging":
            figures["samples"] |= {f"{store}.{name}": round(row["recorded"]) for name in row}
        figures[store] = row
        sys.stderr.write(f"{store}: {row}\n")
    return figures


def main() -> None:
    """The benchmark, or its courier."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--only", default="sqlite,postgres,hanging", help="some of sqlite,postgres,hanging")
    parser.add_argument("--core", help=argparse.SUPPRESS)
    parser.add_argument("--carry", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cores = sorted(os.sched_getaffinity(0)) if options.core is None else [int(options.core)]
    if options.core is not None:
        os.sched_setaffinity(0, options.cores)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.carry:
            runner.run(carry(*options.carry))
        else:
            sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
