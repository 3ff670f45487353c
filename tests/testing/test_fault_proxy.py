from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aywa.testing.fault_proxy import Deed, FaultProxy, NetworkFault, Trouble


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1?x=y"
    finally:
        server.close()
        # A connection that was cut is told of it in the loop's next rounds.
        await asyncio.sleep(0.02)


@asynccontextmanager
async def line(proxy: FaultProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = int(proxy.url.split(":")[2].split("/")[0])
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


async def said(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, data: bytes) -> bytes:
    writer.write(data)
    await writer.drain()
    return await reader.readexactly(len(data))


async def test_it_carries_both_ways_and_counts() -> None:
    async with echo() as url, FaultProxy(url) as proxy:
        assert proxy.url.endswith("/v1?x=y")
        async with line(proxy) as (reader, writer):
            assert await said(writer, reader, b"hello") == b"hello"
            assert (proxy.connections, proxy.open) == (1, 1)
            writer.write_eof()
            assert await reader.read() == b""
        await proxy.lines[0].over.wait()
        assert proxy.lines[0].client_left.is_set()
        assert (proxy.lines[0].up_bytes, proxy.lines[0].down_bytes, proxy.open) == (5, 5, 0)


@pytest.mark.parametrize("way", ["up", "down"])
async def test_it_cuts_after_so_many_bytes(way: str) -> None:
    trouble = Trouble(Deed.CUT, 3)
    fault = NetworkFault(up=trouble) if way == "up" else NetworkFault(down=trouble)
    async with echo() as url, FaultProxy(url) as proxy:
        proxy.plan.append(fault)
        async with line(proxy) as (reader, writer):
            writer.write(b"hello")
            got = await reader.read()
            assert got == b"hel" or (way == "up" and got == b"")
        async with line(proxy) as (reader, writer):
            assert await said(writer, reader, b"hello") == b"hello"


@pytest.mark.parametrize("way", ["up", "down"])
async def test_it_resets(way: str) -> None:
    trouble = Trouble(Deed.RESET)
    fault = NetworkFault(up=trouble) if way == "up" else NetworkFault(down=trouble)
    async with echo() as url, FaultProxy(url, fault) as proxy, line(proxy) as (reader, writer):
        writer.write(b"hello")
        with pytest.raises(ConnectionResetError):
            await reader.read()


@pytest.mark.parametrize("deed", [Deed.STALL, Deed.SWALLOW])
async def test_it_keeps_what_it_was_given(deed: Deed) -> None:
    async with (
        echo() as url,
        FaultProxy(url, NetworkFault(down=Trouble(deed, 2))) as proxy,
        line(proxy) as (reader, writer),
    ):
        writer.write(b"hello")
        assert await reader.readexactly(2) == b"he"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
        assert proxy.open == 1


async def test_a_stalled_way_fills_the_senders_buffers_and_a_swallowed_one_does_not() -> None:
    for deed, fills in ((Deed.STALL, True), (Deed.SWALLOW, False)):
        async with (
            echo() as url,
            FaultProxy(url, NetworkFault(up=Trouble(deed))) as proxy,
            line(proxy) as (_, writer),
        ):
            writer.write(bytes(20_000_000))
            stuck = False
            try:
                async with asyncio.timeout(0.3 if fills else 5):
                    await writer.drain()
            except TimeoutError:
                stuck = True
            assert stuck == fills


async def test_it_is_as_slow_as_it_was_told() -> None:
    loop = asyncio.get_running_loop()
    async with (
        echo() as url,
        FaultProxy(url, NetworkFault(down_bytes_s=10_000)) as proxy,
        line(proxy) as (reader, writer),
    ):
        began_s = loop.time()
        await said(writer, reader, bytes(1_000))
        assert loop.time() - began_s >= 0.08


async def test_it_refuses_in_both_ways() -> None:
    async with echo() as url, FaultProxy(url, NetworkFault(refuse=True)) as proxy:
        async with line(proxy) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        proxy.stop_listening()
        with pytest.raises(ConnectionRefusedError):
            async with line(proxy):
                pass
        proxy.fault = NetworkFault()
        await proxy.listen()
        async with line(proxy) as (reader, writer):
            assert await said(writer, reader, b"hello") == b"hello"


async def test_a_half_open_line_takes_everything_and_gives_nothing() -> None:
    async with echo() as url, FaultProxy(url, NetworkFault(half_open=True)) as proxy:
        async with line(proxy) as (reader, writer):
            writer.write(bytes(1_000))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read(1)
        async with asyncio.timeout(1):
            await proxy.lines[0].client_left.wait()


@pytest.mark.parametrize("deed", [Deed.CUT, Deed.RESET, Deed.STALL, Deed.SWALLOW])
async def test_trouble_may_come_at_any_time(deed: Deed) -> None:
    async with echo() as url, FaultProxy(url) as proxy, line(proxy) as (reader, writer):
        assert await said(writer, reader, b"hello") == b"hello"
        proxy.do(deed)
        writer.write(b"more")
        if deed in (Deed.STALL, Deed.SWALLOW):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read(1)
        elif deed is Deed.CUT:
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
        else:
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_a_server_that_is_not_there_hangs_up() -> None:
    async with echo() as url:
        pass
    async with FaultProxy(url) as proxy, line(proxy) as (reader, _):
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
