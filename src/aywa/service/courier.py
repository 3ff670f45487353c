"""Carries the outbox's deliveries to their servers: claims what is due, sends it, writes down what came of it.

One turn after the other: what was finished is written in one transaction, what is free is claimed in another; so a turn takes
longer under load, and carries more. A server that hangs holds its own places only; one that fails is left alone for a while
(its circuit), and what has another server to go to goes there. Refuses to decide what follows an attempt (core/webhooks).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import random
from time import monotonic

import structlog

from aywa.core.route_health import Circuit, Failure, RouteHealth
from aywa.core.webhooks import (
    DEFAULT_SCHEDULE,
    FINAL,
    GONE,
    OURS,
    TOO_MANY,
    Cause,
    Next,
    Outcome,
    Schedule,
    State,
    after,
    endpoint_key,
)
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import Claimed, ClaimQuery, DeliverySender, Finished, Outbox, Sent
from aywa.ports.webhooks import CannotSign, RequestHeaders
from aywa.service.clock import Clock, now_ms

_log = structlog.get_logger("aywa.outbox")

ENDPOINTS_KEPT = 10_000
"""So many servers' circuits are remembered."""
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 5.0
JUMP_S = 2.0
"""The clock may run off the processor's own by so much before it counts as set."""
DOUBT_S = 30.0
"""So long after it was set back, deliveries from the future are still looked for."""
EXPIRED_MAX = 100
FORGET_MAX = 500
FORGET_ROUNDS = 20
FORGET_EVERY_S = 600.0
LEASE_MARGIN = 0.8
"""Past this share of a lease no request leaves any more: another may have claimed it by the time that it arrives."""


@dataclass(frozen=True, slots=True)
class CourierLimits:
    """in_flight: requests at once; per_endpoint: to one server. lease_s: how long a delivery is ours without a word.
    poll_s: how soon is seen what nobody told of. keep_s: how long deliveries that are over are kept. drain_s: how long requests
    that are out may take when the runtime stops."""

    in_flight: int = 256
    per_endpoint: int = 16
    lease_s: float = 30.0
    poll_s: float = 0.5
    keep_s: float = 30 * 86_400.0
    drain_s: float = 5.0


DEFAULT_LIMITS = CourierLimits()


@dataclass(slots=True)
class _Flight:
    """A claimed delivery on its way. asked_s: when it was claimed, by the clock that nobody sets."""

    claimed: Claimed
    asked_s: float
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Counts:
    """What was carried so far."""

    delivered: int = 0
    attempts: int = 0
    failed: int = 0


