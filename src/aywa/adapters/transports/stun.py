"""STUN's socket: asks servers which address they see one of our ports at (core.stun).

Nothing a server sends raises out of it, and it keeps no socket after it has answered.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

from aywa.core.stun import Mapped, Outcome, Place, Question, Timers, Unanswered

LOOKUP_S = 4.0


@dataclass(frozen=True, slots=True)
class Told:
    """What one server said. server: as it was named."""

    server: Place
    outcome: Outcome


class StunSocket(asyncio.DatagramProtocol):
    """One UDP port of ours, from which any number of servers is asked; what one NAT makes of it then compares. An async context
    manager."""

    def __init__(self, local: Place, timers: Timers | None = None) -> None:
        self.local = local
        self._timers = timers
        self._transport: asyncio.DatagramTransport
        self._asked: list[tuple[Question, asyncio.Event]] = []

    async def __aenter__(self) -> Self:
        """Raises OSError: the port is taken, or the address not ours."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=self.local)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        # It is closed in the loop's next turn.
        await asyncio.sleep(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        source = (str(addr[0]), int(addr[1]))
        for question, answered in self._asked:
            question.receive(data, source)
            if question.outcome is not None:
                answered.set()

    async def ask(self, server: Place) -> Outcome:
        """Of one server, by name or address; at most as long as the timers say, and a look-up."""
        place = await self._place(server)
        if place is None:
            return Unanswered("it has no address of our kind")
        loop = asyncio.get_running_loop()
        question, answered = Question(place, os.urandom, loop.time(), self._timers), asyncio.Event()
        asked = (question, answered)
        self._asked.append(asked)
        try:
            while (due_s := question.deadline) is not None:
                # A loop may call a little early.
                for data in question.wake(max(loop.time(), due_s)):
                    self._transport.sendto(data, place)
                await self._wait(question, answered)
        finally:
            self._asked.remove(asked)
        assert question.outcome is not None
        return question.outcome

    async def _wait(self, question: Question, answered: asyncio.Event) -> None:
        due_s = question.deadline
        if due_s is None:
            return
        try:
            async with asyncio.timeout_at(due_s):
                await answered.wait()
        except TimeoutError:
            pass

    async def _place(self, server: Place) -> Place | None:
        family = socket.AF_INET6 if ":" in self.local[0] else socket.AF_INET
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await asyncio.get_running_loop().getaddrinfo(
                    *server, family=family, type=socket.SOCK_DGRAM
                )
        except (OSError, TimeoutError, UnicodeError):
            return None
        return (str(found[0][4][0]), int(found[0][4][1])) if found else None


async def ask_all(local: Place, servers: Sequence[Place], timers: Timers | None = None) -> list[Told]:
    """What each server says of the same port of ours, in their order; they are asked at once. Raises OSError."""
    async with StunSocket(local, timers) as port:
        outcomes = await asyncio.gather(*(port.ask(server) for server in servers))
    return [Told(server, outcome) for server, outcome in zip(servers, outcomes, strict=True)]


async def public_host(local: Place, servers: Sequence[Place], timers: Timers | None = None) -> str | Told:
    """The address that the first server which answers sees; else what the last one said instead. Raises OSError."""
    told = Told(("", 0), Unanswered("no server is named"))
    async with StunSocket(local, timers) as port:
        for server in servers:
            told = Told(server, await port.ask(server))
            if isinstance(told.outcome, Mapped):
                return told.outcome.host
    return told
