"""A customer's own voice: POST of a `voice-request` message, raw PCM16 mono back at the rate that it asks for (contract 4.4).

No word times, no contexts. Leaving a text closes its connection, which is what stops the server. A file in place of raw samples
is refused, not played: its head would be a click, and its rate nobody's. Retries and deadlines are the router's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from aywa.adapters.tts.sound import Sound, speakable
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.http import HttpRoute, Names
from aywa.ports.errors import Fault
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions

_RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
_HEAD_BYTES = 4
_FILES = {
    b"RIFF": "a WAV file",
    b"OggS": "an Ogg file",
    b"fLaC": "a FLAC file",
    b"ID3\x03": "an MP3 file",
    b"ID3\x04": "an MP3 file",
}


class CustomVoice:
    """One route. url, headers: of the voice's `server`, the credential's among them. message: what every message carries
    besides (`call`, `assistant`, `customer`, `phoneNumber`: contract 7.3)."""

    capabilities = TtsCapabilities(rates_hz=_RATES_HZ, word_times=False)

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        message: Mapping[str, Any] | None = None,
        name: str = "custom-voice",
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._message = dict(message or {})
        names = Names("the credential of the voice's `server`", "the voice's `server.url`", kind="voice")
        self._http = HttpRoute(name, url, names, headers=headers, tls=tls, guard=guard)

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
        message = {
            **self._message,
            "type": "voice-request",
            "timestamp": round(time.time() * 1000),
            "text": text,
            "sampleRate": options.rate_hz,
        }
        sound = Sound(options.rate_hz, self._http.error)
        async with self._http.ask("POST", "", body={"message": message}) as answer:
            if answer.content_type.startswith("text/") or answer.content_type == "application/json":
                raise self._http.not_a_stream(answer.content_type)
            head: bytes | None = b""
            async with aclosing(answer.chunks()) as pieces:
                async for piece in pieces:
                    if head is not None:
                        piece = head = head + piece
                        if len(head) < _HEAD_BYTES:
                            continue
                        self._check(head)
                        head = None
                    if chunk := sound.audio(piece):
                        yield chunk
            if head and (chunk := sound.audio(head)):
                yield chunk
        sound.end()

    async def warm(self, options: TtsOptions) -> None:
        """As the port says: dials."""
        await self._http.warm()

    async def close(self) -> None:
        """As the port says."""
        await self._http.close()

    def _check(self, head: bytes) -> None:
        """Raises ProviderError for a file."""
        if (kind := _FILES.get(head[:_HEAD_BYTES])) is not None:
            raise self._http.error(
                "not_a_stream",
                f"answered with {kind}, not with raw samples",
                Fault.CONFIG,
                mend="let the voice's server send PCM16 mono at `sampleRate` without a header",
            )
