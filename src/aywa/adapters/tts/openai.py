"""OpenAI's speech: POST {base}/audio/speech, raw PCM16 at 24 kHz back as it is made. No word times, no contexts.

Wire: https://platform.openai.com/docs/api-reference/audio/createSpeech; fields as in the vendor's SDK 3.54. One text is one
request; leaving it closes its connection, which is what stops the vendor. Retries and deadlines are the router's.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aywa.adapters.tts import fields
from aywa.adapters.tts.sound import Sound, speakable
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.http import HttpRoute, Names, Refusal
from aywa.ports.errors import Fault
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

BASE_URL = "https://api.openai.com/v1"
MODEL = "gpt-4o-mini-tts"
VOICE = "alloy"
RATE_HZ = 24_000
"""The only one that it gives."""

_SPEEDS = (0.25, 4.0)
_VOICE_MEND = "check the voice's `voiceId`"
_REFUSALS = {
    "invalid_api_key": Refusal(
        "unauthorized", Fault.CONFIG, False, "check OPENAI_API_KEY or the openai credential"
    ),
    "insufficient_quota": Refusal("quota", Fault.CONFIG, False, "raise the account's budget at OpenAI"),
    "rate_limit_exceeded": Refusal("rate_limited", Fault.CONFIG, True, "raise the account's limits, or wait"),
    "model_not_found": Refusal("unknown_model", Fault.CONFIG, False, "check the voice's `model`"),
    # Of what is sent, only the voice is one of a list.
    "invalid_value": Refusal("unknown_voice", Fault.CONFIG, False, _VOICE_MEND),
    "string_too_long": Refusal("bad_request", Fault.CONFIG, False, "shorten the text"),
}


class OpenAiTts:
    """One route. base_url: with its /v1. voice: for requests that name none. Chunks are at 24 kHz whatever is asked for."""

    capabilities = TtsCapabilities(rates_hz=(RATE_HZ,), word_times=False)

    def __init__(
        self,
        key: str,
        base_url: str = BASE_URL,
        model: str = MODEL,
        voice: str = VOICE,
        name: str = "openai-speech",
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._model = model
        self._voice = voice
        self._http = HttpRoute(
            name,
            base_url,
            Names("OPENAI_API_KEY", "OPENAI_BASE_URL", "the voice's `model`", "voice"),
            headers={"Authorization": f"Bearer {key}"},
            refusals=_REFUSALS,
            tls=tls,
            guard=guard,
        )

    @property
    def name(self) -> str:
        """The route's name."""
        return self._http.name

    @property
    def connections(self) -> int:
        """How many were ever made."""
        return self._http.connections

    @property
    def waited(self) -> int:
        """For how many of them a text waited."""
        return self._http.waited

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncGenerator[TtsChunk]:
        """As the port says."""
        if not speakable(text):
            return
        sound = Sound(RATE_HZ, self._http.error)
        async with self._http.ask("POST", "/audio/speech", body=self._body(text, options)) as answer:
            if answer.content_type.startswith("text/") or answer.content_type == "application/json":
                raise self._http.not_a_stream(answer.content_type)
            async with aclosing(answer.chunks()) as pieces:
                async for piece in pieces:
                    if chunk := sound.audio(piece):
                        yield chunk
        sound.end()

    async def warm(self, options: TtsOptions) -> None:
        """As the port says: dials."""
        await self._http.warm()

    async def close(self) -> None:
        """As the port says."""
        await self._http.close()

    def _body(self, text: str, options: TtsOptions) -> dict[str, Any]:
        document = options.extra
        body: dict[str, Any] = {
            "model": fields.text(document, "model") or self._model,
            "input": text,
            "voice": options.voice or fields.text(document, "voiceId") or self._voice,
            "response_format": "pcm",
        }
        if instructions := fields.text(document, "instructions"):
            body["instructions"] = instructions
        speed = fields.number(document, "speed", *_SPEEDS)
        if speed is None:
            speed = min(max(options.speed, _SPEEDS[0]), _SPEEDS[1])
        return body if speed == 1.0 else body | {"speed": speed}
