"""This runtime among those that share its database: shows that it lives, and ends the calls of one that does not any more.

Who is dead is decided in core.leases; who owns what, the database says. A call never waits for any of it.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from aywa.adapters.leases.local import LocalLeases
from aywa.core.leases import Fence, LeaseTimes, OwnLease, Peers, Standing
from aywa.ports.journal import StoreUnavailable
from aywa.ports.leases import Buried, CallLeases, Leases, LeasesUnavailable, OwnedCall, Usurped

_log = structlog.get_logger("aywa.boot.node")

NAME_FILE: Final = "node"
NAME_LENGTH: Final = 80
GOODBYE_S: Final = 2.0
"""So long a runtime that ends waits for those whom it tells so."""

T = TypeVar("T")
Taken = Callable[[Sequence[OwnedCall], str], Coroutine[Any, Any, None]]


def name_in(folder: Path) -> str:
    """The node's name, which stays the same as long as its journal's folder does."""
    file = folder / NAME_FILE
    try:
        kept = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    if not 0 < len(kept) <= NAME_LENGTH or not kept.isprintable():
        kept = f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
        file.write_text(kept + "\n", "utf-8")
    return kept


def open_leases(url: str) -> Leases:
    """Where leases are kept beside the database: in Redis if there is one."""
    if not url:
        return LocalLeases()
    # Its library takes a while to import, which whoever has no Redis need not wait for.
    from aywa.adapters.leases.redis import RedisLeases

    return RedisLeases(url)


@dataclass(frozen=True, slots=True)
class NodeState:
    """What is told of it. silent_s: of each other node. problem: why the leases cannot be reached, since so many seconds.
    taken: how many calls it took from others."""

    name: str
    token: int
    standing: Standing
    silent_s: Mapping[str, float] = field(default_factory=dict)
    problem: str | None = None
    problem_s: float = 0.0
    taken: int = 0


class Node:
    """`join` first, `run` as a task, then `close`. taken: is given calls that are this node's now and that nobody runs, to end
    them, and whose they were. lost: calls of this process that are another's by now. active: those that run here."""

    def __init__(
        self,
        name: str,
        database: CallLeases,
        beside: Leases,
        times: LeaseTimes,
        taken: Taken,
        lost: Callable[[Collection[str]], None],
        active: Callable[[], Collection[str]],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock or asyncio.get_running_loop().time
        self.name = name
        self._database = database
        self._beside = beside
        self._times = times
        self._taken = taken
        self._lost = lost
        self._active = active
        self._own = OwnLease(times)
        self._peers = Peers(name, times)
        self._known: frozenset[str] = frozenset()
        self._token = 0
        self._taken_calls = 0
        # Whether the others are told when it ends, and so take none of its calls.
        self.leaves = True
        # What the database may have done although it did not say so: given that node's calls to this one; let this one join.
        self._unsure: str | None = None
        self._joins = False
        self._ending: set[asyncio.Task[Any]] = set()
        self._problem: str | None = None
        self._problem_since_s = 0.0

    @property
    def fence(self) -> Fence:
        """What its writes carry from now on."""
        return Fence(self.name, self._token)

    def state(self) -> NodeState:
        """As it is now."""
        now = self._clock()
        standing = self._own.standing(now) if self._database.shared else Standing.HELD
        since_s = 0.0 if self._problem is None else now - self._problem_since_s
        silent = self._peers.silent_s(now)
        return NodeState(self.name, self._token, standing, silent, self._problem, since_s, self._taken_calls)

    async def check(self) -> str | None:
        """For /readyz."""
        standing = self.state().standing
        if standing is Standing.USURPED:
            return (
                f"another runtime has this one's name, {self.name}: its data folder was copied;"
                f" remove the file {NAME_FILE} from one of them, and start that one again"
            )
        if standing is Standing.LAPSED:
            return f"nobody has heard of this node for {self._times.dead_s:g} s: others may end its calls"
        return None

    async def join(self) -> None:
        """From now on it is one of them. Raises StoreUnavailable."""
        began_s = self._clock()
        self._token = await self._database.join(self.name)
        self._own.heard(began_s)

    async def take_own(self) -> None:
        """Calls that an earlier process with this name left. Raises StoreUnavailable."""
        token, calls = await self._database.take(self.name)
        self._token = max(self._token, token)
        await self._taken(calls, self.name)

    async def run(self) -> None:
        """Until cancelled. A database that nobody shares needs no showing."""
        while self._database.shared:
            await self.beat()
            await asyncio.sleep(self._times.beat_s)

    async def beat(self) -> None:
        """Shows itself to both witnesses, asks both for the others, and takes the calls of who is dead."""
        beats, leased = await asyncio.gather(self._shown(), self._leased())
        if beats is not None:
            self._known = frozenset(beats) - {self.name}
        if self.state().standing is Standing.USURPED:
            return
        for node, beat in self._peers.look(beats, leased, self._clock()):
            await self._take(node, beat)

    async def close(self) -> None:
        """Tells the others, who then need not wait until it is silent for long enough."""
        for ending in list(self._ending):
            ending.cancel()
        if self._ending:
            await asyncio.wait(self._ending, timeout=GOODBYE_S)
        try:
            async with asyncio.timeout(GOODBYE_S):
                if self.leaves:
                    await self._database.leave()
                await self._beside.release(self.name, self._token)
        except (StoreUnavailable, LeasesUnavailable, TimeoutError):
            _log.warning("node_left_without_a_word", node=self.name)
        await self._beside.close()

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _shown(self) -> Mapping[str, int] | None:
        """Every node's beat, None: the database did not answer."""
        began_s = self._clock()
        try:
            if self._unsure is not None:
                await self._take_unanswered(self._unsure)
            if self._joins:
                raise Buried(self.name)
            beats = await self._soon(self._database.beat())
        except (StoreUnavailable, TimeoutError):
            return None
        except Usurped:
            self._own.usurped()
            _log.error("node_usurped", node=self.name)
            return None
        except Buried:
            await self._come_back()
            return None
        self._own.heard(began_s)
        return beats

    async def _soon(self, asked: Coroutine[Any, Any, T]) -> T:
        """Its answer. Raises TimeoutError when it takes so long that the node would be overlooked meanwhile: who does not answer
        is slow to let go, too, so nobody waits for that."""
        task = asyncio.get_running_loop().create_task(asked, name=f"node {self.name}: asks")
        try:
            await asyncio.wait([task], timeout=self._times.sight_s)
            if task.done():
                return task.result()
        finally:
            if not task.done():
                task.cancel()
                task.add_done_callback(_passed_over)
                self._keep(task)
        raise TimeoutError

    def _keep(self, task: asyncio.Task[Any]) -> None:
        """Until it is over, or this node is."""
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _leased(self) -> frozenset[str] | None:
        """Those with a lease, None: Redis did not answer."""
        began_s = self._clock()
        try:
            async with asyncio.timeout(self._times.sight_s):
                await self._beside.renew(self.name, self._token, self._times.lease_s)
                standing = await self._beside.standing(self._known)
        except (LeasesUnavailable, TimeoutError) as error:
            if self._problem is None:
                self._problem_since_s = began_s
                _log.warning("leases_unavailable", node=self.name, error=str(error) or type(error).__name__)
            self._problem = str(error) or "no answer"
            return None
        except Usurped:
            # The database decides who has the name.
            return None
        if self._problem is not None:
            _log.info("leases_available", node=self.name)
        self._problem = None
        if not isinstance(self._beside, LocalLeases):
            self._own.heard(began_s)
        return standing

    async def _take(self, node: str, beat: int) -> None:
        if self._unsure is not None:
            return
        self._unsure = node
        try:
            # A dead node's last transaction may hold the rows.
            token, calls = await self._soon(self._database.take(node, beat))
        except (StoreUnavailable, TimeoutError):
            return
        self._unsure = None
        if token:
            self._has_taken(token, calls, node)

    async def _take_unanswered(self, node: str) -> None:
        """A database that goes away may have given the calls all the same, and nobody else would look for them again."""
        token, calls = await self._soon(self._database.unanswered())
        self._unsure = None
        self._token = max(self._token, token)
        if calls:
            self._has_taken(token, calls, node)

    def _has_taken(self, token: int, calls: Sequence[OwnedCall], node: str) -> None:
        self._token = max(self._token, token)
        self._taken_calls += len(calls)
        _log.warning("node_dead", node=node, calls=len(calls), by=self.name)
        # Their ends may have to wait for the store; this node must show itself meanwhile.
        self._keep(
            asyncio.get_running_loop().create_task(self._taken(calls, node), name=f"node {node}: ends")
        )

    async def _come_back(self) -> None:
        """It was stopped for so long that it was taken for dead. It goes on, without the calls that are another's."""
        before = frozenset(self._active())
        # An answer that gets lost must not look like another process that joined under this name.
        self._joins = True
        try:
            self._token = await self._soon(self._database.join(self.name))
            token, owned = await self._soon(self._database.take(self.name))
        except (StoreUnavailable, TimeoutError):
            return
        self._joins = False
        self._token = max(self._token, token)
        lost = before - {call.call_id for call in owned}
        _log.warning("node_was_taken_for_dead", node=self.name, calls=len(lost))
        if lost:
            self._lost(lost)


def _passed_over(task: asyncio.Task[Any]) -> None:
    """What it says comes too late to matter."""
    if not task.cancelled():
        _ = task.exception()
