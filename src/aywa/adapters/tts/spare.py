"""For voices over HTTP: leaving a text costs its connection, and the next text, often at once, is not to pay for another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aywa.adapters.wire.http import HttpRoute


class SpareConnection:
    """Dials one in the background for each text that was left."""

    def __init__(self, http: HttpRoute) -> None:
        self._http = http
        self._dialling: set[asyncio.Task[None]] = set()

    @contextmanager
    def after_leaving(self) -> Iterator[None]:
        """Around a text: leaving it is being closed or cancelled."""
        try:
            yield
        except (GeneratorExit, asyncio.CancelledError):
            task = asyncio.get_running_loop().create_task(self._http.warm(), name=f"dial {self._http.name}")
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
            raise

    async def close(self) -> None:
        """Stops dialling."""
        for task in list(self._dialling):
            task.cancel()
        if self._dialling:
            await asyncio.wait(self._dialling)
