"""A stream of a recogniser and the far side of its wire, in the hands of a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aywa.ports.errors import ProviderError
from aywa.ports.stt import SttOptions, SttResult, SttStream
from tests.adapters.wire.far import BINARY, TEXT, Far, Peer, far_side, text


@dataclass
class Talk:
    """got: what the far side was sent: bytes, or JSON."""

    stream: Any
    peer: Peer
    far: Far
    got: list[Any] = field(default_factory=list)
    results: list[SttResult] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.peer.line.split(" ")[1].partition("?")[2])

    async def say(self, *messages: Any) -> None:
        """The far side speaks; returns when it was heard."""
        for message in messages:
            await self.peer.send(message if isinstance(message, bytes) else text(json.dumps(message)))
        await asyncio.sleep(0.01)

    async def listen(self) -> None:
        """Until the stream ends."""
        try:
            async for result in self.stream.results():
                self.results += [result]
        except ProviderError as error:
            self.error = error

    async def read(self) -> None:
        """Takes what the stream sends."""
        while True:
            opcode, payload = await self.peer.get()
            if opcode == BINARY:
                self.got.append(payload)
            elif opcode == TEXT:
                self.got.append(json.loads(payload))

    @property
    def heard(self) -> list[tuple[str, bool, bool]]:
        return [(r.text, r.is_final, r.from_finalize) for r in self.results]


@asynccontextmanager
async def talk(
    opening: Callable[[str], Awaitable[SttStream]],
) -> AsyncIterator[Talk]:
    """opening(url): opens a stream there."""
    arrived: asyncio.Queue[Peer] = asyncio.Queue()

    async def script(peer: Peer) -> None:
        arrived.put_nowait(peer)
        await asyncio.Event().wait()

    async with asyncio.timeout(10), far_side(script) as far:
        stream = await opening(far.url.removesuffix("/path").replace("ws:", "http:"))
        made = Talk(stream, await arrived.get(), far)
        listening = asyncio.ensure_future(made.listen())
        reading = asyncio.ensure_future(made.read())
        try:
            yield made
        finally:
            closing = asyncio.ensure_future(stream.close())
            # Its last words and its close are read; nobody answers the close.
            await asyncio.sleep(0.01)
            made.peer.reset()
            await closing
            reading.cancel()
            await asyncio.gather(listening, reading, return_exceptions=True)


def options(rate_hz: int = 8000, **extra: Any) -> SttOptions:
    return SttOptions(rate_hz, extra=extra)
