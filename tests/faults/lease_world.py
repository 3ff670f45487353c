"""Runtimes over one database under faults, on a clock that the world moves: the shipped Node over the shipped store (a handle of
its own each, over one SQLite file) or over a store in memory that keeps the same contract; leases in memory that can be gone or
emptied. The world knows the truth and judges each write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import Any, Protocol

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.adapters.stores.sqlite.store import SqliteStore
from aywa.boot.node import Node
from aywa.core.leases import Fence, LeaseTimes, admits
from aywa.ports.journal import CallProjection, JournalRecord, StoreUnavailable
from aywa.ports.leases import Buried, CallLeases, LeasesUnavailable, OwnedCall, Usurped
from aywa.ports.store import Document, NewCall

TIMES = LeaseTimes(8.0)
NODES = 3
STEPS = 60
FAULTS = (
    "pause", "pause", "kill", "flush", "redis", "database", "answer", "no_redis", "no_database", "no_answer",
)  # fmt: skip
ORG = "org-1"


class Store(Protocol):
    """As much of a store as a run needs."""

    @property
    def leases(self) -> CallLeases: ...

    async def begin(self, call_id: str) -> None: ...

    async def write(self, record: JournalRecord, projection: CallProjection, fence: Fence) -> bool:
        """Whether it was taken."""

    async def close(self) -> None: ...


@dataclass
class Rows:
    """What the stores in memory share. calls: owner, token, whether it has ended."""

    token: int = 0
    nodes: dict[str, tuple[int, int]] = field(default_factory=dict)
    calls: dict[str, tuple[str, int, bool]] = field(default_factory=dict)


class MemoryStore:
    """Keeps the contract of CallLeases in memory."""

    shared = True

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._node = ""
        self._joined = 0
        self._token = 0
        self.leases: CallLeases = self

    async def join(self, node: str) -> int:
        rows = self._rows
        rows.token += 1
        self._node, self._joined, self._token = node, rows.token, rows.token
        rows.nodes[node] = rows.token, rows.nodes.get(node, (0, 0))[1] + 1
        return rows.token

    async def beat(self) -> Mapping[str, int]:
        token, beat = self._rows.nodes.get(self._node, (0, 0))
        if not token:
            raise Buried(self._node)
        if token != self._joined:
            raise Usurped(self._node)
        self._rows.nodes[self._node] = token, beat + 1
        return {node: row[1] for node, row in self._rows.nodes.items()}

    async def take(self, node: str, beat: int | None = None) -> tuple[int, Sequence[OwnedCall]]:
        rows = self._rows
        if beat is not None:
            if rows.nodes.get(node, (0, -1))[1] != beat:
                return 0, ()
            del rows.nodes[node]
        rows.token += 1
        self._token = rows.token
        taken = [call_id for call_id, row in rows.calls.items() if row[0] == node and not row[2]]
        for call_id in taken:
            rows.calls[call_id] = self._node, rows.token, False
        return rows.token, [OwnedCall(call_id, ORG) for call_id in taken]

    async def unanswered(self) -> tuple[int, Sequence[OwnedCall]]:
        rows = self._rows
        known, rows.token = self._token, rows.token + 1
        self._token = rows.token
        found = [
            call_id
            for call_id, row in rows.calls.items()
            if row[0] == self._node and row[1] > known and not row[2]
        ]
        for call_id in found:
            rows.calls[call_id] = self._node, rows.token, False
        return rows.token, [OwnedCall(call_id, ORG) for call_id in found]

    async def leave(self) -> None:
        self._rows.nodes.pop(self._node, None)

    async def begin(self, call_id: str) -> None:
        self._rows.calls[call_id] = self._node, self._token, False

    async def write(self, record: JournalRecord, projection: CallProjection, fence: Fence) -> bool:
        owner, token, ended = self._rows.calls[record.call_id]
        if not admits(owner, token, fence):
            return False
        self._rows.calls[record.call_id] = owner, token, ended or projection.document["status"] == "ended"
        return True

    async def close(self) -> None: ...


class FileStore:
    """The shipped one."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.leases: CallLeases = store.leases
        self.close = store.close

    async def begin(self, call_id: str) -> None:
        document = Document(call_id, ORG, 1, 1, '{"status":"queued"}')
        await self._store.calls.insert(NewCall(document, "webCall", "queued"), 0)

    async def write(self, record: JournalRecord, projection: CallProjection, fence: Fence) -> bool:
        return not await self._store.apply([record], [projection], (), fence)


