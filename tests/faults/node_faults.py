"""Two nodes under faults, each node and each server on a machine of its own: cables are pulled, processes killed and stopped,
servers emptied, crashed and started again, all while calls run on both nodes.

    python -m tests.faults.node_faults
    python -m tests.faults.node_faults --only valkey_ten_minutes
    python -m tests.faults.node_faults --json

What came of it is told by PostgreSQL and Valkey themselves (onlooker.py), by the callers, by the webhook's receiver, the bucket
and ClickHouse; the runtimes are asked for their calls alone. Needs root, for network namespaces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from tests.e2e.client import eventually
from tests.faults.node_world import (
    DEAD_S,
    FILES,
    FOUND_OUT_S,
    FRONT,
    HOLE_S,
    HUNG_UP,
    LEASES,
    NETWORKS,
    RECORDINGS,
    SETTLED_S,
    STORE,
    SUMS,
    WORKER_DIED,
    Node,
    Party,
    World,
    monotonic_s,
    two_nodes,
)

LONG_S: Final = 5 * DEAD_S
"""Longer than a node may be silent, several times."""
STATEMENT_S: Final = 40.0
"""Longer than a statement may take before the database counts as gone."""
LOOK_S: Final = 1.0


@dataclass
class Result:
    """What came of one fault. calls: how many ran; kept: those that went on to their own end; taken: those that the other node
    ended; doubles, stale: see onlooker.Seen; late: records of taken calls that were refused; lost: rows that are missing;
    reports: calls whose end was told; again: reports that came twice; objects: calls whose recordings are all there; sums: calls
    that ClickHouse has. hole_ms: the longest silence that a kept call heard."""

    fault: str
    took_s: float = 0.0
    calls: int = 0
    kept: int = 0
    taken: int = 0
    doubles: int = 0
    stale: int = 0
    late: int = 0
    lost: int = 0
    reports: int = 0
    again: int = 0
    objects: int = 0
    sums: int = 0
    hole_ms: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.broken and not (
            self.doubles or self.stale or self.lost or self.hole_ms > HOLE_S * 1000
        )


@dataclass
class Happening:
    """While a fault lasts."""

    world: World
    parties: Sequence[Party]

    @property
    def one(self) -> Node:
        return self.world.nodes[0]

    @property
    def two(self) -> Node:
        return self.world.nodes[1]

    def of(self, node: Node) -> list[Party]:
        return [party for party in self.parties if party.node is node]

    async def buried(self, node: Node) -> None:
        """Until another node has ended this one's calls."""
        other = self.two if node is self.one else self.one
        async with self.world.asking(other) as asked:
            for party in self.of(node):
                call = await asked.ended(party.call_id, FOUND_OUT_S)
                assert call["endedReason"] == WORKER_DIED, call["endedReason"]

    async def hears(self, *nodes: Node) -> None:
        await asyncio.gather(*(party.hears() for party in self.parties if party.node in nodes))

    async def hangs_up(self, party: Party) -> None:
        await party.hangs_up()
        party.closed = True


