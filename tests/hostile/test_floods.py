"""Floods: of requests from one address and from very many, of connections that say nothing or only half of something. What a
stranger costs is bounded by named settings, and whoever may call goes on calling."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

from aywa.adapters.transports.sip.settings import SocketLimits
from aywa.core.sip.endpoint import Limits
from aywa.core.sip.guard import BURST, RATE_PER_S, TOTAL_BURST, TOTAL_PER_S
from tests.hostile.conftest import well_answered
from tests.hostile.stranger import Stranger, address, addresses, stranger
from tests.hostile.test_scanners import banned
from tests.peers.runtime import PhoneRuntime

FLOOD = 1_500
CROWD = 800
GROWTH_MB = 40
REFLECTED_SHARE = Limits().reflected_share
INSIDE = "Replaces: x;to-tag=1;from-tag=2"


def resident_mb(runtime: PhoneRuntime) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{runtime.dev.pid}/status").read_text("ascii"))
    assert found is not None
    return int(found[1]) / 1024


async def pour(line: Stranger, method: str, *fields: str, tag: str = "") -> None:
    for number in range(FLOOD):
        _, data = line.request(method, f"{100 + number}", *fields)
        line.send(data.replace(b"\r\nCall-ID", tag.encode() + b"\r\nCall-ID", 1))
        if number % 20 == 19:
            # About as fast as a stranger's line is.
            await asyncio.sleep(0.004)


@pytest.mark.parametrize(
    ("method", "tag", "fields"),
    [
        ("INVITE", "", ()),
        ("OPTIONS", "", ()),
        ("REGISTER", "", ()),
        ("INVITE", ";tag=inside", ()),
        pytest.param("BYE", ";tag=inside", (), marks=pytest.mark.all),
        pytest.param("INVITE", "", (INSIDE,), marks=pytest.mark.all),
        pytest.param("CANCEL", "", (), marks=pytest.mark.all),
        pytest.param("ACK", ";tag=inside", (), marks=pytest.mark.all),
    ],
)
async def test_a_flood_from_one_address(
    method: str, tag: str, fields: tuple[str, ...], besieged: PhoneRuntime
) -> None:
    loop = asyncio.get_running_loop()
    before_mb = resident_mb(besieged)
    async with stranger(besieged.place) as line:
        began_s = loop.time()
        await pour(line, method, *fields, tag=tag)
        calling = asyncio.create_task(well_answered(besieged, talk_s=1.0))
        await pour(line, method, *fields, tag=tag)
        took_s = loop.time() - began_s
        await calling
        assert len(line.heard) <= BURST + RATE_PER_S * took_s
        assert line.heard_bytes <= 0.1 * line.sent_bytes
        assert banned(besieged, line.own[0])
    assert resident_mb(besieged) - before_mb < GROWTH_MB


async def test_no_single_datagram_is_answered_at_length(besieged: PhoneRuntime) -> None:
    """And none twice: a stranger who does not acknowledge was perhaps never there."""
    async with stranger(besieged.place) as line:
        for method in ("INVITE", "OPTIONS", "REGISTER", "BYE"):
            for tag in ("", ";tag=inside"):
                _, data = line.request(method)
                line.send(data.replace(b"\r\nCall-ID", tag.encode() + b"\r\nCall-ID", 1))
        # The first retransmission would come after half a second, the second after one more (RFC 3261 17.2.1).
        await asyncio.sleep(1.2)
        assert len(line.heard) == line.sent == 8
        assert line.heard_bytes <= REFLECTED_SHARE * line.sent_bytes


async def test_a_datagram_too_short_for_its_answer_gets_none(besieged: PhoneRuntime) -> None:
    async with stranger(besieged.place) as line:
        line.send(
            b"OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP %s;branch=z9hG4bKq;rport\r\nf:<sip:a>;tag=1\r\nt:<sip:a>\r\n"
            b"i:1\r\nCSeq:1 OPTIONS\r\n\r\n" % line.own[0].encode()
        )
        await asyncio.sleep(0.3)
        assert line.heard_bytes <= REFLECTED_SHARE * line.sent_bytes


async def test_a_flood_from_very_many_addresses(besieged: PhoneRuntime) -> None:
    loop = asyncio.get_running_loop()
    before_mb = resident_mb(besieged)
    began_s = loop.time()
    answered = 0
    with ExitStack() as opened:
        lines = []
        for host in addresses(CROWD):
            line = opened.enter_context(socket(AF_INET, SOCK_DGRAM))
            line.bind((host, 0))
            line.setblocking(False)
            lines.append(line)
        calling = asyncio.create_task(well_answered(besieged, talk_s=1.0))
        for turn in range(4):
            for number, line in enumerate(lines):
                data = _register(line.getsockname(), f"{turn}-{number}")
                line.sendto(data, besieged.place)
                if number % 20 == 19:
                    await asyncio.sleep(0.004)
        await calling
        took_s = loop.time() - began_s
        for line in lines:
            with suppress(BlockingIOError):
                while True:
                    line.recv(65_536)
                    answered += 1
    assert 0 < answered <= TOTAL_BURST + TOTAL_PER_S * took_s
    assert resident_mb(besieged) - before_mb < GROWTH_MB


def _register(own: tuple[str, int], number: str) -> bytes:
    host, port = own
    return (
        f"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{number};rport\r\n"
        f"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {number}@{host}\r\n"
        f"CSeq: 1 REGISTER\r\nContact: <sip:a@{host}:{port}>\r\nUser-Agent: Telephone 1.0\r\n"
        "Max-Forwards: 70\r\nExpires: 300\r\nContent-Length: 0\r\n\r\n"
    ).encode()


# --- connections ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def connections(
    runtime: PhoneRuntime, host: str, count: int
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    made = []
    try:
        for _ in range(count):
            with suppress(OSError):
                made.append(await asyncio.open_connection(*runtime.place, local_addr=(host, 0)))
        yield made
    finally:
        for _, writer in made:
            writer.close()
        await asyncio.sleep(0)


async def open_ones(made: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]], within_s: float) -> int:
    """How many the runtime keeps."""
    reads = [asyncio.create_task(_closed(reader)) for reader, _ in made]
    _, waiting = await asyncio.wait(reads, timeout=within_s)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return len(waiting)


async def _closed(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(4096):
            pass


HALF = b"INVITE sip:demo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKh\r\n"


@pytest.mark.parametrize("said", [b"", HALF], ids=["nothing", "half a message"])
async def test_one_address_has_so_many_connections_and_no_more(said: bytes, besieged: PhoneRuntime) -> None:
    most = SocketLimits().connections_each
    async with connections(besieged, address(), most + 60) as made:
        for _, writer in made:
            writer.write(said)
        assert 0 < await open_ones(made, 0.5) <= most
        await well_answered(besieged, "tcp", talk_s=1.0)
        async with stranger(besieged.place) as line:
            assert await line.ask("OPTIONS") is not None


@pytest.mark.all
@pytest.mark.parametrize("said", [b"", HALF], ids=["nothing", "half a message"])
async def test_who_does_not_come_to_the_point_is_closed(said: bytes, besieged: PhoneRuntime) -> None:
    async with connections(besieged, address(), 100) as made:
        for _, writer in made:
            writer.write(said)
        assert await open_ones(made, SocketLimits().whole_s + 5.0) == 0
    await well_answered(besieged, "tcp")


async def test_who_is_banned_keeps_no_connection(besieged: PhoneRuntime) -> None:
    async with stranger(besieged.place) as line, connections(besieged, line.own[0], 20) as made:
        assert await open_ones(made, 0.2) == 20
        await line.ask("OPTIONS", agent="friendly-scanner", within_s=0.2)
        assert await open_ones(made, 1.0) == 0
        async with connections(besieged, line.own[0], 5) as again:
            assert await open_ones(again, 0.5) == 0


async def test_half_messages_without_end_are_held_within_a_bound(besieged: PhoneRuntime) -> None:
    before_mb = resident_mb(besieged)
    async with connections(besieged, address(), 100) as made:
        for _, writer in made:
            writer.write(HALF + b"X-Long: " + b"x" * 1_000_000)
        assert await open_ones(made, 3.0) == 0
        assert resident_mb(besieged) - before_mb < GROWTH_MB
    await well_answered(besieged, "tcp", talk_s=1.0)
