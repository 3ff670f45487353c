"""One port behind which all simulated vendors are: point every base URL of the runtime here.

Base URLs: OpenAI `{url}/v1`, Anthropic, Deepgram, ElevenLabs and Cartesia `{url}` itself. Any key that begins with `sim-` is
right. `POST /_plans` sets plans from another process, `GET /_log` and `GET /_counters` tell what was asked. Binds loopback.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from aywa.ports.stt import Stt
from aywa.ports.tts import Tts
from aywa.testing.vendors import (
    anthropic,
    cartesia,
    custom_transcriber,
    custom_voice,
    deepgram,
    elevenlabs,
    openai,
    openai_speech,
    openai_transcriptions,
)
from aywa.testing.vendors.plan import Plan, Plans
from aywa.testing.vendors.world import ASKED, Whole, World

VENDORS: tuple[Callable[[World], list[web.RouteDef]], ...] = (
    anthropic.routes,
    cartesia.routes,
    custom_transcriber.routes,
    custom_voice.routes,
    deepgram.routes,
    elevenlabs.routes,
    openai.routes,
    openai_speech.routes,
    openai_transcriptions.routes,
)
MARKS: dict[Callable[[World], list[web.RouteDef]], str] = {
    anthropic.routes: "anthropic-version",
    elevenlabs.routes: "xi-api-key",
}
"""The header that tells a vendor's request from another's, where both have the same path."""
BODY_MAX_BYTES = 64 << 20
KEEP_S = 3600.0
LOG_SHOWN = 200
TIMES_MAX = 10_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SimulatedVendors:
    """`async with SimulatedVendors() as vendors: vendors.url`. tls: serve https and wss."""

    def __init__(
        self,
        plans: Plans | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        stt: Stt | None = None,
        tts: Tts | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.world = World(plans or Plans(), stt, tts)
        self.connections = 0
        """How many were ever accepted."""
        self.url = ""
        self._host = host
        self._port = port
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    @property
    def plans(self) -> Plans:
        """What comes next."""
        return self.world.plans

    @property
    def open_connections(self) -> int:
        """How many are open now."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens."""
        app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[self._record_ends])
        app.router.add_routes(_told_apart(self.world))
        app.router.add_routes(
            [
                web.post("/_plans", self._set_plans),
                web.get("/_log", self._tell_log),
                web.get("/_counters", self._tell_counters),
            ]
        )
        # A handler ends when its client goes, as a vendor's work does.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_S, shutdown_timeout=0.1
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._accept, self._host, self._port, ssl=self._tls, backlog=1024
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'http' if self._tls is None else 'https'}://{self._host}:{port}"

    async def stop(self) -> None:
        """Closes everything, also what still streams."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _accept(self) -> asyncio.Protocol:
        assert self._runner is not None
        assert self._runner.server is not None
        self.connections += 1
        return self._runner.server()

    @web.middleware
    async def _record_ends(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """How a request ended, put on its record."""
        try:
            response = await handler(request)
        except Whole as whole:
            response = whole.response
        except asyncio.CancelledError:
            if (asked := request.get(ASKED)) is not None:
                asked.ended = "left"
            raise
        except ConnectionError:
            self._end(request, "left")
            raise
        self._end(request, "whole" if response.status < 400 else "refused")
        return response

    def _end(self, request: web.Request, how: str) -> None:
        asked = request.get(ASKED)
        if asked is not None and not asked.ended:
            asked.ended = how

    async def _set_plans(self, request: web.Request) -> web.Response:
        """{"route": "openai.chat", "plan": {...}, "times": 2}; without times it stands from now on."""
        try:
            body: dict[str, Any] = await request.json()
            route, plan, times = str(body["route"]), Plan.from_json(body["plan"]), body.get("times")
            if times is not None and not 0 <= int(times) <= TIMES_MAX:
                raise ValueError(f"times is not between 0 and {TIMES_MAX}")
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        if times is None:
            self.plans.set(route, plan)
        else:
            self.plans.next(route, *[plan] * int(times))
        return web.json_response({})

    async def _tell_log(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(asked) for asked in list(self.world.log)[-LOG_SHOWN:]])

    async def _tell_counters(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "connections": self.connections,
                "open": self.open_connections,
                "requests": dict(self.world.requests),
            }
        )


def _told_apart(world: World) -> list[web.RouteDef]:
    """The routes of all, one for each method and path."""
    places: dict[tuple[str, str], list[tuple[str, web.RouteDef]]] = {}
    for vendor in VENDORS:
        for route in vendor(world):
            places.setdefault((route.method, route.path), []).append((MARKS.get(vendor, ""), route))
    return [
        same[0][1] if len(same) == 1 else web.RouteDef(method, path, _chosen(same), same[0][1].kwargs)
        for (method, path), same in places.items()
    ]


def _chosen(same: list[tuple[str, web.RouteDef]]) -> Handler:
    # Who has no mark is who is left.
    marked = sorted(same, key=lambda one: not one[0])

    async def choose(request: web.Request) -> web.StreamResponse:
        for mark, route in marked:
            if not mark or mark in request.headers:
                answer: web.StreamResponse = await route.handler(request)
                return answer
        raise web.HTTPNotFound

    return choose
