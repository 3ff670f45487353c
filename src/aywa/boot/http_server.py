"""The API's socket and the server on it: bound before anything else is done, answering when everything is there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from aywa.boot.errors import CannotStart

LISTEN_BACKLOG = 2048


class Unsignalled(uvicorn.Server):
    """Leaves the signals alone: uvicorn would end the process by them before the calls have ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Http:
    """Answers from now on. tls: certificate and key, as files."""

    def __init__(self, app: FastAPI, listening: socket.socket, tls: tuple[Path, Path] | None) -> None:
        files: dict[str, Any] = {}
        if tls is not None:
            files = {"ssl_certfile": str(tls[0]), "ssl_keyfile": str(tls[1])}
        config = uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=3,
            **files,
        )
        self._server = Unsignalled(config)
        self._answering = asyncio.create_task(self._server.serve(sockets=[listening]), name="http")

    async def ended(self) -> None:
        """Returns when HTTP is no longer answered."""
        await asyncio.shield(self._answering)

    async def close(self) -> None:
        """What is being answered may be answered."""
        self._server.should_exit = True
        await self._answering


def listen(host: str, port: int, setting: str = "--port") -> socket.socket:
    """setting: by which another port is chosen. Raises CannotStart: the address is taken or not ours."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # From now on nobody else gets it; who connects waits until there is an answer.
        listening.listen(LISTEN_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise CannotStart(
            f"cannot listen on {host} port {port}: {why(error)}; choose another with {setting}"
        ) from error
    return listening


def why(error: OSError | OverflowError) -> str:
    """In the system's words."""
    # The loop's own text repeats the address, and the number of the error.
    number = error.errno if isinstance(error, OSError) else None
    known = number is not None and not isinstance(error, socket.gaierror)
    return os.strerror(number) if known and number else getattr(error, "strerror", None) or str(error)


def shown_host(host: str) -> str:
    """As a URL has it; of all addresses the machine's name."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
