"""What all simulated vendors share: plans, the log, right and wrong keys, and answers in pieces that break on plan."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from aywa.ports.stt import Stt
from aywa.ports.tts import Tts
from aywa.testing.vendors.plan import Break, Pace, Plan, Plans, Trouble

KEY_PREFIX = "sim-"
LOG_MAX = 10_000
HTML = "<!doctype html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
ENDLESS_PIECE = 1 << 16
ENDLESS_S = 0.001
SECRET_HEADERS = frozenset(
    "authorization x-api-key api-key xi-api-key cookie sec-websocket-protocol sec-websocket-key".split()
)


@dataclass(slots=True)
class Asked:
    """A request as it came, without its key. ended: empty while it runs, then whole, left (by the client), refused or
    broken (on plan). messages: what came over a WebSocket, text as it is and binary as its length."""

    route: str
    path: str
    at_s: float
    key_right: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    pieces: int = 0
    ended: str = ""
    messages: list[Any] = field(default_factory=list)


ASKED = web.RequestKey("asked", Asked)


class World:
    """Behind all vendors. stt, tts: real speech, for plans without text."""

    def __init__(self, plans: Plans, stt: Stt | None = None, tts: Tts | None = None) -> None:
        self.plans = plans
        self.stt = stt
        self.tts = tts
        self.log: deque[Asked] = deque(maxlen=LOG_MAX)
        self.requests: Counter[str] = Counter()

    def note(self, route: str, request: web.Request, key: str, body: Any = None) -> Asked:
        """Puts the request on record."""
        headers = {n.lower(): v for n, v in request.headers.items() if n.lower() not in SECRET_HEADERS}
        query = {n: v for n, v in request.query.items() if "key" not in n and "token" not in n}
        asked = Asked(
            route, request.path, asyncio.get_running_loop().time(), is_right(key), headers, query, body
        )
        # For whoever records how it ended.
        request[ASKED] = asked
        self.requests[route] += 1
        self.log.append(asked)
        return asked

    def asked(self, route: str) -> list[Asked]:
        """The requests of a route, oldest first."""
        return [one for one in self.log if one.route == route]


def is_right(key: str) -> bool:
    """Whether a vendor would take the key."""
    return key.startswith(KEY_PREFIX)


def bearer(request: web.Request) -> str:
    """The key of `Authorization: Bearer` (or Token), or nothing."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() in ("bearer", "token") else ""


class Whole(Exception):
    """The answer was given in another way, and is whole."""

    def __init__(self, response: web.StreamResponse) -> None:
        super().__init__()
        self.response = response


class Pieces(ABC):
    """An answer in pieces at the plan's speed, which breaks where the plan says."""

    def __init__(self, world: World, asked: Asked, plan: Plan) -> None:
        self.plan = plan
        self.asked = asked
        self.pace = Pace(plan, world.plans.chance)

    async def send(self, data: bytes | str, lasts_s: float | None = None, *, pace: bool = True) -> None:
        """One piece, when it is due. lasts_s: until the next is; by itself a token's time. pace: False for what goes
        along with another piece and counts as none."""
        if pace:
            await self.pace.wait()
            await self.strike(self.asked.pieces)
            self.asked.pieces += 1
            if lasts_s is None:
                lasts_s = 1 / self.plan.per_s if self.plan.per_s else 0.0
            trouble = self.plan.trouble
            if (
                trouble is not None
                and trouble.kind is Break.SLOW
                and self.asked.pieces > (trouble.after or 0)
            ):
                lasts_s = 1 / trouble.rate
            self.pace.passed(lasts_s)
        await self.write(data)

    async def strike(self, after: int | None) -> None:
        """Breaks, if it is here that the plan breaks. after None: before the head."""
        trouble = self.plan.trouble
        if trouble is None or trouble.after != after or trouble.kind is Break.SLOW:
            return
        self.asked.ended = "broken"
        match trouble.kind:
            case Break.STALL:
                await asyncio.Event().wait()
            case Break.CUT:
                self.abort()
                raise ConnectionResetError
            case Break.ENDLESS:
                await self.endless()
            case Break.NON_UTF8:
                await self.non_utf8()
            case Break.HTML:
                await self.html()
            case _:
                await self.garbage()
        # Whatever it was, nothing sensible follows.
        await asyncio.Event().wait()

    @abstractmethod
    async def write(self, data: bytes | str) -> None: ...

    @abstractmethod
    def abort(self) -> None: ...

    @abstractmethod
    async def endless(self) -> None: ...

    @abstractmethod
    async def non_utf8(self) -> None: ...

    @abstractmethod
    async def html(self) -> None: ...

    @abstractmethod
    async def garbage(self) -> None: ...


