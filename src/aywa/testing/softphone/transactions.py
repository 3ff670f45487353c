"""Requests with their answers, sent again over UDP until they are there (RFC 3261 17.1), and answers sent again when asked.

Plain waiting instead of a machine: a telephone has few of them at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from aywa.testing.softphone.lines import Line, Place
from aywa.testing.softphone.message import Message

T1_S, T2_S = 0.5, 4.0
GIVE_UP_S = 64 * T1_S
QUIET_S = 2.0
"""Whoever hears nothing at all for so long has most likely dialled a place where nobody is."""


class NoAnswer(Exception):
    """Nothing came back in time, or the far side cannot be reached."""


class Transactions:
    """By branch and method. quiet: told of the place whence nothing came to a request for QUIET_S, once for each."""

    def __init__(self, quiet: Callable[[Place], None] = lambda place: None) -> None:
        self.line: Line
        self._quiet = quiet
        self._waiting: dict[tuple[str, str], asyncio.Queue[Message]] = {}
        self._answered: dict[tuple[str, str], tuple[bytes, Place]] = {}

    async def ask(self, request: Message, to: Place, within_s: float = GIVE_UP_S) -> AsyncIterator[Message]:
        """Sends it; gives the answers, the final one last. Raises NoAnswer when there is none for within_s."""
        key = (request.branch, request.method)
        answers = self._waiting[key] = asyncio.Queue()
        again_s = T1_S if self.line.transport == "udp" else within_s
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        hint = loop.call_later(QUIET_S, self._quiet, to)
        try:
            await self._send(request, to)
            while True:
                try:
                    async with asyncio.timeout(min(again_s, max(0.0, until_s - loop.time()))):
                        answer = await answers.get()
                except TimeoutError:
                    if loop.time() >= until_s:
                        raise NoAnswer(f"no answer to {request.method} within {within_s:.0f} s") from None
                    again_s = min(2 * again_s, T2_S) if request.method != "INVITE" else 2 * again_s
                    await self._send(request, to)
                    continue
                hint.cancel()
                yield answer
                if answer.status >= 200:
                    return
                if request.method == "INVITE":
                    # A phone may ring for long; the caller decides how long.
                    again_s, until_s = within_s, loop.time() + 10 * within_s
        finally:
            hint.cancel()
            del self._waiting[key]

    async def final(self, request: Message, to: Place, within_s: float = GIVE_UP_S) -> Message:
        """Only the last answer. Raises NoAnswer."""
        last: Message | None = None
        async for answer in self.ask(request, to, within_s):
            last = answer
        assert last is not None
        return last

    async def answer(self, response: Message, to: Place) -> None:
        """Sends it, and again for each copy of its request."""
        data = response.encode()
        self._answered[(response.branch, response.method)] = (data, to)
        await self.line.send(data, to)

    def came_back(self, response: Message) -> bool:
        """Gives an answer to whoever waits for it."""
        queue = self._waiting.get((response.branch, response.method))
        if queue is None:
            return False
        queue.put_nowait(response)
        return True

    def copy(self, request: Message) -> tuple[bytes, Place] | None:
        """What was answered to this very request before."""
        return self._answered.get((request.branch, request.method))

    async def _send(self, request: Message, to: Place) -> None:
        try:
            await self.line.send(request.encode(), to)
        except OSError as error:
            raise NoAnswer(f"{to[0]} port {to[1]} cannot be reached: {error.strerror or error}") from error
