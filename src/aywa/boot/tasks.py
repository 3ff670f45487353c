"""Tasks of a runtime's own."""

from __future__ import annotations

import asyncio
import contextlib


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancels it, and waits until it has ended."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