@dataclass
class Server:
    """Redis, as every node sees it."""

    world: World
    held: dict[str, tuple[int, float]] = field(default_factory=dict)


@dataclass
class Beside:
    """ports.leases.Leases of one node."""

    server: Server
    actor: Actor

    async def renew(self, node: str, token: int, ttl_s: float) -> None:
        self._ask()
        held, until_s = self.server.held.get(node, (0, 0.0))
        if until_s > self.server.world.now and held > token:
            raise Usurped(node)
        self.server.held[node] = token, self.server.world.now + ttl_s
        self.actor.shown_s = self.server.world.now

    async def standing(self, nodes: Collection[str]) -> frozenset[str]:
        self._ask()
        now = self.server.world.now
        return frozenset(node for node in nodes if self.server.held.get(node, (0, 0.0))[1] > now)

    async def release(self, node: str, token: int) -> None:
        self._ask()
        self.server.held.pop(node, None)

    async def close(self) -> None: ...

    def _ask(self) -> None:
        if not self.server.world.reaches(self.actor, "redis"):
            raise LeasesUnavailable("gone")


@dataclass
class Database:
    """ports.leases.CallLeases of one node, of which the shared database may be out of reach."""

    store: Store
    actor: Actor
    shared: bool = True

    async def join(self, node: str) -> int:
        async with self._asked() as leases:
            token: int = await leases.join(node)
            self.actor.shown_s = self.actor.world.now
        return token

    async def beat(self) -> Mapping[str, int]:
        async with self._asked(loses=False) as leases:
            beats: Mapping[str, int] = await leases.beat()
            self.actor.shown_s = self.actor.world.now
        return beats

    async def take(self, node: str, beat: int | None = None) -> tuple[int, Sequence[OwnedCall]]:
        async with self._asked() as leases:
            token, calls = await leases.take(node, beat)
            if beat is not None and token:
                self.actor.world.took(self.actor, node, calls)
        return token, calls

    async def unanswered(self) -> tuple[int, Sequence[OwnedCall]]:
        async with self._asked() as leases:
            found: tuple[int, Sequence[OwnedCall]] = await leases.unanswered()
        return found

    async def leave(self) -> None:
        async with self._asked() as leases:
            await leases.leave()

    @asynccontextmanager
    async def _asked(self, *, loses: bool = True) -> AsyncIterator[Any]:
        """What is done is done; but its answer may get lost, and then this process does not know what it would have learnt.
        (Not that of a beat: who misses one does not take anybody's calls for a while, and there would be nothing to see.)"""
        world = self.actor.world
        if not world.reaches(self.actor, "database"):
            raise StoreUnavailable("gone")
        leases: Any = self.store.leases
        before = leases._token, leases._joined
        yield leases
        if loses and not world.reaches(self.actor, "answer") and world.random.random() < 0.5:
            leases._token, leases._joined = before
            world.result.unanswered += 1
            raise StoreUnavailable("no answer")


@dataclass
class Write:
    """A batch that is on its way. turn: how often the call had changed hands; -1: it was not its writer's when it was written."""

    call_id: str
    seq: int
    fence: Fence
    turn: int
    ends: bool


