"""The courier over the embedded store, on a clock that jumps: what is carried when, by whom, and what is never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.route_health import OPEN_S
from aywa.core.webhooks import BackoffPlan, Cause, Delivery, Endpoint, Outcome, State, endpoint_key
from aywa.ports.journal import StoreUnavailable
from aywa.ports.outbox import Claimed, ClaimQuery, DeliveryQuery, DeliveryRow, Finished, Outbox, Sent
from aywa.ports.webhooks import CannotSign
from aywa.service.courier import Courier, CourierLimits
from tests.contracts.outbox import ORG, T

pytestmark = pytest.mark.virtual_time

OK = Outcome(Cause.ANSWERED, 200)
BROKEN = Outcome(Cause.UNREACHABLE)
A, B = Endpoint("https://a.example/hook"), Endpoint("https://b.example/hook")
HANGING = Outcome(Cause.SENDING)
"""Stands for a server that never answers: the request's time ends it."""


def answer(status: int, retry_after_s: float | None = None) -> Outcome:
    return Outcome(Cause.ANSWERED, status, retry_after_s)


@dataclass
class Servers:
    """What each address answers, one after the other, the last for ever; and what it was sent, at which second."""

    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    heard: list[tuple[float, str, str]] = field(default_factory=list)
    at_once: dict[str, int] = field(default_factory=dict)
    most_at_once: dict[str, int] = field(default_factory=dict)
    before: Callable[[str], Awaitable[None]] | None = None

    async def send(self, endpoint: Endpoint, headers: Mapping[str, str], body: str) -> Sent:
        url = endpoint.url
        self.heard.append((round(now_s(), 3), url, headers["webhook-id"]))
        self.at_once[url] = self.at_once.get(url, 0) + 1
        self.most_at_once[url] = max(self.at_once[url], self.most_at_once.get(url, 0))
        try:
            if self.before is not None:
                await self.before(headers["webhook-id"])
            script = self.answers.get(url, [OK])
            outcome = script.pop(0) if len(script) > 1 else script[0]
            await asyncio.sleep(endpoint.timeout_s if outcome is HANGING else self.took_s.get(url, 0.0))
            return Sent(Outcome(Cause.TIMED_OUT) if outcome is HANGING else outcome)
        finally:
            self.at_once[url] -= 1

    def ids(self, url: str | None = None) -> list[str]:
        return [one for _, where, one in self.heard if url in (None, where)]

    def times(self, url: str | None = None) -> list[float]:
        return [at for at, where, _ in self.heard if url in (None, where)]


@dataclass
class Signing:
    """Headers with nothing in them but the id."""

    refusal: Exception | None = None
    refused_for: list[str] = field(default_factory=list)

    async def headers(
        self, org_id: str, auth: str, *, url: str, body: str, message_id: str, timestamp_s: int
    ) -> Mapping[str, str]:
        if self.refusal is not None:
            raise self.refusal
        return {"webhook-id": message_id}

    def refused(self, org_id: str, auth: str) -> None:
        self.refused_for.append(auth)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def now_ms() -> int:
    return T + round(now_s() * 1000)


def delivery(delivery_id: str, *endpoints: Endpoint, call_id: str | None = None, seq: int = 0) -> Delivery:
    return Delivery(
        delivery_id, ORG, "status-update", '{"message":{}}', endpoints or (A,), now_ms(), call_id, seq
    )


@dataclass
class Carried:
    """A courier at work."""

    outbox: Outbox
    servers: Servers
    signing: Signing
    courier: Courier
    task: asyncio.Task[None]

    async def put(self, *deliveries: Delivery) -> None:
        await self.outbox.enqueue(deliveries, now_ms())
        self.courier.wake()

    async def row(self, delivery_id: str) -> DeliveryRow:
        [found] = await self.outbox.list(ORG, DeliveryQuery(ids=(delivery_id,)))
        return found

    async def causes(self, delivery_id: str) -> list[Cause]:
        return [row.cause for row in await self.outbox.attempts(ORG, [delivery_id])]


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    store = await open_sqlite(tmp_path / "aywa.db")
    yield store.outbox
    await store.close()


