"""Serves the talk page, and tells it a key: only under a name of this machine, or one that was allowed.

Without that guard any web page could make its own name resolve to this machine (DNS rebinding) and read the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from aywa.api.errors import error_response

TalkConfig = Callable[[], Mapping[str, Any]]
"""Answers publicKey and assistantId, and whatever else the page should know."""

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_NO_STORE = {"Cache-Control": "no-store"}


def install(app: FastAPI, folder: Path | None, config: TalkConfig | None) -> None:
    """Adds /, /talk/config.json and /talk/..."""
    if config is not None:

        @app.get("/talk/config.json", include_in_schema=False)
        async def talk_config(request: Request) -> JSONResponse:
            allowed: tuple[str, ...] = request.app.state.settings.talk_hosts
            if not is_own_name(request.headers.get("host", ""), allowed):
                return error_response(403, "Open the page under a name of this machine, such as localhost.")
            return JSONResponse({"callUrl": "/call/web", **config()}, headers=_NO_STORE)

    if folder is None:
        return

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/talk", _Files(directory=folder, html=True), name="talk")


class _Files(StaticFiles):
    """Asked about every time: after an update a browser must not mix old modules with new ones."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def is_own_name(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a Host header names this machine. host: name or address, with or without a port."""
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    else:
        name = host.partition(":")[0]
    name = name.lower().rstrip(".")
    return name in _LOOPBACK or name.endswith(".localhost") or name in {one.lower() for one in allowed}