@dataclass
class Actor:
    """One runtime, as far as its calls are concerned."""

    name: str
    world: World
    store: Store
    node: Node
    calls: set[str] = field(default_factory=set)
    pending: list[Write] = field(default_factory=list)
    shown_s: float = 0.0
    paused_until_s: float = 0.0
    lost: int = 0

    @property
    def runs(self) -> bool:
        return self.paused_until_s <= self.world.now

    async def taken(self, calls: Sequence[OwnedCall], owner: str) -> None:
        for call in calls:
            self.write(call.call_id, ends=True)

    def gave_up(self, calls: Collection[str]) -> None:
        self.lost += len(calls)
        self.calls -= set(calls)

    def write(self, call_id: str, *, ends: bool = False) -> None:
        world = self.world
        world.seq += 1
        turn = world.turns[call_id] if world.owners[call_id] == self.name else -1
        self.pending.append(Write(call_id, world.seq, self.node.fence, turn, ends))

    async def flush(self) -> None:
        """As the projector does: in order, and nothing that was refused is tried again."""
        if not self.world.reaches(self, "database"):
            return
        pending, self.pending = self.pending, []
        for write in pending:
            record = JournalRecord(write.call_id, ORG, write.seq, 0.0, "event", self.name, {})
            status = "ended" if write.ends else "in-progress"
            projection = CallProjection(write.call_id, ORG, write.seq, {"status": status})
            accepted = await self.store.write(record, projection, write.fence)
            self.world.judge(self, write, accepted=accepted)
            if not accepted:
                self.gave_up({write.call_id} & self.calls)


@dataclass
class Result:
    """What came of a run. stale: writes that were taken though the call was another's when they were made, or is now; lost:
    writes that were refused though the call was its writer's all along; doubles: nodes whose calls were taken though somebody
    had heard of them; left: calls that nobody runs and nobody ended; unanswered: what the database did without saying so."""

    seed: int
    stale: int = 0
    lost: int = 0
    doubles: int = 0
    left: int = 0
    refused: int = 0
    takes: int = 0
    unanswered: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.stale or self.lost or self.doubles or self.left)


