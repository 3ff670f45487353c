"""Both places for leases, and what is Redis' own: a server that is emptied, gone, silent, or wants a password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from aywa.adapters.leases.local import LocalLeases
from aywa.adapters.leases.redis import RedisLeases
from aywa.ports.leases import LeasesUnavailable, Usurped
from tests.peers.valkey import Valkey, valkey


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


@pytest.fixture
async def leases(server: Valkey) -> AsyncIterator[RedisLeases]:
    server.flush()
    opened = RedisLeases(server.url)
    yield opened
    await opened.close()


async def test_a_runtime_alone_knows_of_nobody() -> None:
    leases = LocalLeases()
    await leases.renew("a", 1, 10)
    assert await leases.standing(["a", "b"]) == frozenset()
    await leases.release("a", 1)
    await leases.close()


async def test_a_lease_stands_until_it_is_released(leases: RedisLeases, server: Valkey) -> None:
    await leases.renew("a", 1, 10)
    await leases.renew("b", 2, 10)
    assert await leases.standing(["a", "b", "c"]) == {"a", "b"}
    # Whoever had the name before releases nothing.
    await leases.release("b", 1)
    await leases.release("a", 1)
    assert await leases.standing(["a", "b", "c"]) == {"b"}
    assert await leases.standing([]) == frozenset()


async def test_it_ends_by_itself(leases: RedisLeases, server: Valkey) -> None:
    await leases.renew("a", 1, 10)
    assert 0 < int(server.ask("PTTL aywa:node:a").removeprefix(":")) <= 10_000


async def test_who_joined_last_has_the_name(leases: RedisLeases) -> None:
    await leases.renew("a", 9, 10)
    with pytest.raises(Usurped):
        await leases.renew("a", 8, 10)
    await leases.renew("a", 10, 10)
    assert await leases.standing(["a"]) == {"a"}


async def test_an_emptied_server_is_filled_again(leases: RedisLeases, server: Valkey) -> None:
    await leases.renew("a", 1, 10)
    server.flush()
    assert await leases.standing(["a"]) == frozenset()
    await leases.renew("a", 1, 10)
    assert await leases.standing(["a"]) == {"a"}


async def test_a_server_that_is_gone_is_said_so_and_used_again(leases: RedisLeases, server: Valkey) -> None:
    await leases.renew("a", 1, 10)
    server.stop()
    try:
        for asked in (
            leases.renew("a", 1, 10), leases.standing(["a"]), leases.standing([]), leases.release("a", 1)
        ):  # fmt: skip
            with pytest.raises(LeasesUnavailable):
                await asked
    finally:
        server.start()
    await leases.renew("a", 1, 10)
    assert await leases.standing(["a"]) == {"a"}


async def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    leases = RedisLeases(f"redis://:hunter2@127.0.0.1:{port}/0", answer_s=0.1)
    with pytest.raises(LeasesUnavailable) as told:
        await leases.renew("a", 1, 10)
    assert "hunter2" not in str(told.value)
    await leases.close()
    listening.close()
    await listening.wait_closed()
