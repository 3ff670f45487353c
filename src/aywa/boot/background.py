"""What may sound under a call: the office that we made, or what an assistant names by an address; each made ready once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aywa.core.audio.resample import resample_pcm
from aywa.core.audio.room import office
from aywa.core.audio.wav import softened

OFF, OFFICE = "off", "office"
SECONDS_MOST = 60.0
KEPT = 32
"""Sounds at one rate that are kept; the one unused the longest goes."""
FRESH_S = 600.0
"""After that it is fetched anew: a customer may have put another file there."""
LOUDEST_DB = -30.0
"""RMS, dBFS. Louder, its echo would be taken for somebody who speaks, and the agent could hardly be heard."""

Fetch = Callable[[str], Awaitable[tuple[bytes, int]]]


def sound_of(assistant: Mapping[str, Any]) -> str:
    """What the assistant wants to be heard; empty: nothing. Absent it is nothing, on the phone too: see ADR 30."""
    sound = assistant.get("backgroundSound")
    return sound if isinstance(sound, str) and sound != OFF else ""


@dataclass(slots=True)
class _Kept:
    pcm: asyncio.Future[bytes]
    since_s: float


class BackgroundSounds:
    """fetch: PCM16 and its rate for an address; raises ProviderError."""

    def __init__(self, fetch: Fetch, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._now = now
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()

    async def of(self, sound: str, rate_hz: int) -> bytes:
        """PCM16 at the rate. Raises ProviderError. Calls that begin together have it made once."""
        kept = self._kept.get((sound, rate_hz))
        stale = kept is not None and sound != OFFICE and self._now() - kept.since_s > FRESH_S
        failed = kept is not None and kept.pcm.done() and not _good(kept.pcm)
        if kept is None or stale or failed:
            making = asyncio.ensure_future(self._make(sound, rate_hz))
            # Who waits for it may be gone before it fails.
            making.add_done_callback(_good)
            kept = self._kept[sound, rate_hz] = _Kept(making, self._now())
            if len(self._kept) > KEPT:
                _ = self._kept.popitem(last=False)
        self._kept.move_to_end((sound, rate_hz))
        return await asyncio.shield(kept.pcm)

    async def close(self) -> None:
        """What is still being made is given up."""
        making = [kept.pcm for kept in self._kept.values() if not kept.pcm.done()]
        for each in making:
            each.cancel()
        _ = await asyncio.gather(*making, return_exceptions=True)

    async def _make(self, sound: str, rate_hz: int) -> bytes:
        if sound == OFFICE:
            return await asyncio.to_thread(office, rate_hz)
        pcm, own_hz = await self._fetch(sound)
        return await asyncio.to_thread(_fit, pcm, own_hz, rate_hz)


def _good(made: asyncio.Future[bytes]) -> bool:
    return not made.cancelled() and made.exception() is None


def _fit(pcm: bytes, own_hz: int, rate_hz: int) -> bytes:
    return softened(pcm if own_hz == rate_hz else resample_pcm(pcm, own_hz, rate_hz), LOUDEST_DB)