@asynccontextmanager
async def carrying(outbox: Outbox, servers: Servers | None = None, **settings: Any) -> AsyncIterator[Carried]:
    servers, signing = servers or Servers(), Signing()
    # The store is a real one: each look into it takes real time.
    limits = CourierLimits(**{"drain_s": 0.0, "poll_s": 1.0} | settings.pop("limits", {}))
    courier = Courier(
        outbox,
        servers,
        signing,
        owner=settings.pop("owner", "me"),
        limits=limits,
        chance=lambda: 0.5,
        **{"clock": now_ms, "steady": now_s} | settings,
    )
    task = asyncio.get_running_loop().create_task(courier.run())
    try:
        yield Carried(outbox, servers, signing, courier, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await courier.close()


async def test_a_delivery_is_carried_at_once_and_once(outbox: Outbox) -> None:
    async with carrying(outbox) as at:
        await asyncio.sleep(100)
        await at.put(delivery("a"))
        await asyncio.sleep(100)
        assert at.servers.heard == [(100.0, A.url, "a")]
        assert (await at.row("a")).state is State.DELIVERED
        assert at.courier.counts.delivered == 1


async def test_what_nobody_told_of_is_seen_soon(outbox: Outbox) -> None:
    async with carrying(outbox, limits={"poll_s": 0.5}) as at:
        await asyncio.sleep(10.2)
        await outbox.enqueue([delivery("a")], now_ms())
        await asyncio.sleep(1)
        assert at.servers.times()[0] <= 10.7


async def test_what_fails_comes_back_by_the_schedule_until_it_is_taken(outbox: Outbox) -> None:
    async with carrying(outbox, Servers({A.url: [BROKEN, answer(503), OK]})) as at:
        await at.put(delivery("a"))
        await asyncio.sleep(100)
        first, second, third = at.servers.times()
        assert first == 0.0
        assert 5.0 <= second <= 7.1
        assert 20.0 <= third - second <= 22.1
        assert await at.causes("a") == [Cause.UNREACHABLE, Cause.ANSWERED, Cause.ANSWERED]
        assert (await at.row("a")).state is State.DELIVERED


async def test_a_failing_server_falls_back_to_the_next_at_once(outbox: Outbox) -> None:
    async with carrying(outbox, Servers({A.url: [BROKEN]})) as at:
        await at.put(delivery("a", A, B))
        await asyncio.sleep(1)
        assert [(at, url) for at, url, _ in at.servers.heard] == [(0.0, A.url), (0.0, B.url)]


async def test_410_disables_the_server_until_a_replay_is_welcome(outbox: Outbox) -> None:
    async with carrying(outbox, Servers({A.url: [answer(410), OK]})) as at:
        await at.put(delivery("a"))
        await asyncio.sleep(1)
        assert [one.endpoint for one in await outbox.disabled(ORG)] == [endpoint_key(A.url)]
        await at.put(delivery("b"), delivery("c", A, B))
        await asyncio.sleep(1)
        assert at.servers.ids() == ["a", "c"]
        assert await at.causes("b") == [Cause.DISABLED]
        assert (await at.row("b")).state is State.FAILED
        assert await outbox.replay(ORG, DeliveryQuery(ids=("b",)), now_ms()) == ["b"]
        await asyncio.sleep(3)
        assert (await at.row("b")).state is State.DELIVERED
        assert await outbox.disabled(ORG) == []


async def test_a_429_is_left_alone_for_as_long_as_it_says(outbox: Outbox) -> None:
    async with carrying(outbox, Servers({A.url: [answer(429, 30.0), OK]})) as at:
        await at.put(delivery("a"))
        await asyncio.sleep(1)
        await at.put(delivery("b"))
        await asyncio.sleep(60)
        assert at.servers.times()[0] == 0.0
        assert min(at.servers.times()[1:]) >= 30.0
        assert sorted(at.servers.ids()) == ["a", "a", "b"]


async def test_a_calls_messages_arrive_in_order_and_wait_for_a_failing_one_no_longer_than_the_bound(
    outbox: Outbox,
) -> None:
    servers = Servers({A.url: [BROKEN, OK]}, took_s={A.url: 0.3})
    async with carrying(outbox, servers) as at:
        await at.put(*(delivery(f"m{n}", call_id="call", seq=n) for n in (3, 1, 2)))
        await asyncio.sleep(60)
        assert at.servers.ids() == ["m1", "m1", "m2", "m3"]
        servers.answers[A.url] = [OK]
        stuck = delivery("stuck", Endpoint("https://c.example/"), call_id="other", seq=1)
        servers.answers["https://c.example/"] = [BROKEN]
        began = now_s()
        await at.put(stuck, delivery("later", call_id="other", seq=2))
        await asyncio.sleep(60)
        [late] = [when for when, _, one in at.servers.heard if one == "later"]
        assert 30.0 <= late - began <= 32.1


async def test_a_hanging_server_holds_its_own_places_only(outbox: Outbox) -> None:
    servers = Servers({A.url: [HANGING]}, took_s={B.url: 0.1})
    async with carrying(outbox, servers, limits={"per_endpoint": 4, "in_flight": 8}) as at:
        await at.put(*(delivery(f"h{n}", A) for n in range(50)))
        await at.put(*(delivery(f"q{n}", B) for n in range(40)))
        await asyncio.sleep(2)
        assert at.servers.most_at_once == {A.url: 4, B.url: 4}
        assert len(at.servers.ids(B.url)) == 40
        assert max(at.servers.times(B.url)) < 1.2
        assert len(at.servers.ids(A.url)) == 4


async def test_a_server_that_fails_in_a_row_is_left_alone_and_then_tried_by_one(outbox: Outbox) -> None:
    servers = Servers({A.url: [BROKEN]}, took_s={A.url: 0.01})
    async with carrying(outbox, servers, limits={"per_endpoint": 3, "poll_s": 0.5}) as at:
        await at.put(*(delivery(f"d{n}") for n in range(9)))
        await asyncio.sleep(OPEN_S)
        # Those that were claimed before the last of the three failed go out too.
        before = len(at.servers.heard)
        assert before <= 6
        await asyncio.sleep(2.5)
        assert len(at.servers.heard) == before + 1
        servers.answers[A.url] = [OK]
        await asyncio.sleep(60)
        assert at.courier.counts.delivered == 9


async def test_what_has_another_server_does_not_wait_for_one_that_is_left_alone(outbox: Outbox) -> None:
    servers = Servers({A.url: [BROKEN]})
    async with carrying(outbox, servers, limits={"per_endpoint": 3}) as at:
        await at.put(*(delivery(f"d{n}") for n in range(3)))
        await asyncio.sleep(1)
        await at.put(delivery("both", A, B))
        await asyncio.sleep(1)
        assert at.servers.ids(B.url) == ["both"]
        assert "both" not in at.servers.ids(A.url)


async def test_what_is_due_at_a_server_that_asked_for_a_rest_waits_for_it(outbox: Outbox) -> None:
    async with carrying(outbox, Servers({A.url: [answer(429, 10.0), OK]})) as at:
        await at.put(delivery("a"))
        await asyncio.sleep(1)
        await at.put(delivery("both", A, B))
        await asyncio.sleep(30)
        assert at.servers.ids(B.url) == []
        assert sorted(at.servers.ids(A.url)) == ["a", "a", "both"]


@pytest.mark.parametrize(
    ("refusal", "cause", "state"),
    [
        (CannotSign("its settings are wrong"), Cause.CANNOT_SIGN, State.FAILED),
        (CannotSign("no token", retryable=True), Cause.NOT_SIGNED, State.WAITING),
        (StoreUnavailable("gone"), Cause.NOT_SIGNED, State.WAITING),
        (RuntimeError("a mistake of ours"), Cause.UNSENT, State.WAITING),
    ],
)
async def test_what_cannot_be_signed_is_not_sent(
    outbox: Outbox, refusal: Exception, cause: Cause, state: State
) -> None:
    async with carrying(outbox) as at:
        at.signing.refusal = refusal
        await at.put(delivery("a"))
        await asyncio.sleep(2)
        assert at.servers.heard == []
        assert set(await at.causes("a")) <= {cause, Cause.SENDING}
        assert (await at.row("a")).state in (state, State.SENDING)
        # It says nothing of the server: nobody else waits for it.
        at.signing.refusal = None
        await at.put(delivery("b"))
        await asyncio.sleep(1)
        assert "b" in at.servers.ids()


async def test_a_401_is_told_to_who_signs(outbox: Outbox) -> None:
    async with carrying(outbox, Servers({A.url: [answer(401)]})) as at:
        await at.put(delivery("a", Endpoint(A.url, "credential:7")))
        await asyncio.sleep(1)
        assert at.signing.refused_for == ["credential:7"]


async def test_an_attempt_whose_process_died_is_made_again_after_its_lease(outbox: Outbox) -> None:
    await outbox.enqueue([delivery("a")], now_ms())
    assert len(await outbox.claim(ClaimQuery("dead", now_ms(), now_ms() + 30_000, 9, 9))) == 1
    async with carrying(outbox) as at:
        await asyncio.sleep(29)
        assert at.servers.heard == []
        await asyncio.sleep(15)
        assert at.servers.ids() == ["a"]
        assert await at.causes("a") == [Cause.ORPHANED, Cause.ANSWERED]


async def test_a_request_that_takes_longer_than_a_lease_keeps_it(outbox: Outbox) -> None:
    slow = Endpoint(A.url, timeout_s=300.0)
    servers = Servers(took_s={A.url: 200.0})
    seldom = {"poll_s": 10.0}
    async with (
        carrying(outbox, servers, limits=seldom) as at,
        carrying(outbox, servers, owner="other", limits=seldom),
    ):
        await at.put(delivery("a", slow))
        await asyncio.sleep(300)
        assert at.servers.ids() == ["a"]
        assert await at.causes("a") == [Cause.ANSWERED]


async def test_a_courier_that_was_held_up_sends_nothing_that_may_be_anothers_by_now(outbox: Outbox) -> None:
    loop: Any = asyncio.get_running_loop()
    servers = Servers()

    class HeldUp(Signing):
        async def headers(self, *args: Any, **more: Any) -> Mapping[str, str]:
            loop.hold_up(25.0)
            return await super().headers(*args, **more)

    async with carrying(outbox, servers) as at:
        at.courier._headers = HeldUp()
        await at.put(delivery("a"))
        await asyncio.sleep(1)
        at.courier._headers = at.signing
        await asyncio.sleep(100)
        assert (await at.causes("a"))[0] is Cause.UNSENT
        assert servers.ids() == ["a"]


async def test_a_clock_that_is_set_changes_neither_what_is_out_nor_what_waits(outbox: Outbox) -> None:
    jump_ms = 0

    def jumping() -> int:
        return now_ms() + jump_ms

    servers = Servers({B.url: [BROKEN, OK]}, took_s={A.url: 20.0})
    async with carrying(outbox, servers, clock=jumping) as at:
        await at.put(delivery("a"), delivery("b", B))
        await asyncio.sleep(1)
        jump_ms = 3_600_000
        await asyncio.sleep(1)
        jump_ms = -3_600_000
        await asyncio.sleep(60)
        assert at.servers.ids(A.url) == ["a"]
        assert (await at.row("a")).state is State.DELIVERED
        assert (await at.row("b")).state is State.DELIVERED


async def test_a_clock_that_is_set_forward_takes_nothing_away_from_who_has_it(outbox: Outbox) -> None:
    jump_ms = 0

    def jumping() -> int:
        return now_ms() + jump_ms

    await outbox.enqueue([delivery("a"), delivery("b")], now_ms())
    [a, _] = await outbox.claim(ClaimQuery("other", now_ms(), now_ms() + 30_000, 9, 9))
    async with carrying(outbox, clock=jumping) as at:
        await asyncio.sleep(2)
        jump_ms = 3_600_000
        await asyncio.sleep(20)
        # It has seen by its own clock that it is time; whoever had the other one is dead.
        await outbox.renew("other", {a.delivery.id: a.token}, jumping() + 30_000)
        await asyncio.sleep(25)
        assert at.servers.ids() == ["b"]


async def test_a_clock_that_was_set_back_while_nobody_looked_makes_nothing_wait_longer(
    outbox: Outbox,
) -> None:
    hour_ms = 3_600_000
    async with carrying(outbox, Servers({B.url: [BROKEN, OK]}), clock=lambda: now_ms() + hour_ms) as before:
        await before.put(delivery("b", B))
        await asyncio.sleep(0.1)
        assert (await before.row("b")).state is State.WAITING
    async with carrying(outbox, Servers()) as at:
        await asyncio.sleep(60)
        assert (await at.row("b")).state is State.DELIVERED


async def test_a_clock_that_was_set_back_while_the_store_was_away_makes_nothing_wait_longer(
    outbox: Outbox,
) -> None:
    jump_ms = 3_600_000
    failing = Failing(outbox)
    servers = Servers({A.url: [BROKEN, OK], B.url: [BROKEN, OK]}, took_s={B.url: 2.0})
    async with carrying(failing, servers, clock=lambda: now_ms() + jump_ms) as at:
        await at.put(delivery("a"), delivery("b", B))
        await asyncio.sleep(1)
        # The one waits for its next time; the other comes to its end while nothing can be written.
        failing.gone = True
        await asyncio.sleep(3)
        jump_ms = 0
        await asyncio.sleep(5)
        failing.gone = False
        await asyncio.sleep(120)
        assert (await at.row("a")).state is State.DELIVERED
        assert (await at.row("b")).state is State.DELIVERED


async def test_what_began_before_the_clock_was_set_back_and_is_stored_after_does_not_wait_longer(
    outbox: Outbox,
) -> None:
    jump_ms = 3_600_000
    async with carrying(outbox, clock=lambda: now_ms() + jump_ms) as at:
        await at.put(delivery("a"))
        await asyncio.sleep(1)
        jump_ms = 0
        await asyncio.sleep(2)
        await outbox.enqueue([delivery("b")], now_ms() + 3_600_000)
        await asyncio.sleep(60)
        assert (await at.row("b")).state is State.DELIVERED


@dataclass
class Failing:
    """An outbox whose store goes away, or stumbles over one delivery."""

    inner: Outbox
    gone: bool = False
    poison: str = ""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        async def asked(*args: Any) -> Any:
            if self.gone:
                raise StoreUnavailable("gone")
            return await method(*args)

        return asked

    async def finish(self, finished: Sequence[Finished], now: int) -> Sequence[str]:
        if self.gone:
            raise StoreUnavailable("gone")
        if any(item.claimed.delivery.id == self.poison for item in finished):
            raise ValueError("it cannot be written")
        return await self.inner.finish(finished, now)


async def test_what_was_answered_while_the_store_was_gone_is_written_when_it_is_back(outbox: Outbox) -> None:
    failing: Any = Failing(outbox)
    async with carrying(failing, Servers(took_s={A.url: 1.0})) as at:
        await outbox.enqueue([delivery("a")], now_ms())
        await asyncio.sleep(0.7)
        failing.gone = True
        await asyncio.sleep(20)
        assert at.courier.unavailable == "gone"
        failing.gone = False
        await asyncio.sleep(10)
        assert at.courier.unavailable is None
        assert at.servers.ids() == ["a"]
        assert await at.causes("a") == [Cause.ANSWERED]


async def test_one_that_cannot_be_written_holds_up_no_other(outbox: Outbox) -> None:
    failing: Any = Failing(outbox, poison="bad")
    async with carrying(failing) as at:
        await outbox.enqueue([delivery("bad"), delivery("good", B), delivery("fine", B)], now_ms())
        await asyncio.sleep(4)
        states = {row.delivery.id: row.state for row in await outbox.list(ORG, DeliveryQuery())}
        assert states == {"bad": State.SENDING, "good": State.DELIVERED, "fine": State.DELIVERED}
        assert not at.task.done()


async def test_a_mistake_in_one_turn_is_not_the_end(outbox: Outbox) -> None:
    broken = [RuntimeError("a mistake")]

    class Stumbling(Failing):
        async def claim(self, query: ClaimQuery) -> Sequence[Claimed]:
            if broken:
                raise broken.pop()
            return await self.inner.claim(query)

    stumbling: Any = Stumbling(outbox)
    async with carrying(stumbling) as at:
        await outbox.enqueue([delivery("a")], now_ms())
        await asyncio.sleep(4)
        assert at.servers.ids() == ["a"]


async def test_closing_waits_for_what_is_out_and_gives_the_rest_back(outbox: Outbox) -> None:
    servers = Servers(took_s={A.url: 2.0, B.url: 50.0})
    async with carrying(outbox, servers, limits={"drain_s": 5.0}) as at:
        await at.put(delivery("short"), delivery("long", B))
        await asyncio.sleep(1)
        at.task.cancel()
        await at.courier.close()
        assert now_s() == pytest.approx(6.0)
        assert (await at.row("short")).state is State.DELIVERED
        long = await at.row("long")
        assert (long.state, long.due_ms <= now_ms()) == (State.WAITING, True)


async def test_old_deliveries_are_forgotten(outbox: Outbox) -> None:
    async with carrying(outbox, limits={"keep_s": 1000.0, "poll_s": 100.0}) as at:
        await at.put(delivery("a"))
        await asyncio.sleep(900)
        await at.put(delivery("b"))
        await asyncio.sleep(600)
        assert [row.delivery.id for row in await outbox.list(ORG, DeliveryQuery())] == ["b"]


async def test_circuits_are_bounded(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aywa.service.courier.ENDPOINTS_KEPT", 10)
    async with carrying(outbox) as at:
        for number in range(30):
            await at.put(delivery(f"d{number}", Endpoint(f"https://{number}.example/")))
            await asyncio.sleep(1)
        assert len(at.servers.heard) == 30
        assert len(at.courier._health) <= 10


async def test_a_customers_plan_is_kept_to_the_second(outbox: Outbox) -> None:
    planned = Endpoint(A.url, backoff=BackoffPlan(2, 2.0, True, frozenset((404,))))
    async with carrying(outbox, Servers({A.url: [answer(400)]}), limits={"poll_s": 0.1}) as at:
        await at.put(delivery("a", planned))
        await asyncio.sleep(60)
        first, second, third = at.servers.times()
        assert 2.0 <= second - first <= 2.2
        assert 4.0 <= third - second <= 4.2
        assert (await at.row("a")).state is State.FAILED
