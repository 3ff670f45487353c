"""A node whose database hangs, or does what it is asked without saying so. Everything else of it: tests/faults/test_leases.py."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import pytest

from aywa.adapters.leases.local import LocalLeases
from aywa.boot.node import Node
from aywa.core.leases import LeaseTimes, Standing
from aywa.ports.journal import StoreUnavailable
from aywa.ports.leases import Buried, OwnedCall, Usurped

TIMES = LeaseTimes(8.0)
CALL = OwnedCall("call", "org")


class Database:
    """ports.leases.CallLeases, of two nodes: `a`, who asks, and `b`, who is dead. lost: what does not answer, the next time.
    hangs: nobody gets b's calls."""

    shared = True

    def __init__(self) -> None:
        self.beats: list[float] = []
        self.nodes = {"b": 7}
        self.given: list[OwnedCall] = []
        self.lost: set[str] = set()
        self.hangs = False
        self.tokens = self.joined = self.known = 0
        self.buried = False

    async def join(self, node: str) -> int:
        self.tokens += 1
        at, self.nodes[node] = self.tokens, 1
        self.buried = False
        self.answers("join")
        self.joined = at
        return at

    async def beat(self) -> Mapping[str, int]:
        self.beats.append(asyncio.get_running_loop().time())
        if self.buried:
            raise Buried("a")
        if self.joined != self.tokens:
            raise Usurped("a")
        self.nodes["a"] += 1
        return dict(self.nodes)

    async def take(self, node: str, beat: int | None = None) -> tuple[int, Sequence[OwnedCall]]:
        if node == "a":
            return self.tokens, ()
        if self.hangs:
            await asyncio.Event().wait()
        if self.nodes.pop(node, None) is None:
            return 0, ()
        self.given.append(CALL)
        self.answers("take")
        return self.tokens, [self.given.pop()]

    async def unanswered(self) -> tuple[int, Sequence[OwnedCall]]:
        found, self.given = self.given, []
        return self.tokens, found

    async def leave(self) -> None: ...

    def answers(self, what: str) -> None:
        if what in self.lost:
            self.lost.remove(what)
            raise StoreUnavailable("no answer")


class Runs:
    """A node for a while of virtual time."""

    def __init__(self, database: Database) -> None:
        self.taken: list[tuple[str, str]] = []
        self.lost: list[str] = []
        self.node = Node("a", database, LocalLeases(), TIMES, self.take, self.gave_up, lambda: ("mine",))

    async def take(self, calls: Sequence[OwnedCall], owner: str) -> None:
        self.taken += [(call.call_id, owner) for call in calls]

    def gave_up(self, calls: Collection[str]) -> None:
        self.lost += calls

    async def during(self, for_s: float) -> None:
        running = asyncio.create_task(self.node.run())
        try:
            await asyncio.wait([running], timeout=for_s)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self.node.close()


@pytest.mark.virtual_time
async def test_whoever_waits_for_a_dead_one_s_calls_shows_itself_meanwhile() -> None:
    """Its rows may be held by a transaction of the dead one's."""
    database = Database()
    database.hangs = True
    runs = Runs(database)
    await runs.node.join()
    await runs.during(10 * TIMES.dead_s)
    gaps = [later - earlier for earlier, later in pairwise(database.beats)]
    assert max(gaps) < TIMES.dead_s
    assert runs.node.state().standing is Standing.HELD


@pytest.mark.virtual_time
async def test_a_database_that_does_not_even_let_go_holds_no_lease_up() -> None:
    """As behind a cable that was pulled: whoever cancels a statement waits for that to arrive."""
    database = Database()
    runs = Runs(database)
    await runs.node.join()
    renewed: list[float] = []

    async def renew(_node: str, _token: int, _ttl_s: float) -> None:
        renewed.append(asyncio.get_running_loop().time())

    async def beat() -> Mapping[str, int]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(TIMES.dead_s)
        raise StoreUnavailable("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "beat", beat)
        patch.setattr(runs.node._beside, "renew", renew)
        await runs.during(10 * TIMES.dead_s)
    gaps = [later - earlier for earlier, later in pairwise(renewed)]
    assert max(gaps) <= TIMES.sight_s + TIMES.beat_s


@pytest.mark.virtual_time
async def test_calls_that_were_given_without_a_word_are_found() -> None:
    database = Database()
    database.lost = {"take"}
    runs = Runs(database)
    await runs.node.join()
    await runs.during(3 * TIMES.dead_s)
    assert runs.taken == [("call", "b")]
    assert runs.node.state().taken == 1


@pytest.mark.virtual_time
async def test_who_was_let_in_without_a_word_is_not_taken_for_another() -> None:
    database = Database()
    runs = Runs(database)
    await runs.node.join()
    database.buried, database.lost = True, {"join"}
    await runs.during(TIMES.dead_s)
    assert runs.node.state().standing is Standing.HELD
    assert runs.lost == ["mine"]
