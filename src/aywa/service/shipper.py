"""Carries calls' artifacts from this machine into the bucket, and removes what was deleted. **Nothing leaves before it is on
record**; what is on record survives the process, and is tried until it is done.

A bucket that does not answer is left alone for a while, for all shipments together; one shipment that fails waits by itself.
A file goes from this machine when its objects are stored, and its call is still there. Refuses to decide what follows a failure
(core/shipment).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import random

import structlog

from aywa.core.shipment import (
    PAUSE_MOST_S,
    Kind,
    Shipment,
    Task,
    begun,
    failed,
    put_off,
    removal,
    stored,
    tried,
    wait_s,
    with_names,
)
from aywa.ports.artifacts import (
    ArtifactStore,
    ArtifactsUnavailable,
    LocalArtifacts,
    ObjectRefused,
    ShipmentLedger,
)
from aywa.ports.journal import StoreUnavailable
from aywa.service.clock import Clock, now_ms

_log = structlog.get_logger("aywa.artifacts")

MEDIA_TYPES = {".wav": "audio/wav", ".json": "application/json", ".gz": "application/gzip"}


@dataclass(frozen=True, slots=True)
class ShipperLimits:
    """at_once: shipments under way. drain_s: how long those may take when the runtime stops."""

    at_once: int = 4
    drain_s: float = 5.0


DEFAULT_LIMITS = ShipperLimits()


@dataclass(frozen=True, slots=True)
class Backlog:
    """How it stands. waiting: shipments; oldest_s: for how long the oldest has been. problem, code, mend, since_ms: what is wrong
    with the bucket, if something is. stored, removed: shipments that were carried out since the start."""

    waiting: int
    oldest_s: float
    problem: str = ""
    code: str = ""
    mend: str = ""
    since_ms: int = 0
    stored: int = 0
    removed: int = 0


Alive = Callable[[str, str], Awaitable[bool]]
"""Whether an organisation's call is there. May raise StoreUnavailable."""


