"""The call's recogniser: feeds it, posts what it heard, and opens it anew when it breaks. Never raises into the call.

One that cannot be asked for all words (`finalize`) is not asked; a final that it gives after the voice counts as its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from aywa.core import events as ev
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import Stt, SttOptions, SttResult, SttStream

# Breaks in a row after which the call is given up; one that came after HEALTHY_S of work counts as the first.
REOPEN_LIMIT = 5
REOPEN_WAIT_S = 0.25
HEALTHY_S = 30.0
OPEN_S = 3.0
# An answer to finalize that takes longer is not coming; two in a row, and another recogniser is opened.
ANSWER_S = 2.0
UNANSWERED_LIMIT = 2
CLOSE_S = 2.0
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
        self._can_finalize = stt.capabilities.finalize
        self._leg_id = leg_id
        self._language = language
        self._post = post
        self._stream: SttStream | None = None
        self._waiting: deque[bytes] = deque(maxlen=WAITING_FRAMES)
        self._voiced = False
        self._closed = False
        self._broken: Exception | None = None
        self._reading: asyncio.Timeout | None = None
        self._asked_s: float | None = None
        self._unanswered = 0

    async def run(self) -> None:
        """Until cancelled or closed, or until it has broken too often."""
        breaks = 0
        loop = asyncio.get_running_loop()
        while not self._closed:
            began_s = loop.time()
            code, retryable = await self._broke()
            if self._closed:
                return
            breaks = 1 if loop.time() - began_s >= HEALTHY_S else breaks + 1
            self._post(ev.ChildFailed("stt", code))
            if not retryable or breaks > REOPEN_LIMIT:
                self._post(ev.EndRequested("pipeline-error-custom-transcriber-failed", code))
                return
            await asyncio.sleep(REOPEN_WAIT_S * 2 ** (breaks - 1))

    def feed(self, pcm: bytes) -> None:
        """The leg's audio at rate_hz."""
        stream = self._stream
        if stream is None:
            self._waiting.append(pcm)
        else:
            self._tell(lambda: stream.feed(pcm))

    def voice(self, active: bool) -> None:
        """What the voice detector found."""
        self._voiced = active
        if (stream := self._stream) is not None:
            self._tell(lambda: stream.voice(active))

    def finalize(self) -> None:
        """Asks for all words so far."""
        stream = self._stream
        if stream is None or not self._can_finalize:
            return
        now = asyncio.get_running_loop().time()
        if self._asked_s is None:
            self._asked_s = now
        elif now > self._asked_s + ANSWER_S:
            self._unanswered += 1
            self._asked_s = now
        if self._unanswered >= UNANSWERED_LIMIT:
            told = "finalize is not answered"
            self._give_up(
                ProviderError(self._stt.name, "unanswered", told, fault=Fault.PROVIDER, retryable=True)
            )
        else:
            self._tell(stream.finalize)

    def commit(self) -> None:
        """The turn was taken."""
        if self._stream is not None:
            self._tell(self._stream.commit)

    async def close(self) -> None:
        """Ends the stream."""
        self._closed = True
        stream, self._stream = self._stream, None
        if stream is not None:
            await _close(stream)

    # --- inside --------------------------------------------------------------------------------------------------

    async def _broke(self) -> tuple[str, bool]:
        """Runs a stream to its end; answers why it ended, and whether another may be tried."""
        error: Exception | None = None
        try:
            await self._run_once()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody stopped this call: something inside the recogniser was cancelled.
            return "cancelled", True
        except Exception as raised:  # noqa: BLE001 - a recogniser may break in any way, and the call goes on
            error = raised
        told, self._broken = self._broken, None
        match told or error:
            case None:
                return "closed", True
            case ProviderError() as known:
                return known.code, known.retryable
            case TimeoutError():
                return "deadline", True
            case other:
                return other.__class__.__name__, True

    async def _run_once(self) -> None:
        async with asyncio.timeout(OPEN_S):
            stream = await self._stt.open(SttOptions(self.rate_hz, self._language))
        try:
            while self._waiting:
                stream.feed(self._waiting.popleft())
            if self._voiced:
                stream.voice(True)
            if self._closed:
                return
            self._stream = stream
            self._asked_s, self._unanswered = None, 0
            async with asyncio.timeout(None) as self._reading:
                async for result in stream.results():
                    if result.from_finalize:
                        self._asked_s, self._unanswered = None, 0
                    self._post(self._event(result))
        finally:
            self._stream = self._reading = None
            await _close(stream)

    def _tell(self, say: Callable[[], None]) -> None:
        """Whoever feeds the recogniser, the media plane among them, must not be hit by its failure."""
        try:
            say()
        except Exception as error:  # noqa: BLE001 - a recogniser may break in any way, and the call goes on
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Stops reading the stream; `run` opens another."""
        self._stream, self._broken = None, error
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())

    def _event(self, result: SttResult) -> ev.TranscriptReceived:
        words = tuple((w.text, w.start_s, w.end_s) for w in result.words)
        complete = result.from_finalize
        if not self._can_finalize and result.is_final and result.text and not self._voiced:
            complete = True
        return ev.TranscriptReceived(
            self._leg_id, result.text, result.is_final, complete, words, result.confidence
        )


async def _close(stream: SttStream) -> None:
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await stream.close()