class Body(Pieces):
    """The body of an HTTP answer. events: of text/event-stream, else bytes."""

    def __init__(
        self,
        world: World,
        asked: Asked,
        plan: Plan,
        request: web.Request,
        *,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(world, asked, plan)
        self._request = request
        self._events = content_type.startswith("text/event-stream")
        self.response = web.StreamResponse(headers={**(headers or {}), "Content-Type": content_type})

    async def start(self) -> None:
        """Sends the head."""
        await self.strike(None)
        await self.response.prepare(self._request)

    async def end(self) -> web.StreamResponse:
        """The answer is whole."""
        await self.response.write_eof()
        self.asked.ended = "whole"
        return self.response

    async def write(self, data: bytes | str) -> None:
        await self.response.write(data.encode() if isinstance(data, str) else data)

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def endless(self) -> None:
        await self._raw(b'data: {"choices": "' if self._events else b"")
        while True:
            await self._raw(b"x" * ENDLESS_PIECE)
            await asyncio.sleep(ENDLESS_S)

    async def non_utf8(self) -> None:
        await self._raw(b'data: {"choices": "\xff\xfe"}\n\n' if self._events else b"\xff\xfe\xff")

    async def html(self) -> None:
        if self.response.prepared:
            await self._raw(HTML.encode())
            return
        self.response = web.StreamResponse(headers={"Content-Type": "text/html; charset=utf-8"})
        await self._raw(HTML.encode())
        await self.response.write_eof()
        raise Whole(self.response)

    async def garbage(self) -> None:
        await self._raw(b"data: {not json}\n\n" if self._events else b"{not json")

    async def _raw(self, data: bytes) -> None:
        if not self.response.prepared:
            await self.response.prepare(self._request)
        await self.response.write(data)


class Messages(Pieces):
    """What is sent over a WebSocket. Receiving is the vendor's own."""

    def __init__(
        self, world: World, asked: Asked, plan: Plan, request: web.Request, socket: web.WebSocketResponse
    ) -> None:
        super().__init__(world, asked, plan)
        self._request = request
        self._socket = socket

    async def write(self, data: bytes | str) -> None:
        if isinstance(data, str):
            await self._socket.send_str(data)
        else:
            await self._socket.send_bytes(data)

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def endless(self) -> None:
        while True:
            # Pieces of one message that is never ended: no far side may keep them all.
            await self._socket.send_frame(b"x" * ENDLESS_PIECE, WSMsgType.TEXT)
            await asyncio.sleep(ENDLESS_S)

    async def non_utf8(self) -> None:
        await self._socket.send_frame(b'{"type": "\xff\xfe"}', WSMsgType.TEXT)

    async def html(self) -> None:
        await self._socket.send_str(HTML)

    async def garbage(self) -> None:
        await self._socket.send_str("{not json")


def refusal(plan: Plan) -> Trouble | None:
    """The refusal that is planned for this request; the vendor's module gives it its body."""
    trouble = plan.trouble
    return trouble if trouble is not None and trouble.kind is Break.REFUSE and trouble.after is None else None


def html_page(plan: Plan) -> web.Response | None:
    """For what is answered at once, or in place of a WebSocket's handshake."""
    trouble = plan.trouble
    if trouble is None or trouble.kind is not Break.HTML or trouble.after is not None:
        return None
    return web.Response(text=HTML, content_type="text/html")
