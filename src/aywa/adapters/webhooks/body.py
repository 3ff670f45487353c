"""Reads the body of an answer, as far as it may be long."""

from __future__ import annotations

import aiohttp


async def read_at_most(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """The whole body; None: it is longer, and the rest was not read."""
    pieces = bytearray()
    async for piece in answer.content.iter_chunked(16_384):
        pieces += piece
        if len(pieces) > max_bytes:
            return None
    return bytes(pieces)
