"""The local recogniser behind the port: decides when a turn's audio is decoded; the child decodes it. Hears no voice itself.

A turn is decoded from its beginning each time, so the last text is always the best one. When voice ends, the text is
made at once: the `finalize` that usually follows finds it ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any

from aywa.adapters.local.process import ChildProcess
from aywa.adapters.local.turn_audio import TurnAudio
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult

_INTERIM_S = 0.4
_INTERIM_SHARE = 0.09
"""Audio between two interim texts: at least the first, and this share of the turn, so that a long one does not
occupy a core: decoding takes about 30 ms for a second of audio."""
_SETTLE_S = 12.0
"""A turn this long is settled at its next pause: decoding it anew from the beginning would take too long."""
_CUT_S = 16.0
_CUT_FROM_S = 10.0
"""A turn this long without a pause is cut at its quietest place between the two."""


class LocalStt:
    """A route to the child's recogniser."""

    name = "local-moonshine"
    capabilities = SttCapabilities(rates_hz=(16000, 8000), interims=True, finalize=True, word_times=False)

    def __init__(self, child: ChildProcess) -> None:
        self._child = child

    async def open(self, options: SttOptions) -> LocalSttStream:
        """Raises ProviderError. English only; the nearest thing to another language's words is what it gives."""
        if options.rate_hz not in self.capabilities.rates_hz:
            rates = ", ".join(map(str, self.capabilities.rates_hz))
            raise ProviderError(
                self.name,
                "bad_request",
                f"{options.rate_hz} Hz is not among {rates}",
                fault=Fault.CONFIG,
                retryable=False,
            )
        await self._child.ready("stt")
        return LocalSttStream(self._child, options.rate_hz)

    async def warm(self, options: SttOptions) -> None:
        """Its child is there."""

    async def close(self) -> None:
        """The child is closed by who opened it."""


class LocalSttStream:
    """One caller's recognition."""

    def __init__(self, child: ChildProcess, rate_hz: int) -> None:
        self._child = child
        self._rate_hz = rate_hz
        self._audio = TurnAudio(rate_hz)
        self._results: asyncio.Queue[SttResult | ProviderError | None] = asyncio.Queue()
        self._interim: asyncio.Task[None] | None = None
        self._final: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._interim_at = 0
        self._text = ""
        self._text_epoch = -1
        self._asked = False
        self._covered = 0
        self._turn = 0
        self._closed = False

    def feed(self, pcm: bytes) -> None:
        """Takes PCM16 LE mono at the opened rate, any whole number of samples."""
        self._audio.feed(pcm)
        if not self._audio.active or self._closed:
            return
        if self._audio.seconds >= _CUT_S and self._final is None:
            self._decode_final(until=self._audio.quietest(_CUT_FROM_S, _CUT_S - 1.0))
        elif self._interim is None and self._final is None and self._due():
            self._interim_at = len(self._audio)
            self._interim = self._start(self._decode_interim)

    def voice(self, active: bool) -> None:
        """Voice began or ended. At its end the text is made, before anybody asks."""
        was_active = self._audio.active
        self._audio.voice(active)
        if active and not was_active:
            self._interim_at = len(self._audio)
        elif was_active and not active and not self._closed:
            self._text_epoch = -1
            self._decode_final()

    def finalize(self) -> None:
        """Asks for the text of everything fed so far, at once. Answered by a result with from_finalize."""
        if self._closed:
            return
        if not self._audio.voiced:
            self._results.put_nowait(SttResult("", is_final=False, from_finalize=True))
        elif self._text_epoch == self._audio.epoch and not self._audio.active:
            self._answer()
        else:
            self._asked = True
            if self._final is None or self._audio.active:
                self._decode_final()

    def commit(self) -> None:
        """The turn was taken: drops the audio that the last result covers."""
        self._asked = False
        self._drop(self._covered)

    async def results(self) -> AsyncGenerator[SttResult]:
        """Yields until closed. Raises ProviderError when the recogniser fails."""
        while not self._closed or not self._results.empty():
            result = await self._results.get()
            if result is None:
                return
            if isinstance(result, ProviderError):
                raise result
            yield result

    async def close(self) -> None:
        """Ends the stream at once."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._results.put_nowait(None)

    def _due(self) -> bool:
        wanted_s = max(_INTERIM_S, _INTERIM_SHARE * self._audio.seconds)
        return len(self._audio) - self._interim_at >= 2 * self._rate_hz * wanted_s

    def _decode_final(self, until: int | None = None) -> None:
        """Decodes all of the turn, or what lies before `until`, ahead of everything that is less urgent."""
        for task in (self._interim, self._final):
            if task:
                task.cancel()
        self._interim = None
        self._final = self._start(partial(self._finish, until))

    async def _decode_interim(self) -> None:
        turn, size = self._turn, len(self._audio)
        try:
            text = await self._decode("partial", self._audio.since())
        finally:
            if self._interim is asyncio.current_task():
                self._interim = None
        if text and turn == self._turn:
            self._tell(text, size)

    async def _finish(self, until: int | None) -> None:
        turn, epoch, size, paused = self._turn, self._audio.epoch, len(self._audio), not self._audio.active
        try:
            text = await self._decode("transcribe", self._audio.since(0, until))
        finally:
            if self._final is asyncio.current_task():
                self._final = None
        if turn != self._turn or text is None:
            return
        if until is not None:
            self._settle(text, until)
            if self._asked:
                self._decode_final()
            return
        self._text, self._text_epoch = text, epoch if paused else -1
        if self._asked:
            self._answer()
        elif text:
            self._tell(text, size)
        if size >= 2 * self._rate_hz * _SETTLE_S and self._text_epoch == self._audio.epoch:
            self._settle(text, size)

    def _answer(self) -> None:
        """The text of everything fed so far: what came after the decoded audio is silence."""
        self._asked = False
        self._tell(self._text, len(self._audio), from_finalize=True)

    def _settle(self, text: str, until: int) -> None:
        """A part of a long turn will not be decoded again."""
        if text:
            self._tell(text, until, is_final=True)
        self._drop(until)

    def _tell(self, text: str, size: int, *, is_final: bool = False, from_finalize: bool = False) -> None:
        self._covered = size
        self._results.put_nowait(
            SttResult(text, is_final, from_finalize, audio_s=round(size / 2 / self._rate_hz, 3))
        )

    def _drop(self, until: int) -> None:
        self._audio.drop(until)
        self._turn += 1
        self._covered = 0
        self._interim_at = 0
        self._text, self._text_epoch = "", -1

    async def _decode(self, do: str, pcm: bytes) -> str | None:
        """None when the child dropped it, as stale."""
        answer = await self._child.ask("stt", do, pcm=pcm, rate=self._rate_hz)
        return answer.get("text")

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(work), name="local-stt")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except ProviderError as error:
            self._results.put_nowait(error)