Happens = Callable[[Happening], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """taken: whether node one loses its calls."""

    name: str
    telling: str
    happens: Happens
    taken: bool = False


def cables(whose: str, networks: Sequence[str], for_s: float) -> Happens:
    """A machine's, for so long; calls go on."""

    async def happens(now: Happening) -> None:
        machine = now.world.machine(whose)
        now.world.networks.pull(machine, *networks)
        try:
            await asyncio.sleep(for_s)
            await now.hears(now.one, now.two)
            # One call of each node ends while it lasts.
            for node in (now.one, now.two):
                await now.hangs_up(now.of(node)[0])
        finally:
            now.world.networks.plug(machine, *networks)

    return happens


async def nothing(now: Happening) -> None:
    await now.hears(now.one, now.two)


async def cut_off(now: Happening) -> None:
    """Of both witnesses: the other node must take its calls, which it still runs."""
    machine = now.world.machine("one")
    now.world.networks.pull(machine, STORE, LEASES)
    try:
        await now.buried(now.one)
        # It does not know yet.
        await now.hears(now.one, now.two)
    finally:
        now.world.networks.plug(machine, STORE, LEASES)
    for party in now.of(now.one):
        await party.line.closed(FOUND_OUT_S)


async def machine_gone(now: Happening) -> None:
    """Everything of it at once, without a word on any connection; then it is started again."""
    machine = now.world.machine("one")
    now.world.networks.pull(machine, *(name for name in NETWORKS if name != FRONT))
    now.one.signal(signal.SIGKILL)
    await asyncio.to_thread(now.one.wait)
    await now.buried(now.one)
    now.world.networks.plug(machine, *NETWORKS)
    now.one.start()


async def killed(now: Happening) -> None:
    now.one.signal(signal.SIGKILL)
    await asyncio.to_thread(now.one.wait)
    await now.buried(now.one)
    now.one.start()


async def held_up(now: Happening) -> None:
    """Its process stands still for longer than a lease, and goes on."""
    now.one.signal(signal.SIGSTOP)
    try:
        await now.buried(now.one)
    finally:
        now.one.signal(signal.SIGCONT)
    for party in now.of(now.one):
        await party.line.closed(FOUND_OUT_S)


async def told_to_end(now: Happening) -> None:
    """Its calls go on until they end, and it is started again."""
    now.one.signal(signal.SIGTERM)
    await asyncio.sleep(LONG_S)
    await now.hears(now.one, now.two)
    for party in now.of(now.one):
        await now.hangs_up(party)
    assert await asyncio.to_thread(now.one.wait, FOUND_OUT_S) == 0
    now.one.start()


async def emptied(now: Happening) -> None:
    """Valkey, again and again."""
    for _ in range(10):
        await now.world.at("valkey", now.world.leases.flush)
        await asyncio.sleep(DEAD_S / 4)
    await now.hears(now.one, now.two)


async def leases_restarted(now: Happening) -> None:
    for _ in range(3):
        await asyncio.to_thread(now.world.leases.stop)
        await asyncio.sleep(DEAD_S)
        await now.world.at("valkey", now.world.leases.start)
        await asyncio.sleep(DEAD_S / 2)
    await now.hears(now.one, now.two)


async def database_crashed(now: Happening) -> None:
    await asyncio.to_thread(now.world.database.stop, "immediate")
    await asyncio.sleep(2 * DEAD_S)
    await now.hears(now.one, now.two)
    await now.world.at("postgres", now.world.database.start)


FAULTS: Final = (
    Fault("none", "nothing happens", nothing),
    Fault("one_valkey", "one's cable to Valkey, 20 s", cables("one", [LEASES], LONG_S)),
    Fault("one_postgres", "one's cable to PostgreSQL, 40 s", cables("one", [STORE], STATEMENT_S)),
    Fault("one_both", "one's cables to both", cut_off, taken=True),
    Fault("valkey", "Valkey's own cable, 20 s", cables("valkey", [LEASES], LONG_S)),
    Fault("valkey_emptied", "Valkey emptied, 10 times", emptied),
    Fault("valkey_restarted", "Valkey restarted, 3 times", leases_restarted),
    Fault("postgres", "PostgreSQL's own cable, 60 s", cables("postgres", [STORE], 60.0)),
    Fault("postgres_crashed", "PostgreSQL crashed, 8 s", database_crashed),
    Fault("bucket", "the bucket's own cable, 20 s", cables("seaweed", [FILES], LONG_S)),
    Fault("clickhouse", "ClickHouse's own cable, 20 s", cables("clickhouse", [SUMS], LONG_S)),
    Fault("killed", "kill -9 of one", killed, taken=True),
    Fault("held_up", "one stopped past its lease", held_up, taken=True),
    Fault("machine", "one's machine gone", machine_gone, taken=True),
    Fault("drained", "SIGTERM to one", told_to_end),
)
LONG: Final = (Fault("valkey_ten_minutes", "Valkey's own cable, 10 min", cables("valkey", [LEASES], 600.0)),)


async def suffered(world: World, fault: Fault) -> Result:
    """Two calls of each node, the fault, and what is left of it."""
    result, began_s = Result(fault.telling), time.monotonic()
    one, two = world.nodes
    names = {node.at.at(STORE): node.name for node in world.nodes}
    async with world.calling(one, one, two, two) as parties:
        now, since_s = Happening(world, parties), monotonic_s()
        try:
            await fault.happens(now)
            hearing = [
                party for party in parties if not (party.closed or (fault.taken and party.node is one))
            ]
            await asyncio.gather(*(party.hears() for party in hearing))
            kept = [party for party in parties if not (fault.taken and party.node is one)]
            result.hole_ms = round(1000 * max(party.hole_s(since_s) for party in kept))
            for party in hearing:
                await now.hangs_up(party)
        except (AssertionError, TimeoutError, OSError) as error:
            result.broken.append(f"{type(error).__name__}: {error}"[:2000])
    try:
        await world.ready()
        await settled(world, parties, result, fault)
    except (AssertionError, TimeoutError, OSError) as error:
        result.broken.append(f"{type(error).__name__}: {error}"[:2000])
    seen = await world.onlooker.seen([party.call_id for party in parties], names)
    result.doubles, result.stale = len(seen.doubles), len(seen.stale)
    result.broken += [*seen.doubles, *seen.stale[:5]]
    wanted = {party.call_id for party in parties if fault.taken and party.node is one}
    if seen.taken != wanted:
        result.broken.append(f"taken: {sorted(seen.taken)}, and not {sorted(wanted)}")
    result.broken += [
        f"{node.home.name}: Traceback in its log" for node in world.nodes if "Traceback" in node.log
    ]
    result.took_s = time.monotonic() - began_s
    return result


async def settled(world: World, parties: Sequence[Party], result: Result, fault: Fault) -> None:
    """Waits until everything is where it belongs, and counts it."""
    calls = {party.call_id: party.node for party in parties}
    result.calls = len(calls)
    one = world.nodes[0]
    lost = {call_id for call_id, node in calls.items() if fault.taken and node is one}
    kept = set(calls) - lost

    async def counted() -> bool:
        found = await world.rows(
            "SELECT id, document::json->>'endedReason' FROM calls WHERE id = ANY ($1)", list(calls)
        )
        reasons = {row[0]: row[1] for row in found}
        result.kept = sum(reasons.get(call_id) == HUNG_UP for call_id in kept)
        result.taken = sum(reasons.get(call_id) == WORKER_DIED for call_id in lost)
        result.late = await world.unrecorded(lost, one.home)
        result.lost = await world.gaps(calls)
        for node in world.nodes:
            own = {call_id for call_id in kept if calls[call_id] is node}
            result.lost += await world.unrecorded(own, node.home)
        reports = world.reports(calls)
        result.reports = sum(len(set(ids)) == 1 for ids in reports.values())
        result.again = sum(len(ids) - len(set(ids)) for ids in reports.values())
        result.broken = [one for one in result.broken if not one.startswith("report")]
        result.broken += [
            f"reports of {c}: {sorted(set(ids))}" for c, ids in reports.items() if len(set(ids)) > 1
        ]
        keys = await world.objects()
        ends = {call_id: {key.rsplit("/", 1)[1] for key in keys if f"/{call_id}/" in key} for call_id in kept}
        result.objects = sum(there == set(RECORDINGS) for there in ends.values())
        result.sums = len(await world.told(calls))
        whole = (result.kept, result.objects, result.lost) == (len(kept), len(kept), 0)
        whole = whole and result.taken == len(lost) and result.reports == result.sums == len(calls)
        # A look at everything takes time, which those who are looked at need.
        await asyncio.sleep(0 if whole else LOOK_S)
        return whole

    try:
        await eventually(counted, SETTLED_S, "not everything came to where it belongs")
    except AssertionError as error:
        came = {call_id: ids for call_id, ids in world.reports(calls).items() if len(set(ids)) != 1}
        raise AssertionError(f"{error}: {asdict(result)}; reports {came}") from None


COLUMNS: Final = (
    "calls", "kept", "taken", "doubles", "stale", "late", "lost", "reports", "again", "objects", "sums", "hole_ms",
)  # fmt: skip


def table(found: Sequence[Result]) -> str:
    """What came of them."""
    heads = ["FAULT".ljust(32), "S".rjust(4), *(name.upper().replace("_", " ").rjust(9) for name in COLUMNS)]
    lines = ["".join(heads)]
    for one in found:
        cells = [str(getattr(one, name)).rjust(9) for name in COLUMNS]
        lines.append("".join([one.fault.ljust(32), f"{one.took_s:.0f}".rjust(4), *cells]))
    lines += [f"broken: {one.fault}: {why}" for one in found for why in one.broken]
    return "\n".join(lines)


async def suffer(faults: Sequence[Fault], tell: Callable[[str], None] = lambda line: None) -> list[Result]:
    """One after the other, by the same two nodes."""
    found = []
    async with two_nodes() as world:
        for fault in faults:
            tell(f"{fault.telling} ...")
            found.append(await suffered(world, fault))
            tell(table(found[-1:]).partition("\n")[2])
    return found


def main() -> None:
    """Prints the table; ends with 1 when something was lost, doubled or stale."""
    every = {fault.name: fault for fault in (*FAULTS, *LONG)}
    parser = argparse.ArgumentParser(description="Two nodes under faults.")
    parser.add_argument("--only", choices=every, action="append", help="this fault alone; may come again")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    faults = [every[name] for name in asked.only] if asked.only else FAULTS
    found = asyncio.run(suffer(faults, lambda line: print(line, file=sys.stderr, flush=True)))
    print(json.dumps([asdict(one) for one in found]) if asked.json else table(found))
    if not all(one.good for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
