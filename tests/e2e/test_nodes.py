"""Two real runtimes over one PostgreSQL and one Valkey: leases that are emptied or gone end nothing; of a runtime that is killed
the other ends the calls on record and carries what was still to be told, once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from aywa.core.leases import BEATS
from tests.e2e.client import api, client, eventually
from tests.e2e.dev import Dev, until
from tests.e2e.test_drain import STORY
from tests.e2e.test_webhooks import Receiver, receiving
from tests.peers.postgres import postgres
from tests.peers.valkey import Valkey, valkey

DEAD_S = 4
FOUND_OUT_S = 60.0
WORKER_DIED = "call.in-progress.error-vapifault-worker-died"


@dataclass
class Pair:
    """The runtimes, what they share, and whom they tell."""

    one: Dev
    two: Dev
    leases: Valkey
    receiver: Receiver


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("nodes")
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres("fsync=off", "full_page_writes=off"))
        leases = stack.enter_context(valkey())
        receiver = Receiver()
        stack.enter_context(receiving(receiver))
        shared = {
            "RUNTIME_STORE_POSTGRES_URL": cluster.address,
            "REDIS_URL": leases.url,
            "RUNTIME_NODE_DEAD_S": str(DEAD_S),
            "RUNTIME_SIP_ENABLED": "false",
            "RUNTIME_STORE_ENCRYPTION_KEY": "q" * 43 + "=",
        }
        one, two = (Dev(folder / name, environment=shared) for name in ("one", "two"))
        # The first makes the schema and the organisation.
        for node in (one, two):
            stack.callback(node.stop)
            node.start()
            node.ready()
        yield Pair(one, two, leases, receiver)


def story(receiver: Receiver) -> dict[str, Any]:
    return {**STORY, "server": {"url": receiver.url}}


async def runs_on(dev: Dev, call_id: str) -> bool:
    _, call = await asyncio.to_thread(dev.ask, "GET", f"/call/{call_id}")
    return bool(call) and call.get("status") != "ended"


async def test_a_call_of_each_and_the_death_of_one(pair: Pair) -> None:
    one, two = pair.one, pair.two
    async with api(one.url, one.key) as ours, api(two.url, two.key) as theirs:
        dying, dying_url = await ours.place(story(pair.receiver))
        living, living_url = await theirs.place(story(pair.receiver))
        async with client(dying_url) as caller, client(living_url) as other:
            await asyncio.gather(caller.heard(20), other.heard(20))
            # Either sees the other's call, as one that runs.
            assert await runs_on(two, dying)
            assert await runs_on(one, living)
            # Nobody has a lease any more, for a moment.
            pair.leases.flush()
            before = len(other.frames)
            one.signal(signal.SIGKILL)
            assert await caller.closed() == 1006
            call = await theirs.ended(dying, FOUND_OUT_S)
            assert call["endedReason"] == WORKER_DIED
            assert "was not heard of any more" in call["endedMessage"]
            assert await runs_on(two, living)
            await other.heard(before + 20)
        assert (await theirs.ended(living))["endedReason"] == "customer-ended-call"
    await _told_once(pair, dying, living)


@asynccontextmanager
async def other_node(pair: Pair) -> AsyncIterator[Dev]:
    """The first runtime's data folder, in a new process."""
    again = Dev(pair.one.home, environment=pair.one.environment)
    try:
        again.start()
        await asyncio.to_thread(again.ready)
        yield again
    finally:
        await asyncio.to_thread(again.stop)


async def beaten(pair: Pair, times: int) -> None:
    """Waits until every node has shown itself so many times more."""
    connection = await asyncpg.connect(pair.two.environment["RUNTIME_STORE_POSTGRES_URL"])

    async def least() -> int:
        return int(await connection.fetchval("SELECT min(beat) FROM nodes"))

    before = await least()

    async def enough() -> bool:
        return await least() >= before + times

    try:
        await eventually(enough, FOUND_OUT_S, "a node stopped showing itself")
    finally:
        await connection.close()


async def _told_once(pair: Pair, *calls: str) -> None:
    async def reported() -> bool:
        return all(("end-of-call-report", "") in pair.receiver.of(call_id) for call_id in calls)

    await eventually(reported, FOUND_OUT_S, "no report")
    reports = [m["call"]["id"] for m in pair.receiver.messages if m["type"] == "end-of-call-report"]
    assert sorted(reports) == sorted(calls)


@pytest.mark.all
def test_the_dead_one_comes_back_and_what_it_knew_changes_nothing(pair: Pair) -> None:
    """It finds the end of its journal, of calls that are another's by now."""
    again = Dev(pair.one.home, environment=pair.one.environment)
    try:
        again.start()
        again.ready()
        status, answer = again.ask("GET", "/call?limit=10")
        calls: Any = answer
        assert status == 200
        found = {call["id"]: call["endedReason"] for call in calls}
        assert sorted(found.values()) == [WORKER_DIED, "customer-ended-call"]
        assert "Traceback" not in again.log
    finally:
        again.stop()


@pytest.mark.all
async def test_leases_that_are_gone_for_long_end_nothing(pair: Pair) -> None:
    async with api(pair.two.url, pair.two.key) as theirs, other_node(pair) as one:
        calls = [await theirs.place(story(pair.receiver)) for _ in range(2)]
        async with client(calls[0][1]) as caller, client(calls[1][1]) as other:
            await asyncio.gather(caller.heard(20), other.heard(20))
            await asyncio.to_thread(pair.leases.stop)
            try:
                await beaten(pair, 4 * BEATS)
            finally:
                await asyncio.to_thread(pair.leases.start)
            await beaten(pair, 2 * BEATS)
            for call_id, _ in calls:
                assert await runs_on(one, call_id)
                assert await runs_on(pair.two, call_id)
            assert one.readyz()[0] == pair.two.readyz()[0] == 200


@pytest.mark.all
async def test_who_was_stopped_comes_back_without_his_calls(pair: Pair) -> None:
    """SIGSTOP for longer than a node may be silent."""
    two = pair.two
    async with other_node(pair) as again, api(again.url, again.key) as ours, api(two.url, two.key) as theirs:
        call_id, url = await ours.place(story(pair.receiver))
        async with client(url) as caller:
            await caller.heard(20)
            again.signal(signal.SIGSTOP)
            try:
                call = await theirs.ended(call_id, FOUND_OUT_S)
            finally:
                again.signal(signal.SIGCONT)
            assert call["endedReason"] == WORKER_DIED
            await caller.closed(FOUND_OUT_S)
        until(lambda: again.readyz()[0] == 200, FOUND_OUT_S)
        _, after = await theirs.ask("GET", f"/call/{call_id}")
        assert {name: after[name] for name in ("endedReason", "endedAt", "messages")} == {
            name: call[name] for name in ("endedReason", "endedAt", "messages")
        }
        # It takes calls again.
        _, url = await ours.place(story(pair.receiver))
        async with client(url) as caller:
            await caller.heard(20)
