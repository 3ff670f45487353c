"""/docs: the API's description as a page, from files of our own, because the runtime works without a network."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

_FOLDER = Path(__file__).with_name("docs")


def install(app: FastAPI) -> None:
    """Adds /docs and its files."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/docs", StaticFiles(directory=_FOLDER), name="docs")
