"""SIP's sockets on loopback: datagrams, streams both ways, TLS, limits, and what is told when a stream is gone."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aywa.adapters.transports.sip.settings import SocketLimits
from aywa.adapters.transports.sip.sockets import NOT_BELIEVED, Bound, Sockets, any_free_port, free_port
from aywa.boot.tls import certificate, context
from aywa.core.sip.flow import Flow

LIMITS = SocketLimits(connect_s=2.0, handshake_s=2.0)


def options(length: int = 0) -> bytes:
    return (
        b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: %d\r\n\r\n" % length
    ) + b"x" * length


@dataclass
class End:
    """One side: what it heard and lost."""

    sockets: Sockets
    heard: list[tuple[bytes, Flow]] = field(default_factory=list)
    lost: list[tuple[Flow, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def end(
    limits: SocketLimits = LIMITS, shuns: Callable[[str], bool] = lambda host: False
) -> AsyncIterator[End]:
    made: End

    def heard(data: bytes, flow: Flow) -> None:
        made.heard.append((data, flow))
        made.changed.set()

    def lost(flow: Flow, why: str) -> None:
        made.lost.append((flow, why))
        made.changed.set()

    made = End(Sockets(heard, lost, limits, shuns))
    try:
        yield made
    finally:
        await made.sockets.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_go_both_ways(host: str) -> None:
    async with end() as one, end() as other:
        here, there = [await side.sockets.open("udp", host, 0) for side in (one, other)]
        flow = one.sockets.flow_to("udp", there.place)
        assert flow == Flow("udp", here.place, there.place)
        one.sockets.send(flow, b"hello")
        await other.until(lambda: other.heard)
        data, back = other.heard[0]
        assert (data, back) == (b"hello", Flow("udp", there.place, here.place))
        other.sockets.send(back, b"answer")
        await one.until(lambda: one.heard)
        assert one.heard[0][0] == b"answer"


async def test_keep_alives_by_udp_are_not_messages() -> None:
    async with end() as one, end() as other:
        await one.sockets.open("udp", "127.0.0.1", 0)
        there = await other.sockets.open("udp", "127.0.0.1", 0)
        flow = one.sockets.flow_to("udp", there.place)
        assert flow is not None
        for data in (b"\r\n\r\n", b"\0", b"   ", b"real"):
            one.sockets.send(flow, data)
        await other.until(lambda: other.heard)
        assert [data for data, _ in other.heard] == [b"real"]


async def test_no_way_where_no_socket_is() -> None:
    async with end() as one:
        await one.sockets.open("udp", "127.0.0.1", 0)
        assert one.sockets.flow_to("udp", ("::1", 5060)) is None
        assert one.sockets.flow_to("tcp", ("127.0.0.1", 5060)) is None
        # Where a call back is not possible, TLS can still be spoken to whoever is asked.
        assert one.sockets.flow_to("tls", ("127.0.0.1", 5061)) == Flow("tls", ("", 0), ("127.0.0.1", 5061))


async def test_a_stream_is_opened_once_and_used_for_both_directions() -> None:
    async with end() as one, end() as other:
        await one.sockets.open("tcp", "127.0.0.1", 0)
        there = await other.sockets.open("tcp", "127.0.0.1", 0)
        flow = one.sockets.flow_to("tcp", there.place)
        assert flow is not None
        assert flow.connection_id is None
        one.sockets.send(flow, options(5))
        one.sockets.send(flow, options())
        await other.until(lambda: len(other.heard) == 2)
        assert [data for data, _ in other.heard] == [options(5), options()]
        back = other.heard[0][1]
        assert back == other.heard[1][1]
        other.sockets.send(back, options(1))
        await one.until(lambda: one.heard)
        assert one.sockets.flow_to("tcp", there.place) == one.heard[0][1]
        assert one.sockets.has(one.heard[0][1])


async def test_pings_are_answered_on_a_stream() -> None:
    async with end() as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*bound.place)
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readexactly(2) == b"\r\n"
        writer.close()


async def test_a_stream_that_cannot_be_opened_is_told() -> None:
    async with end() as one:
        await one.sockets.open("tcp", "127.0.0.1", 0)
        nobody = free_port(["127.0.0.1"], 40_000)
        assert nobody is not None
        flow = one.sockets.flow_to("tcp", ("127.0.0.1", nobody))
        assert flow is not None
        one.sockets.send(flow, options())
        await one.until(lambda: one.lost)
        assert one.lost[0][0] == flow
        assert "cannot connect" in one.lost[0][1]
        assert one.sockets.flow_to("tcp", ("127.0.0.1", nobody)) == flow


async def test_what_belonged_to_a_stream_that_is_gone_goes_nowhere_else() -> None:
    async with end() as one, end() as other:
        await one.sockets.open("tcp", "127.0.0.1", 0)
        there = await other.sockets.open("tcp", "127.0.0.1", 0)
        flow = one.sockets.flow_to("tcp", there.place)
        assert flow is not None
        one.sockets.send(flow, options())
        await other.until(lambda: other.heard)
        back = other.heard[0][1]
        await one.sockets.close()
        await other.until(lambda: other.lost)
        assert other.lost[0][0] == back
        other.lost.clear()
        other.sockets.send(back, options())
        await other.until(lambda: other.lost)
        assert other.lost == [(back, "the connection is gone")]


async def test_what_is_no_sip_ends_its_stream_only() -> None:
    async with end() as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*bound.place)
        good_reader, good = await asyncio.open_connection(*bound.place)
        good.write(options())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        await one.until(lambda: one.lost)
        assert one.lost[0][1] == "not SIP: no Content-Length"
        good.write(options(3))
        await one.until(lambda: len(one.heard) == 3)
        writer.close()
        good.close()
        assert not good_reader.at_eof()


async def test_an_address_has_so_many_streams_and_no_more() -> None:
    limits = SocketLimits(connections_each=2)
    async with end(limits) as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        opened = [await asyncio.open_connection(*bound.place) for _ in range(3)]
        async with asyncio.timeout(5):
            assert await opened[2][0].read() == b""
        opened[0][1].write(options())
        await one.until(lambda: one.heard)
        for _, writer in opened:
            writer.close()


@pytest.mark.parametrize(
    "said", [b"", b"OPTIONS sip:a SIP/2.0\r\n", options(9)[:-1], options() + b"BYE", b"\r\n\r\nA"]
)
async def test_who_connects_and_does_not_finish_is_closed(said: bytes) -> None:
    async with end(SocketLimits(whole_s=0.3)) as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*bound.place)

        async def drip() -> None:
            # A byte now and then is no message.
            for octet in said[:-1] or said:
                writer.write(bytes([octet]))
                await asyncio.sleep(0.001)
            writer.write(said[-1:])

        dripping = asyncio.create_task(drip())
        await one.until(lambda: one.lost)
        await dripping
        assert one.lost[0][1].startswith("no whole message within")
        # What it asked before may be answered still; then it is over.
        with suppress(ConnectionError):
            async with asyncio.timeout(2):
                await reader.read()
        writer.close()


async def test_who_has_said_something_whole_may_be_silent() -> None:
    async with end(SocketLimits(whole_s=0.1)) as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        for said in (options(), b"\r\n\r\n", options(5)):
            _, writer = await asyncio.open_connection(*bound.place)
            writer.write(said)
            await asyncio.sleep(0.25)
            writer.write(options(7))
            await one.until(lambda: one.heard and one.heard[-1][0] == options(7))
            one.heard.clear()
            writer.close()
        assert all("whole" not in why for _, why in one.lost)


async def test_who_is_shunned_keeps_no_stream() -> None:
    shunned: set[str] = set()
    async with end(shuns=shunned.__contains__) as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*bound.place)
        writer.write(options())
        await one.until(lambda: one.heard)
        shunned.add("127.0.0.1")
        one.sockets.cut_off("127.0.0.2")
        assert one.sockets.has(one.heard[0][1])
        one.sockets.cut_off("127.0.0.1")
        await one.until(lambda: one.lost)
        again = await asyncio.open_connection(*bound.place)
        for each in (reader, again[0]):
            async with asyncio.timeout(2):
                with suppress(ConnectionError):
                    assert await each.read() == b""
        writer.close()
        again[1].close()


async def test_a_far_side_that_does_not_read_is_cut_off() -> None:
    async with end(SocketLimits(queue_bytes=10_000)) as one:
        bound = await one.sockets.open("tcp", "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*bound.place)
        writer.write(options())
        await one.until(lambda: one.heard)
        flow = one.heard[0][1]
        sent = 0
        while not one.lost and sent < 2_000:
            one.sockets.send(flow, b"x" * 100_000)
            sent += 1
            await asyncio.sleep(0)
        await one.until(lambda: one.lost)
        assert "does not read" in one.lost[0][1]
        writer.close()


async def test_tls_with_a_certificate_that_is_believed(tmp_path: Path) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    believing = ssl.create_default_context(cafile=str(files[0]))
    async with end() as one, end() as other:
        there = await other.sockets.open("tls", "127.0.0.1", 0, context(*files))
        assert there == Bound("tls", there.place)
        one.sockets.trust(believing)
        flow = one.sockets.flow_to("tls", there.place)
        assert flow is not None
        one.sockets.send(flow, options(2))
        await other.until(lambda: other.heard)
        assert other.heard[0][0] == options(2)
        assert other.heard[0][1].transport == "tls"


async def test_tls_with_a_certificate_that_is_not(tmp_path: Path) -> None:
    async with end() as one, end() as other:
        there = await other.sockets.open("tls", "127.0.0.1", 0, context(*certificate(tmp_path, "127.0.0.1")))
        flow = one.sockets.flow_to("tls", there.place)
        assert flow is not None
        one.sockets.send(flow, options())
        await one.until(lambda: one.lost)
        assert f"{NOT_BELIEVED} for 127.0.0.1: self" in one.lost[0][1]
        assert not other.heard


async def test_tls_with_somebody_else_s_certificate(tmp_path: Path) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    async with end() as one, end() as other:
        there = await other.sockets.open("tls", "127.0.0.1", 0, context(*files))
        one.sockets.trust(ssl.create_default_context(cafile=str(files[0])))
        flow = one.sockets.flow_to("tls", there.place, "sip.example.com")
        assert flow is not None
        one.sockets.send(flow, options())
        await one.until(lambda: one.lost)
        assert f"{NOT_BELIEVED} for sip.example.com: Hostname mismatch" in one.lost[0][1]


async def test_where_no_tls_is_spoken_that_is_told() -> None:
    async with end() as one, end() as other:
        there = await other.sockets.open("tcp", "127.0.0.1", 0)
        flow = one.sockets.flow_to("tls", there.place)
        assert flow is not None
        one.sockets.send(flow, options())
        await one.until(lambda: one.lost)
        assert "by tls" in one.lost[0][1]
        assert NOT_BELIEVED not in one.lost[0][1]


@pytest.mark.parametrize("limits", [SocketLimits(connections_each=2), SocketLimits(connections=2)])
async def test_who_does_not_end_its_handshake_is_counted_too(limits: SocketLimits, tmp_path: Path) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    async with end(limits) as one:
        bound = await one.sockets.open("tls", "127.0.0.1", 0, context(*files))
        silent = [await asyncio.open_connection(*bound.place) for _ in range(2)]
        third, writer = await asyncio.open_connection(*bound.place)
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                assert await third.read() == b""
        # One of them gives up: there is room again.
        silent[0][1].close()
        believing = ssl.create_default_context(cafile=str(files[0]))
        good: asyncio.StreamWriter | None = None
        async with asyncio.timeout(5):
            while good is None:
                with suppress(OSError):
                    _, good = await asyncio.open_connection(*bound.place, ssl=believing)
        good.write(options())
        await one.until(lambda: one.heard)
        for each in (writer, silent[1][1], good):
            each.close()


async def test_a_handshake_has_its_time_and_no_more(tmp_path: Path) -> None:
    async with end(SocketLimits(handshake_s=0.1, connections_each=1)) as one:
        files = certificate(tmp_path, "127.0.0.1")
        bound = await one.sockets.open("tls", "127.0.0.1", 0, context(*files))
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x10"):
            reader, writer = await asyncio.open_connection(*bound.place)
            writer.write(said)
            with suppress(ConnectionError):
                async with asyncio.timeout(5):
                    await reader.read()
            writer.close()
        believing = ssl.create_default_context(cafile=str(files[0]))
        _, writer = await asyncio.open_connection(*bound.place, ssl=believing)
        writer.write(options())
        await one.until(lambda: one.heard)
        writer.close()


async def test_who_is_shunned_does_not_even_begin_a_handshake(tmp_path: Path) -> None:
    async with end(shuns=lambda host: True) as one:
        files = certificate(tmp_path, "127.0.0.1")
        bound = await one.sockets.open("tls", "127.0.0.1", 0, context(*files))
        reader, writer = await asyncio.open_connection(*bound.place)
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                assert await reader.read() == b""
        writer.close()


async def test_a_port_that_closes_in_the_middle_of_a_handshake_leaves_nothing(tmp_path: Path) -> None:
    async with end() as one:
        bound = await one.sockets.open("tls", "127.0.0.1", 0, context(*certificate(tmp_path, "127.0.0.1")))
        reader, writer = await asyncio.open_connection(*bound.place)
        await asyncio.sleep(0)
    with suppress(ConnectionError):
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    writer.close()


async def test_a_taken_port_is_passed_over() -> None:
    async with end() as one:
        bound = await one.sockets.open("udp", "127.0.0.1", 0)
        port = bound.place[1]
        found = free_port(["127.0.0.1"], port)
        assert found is not None
        assert found > port
        assert free_port(["127.0.0.1"], port, tries=1) is None


def test_any_free_port_is_free_for_both() -> None:
    port = any_free_port(["127.0.0.1", "::1"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        assert free_port(["127.0.0.1"], port, 1) is None


def test_where_no_port_is_free_for_both_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aywa.adapters.transports.sip.sockets._is_free", lambda host, port: False)
    with pytest.raises(OSError, match="both UDP and TCP"):
        any_free_port(["127.0.0.1"], tries=2)
