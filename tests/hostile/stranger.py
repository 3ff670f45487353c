"""Somebody whom the runtime does not know: an address of the loopback that is in none of its networks. Counts what goes out
and what comes back, and can be as rude as it likes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from aywa.testing.softphone.message import Message, NotSip, parse

Place = tuple[str, int]
ANSWER_S = 2.0
# No test shares an address with another: a ban outlives its test.
_ADDRESSES = (f"127.{a}.{b}.{c}" for a in range(1, 255) for b in range(256) for c in range(1, 255))
_CALLS = itertools.count(1)


def address() -> str:
    """One that nobody has had."""
    return next(_ADDRESSES)


def addresses(count: int) -> Iterator[str]:
    return itertools.islice(_ADDRESSES, count)


class Stranger(asyncio.DatagramProtocol):
    """A UDP socket, and what it heard."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.sent = self.sent_bytes = 0
        self.heard: list[Message] = []
        self.heard_bytes = 0
        self.own: Place = ("", 0)
        self._changed = asyncio.Event()
        self._socket: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)
        self.own = self._socket.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self.heard_bytes += len(data)
        try:
            self.heard.append(parse(data))
        except NotSip:
            return
        self._changed.set()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self.sent += 1
        self.sent_bytes += len(data)
        self._socket.sendto(data, self.place)

    async def answer(self, call_id: str, within_s: float = ANSWER_S) -> Message | None:
        """The final answer in that call, None when there is none for so long."""

        def final() -> Message | None:
            told = (each for each in self.heard if each.status >= 200 and each.get("Call-ID") == call_id)
            return next(told, None)

        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.until(final)
        return final()

    async def until(self, true: Callable[[], object]) -> None:
        """Waits until something was heard that makes it true."""
        while not true():
            self._changed.clear()
            await self._changed.wait()

    async def ask(
        self,
        method: str,
        user: str = "demo",
        *fields: str,
        agent: str = "Telephone 1.0",
        within_s: float = ANSWER_S,
    ) -> Message | None:
        """A request of its own, and its final answer."""
        call_id, data = self.request(method, user, *fields, agent=agent)
        self.send(data)
        return await self.answer(call_id, within_s)

    def request(
        self, method: str, user: str = "demo", *fields: str, agent: str = "Telephone 1.0", cseq: int = 1
    ) -> tuple[str, bytes]:
        """Its Call-ID, and the bytes."""
        host, port = self.place
        number = next(_CALLS)
        call_id = f"{number}@{self.own[0]}"
        domain = f"{host}:{port}"
        uri = f"sip:{domain}" if method == "REGISTER" else f"sip:{user}@{domain}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.own[0]}:{self.own[1]};branch=z9hG4bK{number};rport",
            "Max-Forwards: 70",
            f'From: "{user}" <sip:{user}@{domain}>;tag=t{number}',
            f'To: "{user}" <sip:{user}@{domain}>',
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{user}@{self.own[0]}:{self.own[1]}>",
            f"User-Agent: {agent}",
            "Accept: application/sdp",
            *fields,
            "Content-Length: 0",
        ]
        return call_id, ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def stranger(place: Place, host: str = "") -> AsyncIterator[Stranger]:
    loop = asyncio.get_running_loop()
    _, made = await loop.create_datagram_endpoint(lambda: Stranger(place), local_addr=(host or address(), 0))
    try:
        yield made
    finally:
        made.close()
        await asyncio.sleep(0)