class World:
    """One run."""

    def __init__(
        self, seed: int, opens: Callable[[], Awaitable[Store]], kinds: Sequence[str] = FAULTS
    ) -> None:
        self.random = Random(seed)
        self.kinds = kinds
        self.opens = opens
        self.now = 1000.0
        self.seq = 0
        self.result = Result(seed)
        self.actors: list[Actor] = []
        self.dead: list[Actor] = []
        self.owners: dict[str, str] = {}
        self.turns: dict[str, int] = {}
        self.ended: set[str] = set()
        self.server = Server(self)
        self._gone: dict[tuple[str, str], float] = {}

    # --- the truth

    def reaches(self, actor: Actor, what: str) -> bool:
        """Whether the node can reach it now."""
        return all(self._gone.get((who, what), 0.0) <= self.now for who in ("", actor.name))

    def took(self, by: Actor, node: str, calls: Sequence[OwnedCall]) -> None:
        self.result.takes += 1
        [taken] = [actor for actor in (*self.actors, *self.dead) if actor.name == node]
        self.result.doubles += self.now - taken.shown_s < TIMES.dead_s
        for call in calls:
            self.owners[call.call_id] = by.name
            self.turns[call.call_id] += 1

    def judge(self, actor: Actor, write: Write, *, accepted: bool) -> None:
        right = self.owners[write.call_id] == actor.name and self.turns[write.call_id] == write.turn
        self.result.refused += not accepted
        self.result.stale += accepted and not right
        self.result.lost += right and not accepted
        if accepted and write.ends:
            self.ended.add(write.call_id)

    # --- a run

    async def run(self, outages: Mapping[int, tuple[str, float]] | None = None, steps: int = STEPS) -> Result:
        """outages: what happens at which step, for so long; None: what the seed says."""
        for number in range(NODES):
            await self.start(f"s{self.result.seed}-{number}")
        if outages is None:
            outages = self.by_chance()
        try:
            for step in range(steps):
                self.now += TIMES.beat_s * self.random.choice((0.5, 1.0, 1.0, 1.5))
                if step in outages:
                    self.fault(*outages[step])
                await self.step()
            await self.settle()
        finally:
            for actor in (*self.actors, *self.dead):
                await actor.store.close()
        running = {call_id for actor in self.actors for call_id in actor.calls}
        self.result.left = len(self.owners.keys() - self.ended - running)
        return self.result

    def by_chance(self) -> Mapping[int, tuple[str, float]]:
        """One to four faults."""
        faults = [self.random.choice(self.kinds) for _ in range(self.random.randint(1, 4))]
        return {
            self.random.randrange(STEPS // 2): (
                fault,
                self.random.choice((0.5, 1.0, 1.5, 3.0)) * TIMES.dead_s,
            )
            for fault in faults
        }

    async def start(self, name: str) -> None:
        store = await self.opens()
        actor = Actor(name, self, store, None)  # type: ignore[arg-type]
        actor.node = Node(
            name,
            Database(store, actor),
            Beside(self.server, actor),
            TIMES,
            actor.taken,
            actor.gave_up,
            lambda: actor.calls,
            lambda: self.now,
        )
        await actor.node.join()
        self.actors.append(actor)

    async def settle(self) -> None:
        """Nothing fails any more: whoever is dead is found out, and everything arrives."""
        self._gone.clear()
        for actor in self.actors:
            actor.paused_until_s = 0.0
        for _ in range(40):
            self.now += TIMES.beat_s
            await self.step(begins=False)

    async def step(self, *, begins: bool = True) -> None:
        order = [actor for actor in self.actors if actor.runs]
        self.random.shuffle(order)
        for actor in order:
            doing = [partial(actor.node.beat), partial(actor.flush)]
            # A process that was stopped may write before it has shown itself again.
            self.random.shuffle(doing)
            for one in doing:
                await one()
            if begins and self.reaches(actor, "database") and self.random.random() < 0.2:
                await self.begin(actor)
            for call_id in sorted(actor.calls):
                if self.random.random() < 0.5:
                    actor.write(call_id)

    async def begin(self, actor: Actor) -> None:
        call_id = f"{self.result.seed}-{len(self.owners)}"
        await actor.store.begin(call_id)
        self.owners[call_id], self.turns[call_id] = actor.name, 0
        actor.calls.add(call_id)
        actor.write(call_id)

    def fault(self, kind: str, for_s: float) -> None:
        self.result.faults.append(kind)
        actor = self.random.choice(self.actors)
        until_s = self.now + for_s
        match kind:
            case "pause":
                actor.paused_until_s = until_s
            case "kill" if len(self.actors) > 1:
                self.actors.remove(actor)
                self.dead.append(actor)
            case "flush":
                self.server.held.clear()
            case "redis" | "database" | "answer":
                self._gone["", kind] = until_s
            case "no_redis" | "no_database" | "no_answer":
                self._gone[actor.name, kind.removeprefix("no_")] = until_s
            case _:
                pass


async def in_memory(seeds: Iterable[int], kinds: Sequence[str] = FAULTS) -> list[Result]:
    """One after the other, with faults of these kinds."""
    found = []
    for seed in seeds:
        rows = Rows()

        async def opens(rows: Rows = rows) -> Store:
            return MemoryStore(rows)

        found.append(await World(seed, opens, kinds).run())
    return found


async def outage_in_memory(seed: int, kind: str, for_s: float) -> Result:
    """Of one fault that lasts, and as much time after it."""
    rows = Rows()

    async def opens() -> Store:
        return MemoryStore(rows)

    return await World(seed, opens).run({10: (kind, for_s)}, 2 * round(for_s / TIMES.beat_s))


async def over_files(seeds: Iterable[int], folder: Path) -> list[Result]:
    """One after the other, each over a file of its own."""
    empty = folder / "empty.db"
    await (await open_sqlite(empty)).close()
    found = []
    for seed in seeds:
        path = folder / f"{seed}.db"
        copyfile(empty, path)

        async def opens(path: Path = path) -> Store:
            return FileStore(await open_sqlite(path))

        found.append(await World(seed, opens).run())
    return found


def table(found: Sequence[Result]) -> str:
    """What is told of them."""
    broken = [f"  broken: {one}" for one in found if not one.good]
    total = {
        name: sum(getattr(one, name) for one in found)
        for name in ("takes", "refused", "unanswered", "stale", "lost", "doubles", "left")
    }
    return "\n".join([f"{len(found)} runs: {total}", *broken])