class Courier:
    """`run` is for a task, `wake` for who has put something into the outbox; `close` once it has ended.

    unavailable: why the store cannot be asked now.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: DeliverySender,
        headers: RequestHeaders,
        *,
        owner: str,
        limits: CourierLimits = DEFAULT_LIMITS,
        schedule: Schedule = DEFAULT_SCHEDULE,
        clock: Clock = now_ms,
        steady: Callable[[], float] = monotonic,
        chance: Callable[[], float] = random,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._headers = headers
        self._owner = owner
        self._limits = limits
        self._schedule = schedule
        self._clock = clock
        self._steady = steady
        self._chance = chance
        self._flights: dict[str, _Flight] = {}
        self._done: list[Finished] = []
        self._health: dict[str, RouteHealth] = {}
        self._news = asyncio.Event()
        self._stopping = False
        self._offset_s: float | None = None
        self._doubted_s = -DOUBT_S
        self._patient_until_s = 0.0
        self._kept_s = self._forgot_s = steady()
        self.counts = _Counts()
        self.unavailable: str | None = None

    def wake(self) -> None:
        """Something is due."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        wait_s = RETRY_FIRST_S
        while True:
            self._news.clear()
            try:
                await self._keep()
                is_more = await self._turn()
                self.unavailable, wait_s = None, RETRY_FIRST_S
            except StoreUnavailable as error:
                self.unavailable = str(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            except Exception as error:  # noqa: BLE001 - what one turn met must not be the end of all webhooks
                _log.warning("outbox_turn_broke", error=type(error).__name__)
                is_more = False
            if not is_more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.poll_s):
                        await self._news.wait()

    async def close(self) -> None:
        """Lets what is out come to its end for a while; what does not is due again."""
        self._stopping = True
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._limits.drain_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        with suppress(StoreUnavailable):
            await self._write_done()

    # --- turns ---------------------------------------------------------------------------------------------------

    async def _turn(self) -> bool:
        """Writes what is done, claims what is free; whether there may be more at once."""
        await self._write_done()
        free = self._limits.in_flight - len(self._flights)
        if self._stopping or free <= 0:
            return False
        now_s = self._steady()
        busy, broken = self._busy(now_s)
        if broken:
            await self._outbox.pass_on(broken, self._clock())
        now = self._clock()
        claimed = await self._outbox.claim(
            ClaimQuery(
                self._owner,
                now,
                now + round(self._limits.lease_s * 1000),
                free,
                self._limits.per_endpoint,
                busy,
            )
        )
        for one in claimed:
            flight = _Flight(one, now_s)
            self._flights[one.delivery.id] = flight
            flight.task = asyncio.get_running_loop().create_task(self._fly(flight), name="delivery")
        return len(claimed) == free

    async def _write_done(self) -> None:
        done = list(self._done)
        if not done:
            return
        written = await self._finish(done)
        del self._done[: len(done)]
        for item in done:
            delivery = item.claimed.delivery
            self._flights.pop(delivery.id, None)
            if delivery.id not in written:
                continue
            if item.sent.outcome.status == GONE:
                key = endpoint_key(item.claimed.endpoint.url)
                await self._outbox.disable(delivery.org_id, key, self._clock())
            elif item.claimed.replayed and item.sent.outcome.accepted:
                await self._outbox.enable(delivery.org_id, endpoint_key(item.claimed.endpoint.url))

    async def _finish(self, done: Sequence[Finished]) -> set[str]:
        """One that the store does not take for what is in it must not hold up the others: its lease runs out."""
        try:
            return set(await self._outbox.finish(done, self._clock()))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            if len(done) == 1:
                delivery = done[0].claimed.delivery.id
                _log.warning("attempt_not_written", delivery=delivery, error=type(error).__name__)
                return set()
        return {one for item in done for one in await self._finish([item])}

    async def _keep(self) -> None:
        """What is to be done now and then: leases, attempts whose process is gone, a clock that was set, old rows."""
        now_s = self._steady()
        clock_ms = self._clock()
        offset_s = clock_ms / 1000 - now_s
        jumped_s = 0.0 if self._offset_s is None else offset_s - self._offset_s
        is_time = now_s - self._kept_s >= self._limits.lease_s / 4
        if self._offset_s is None or (is_time and now_s < self._doubted_s + DOUBT_S):
            # It may have been set back while nobody looked; and what began before may have been stored after.
            jumped_s = min(jumped_s, -await self._ahead_s())
        if jumped_s < -JUMP_S:
            _log.warning("clock_set_back", seconds=round(-jumped_s))
            # What is done was given its next time by the clock of before.
            await self._write_done()
            await self._outbox.moved(round(-jumped_s * 1000), self._clock())
            self._doubted_s = now_s
        if jumped_s > JUMP_S:
            _log.warning("clock_set_forward", seconds=round(jumped_s))
            # No lease has run out by it: whoever has one, and lives, renews it by the new clock.
            self._patient_until_s = now_s + self._limits.lease_s
        # Not before: a store that was away must be told, too.
        self._offset_s = offset_s
        if not is_time and abs(jumped_s) < JUMP_S:
            return
        self._kept_s = now_s
        held = {one: flight.claimed.token for one, flight in self._flights.items()}
        if held:
            until = self._clock() + round(self._limits.lease_s * 1000)
            await self._outbox.renew(self._owner, held, until)
            for flight in self._flights.values():
                flight.asked_s = now_s
        if now_s >= self._patient_until_s:
            # By the clock as it was looked at above: it may be set at any moment.
            await self._orphans(clock_ms)
        if now_s - self._forgot_s >= FORGET_EVERY_S:
            self._forgot_s = now_s
            before = self._clock() - round(self._limits.keep_s * 1000)
            for _ in range(FORGET_ROUNDS):
                if await self._outbox.forget(before, FORGET_MAX) < FORGET_MAX:
                    break

    async def _ahead_s(self) -> float:
        """How far from the future the newest of what is to be delivered comes."""
        newest_ms = await self._outbox.newest_ms()
        return 0.0 if newest_ms is None else max(0.0, (newest_ms - self._clock()) / 1000)

    async def _orphans(self, clock_ms: int) -> None:
        lost = [
            one
            for one in await self._outbox.expired(clock_ms, EXPIRED_MAX)
            if one.delivery.id not in self._flights
        ]
        if lost:
            _log.warning("deliveries_orphaned", number=len(lost))
            ended = [self._finished(one, Sent(Outcome(Cause.ORPHANED))) for one in lost]
            await self._outbox.finish(ended, self._clock())

    # --- one delivery --------------------------------------------------------------------------------------------

    async def _fly(self, flight: _Flight) -> None:
        claimed = flight.claimed
        health = self._health_of(claimed)
        health.begin(self._steady())
        began_s = self._steady()
        try:
            sent = await self._sent(flight)
        except asyncio.CancelledError:
            sent = Sent(Outcome(Cause.ORPHANED))
        except Exception as error:  # noqa: BLE001 - one delivery must not end the others
            _log.warning("delivery_broke", delivery=claimed.delivery.id, error=type(error).__name__)
            sent = Sent(Outcome(Cause.UNSENT))
        self._judge(health, sent.outcome, began_s)
        self._done.append(self._finished(claimed, sent))
        self._news.set()

    async def _sent(self, flight: _Flight) -> Sent:
        claimed = flight.claimed
        delivery, endpoint = claimed.delivery, claimed.endpoint
        if claimed.disabled:
            return Sent(Outcome(Cause.DISABLED))
        try:
            async with asyncio.timeout(endpoint.timeout_s):
                headers = await self._headers.headers(
                    delivery.org_id,
                    endpoint.auth,
                    url=endpoint.url,
                    body=delivery.body,
                    message_id=delivery.id,
                    timestamp_s=self._clock() // 1000,
                )
        except CannotSign as reason:
            cause = Cause.NOT_SIGNED if reason.retryable else Cause.CANNOT_SIGN
            return Sent(Outcome(cause), excerpt=str(reason))
        except (TimeoutError, StoreUnavailable):
            return Sent(Outcome(Cause.NOT_SIGNED))
        if self._steady() - flight.asked_s > self._limits.lease_s * LEASE_MARGIN:
            # The process was held up: somebody else may have it by now.
            return Sent(Outcome(Cause.UNSENT))
        self.counts.attempts += 1
        sent = await self._sender.send(endpoint, headers, delivery.body)
        if sent.outcome.status == 401:
            self._headers.refused(delivery.org_id, endpoint.auth)
        return sent

    def _finished(self, claimed: Claimed, sent: Sent) -> Finished:
        levels = claimed.delivery.levels
        following: Next = after(levels, claimed.progress, sent.outcome, self._chance(), self._schedule)
        now = self._clock()
        due = now + round(following.wait_s * 1000) if following.state is State.WAITING else None
        self.counts.delivered += following.state is State.DELIVERED
        self.counts.failed += following.state is State.FAILED
        return Finished(claimed, sent, now, following.state, following.progress, due)

    # --- circuits ------------------------------------------------------------------------------------------------

    def _busy(self, now_s: float) -> tuple[Mapping[str, int], Sequence[str]]:
        """Servers that have fewer places than others, and those that are left alone."""
        busy: dict[str, int] = {}
        broken: list[str] = []
        for key, health in self._health.items():
            circuit = health.status(now_s).circuit
            refused = health.refuses(now_s)
            if refused:
                busy[key] = 0
                # One that asked for a rest is not broken: what is due there waits for it.
                if circuit == Circuit.OPEN:
                    broken.append(key)
            elif circuit != Circuit.CLOSED:
                busy[key] = 1
            elif health.active:
                busy[key] = self._limits.per_endpoint - health.active
        return busy, broken

    def _health_of(self, claimed: Claimed) -> RouteHealth:
        key = f"{claimed.delivery.org_id} {endpoint_key(claimed.endpoint.url)}"
        found = self._health.get(key)
        if found is None:
            if len(self._health) >= ENDPOINTS_KEPT:
                self._forget_idle()
            found = self._health[key] = RouteHealth(key, self._limits.per_endpoint)
        return found

    def _forget_idle(self) -> None:
        for key in [key for key, health in self._health.items() if not health.active][: ENDPOINTS_KEPT // 10]:
            del self._health[key]

    def _judge(self, health: RouteHealth, outcome: Outcome, began_s: float) -> None:
        now_s = self._steady()
        if outcome.cause in OURS or outcome.cause in FINAL or outcome.cause is Cause.NOT_SIGNED:
            # It says nothing of the server.
            health.end(None, now_s, answered=False)
        elif outcome.status == TOO_MANY:
            health.end(Failure("rate_limited", retry_after_s=outcome.retry_after_s), now_s)
        elif outcome.status is not None and outcome.status < 500:
            health.answered(now_s - began_s, now_s)
            health.end(None, now_s)
        else:
            health.end(Failure("unavailable"), now_s)
