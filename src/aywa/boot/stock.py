"""The runtime's own voice for the phrases that must never be missing, made when it starts and kept in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from aywa.core.settings import IDLE_MESSAGES, Fillers
from aywa.core.stock import EXCUSE, FAREWELL, NOBODY_THERE, REPROMPT, TIME_IS_UP
from aywa.ports.errors import ProviderError
from aywa.ports.tts import Tts, TtsOptions

_log = structlog.get_logger("aywa.boot.stock")

STOCK_RATE_HZ: Final = 16000
PHRASES: Final = (EXCUSE, FAREWELL, REPROMPT, *Fillers().texts, *IDLE_MESSAGES, NOBODY_THERE, TIME_IS_UP)


async def speak_stock(tts: Tts, stock: dict[str, bytes], phrases: Iterable[str] = PHRASES) -> None:
    """Fills in phrase -> PCM16 at STOCK_RATE_HZ. A voice that cannot is told of once; calls go without."""
    for phrase in phrases:
        try:
            chunks = [chunk.pcm async for chunk in tts.synthesize(phrase, TtsOptions(STOCK_RATE_HZ))]
        except ProviderError as error:
            _log.warning("stock_phrases_missing", code=error.code)
            return
        stock[phrase] = b"".join(chunks)
