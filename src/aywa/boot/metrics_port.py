"""/metrics and /metrics.json at a port of their own, answered by a thread of their own: a reader does not wait for the loop of
the calls, and is answered also when that is at its limit or stands still.

Only RUNTIME_METRICS_TOKEN opens them: API keys are in the store, which belongs to the calls' loop. Refuses history, for the
same reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aywa.adapters.metrics.prometheus import Pages
from aywa.api.errors import error_response
from aywa.api.metrics import TEXT
from aywa.boot.errors import CannotStart
from aywa.boot.http_server import LISTEN_BACKLOG, Unsignalled
from aywa.boot.phone_settings import Reader

PORT = "RUNTIME_METRICS_PORT"
TOKEN = "RUNTIME_METRICS_TOKEN"  # noqa: S105 - a setting's name
READERS_MAX = 32
"""Connections at once."""
CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class MetricsPortSettings:
    """port: None for none. token: what opens it; empty where only this machine reaches it."""

    port: int | None = None
    token: str = ""


def metrics_port_from_environment(environment: Mapping[str, str], *, is_open: bool) -> MetricsPortSettings:
    """is_open: whether whoever reaches it may read. Raises CannotStart."""
    read = Reader(environment)
    port, token = read.port(PORT, None), read.text(TOKEN)
    if port is not None and not token and not is_open:
        raise CannotStart(f"{TOKEN} is needed beside {PORT}: nobody else may read the figures there")
    return MetricsPortSettings(port, token)


class MetricsPort:
    """Answers from now on until `close`. pages: the figures, may be asked for in any thread."""

    def __init__(
        self,
        pages: Callable[[], Pages],
        listening: socket.socket,
        token: str = "",
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._pages = pages
        self._token = token.encode()
        files: dict[str, Any] = {}
        if tls is not None:
            files = {"ssl_certfile": str(tls[0]), "ssl_keyfile": str(tls[1])}
        app = Starlette(
            routes=[
                Route("/metrics", self._text, methods=["GET"]),
                Route("/metrics.json", self._json, methods=["GET"]),
            ]
        )
        config = uvicorn.Config(
            app,
            loop="asyncio",
            log_level="warning",
            log_config=None,
            lifespan="off",
            access_log=False,
            ws="none",
            backlog=LISTEN_BACKLOG,
            limit_concurrency=READERS_MAX,
            timeout_graceful_shutdown=1,
            **files,
        )
        self._listening = listening
        self._server = Unsignalled(config)
        self._thread = threading.Thread(target=self._run, name="metrics port", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listening.getsockname()[1]
        return port

    async def close(self) -> None:
        """What is being answered may be answered."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, CLOSE_S)
        self._listening.close()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._server.serve(sockets=[self._listening]))

    async def _text(self, request: Request) -> Response:
        return self._refused(request) or Response(self._pages().text, media_type=TEXT)

    async def _json(self, request: Request) -> Response:
        if request.query_params:
            return error_response(400, ["there is no history here: ask the API's own port for it"])
        return self._refused(request) or Response(self._pages().json, media_type="application/json")

    def _refused(self, request: Request) -> Response | None:
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        right = kind.lower() == "bearer" and hmac.compare_digest(secret.strip().encode(), self._token)
        if not self._token or right:
            return None
        return error_response(
            401, f"The figures need Authorization: Bearer and {TOKEN}", {"WWW-Authenticate": "Bearer"}
        )
