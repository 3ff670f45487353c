# ruff: noqa: RUF001 - look-alikes are what this is about
"""Requests that a customer steers never reach what is internal, however it is spelt, named, rebound or redirected to.

A canary listens on loopback, on IPv4 and IPv6. Names are looked up in a table here: nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from aywa.adapters.wire.guard import InternalAddress
from aywa.adapters.wire.outbound import Outbound, is_internal
from aywa.core.outbound import Allowed, read_allowed

PUBLIC = "93.184.216.34"


def _octets(numbers: tuple[int, int, int, int]) -> list[str]:
    """The ways in which the C library reads an IPv4 address: parts left out, decimal, octal, hexadecimal."""
    a, b, c, d = numbers
    whole = a << 24 | b << 16 | c << 8 | d
    parts: list[tuple[int, ...]] = [(a, b, c, d), (a, b, c << 8 | d), (a, b << 16 | c << 8 | d), (whole,)]
    ways = ("{:d}", "{:#x}", "0{:o}", "0x{:08X}", "000{:o}")
    return [".".join(way.format(number) for number in each) for each, way in product(parts, ways)]


FOUR = (
    (127, 0, 0, 1),
    (127, 1, 2, 3),
    (10, 0, 0, 1),
    (169, 254, 169, 254),
    (192, 168, 1, 1),
    (172, 16, 0, 9),
)
SIX = (
    "::1",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "::0:1",
    "0::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:7F00:0001",
    "0:0:0:0:0:ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "::7f00:1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001::7f00:1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "::",
    "0:0:0:0:0:0:0:0",
    "::ffff:0.0.0.0",
    "fe80::1",
    "fe80::1%lo",
    "fe80::1%25lo",
    "::1%lo",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "ff05::1:3",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:10.0.0.1",
    "::ffff:c0a8:0101",
    "2001:db8::1",
    "100::1",
    "5f00::1",
    "2a00:1450::5efe:127.0.0.1",
)
ODD = (
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "localhost.",
    "localhost.localdomain",
    "ip6-localhost",
    "127.0.0.1.",
    "127.0.0.1。",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "loca\u00adlhost",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ",
    "%31%32%37.0.0.1",
    "127.0.0.1%20",
    "127.0.0.1%2e",
    "127%2e0%2e0%2e1",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0",
    "127.0.0.1\t",
    " 127.0.0.1",
    "127.0.0.256",
    "public.example@127.0.0.1",
    "public.example%40127.0.0.1",
    "public.example:x@127.0.0.1",
    "127.0.0.1\\@public.example",
    "127.0.0.1#@public.example",
    "internal.example",
    "INTERNAL.example.",
    "six.example",
    "mapped.example",
    "metadata.example",
    "both.example",
    "127.0.0.1.nip.example",
    "alias.example",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "255.255.255.255",
    "224.0.0.1",
    "198.18.0.1",
    "100.64.0.1",
    "240.0.0.1",
)
SPELLINGS = tuple(
    dict.fromkeys(
        [spelling for numbers in FOUR for spelling in _octets(numbers)]
        + [f"[{six}]" for six in SIX]
        + list(ODD)
    )
)
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "internal.example": ["127.0.0.1"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "both.example": ["10.0.0.1", "::1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "alias.example": ["0.0.0.0"],
}


@dataclass
class Names(AbstractResolver):
    """Reads numbers as the C library does, and names in a table whose entries may change with every question."""

    table: dict[str, list[str]] = field(default_factory=lambda: dict(NAMES))
    changing: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: int = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        name = host.rstrip(".").lower()
        if name in self.changing:
            addresses = self.changing[name].pop(0)
        else:
            addresses = self.table.get(name) or self._numbers(host.rstrip("."))
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    def _numbers(self, host: str) -> list[str]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            raise OSError(None, "no such name") from None
        return [str(one[4][0]) for one in found]

    async def close(self) -> None:
        return None


@dataclass
class Canary:
    """Hears whoever gets through."""

    port: int = 0
    hits: list[str] = field(default_factory=list)
    location: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.hits.append(f"{request.method} {request.path}")
        if request.path == "/redirect":
            return web.Response(status=307, headers={"Location": self.location})
        return web.Response(text="heard")


@asynccontextmanager
async def canary() -> AsyncIterator[Canary]:
    heard = Canary()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", heard.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    first = web.TCPSite(runner, "127.0.0.1", 0)
    await first.start()
    heard.port = runner.addresses[0][1]
    await web.TCPSite(runner, "::1", heard.port).start()
    try:
        yield heard
    finally:
        await runner.cleanup()


@asynccontextmanager
async def session(names: Names, allowed: Allowed | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    outbound = Outbound() if allowed is None else Outbound(allowed)
    connector = outbound.connector(resolver=names, use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as opened:
        yield opened


async def reached(client: aiohttp.ClientSession, url: str, **more: Any) -> str:
    """What became of a request: the guard's word, that the address is none, or that it went out."""
    try:
        async with asyncio.timeout(5), client.get(url, **more) as answer:
            return f"answered {answer.status}"
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError, ValueError):
        return "no address"
    except aiohttp.ClientConnectorDNSError:
        return "no address"
    except aiohttp.ClientError as error:
        return "internal" if is_internal(error) else f"went out: {type(error).__name__}"


