"""A caller of the tests' own, on the `websockets` library: it can be made to do whatever a client must not."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FRAME_S = 0.02
FRAME = bytes(640)
"""20 ms of silence, PCM16 at 16 kHz."""
PCM16: Mapping[str, Any] = {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000}
QUIET: Mapping[str, Any] = {
    "name": "Quiet",
    "firstMessageMode": "assistant-waits-for-user",
    "model": {"provider": "custom-llm", "url": "http://localhost/local", "model": "local"},
}
PUBLISHED = re.compile(
    r"assistant-(ended-call(-after-message-spoken)?|said-end-call-phrase)|customer-ended-call|manually-canceled"
    r"|silence-timed-out|exceeded-max-duration|worker-shutdown|call-deleted|phone-call-provider-closed-websocket"
    r"|call\.in-progress\.error-assistant-did-not-receive-customer-audio"
    r"|call\.in-progress\.error-(providerfault|vapifault)-transport-never-connected"
    r"|call\.in-progress\.error-vapifault-worker-died|pipeline-error-custom-llm-llm-failed"
    r"|pipeline-error-custom-(voice|transcriber)-failed"
)
"""What endedReason may be in these tests (contract, appendix A)."""


@dataclass
class Api:
    """The runtime's API, with a key."""

    http: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def place(self, assistant: str | Mapping[str, Any], **more: Any) -> tuple[str, str]:
        """The call's id and where to connect."""
        brain = {"assistantId": assistant} if isinstance(assistant, str) else {"assistant": dict(assistant)}
        transport = {"provider": "vapi.websocket", "audioFormat": dict(PCM16)}
        status, call = await self.ask("POST", "/call", brain | {"transport": transport} | more)
        assert status == 201, call
        return call["id"], call["transport"]["websocketCallUrl"]

    async def ended(self, call_id: str, within_s: float = 20.0) -> dict[str, Any]:
        """The call's document once it has ended: with a published reason."""

        async def is_ended() -> dict[str, Any] | None:
            _, call = await self.ask("GET", f"/call/{call_id}")
            return call if call.get("status") == "ended" else None

        call: dict[str, Any] = await eventually(is_ended, within_s, f"call {call_id} did not end")
        assert PUBLISHED.fullmatch(call["endedReason"]), call["endedReason"]
        assert call["endedAt"] >= call["createdAt"], (call["createdAt"], call["endedAt"])
        return call


@asynccontextmanager
async def api(url: str, key: str, trusted: ssl.SSLContext | None = None) -> AsyncIterator[Api]:
    headers = {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=20)
    # No connection is kept: what is open in the runtime is then what the runtime keeps open.
    connector = aiohttp.TCPConnector(force_close=True, ssl=trusted or True)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as http:
        yield Api(http, url)


async def eventually(ask: Callable[[], Any], within_s: float = 20.0, why: str = "it did not happen") -> Any:
    """The first true answer."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + within_s
    while not (answer := await ask()):
        assert loop.time() < end_s, f"{why} within {within_s:.0f} s"
        await asyncio.sleep(0.05)
    return answer


@dataclass
class Client:
    """A connection to a call. Takes what comes until it is told not to."""

    socket: ClientConnection
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def code(self) -> int | None:
        return self.socket.close_code

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionClosed):
            async for message in self.socket:
                if isinstance(message, bytes):
                    self.frames.append((loop.time(), message))
                else:
                    self.texts.append(json.loads(message))
                async with self.news:
                    self.news.notify_all()

    async def speak(self, pcm: bytes = b"", pace: float = 1.0) -> None:
        """In real time, then silence without end. pace: 2 is twice as fast."""
        loop = asyncio.get_running_loop()
        start_s, number = loop.time(), 0
        with suppress(ConnectionClosed):
            while True:
                piece = pcm[number * len(FRAME) : (number + 1) * len(FRAME)]
                await self.socket.send(piece.ljust(len(FRAME), b"\0"))
                number += 1
                await asyncio.sleep(max(0.0, start_s + number * FRAME_S / pace - loop.time()))

    async def told(self, kind: str, within_s: float = 20.0, **fields: Any) -> dict[str, Any]:
        """Waits for a message of this type, with these fields."""

        def found() -> dict[str, Any] | None:
            wanted = {"type": kind, **fields}
            return next((t for t in self.texts if wanted.items() <= t.items()), None)

        async with asyncio.timeout(within_s), self.news:
            await self.news.wait_for(lambda: found() is not None)
        message = found()
        assert message is not None
        return message

    async def heard(self, frames: int, within_s: float = 20.0) -> None:
        """Waits until so many frames of audio have come."""
        async with asyncio.timeout(within_s), self.news:
            await self.news.wait_for(lambda: len(self.frames) >= frames)

    async def closed(self, within_s: float = 20.0) -> int | None:
        """The close code, once the runtime has closed."""
        async with asyncio.timeout(within_s):
            await self.socket.wait_closed()
        return self.code

    def abort(self) -> None:
        """Is gone without a word."""
        self.socket.transport.abort()


@asynccontextmanager
async def client(url: str, *, listens: bool = True, **options: Any) -> AsyncIterator[Client]:
    # The far side's own limits are not what is tested here.
    options = {"max_size": None, "compression": None, "close_timeout": 2, "ping_interval": None} | options
    async with connect(url, **options) as socket:
        one = Client(socket)
        listening = asyncio.create_task(one.listen(), name="client: listen") if listens else None
        try:
            yield one
        finally:
            if not listens:
                one.abort()
            if listening is not None:
                await socket.close()
                await listening


@asynccontextmanager
async def speaking(one: Client, pcm: bytes = b"", pace: float = 1.0) -> AsyncIterator[None]:
    """Audio goes out meanwhile."""
    task = asyncio.create_task(one.speak(pcm, pace), name="client: speak")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
