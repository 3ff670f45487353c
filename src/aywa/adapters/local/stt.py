"""The local recogniser behind the port: decides when a turn's audio is decoded; the child decodes it. Hears no voice itself.

A turn is decoded from its beginning each time, so the last text is always the best one. When voice ends, the text is
made at once: the `finalize` that usually follows finds it ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aywa.adapters.local.process import ChildProcess
from aywa.adapters.local.turn_audio import TurnAudio
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult

_INTERIM_S = 0.4
"""Audio between two interim texts."""
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
                self.name, "bad_rate", f"{options.rate_hz} Hz is not among {rates}", fault=Fault.CONFIG, retryable=False
            )
        await self._child.ready("stt")
        return LocalSttStream(self._child, options.rate_hz)


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
        self._interim_bytes = int(2 * rate_hz * _INTERIM_S)
        self._text = ""
        self._text_epoch = -1
        self._asked = False
        self._asked_at = 0
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
            self._interim = self._start(self._decode_interim())

    def voice(self, active: bool) -> None:
        """Voice began or ended. At its end the text is made, before anybody asks."""
        was_active, self._audio.active = self._audio.active, self._audio.active
        self._audio.voice(active)
        if was_active and not active and not self._closed:
            self._decode_final()

    def finalize(self) -> None:
        """Asks for the text of everything fed so far, at once. Answered by a result with from_finalize."""
        if self._closed:
            return
        self._asked_at = len(self._audio)
        if not self._audio.voiced:
            self._results.put_nowait(SttResult("", is_final=False, from_finalize=True))
        elif self._text_epoch == self._audio.epoch and not self._audio.active:
            self._answer()
        else:
            self._asked = True
            if self._final is None or self._audio.active:
                self._decode_final()

    def commit(self) -> None:
        """The turn was taken: drops the audio up to the last finalize."""
        self._drop(min(self._asked_at, len(self._audio)))

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
        return len(self._audio) - self._interim_at >= self._interim_bytes

    def _decode_final(self, until: int | None = None) -> None:
        """Decodes all of the turn, or what lies before `until`, ahead of everything that is less urgent."""
        for task in (self._interim, self._final):
            if task:
                task.cancel()
        self._interim = None
        self._final = self._start(self._finish(until))

    async def _decode_interim(self) -> None:
        turn = self._turn
        try:
            text = await self._decode("partial", self._audio.since())
        finally:
            if self._interim is asyncio.current_task():
                self._interim = None
        if text and turn == self._turn:
            self._results.put_nowait(SttResult(text, is_final=False, audio_s=self._audio.seconds))

    async def _finish(self, until: int | None) -> None:
        turn, epoch, size = self._turn, self._audio.epoch, len(self._audio)
        seconds = self._audio.seconds
        try:
            text = await self._decode("transcribe", self._audio.since(0, until))
        finally:
            if self._final is asyncio.current_task():
                self._final = None
        if turn != self._turn or text is None:
            return
        if until is not None:
            self._settle(text, until)
            return
        self._text = text
        self._text_epoch = epoch
        if self._asked:
            self._answer()
        elif text:
            self._results.put_nowait(SttResult(text, is_final=False, audio_s=seconds))
        if seconds >= _SETTLE_S and not self._audio.active and epoch == self._audio.epoch:
            self._settle(text, size)

    def _settle(self, text: str, until: int) -> None:
        """A part of a long turn will not be decoded again."""
        if text:
            self._results.put_nowait(SttResult(text, is_final=True, audio_s=until / 2 / self._rate_hz))
        self._drop(until)

    def _answer(self) -> None:
        self._asked = False
        result = SttResult(self._text, is_final=False, from_finalize=True, audio_s=self._audio.seconds)
        self._results.put_nowait(result)

    def _drop(self, until: int) -> None:
        self._audio.drop(until)
        self._turn += 1
        self._asked_at = max(0, self._asked_at - until)
        self._interim_at = 0
        self._text, self._text_epoch = "", -1

    async def _decode(self, do: str, pcm: bytes) -> str | None:
        """None when the child dropped it, as stale."""
        answer = await self._child.ask("stt", do, pcm=pcm, rate=self._rate_hz)
        return answer.get("text")

    def _start(self, work: asyncio._CoroutineLike[None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(work), name="local-stt")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: asyncio._CoroutineLike[None]) -> None:
        try:
            await work
        except ProviderError as error:
            self._results.put_nowait(error)
