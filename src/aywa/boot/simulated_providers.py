"""Runs the simulated vendors on one port until told to stop, with the local recogniser and voice behind them on request."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from aywa.adapters.local import LocalEngine, open_local
from aywa.boot.errors import CannotStart
from aywa.boot.models import require
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
from aywa.testing.vendors.server import SimulatedVendors

KEY = "sim-key"
_SPEECH = ("hibari", "moonshine")
_ROLES = ("tts", "stt")
# Where each vendor's base URL ends in something, and whose variables they are.
_VENDORS = {
    "OPENAI": "/v1",
    "ANTHROPIC": "",
    "DEEPGRAM": "",
    "ELEVENLABS": "",
    "CARTESIA": "",
}
ROUTES = (
    openai.CHAT, openai_speech.SPEECH, openai_transcriptions.ROUTE, anthropic.MESSAGES, deepgram.NOVA, deepgram.FLUX,
    elevenlabs.STREAM, elevenlabs.SPEECH, cartesia.STREAM, cartesia.BYTES, openai.CUSTOM, custom_voice.ROUTE,
    custom_transcriber.ROUTE,
)  # fmt: skip
"""What a plan can be set for, beside the handshakes and lists that no call needs."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Where they are."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What points the runtime at them."""
        found: dict[str, str] = {}
        for prefix, path in _VENDORS.items():
            found[f"{prefix}_BASE_URL"] = self.url + path
            found[f"{prefix}_API_KEY"] = KEY
        return found


def simulate(host: str, port: int, tell: Callable[[Simulated], None], *, speech: bool = False) -> None:
    """Blocks until SIGINT or SIGTERM. Raises CannotStart; ProviderError when a model is missing."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(host, port, tell, speech=speech))


async def _run(host: str, port: int, tell: Callable[[Simulated], None], *, speech: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as parts:
        engine: LocalEngine | None = None
        if speech:
            engine = await open_local(require(_SPEECH), _ROLES, llm="rules")
            parts.push_async_callback(engine.close)
            await engine.ready()
        stt, tts = (None, None) if engine is None else (engine.stt, engine.tts)
        vendors = SimulatedVendors(host=host, port=port, stt=stt, tts=tts)
        parts.push_async_callback(vendors.stop)
        try:
            await vendors.start()
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with --port"
            ) from error
        tell(Simulated(vendors.url))
        await stopped.wait()
