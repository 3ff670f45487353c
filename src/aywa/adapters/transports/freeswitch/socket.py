"""One event socket over TCP: a Link with its timer, and its answers as futures. Refuses to know who opened it, and why."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Protocol, cast

from aywa.core.esl import commands
from aywa.core.esl.event import Event
from aywa.core.esl.link import Action, Lingering, Link, Opened, Over, Replied, Send

log = logging.getLogger(__name__)

LOST = Replied(0, "", lost=True)
CLOSE_S = 1.0


def new_uuid() -> str:
    """For jobs and channels: FreeSWITCH's own form."""
    return str(uuid.uuid4())


class Told(Protocol):
    """Who hears of a socket. Nothing here may wait."""

    def opened(self, socket: EventSocket, channel: Event | None) -> None:
        """It can be used."""

    def happened(self, socket: EventSocket, event: Event) -> None:
        """An event."""

    def over(self, socket: EventSocket, why: str, refused: bool) -> None:
        """It is gone; told once, also of one that was never opened."""


class EventSocket(asyncio.Protocol):
    """link: which has not been connected yet. admits(peer): whether who connected may stay; before a word is said."""

    def __init__(
        self, link: Link, told: Told, unsent_max_bytes: int, admits: Callable[[str], bool] = lambda peer: True
    ) -> None:
        self._link = link
        self._admits = admits
        self._told = told
        self._unsent_max_bytes = unsent_max_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[int, asyncio.Future[Replied]] = {}
        self._gone = asyncio.Event()
        self.peer = ""

    @property
    def open(self) -> bool:
        """It can be used."""
        return self._link.open

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As the protocol says."""
        # uvloop's is none of asyncio's classes.
        connected = self._transport = cast(asyncio.Transport, transport)
        self.peer = str((connected.get_extra_info("peername") or ("",))[0])
        if not self._admits(self.peer):
            connected.abort()
            return
        self._carry_out(self._link.connected(self._loop.time()))

    def data_received(self, data: bytes) -> None:
        """As the protocol says."""
        self._carry_out(self._link.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        """As the protocol says."""
        self._carry_out(self._link.lost(str(exc) if exc else "the connection was closed"))
        self._gone.set()

    # --- for who uses it ------------------------------------------------------------------------------------------------

    async def api(self, command: str, argument: str = "") -> Replied:
        """An API command that is done at once. Raises Unsendable."""
        return await self.ask(commands.api(command, argument))

    async def ask(self, command: bytes) -> Replied:
        """Any command."""
        token, actions = self._link.command(command, self._loop.time())
        return await self._answer(token, actions)

    async def job(self, command: str, argument: str) -> Replied:
        """An API command that takes a while. Raises Unsendable."""
        token, actions = self._link.background(command, argument, self._loop.time())
        return await self._answer(token, actions)

    def say(self, command: bytes) -> None:
        """A command whose answer nobody waits for."""
        _, actions = self._link.command(command, self._loop.time())
        self._carry_out(actions)

    async def close(self) -> None:
        """Goes, in order, and cuts the connection when that takes too long."""
        if self._link.open:
            self.say(commands.leave())
        self._carry_out(self._link.lost("closed by us"))
        if self._transport is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()
            await self._gone.wait()

    # --- inside ---------------------------------------------------------------------------------------------------------

    async def _answer(self, token: int, actions: list[Action]) -> Replied:
        answer: asyncio.Future[Replied] = self._loop.create_future()
        self._waiting[token] = answer
        self._carry_out(actions)
        try:
            return await answer
        finally:
            self._waiting.pop(token, None)

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Event():
                    self._tell_event(action)
                case Send(data=data):
                    self._write(data)
                case Replied():
                    answer = self._waiting.get(action.token)
                    if answer is not None and not answer.done():
                        answer.set_result(action)
                case Opened(channel=channel):
                    self._told.opened(self, channel)
                case Over(why=why, refused=refused):
                    self._end(why, refused)
                case Lingering():
                    pass
        self._arm()

    def _tell_event(self, event: Event) -> None:
        try:
            self._told.happened(self, event)
        except Exception:
            # What is wrong with one event, or one call, must not end the others.
            log.exception("an event of FreeSWITCH could not be handled: %r", event)

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._unsent_max_bytes:
            self._transport.abort()
            self._carry_out(self._link.lost("FreeSWITCH does not read what it is sent"))

    def _end(self, why: str, refused: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()
        self._told.over(self, why, refused)

    def _arm(self) -> None:
        """The timer may go off too early, then it is set anew: an event does not set it each time."""
        deadline = self._link.deadline
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._carry_out(self._link.wake(self._loop.time()))