def test_there_are_two_hundred_spellings() -> None:
    assert len(SPELLINGS) >= 200


async def test_the_canary_is_reached_without_the_guard() -> None:
    """Else the next test would prove nothing."""
    async with (
        canary() as heard,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Names())) as client,
    ):
        hosts = ("0x7f.1", "[::ffff:7f00:1]", "internal.example", "alias.example", "１２７.０.０.１", "[::1]")
        for host in hosts:
            assert await reached(client, f"http://{host}:{heard.port}/") == "answered 200"
        assert len(heard.hits) == len(hosts)


async def test_no_spelling_of_an_internal_address_is_reached() -> None:
    async with canary() as heard, session(Names()) as client:
        went = {
            spelling: came
            for spelling in SPELLINGS
            if (came := await reached(client, f"http://{spelling}:{heard.port}/"))
            not in ("internal", "no address")
        }
        assert (went, heard.hits) == ({}, [])


async def test_most_spellings_are_addresses_and_are_refused_as_such() -> None:
    async with session(Names()) as client:
        refused = [one for one in SPELLINGS if await reached(client, f"http://{one}:9/") == "internal"]
    # The rest the client itself takes for no address.
    assert len(refused) >= 120


async def test_a_name_that_changes_its_mind_between_two_questions_is_refused() -> None:
    names = Names(changing={"rebound.example": [[PUBLIC, "127.0.0.1"], ["127.0.0.1"], ["::1"]]})
    outbound = Outbound()
    async with canary() as heard, session(names) as client:
        outbound.check(PUBLIC, heard.port)
        # Asked for a check, the name was public; for the connection it is not.
        await names.resolve("rebound.example")
        assert await reached(client, f"http://rebound.example:{heard.port}/") == "internal"
        assert await reached(client, f"http://rebound.example:{heard.port}/") == "internal"
        assert heard.hits == []


async def test_a_redirect_from_an_allowed_server_goes_nowhere_internal() -> None:
    async with canary() as inner, canary() as outer:
        outer.location = f"http://localhost:{inner.port}/inside"
        allowed = read_allowed((f"127.0.0.1:{outer.port}",))
        async with session(Names(), allowed) as client:
            url = f"http://127.0.0.1:{outer.port}/redirect"
            assert await reached(client, url, allow_redirects=True) == "internal"
            assert await reached(client, url, allow_redirects=False) == "answered 307"
        assert (len(outer.hits), inner.hits) == (2, [])


async def test_what_the_operator_allows_is_reached_by_every_spelling_and_nothing_else() -> None:
    async with canary() as heard, session(Names(), read_allowed(("127.0.0.0/8",))) as client:
        for host in ("127.0.0.1", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"):
            assert await reached(client, f"http://{host}:{heard.port}/") == "answered 200"
        assert await reached(client, f"http://[::1]:{heard.port}/") == "internal"
        assert len(heard.hits) == 4


def test_a_socket_for_a_public_address_is_made_and_one_for_an_internal_is_not() -> None:
    outbound = Outbound()
    made = outbound.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (PUBLIC, 80)))
    assert made.family == socket.AF_INET
    made.close()
    with pytest.raises(InternalAddress) as refused:
        outbound.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", 80)))
    assert "10." not in str(refused.value)
    assert is_internal(ExceptionGroup("both", [OSError(1, "x"), refused.value]))
    assert not is_internal(OSError(1, "x"))
