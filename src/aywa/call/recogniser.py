"""The call's recogniser: feeds it, posts what it heard, and opens it anew when it breaks. Never raises into the call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aywa.core import events as ev
from aywa.ports.errors import ProviderError
from aywa.ports.stt import Stt, SttOptions, SttResult, SttStream

REOPEN_LIMIT = 5
REOPEN_WAIT_S = 0.25
# Audio that waits while the recogniser is being opened: 3 s of 20 ms frames.
WAITING_FRAMES = 150


class Recogniser:
    """rate_hz: what it wants to be fed: the leg's own rate where the recogniser takes it, else its first."""

    def __init__(
        self, stt: Stt, leg_id: str, leg_rate_hz: int, language: str, post: Callable[[ev.Event], None]
    ) -> None:
        rates = stt.capabilities.rates_hz
        self.rate_hz = leg_rate_hz if leg_rate_hz in rates else rates[0]
        self._stt = stt
        self._leg_id = leg_id
        self._language = language
        self._post = post
        self._stream: SttStream | None = None
        self._waiting: deque[bytes] = deque(maxlen=WAITING_FRAMES)
        self._voiced = False

    async def run(self) -> None:
        """Until cancelled, or until it has broken too often."""
        for attempt in range(REOPEN_LIMIT + 1):
            try:
                await self._run_once()
                return
            except ProviderError as error:
                self._stream = None
                self._post(ev.ChildFailed("stt", error.code))
                if not error.retryable or attempt == REOPEN_LIMIT:
                    self._post(ev.EndRequested("pipeline-error-custom-transcriber-failed", error.code))
                    return
            await asyncio.sleep(REOPEN_WAIT_S * 2**attempt)

    def feed(self, pcm: bytes) -> None:
        """The leg's audio at rate_hz."""
        if self._stream is None:
            self._waiting.append(pcm)
        else:
            self._stream.feed(pcm)

    def voice(self, active: bool) -> None:
        """What the voice detector found."""
        self._voiced = active
        if self._stream is not None:
            self._stream.voice(active)

    def finalize(self) -> None:
        """Asks for all words so far."""
        if self._stream is not None:
            self._stream.finalize()

    def commit(self) -> None:
        """The turn was taken."""
        if self._stream is not None:
            self._stream.commit()

    async def close(self) -> None:
        """Ends the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _run_once(self) -> None:
        stream = await self._stt.open(SttOptions(self.rate_hz, self._language))
        try:
            while self._waiting:
                stream.feed(self._waiting.popleft())
            if self._voiced:
                stream.voice(True)
            self._stream = stream
            async for result in stream.results():
                self._post(self._event(result))
        finally:
            self._stream = None
            await stream.close()

    def _event(self, result: SttResult) -> ev.TranscriptReceived:
        words = tuple((w.text, w.start_s, w.end_s) for w in result.words)
        return ev.TranscriptReceived(
            self._leg_id, result.text, result.is_final, result.from_finalize, words, result.confidence
        )