class Shipper:
    """`run` is for a task, `close` once it has ended. `add` and `remove` at any time, also before."""

    def __init__(
        self,
        store: ArtifactStore,
        ledger: ShipmentLedger,
        local: LocalArtifacts,
        alive: Alive,
        *,
        limits: ShipperLimits = DEFAULT_LIMITS,
        clock: Clock = now_ms,
        chance: Callable[[], float] = random,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._local = local
        self._alive = alive
        self._limits = limits
        self._clock = clock
        self._chance = chance
        self._waiting: dict[str, Shipment] = {}
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()
        # Of those under way: what is to be stored once more, because it was written again.
        self._anew: dict[str, set[str]] = {}
        self._pauses = 0
        self._paused_until_ms = 0
        self._trouble: ArtifactsUnavailable | None = None
        self._since_ms = 0
        self._stored = self._removed = 0

    # --- what there is to do -----------------------------------------------------------------------------------------

    async def add(self, org_id: str, call_id: str, names: Iterable[str]) -> None:
        """A call's objects are to be stored. Never raises: what cannot be put on record waits with its files."""
        wanted = tuple(names)
        self._change(call_id, lambda it: with_names(it, wanted, self._clock()), org_id, Kind.CALLS)
        if call_id in self._flights:
            self._anew.setdefault(call_id, set()).update(wanted)
        await self._record_kindly(call_id)

    async def remove(self, org_id: str, an_id: str, kind: Kind = Kind.CALLS) -> None:
        """A call's, or a file's, objects are to go, and its files here. Never raises."""
        self._change(an_id, lambda it: removal(it, self._clock()), org_id, kind)
        flight = self._flights.get(an_id)
        if flight is not None:
            flight.cancel()
        await self._record_kindly(an_id)
        if kind is Kind.CALLS:
            with suppress(OSError):
                await asyncio.to_thread(self._local.forget, an_id)

    def backlog(self) -> Backlog:
        """As it stands now."""
        oldest_ms = min((one.created_ms for one in self._waiting.values()), default=self._clock())
        trouble = self._trouble
        return Backlog(
            len(self._waiting),
            max(0, self._clock() - oldest_ms) / 1000,
            "" if trouble is None else str(trouble),
            "" if trouble is None else trouble.code,
            "" if trouble is None else trouble.mend,
            self._since_ms,
            self._stored,
            self._removed,
        )

    def is_waiting(self, call_id: str) -> bool:
        """Whether something of it is still to be carried."""
        return call_id in self._waiting

    # --- carrying ------------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Takes up what an earlier process left. To be called once, before `run`. Raises OSError."""
        for shipment in await asyncio.to_thread(self._ledger.all):
            self._waiting.setdefault(shipment.id, shipment)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            for shipment in self._due():
                flight = asyncio.get_running_loop().create_task(self._fly(shipment.id), name="shipment")
                self._flights[shipment.id] = flight
                flight.add_done_callback(partial(self._landed, shipment.id))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._next_s()):
                    await self._news.wait()

    async def close(self) -> None:
        """Lets what is under way come to its end for a while; the rest is on record."""
        flights = list(self._flights.values())
        if flights:
            _, late = await asyncio.wait(flights, timeout=self._limits.drain_s)
            for flight in late:
                flight.cancel()
            await asyncio.gather(*flights, return_exceptions=True)
        await asyncio.gather(*self._writes, return_exceptions=True)

    def _due(self) -> list[Shipment]:
        now = self._clock()
        if now < self._paused_until_ms:
            return []
        free = self._limits.at_once - len(self._flights)
        if self._trouble is not None:
            free = 1 - len(self._flights)  # one finds out whether the bucket is back
        waiting = (s for s in self._waiting.values() if s.due_ms <= now and s.id not in self._flights)
        return sorted(waiting, key=lambda s: (s.due_ms, s.created_ms))[: max(free, 0)]

    def _next_s(self) -> float | None:
        """Until something falls due; None: only news changes anything."""
        times = [s.due_ms for s in self._waiting.values() if s.id not in self._flights]
        if not times or len(self._flights) >= (1 if self._trouble is not None else self._limits.at_once):
            return None
        return max(0.001, (max(min(times), self._paused_until_ms) - self._clock()) / 1000)

    async def _fly(self, an_id: str) -> None:
        try:
            self._put(tried(self._waiting[an_id]))
            await self._record(an_id)
            if self._waiting[an_id].task is Task.REMOVE:
                await self._take_away(self._waiting[an_id])
            else:
                await self._bring(self._waiting[an_id])
            self._well()
        except ArtifactsUnavailable as error:
            self._unwell(error)
            text = f"{error.code}: {error}"
            await self._again(an_id, lambda it: put_off(it, self._clock(), text))
        except (ObjectRefused, StoreUnavailable, OSError) as error:
            text = f"{type(error).__name__}: {error.strerror if isinstance(error, OSError) else error}"
            await self._again(an_id, lambda it: failed(it, self._clock(), text, self._chance()))
        except Exception as error:  # noqa: BLE001 - what one call's files meet must not be the end of all others'
            name = type(error).__name__
            _log.warning("shipment_broke", id=an_id, error=name)
            await self._again(an_id, lambda it: failed(it, self._clock(), name, self._chance()))

    def _landed(self, an_id: str, _flight: asyncio.Task[None]) -> None:
        del self._flights[an_id]
        self._anew.pop(an_id, None)
        self._news.set()

    async def _bring(self, shipment: Shipment) -> None:
        call_id = shipment.id
        stamp = await asyncio.to_thread(self._local.stamp, call_id)
        for name in shipment.names:
            await self._store_one(shipment, name)
        if not await self._alive(shipment.org_id, call_id):
            # It was deleted elsewhere, while this was under way.
            self._put(removal(self._waiting[call_id], self._clock()))
            await self._record(call_id)
            return
        done = set(shipment.names) - self._anew.get(call_id, set())
        await asyncio.to_thread(self._local.drop, call_id, done, stamp)
        # What was written again while the older one went from here is to be stored once more too.
        done -= self._anew.pop(call_id, set())
        left = self._waiting[call_id]
        for name in done:
            left = stored(left, name)
        self._put(left)
        if left.over:
            del self._waiting[call_id]
        self._stored += 1
        await self._record(call_id)

    async def _store_one(self, shipment: Shipment, name: str) -> None:
        source = await asyncio.to_thread(self._local.source, shipment.id, name)
        if source is None:
            return  # there is nothing that makes it, or not any more

        async def note(upload: str) -> None:
            self._put(begun(self._waiting[shipment.id], name, upload))
            await self._record(shipment.id)

        media_type = MEDIA_TYPES.get(name[name.rfind(".") :], "application/octet-stream")
        upload = shipment.uploads.get(name, "")
        _ = await self._store.put(shipment.key(name), source, media_type, upload, note)

    async def _take_away(self, shipment: Shipment) -> None:
        if shipment.kind is Kind.CALLS:
            await asyncio.to_thread(self._local.forget, shipment.id)
        await self._store.remove(shipment.prefix)
        self._removed += 1
        del self._waiting[shipment.id]
        await self._record(shipment.id)

    # --- on record -------------------------------------------------------------------------------------------------------

    def _change(self, an_id: str, change: Callable[[Shipment], Shipment], org_id: str, kind: Kind) -> None:
        now = self._clock()
        fresh = Shipment(an_id, org_id, kind, Task.STORE, created_ms=now, due_ms=now)
        self._put(change(self._waiting.get(an_id, fresh)))

    def _put(self, shipment: Shipment) -> None:
        self._waiting[shipment.id] = shipment

    async def _again(self, an_id: str, change: Callable[[Shipment], Shipment]) -> None:
        if an_id in self._waiting:
            self._put(change(self._waiting[an_id]))
            await self._record_kindly(an_id)

    async def _record_kindly(self, an_id: str) -> None:
        try:
            await self._record(an_id)
        except OSError as error:
            # Before it leaves it is written once more.
            _log.warning("shipment_not_recorded", id=an_id, error=error.strerror)
        self._news.set()

    async def _record(self, an_id: str) -> None:
        """Writes what is known of it by the time that it is its turn. Who asks may be cancelled; what is being written is not,
        or an older state could be written over a newer one. Raises OSError."""
        write = asyncio.get_running_loop().create_task(self._write(an_id), name="shipment's record")
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        await asyncio.shield(write)

    async def _write(self, an_id: str) -> None:
        async with self._writing:
            shipment = self._waiting.get(an_id)
            if shipment is None:
                await asyncio.to_thread(self._ledger.remove, an_id)
            else:
                await asyncio.to_thread(self._ledger.write, shipment)

    # --- how the bucket fares --------------------------------------------------------------------------------------------

    def _well(self) -> None:
        if self._trouble is not None:
            _log.info("artifact_store_is_back", waiting=len(self._waiting))
        self._trouble, self._pauses, self._paused_until_ms, self._since_ms = None, 0, 0, 0

    def _unwell(self, error: ArtifactsUnavailable) -> None:
        if self._trouble is None or self._trouble.code != error.code:
            _log.warning("artifact_store_unavailable", code=error.code, problem=str(error), mend=error.mend)
        if self._trouble is None:
            self._since_ms = self._clock()
        self._trouble = error
        if self._clock() < self._paused_until_ms:
            return  # another of those that were under way together
        self._pauses += 1
        pause_s = wait_s(self._pauses, self._chance(), PAUSE_MOST_S)
        self._paused_until_ms = self._clock() + round(1000 * pause_s)
