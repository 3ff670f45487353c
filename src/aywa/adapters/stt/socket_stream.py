"""What recognisers over a WebSocket have in common: audio in messages of a good size, results in a bounded queue, the end.

A vendor's stream says how audio is written and what a message means. Refuses to wait while it is fed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from aywa.adapters.wire.bell import Bell
from aywa.adapters.wire.json_text import read_json
from aywa.adapters.wire.websocket import Ending, Message, WebSocket
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttResult

MESSAGE_S = 0.08
"""Audio in one message: each costs a call into the kernel, and what is asked for is flushed first."""
MOST_MESSAGE_BYTES = 1 << 20
MOST_RESULTS = 256
"""Finals that wait to be taken; of partials only the last waits."""
_SAMPLE_BYTES = 2


class SocketStream(ABC):
    """ports.stt.SttStream over one connection. encode: PCM16 to what the far side asked for."""

    def __init__(self, socket: WebSocket, rate_hz: int, encode: Callable[[bytes], bytes]) -> None:
        self._socket = socket
        self._encode = encode
        self._bytes_s = rate_hz * _SAMPLE_BYTES
        self._message_bytes = round(rate_hz * MESSAGE_S) * _SAMPLE_BYTES
        self._pcm = bytearray()
        self._sent_bytes = 0
        self._waiting: deque[SttResult] = deque()
        self._news = Bell()
        self._error: ProviderError | None = None
        self._closed = False

    # --- the port ------------------------------------------------------------------------------------------------

    def feed(self, pcm: bytes) -> None:
        """As the port says."""
        self._pcm += pcm
        if len(self._pcm) >= self._message_bytes:
            self.flush()

    def voice(self, active: bool) -> None:  # noqa: B027 - nothing to do
        """They find voice by themselves."""

    @abstractmethod
    def finalize(self) -> None:
        """As the port says."""

    @abstractmethod
    def commit(self) -> None:
        """As the port says."""

    async def results(self) -> AsyncIterator[SttResult]:
        """As the port says."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._error is not None:
                raise self._error
            if self._closed:
                return
            await self._news.wait()

    async def close(self) -> None:
        """As the port says."""
        if not self._closed:
            self._closed = True
            self._news.ring()
            self.leave()
        await self._socket.close()

    # --- the connection ------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """As a Receiver."""
        if self._closed or self._error is not None:
            return
        try:
            self.heard(self._object(message))
        except ProviderError as error:
            self.fail(error)

    def ended(self, ending: Ending) -> None:
        """As a Receiver."""
        if (error := self.translated(ending)) is not None:
            self.fail(error)
        self._closed = True
        self._news.ring()

    # --- for the vendor's stream ---------------------------------------------------------------------------------

    @abstractmethod
    def heard(self, message: dict[str, Any]) -> None:
        """What a message means. Raises ProviderError."""

    def leave(self) -> None:  # noqa: B027 - most say nothing
        """What is said before a connection is closed."""

    def translated(self, ending: Ending) -> ProviderError | None:
        """What the end of the connection means."""
        return ending.error(self._socket.address)

    @property
    def sent_s(self) -> float:
        """How much audio the far side was sent."""
        return self._sent_bytes / self._bytes_s

    def flush(self) -> None:
        """Sends what was fed."""
        if self._pcm:
            self._sent_bytes += len(self._pcm)
            self._socket.send_bytes(self._encode(bytes(self._pcm)))
            self._pcm.clear()

    def tell(self, result: SttResult) -> None:
        """To whoever iterates. A partial takes the place of the one before, if that was not taken yet."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and not (last.is_final or last.from_finalize):
            self._waiting.pop()
        elif len(self._waiting) >= MOST_RESULTS:
            raise self.failed("overlong", "more results than are taken")
        self._waiting.append(result)
        self._news.ring()

    def fail(self, error: ProviderError) -> None:
        """The stream is over with this; the first reason counts."""
        if self._error is None and not self._closed:
            self._error = error
            self._news.ring()
            self._socket.abort()

    def failed(self, code: str, message: str, *, retryable: bool = True, mend: str = "") -> ProviderError:
        """The provider's failure."""
        fault = Fault.PROVIDER if retryable else Fault.CONFIG
        return self._socket.address.error(code, message, fault, retryable=retryable, mend=mend)

    def _object(self, message: Message) -> dict[str, Any]:
        if isinstance(message, bytes):
            raise self.failed("malformed", "a message is not text")
        try:
            parsed = read_json(message)
        except ValueError:
            raise self.failed("malformed", "a message is not JSON") from None
        if not isinstance(parsed, dict):
            raise self.failed("malformed", "a message is not an object")
        return parsed
