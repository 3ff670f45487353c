"""A customer's own recogniser over WebSocket: `start`, then stereo PCM16; `transcriber-response` back. Wire: contract 4.5.

Channel 0 is the caller and channel 1, the assistant, is silence: the port is fed the caller alone. The protocol cannot ask
for words at once, and has no times of words. Retries and deadlines are the router's.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import numpy as np

from aywa.adapters.stt.socket_stream import MOST_MESSAGE_BYTES, SocketStream
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.websocket import Address, WebSocket, WebSocketSettings, connect, websocket_url
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult

SECRET_HEADER = "X-Vapi-Secret"  # noqa: S105 - a header's name
_SETTINGS = WebSocketSettings(most_message_bytes=MOST_MESSAGE_BYTES)
_MEND = "check transcriber.server"


class CustomTranscriberStt:
    """One route. url: ws, wss, http or https. secret: sent in X-Vapi-Secret, unless headers name it.
    tls: instead of the system's trust."""

    capabilities = SttCapabilities((16000, 8000), interims=True, finalize=False, word_times=False)

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        name: str = "custom-transcriber",
        *,
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        sent = {SECRET_HEADER: secret} if secret else {}
        self._address = Address(
            name, websocket_url(url, ""), {**sent, **(headers or {})}, _MEND, _MEND, tls, guard
        )
        self.connections = 0
        """How many were ever made: a call waits for each."""

    @property
    def name(self) -> str:
        """The route's name."""
        return self._address.route

    @property
    def waited(self) -> int:
        """For how many of them a call waited."""
        return self.connections

    async def open(self, options: SttOptions) -> CustomTranscriberStream:
        """As the port says."""
        self.connections += 1
        socket = await connect(self._address, _SETTINGS)
        start = {
            "type": "start",
            "encoding": "linear16",
            "container": "raw",
            "sampleRate": options.rate_hz,
            "channels": 2,
        }
        socket.send_text(json.dumps(start))
        return CustomTranscriberStream(socket, options.rate_hz)

    async def warm(self, options: SttOptions) -> None:
        """A customer's server may count a connection as a call."""

    async def close(self) -> None:
        """Every stream closes its own connection."""


class CustomTranscriberStream(SocketStream):
    """One call's recognition."""

    def __init__(self, socket: WebSocket, rate_hz: int) -> None:
        super().__init__(socket, rate_hz, _stereo)
        self._partial = ""
        self._settled: list[str] = []
        socket.receive(self)

    def finalize(self) -> None:
        """Only sends what was fed: see `capabilities`."""
        self.flush()

    def commit(self) -> None:
        """As the port says. A final that begins with what was told already is told without it."""
        self._settled += _plain(self._partial)
        self._partial = ""

    def heard(self, message: dict[str, Any]) -> None:
        if message.get("type") != "transcriber-response" or message.get("channel", "customer") != "customer":
            return
        text = message.get("transcription")
        if not isinstance(text, str):
            raise self.failed("malformed", "a response has no text transcription")
        is_final = message.get("transcriptType", "final") != "partial"
        text = self._unsettled(text)
        if is_final:
            self._settled.clear()
        if text or (is_final and self._partial):
            self.tell(SttResult(text, is_final, audio_s=self.sent_s))
        self._partial = "" if is_final else text

    def _unsettled(self, text: str) -> str:
        count = len(self._settled)
        if not count:
            return text.strip()
        words = text.split()
        return " ".join(words[count:] if _plain(" ".join(words[:count])) == self._settled else words)


def _plain(text: str) -> list[str]:
    """The words as they are compared: a final has case and punctuation that a partial has not."""
    return ["".join(c for c in word.casefold() if c.isalnum()) for word in text.split()]


def _stereo(pcm: bytes) -> bytes:
    both = np.zeros((len(pcm) // 2, 2), "<i2")
    both[:, 0] = np.frombuffer(pcm, "<i2")
    return both.tobytes()
