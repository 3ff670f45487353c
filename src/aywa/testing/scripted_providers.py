"""Providers that do what a script says, on the loop's clock: a recogniser, a model and a voice without a network."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult, Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions


class ScriptedSttStream:
    """Knows what is being said because the script tells it: `say` puts a word into the caller's mouth."""

    def __init__(self, finalize_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._results: asyncio.Queue[SttResult | ProviderError | None] = asyncio.Queue()
        self._finalize_s = finalize_s
        self._said: list[str] = []
        self.finalized = 0
        self.closed = False

    def say(self, words: str) -> None:
        """These words were spoken just now; a partial shows them."""
        self._said.append(words)
        self._results.put_nowait(SttResult(" ".join(self._said), is_final=False))

    def fail(self, error: ProviderError) -> None:
        """The recogniser breaks."""
        self._results.put_nowait(error)

    def feed(self, pcm: bytes) -> None:
        """Nothing to hear: the script tells."""

    def voice(self, active: bool) -> None:
        """Not needed."""

    def finalize(self) -> None:
        """Answers all words so far after finalize_s."""
        self.finalized += 1
        if self._finalize_s <= 0:
            self._answer()
        else:
            self._loop.call_later(self._finalize_s, self._answer)

    def commit(self) -> None:
        """Begins afresh."""
        self._said.clear()

    async def results(self) -> AsyncIterator[SttResult]:
        """What was said, as it was said."""
        while (result := await self._results.get()) is not None:
            if isinstance(result, ProviderError):
                raise result
            yield result

    async def close(self) -> None:
        """Ends the iteration."""
        self.closed = True
        self._results.put_nowait(None)

    def _answer(self) -> None:
        self._results.put_nowait(SttResult(" ".join(self._said), is_final=False, from_finalize=True))


class ScriptedStt:
    """Opens scripted streams; the last one is `stream`."""

    name = "scripted-stt"
    capabilities = SttCapabilities((16000, 8000), interims=True, finalize=True, word_times=False)

    def __init__(self, finalize_s: float = 0.0) -> None:
        self._finalize_s = finalize_s
        self.streams: list[ScriptedSttStream] = []

    @property
    def stream(self) -> ScriptedSttStream:
        """The stream opened last."""
        return self.streams[-1]

    async def open(self, options: SttOptions) -> ScriptedSttStream:
        """A new stream."""
        self.streams.append(ScriptedSttStream(self._finalize_s))
        return self.streams[-1]

    async def warm(self, options: SttOptions) -> None:
        """Nothing to dial."""

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class ScriptedLlm:
    """Answers by `reply(messages)`, word by word, and wants the tools run that `calls(messages)` names, as (name, arguments in
    JSON). fail_next: errors to raise instead, first come first served."""

    reply: Callable[[LlmRequest], str] = lambda request: "Certainly. That is done."
    first_token_s: float = 0.0
    token_s: float = 0.0
    name: str = "scripted-llm"
    fail_next: deque[ProviderError] = field(default_factory=deque)
    requests: list[LlmRequest] = field(default_factory=list)
    cancelled: int = 0
    calls: Callable[[LlmRequest], Sequence[tuple[str, str]]] = lambda request: ()

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """The answer, a word a delta."""
        self.requests.append(request)
        if self.fail_next:
            raise self.fail_next.popleft()
        done = False
        try:
            await asyncio.sleep(self.first_token_s)
            words = self.reply(request).split()
            for number, word in enumerate(words):
                if number and self.token_s:
                    await asyncio.sleep(self.token_s)
                yield TextDelta(word + " ")
            calls = self.calls(request)
            for number, (name, arguments) in enumerate(calls):
                yield ToolCallDelta(number, f"call_{len(self.requests)}_{number}", name, arguments)
            yield Finished("tool_calls" if calls else "stop", completion_tokens=len(words))
            done = True
        finally:
            self.cancelled += not done

    async def warm(self, request: LlmRequest) -> None:
        """Nothing to warm."""

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class ScriptedTts:
    """A voice of word_s a word, at the asked rate; tells word times when word_times is set."""

    first_audio_s: float = 0.0
    word_s: float = 0.3
    word_times: bool = True
    name: str = "scripted-tts"
    fail_next: deque[ProviderError] = field(default_factory=deque)
    spoken: list[str] = field(default_factory=list)

    @property
    def capabilities(self) -> TtsCapabilities:
        """Any rate."""
        return TtsCapabilities((8000, 16000), self.word_times)

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        """A steady tone is not needed: the samples only count."""
        if self.fail_next:
            raise self.fail_next.popleft()
        await asyncio.sleep(self.first_audio_s)
        self.spoken.append(text)
        words = text.split()
        samples = round(len(words) * self.word_s * options.rate_hz)
        yield TtsChunk(b"\x40\x10" * samples, options.rate_hz, self._words(words))

    async def warm(self, options: TtsOptions) -> None:
        """Nothing to dial."""

    async def close(self) -> None:
        """Nothing to close."""

    def _words(self, words: Sequence[str]) -> tuple[Word, ...]:
        if not self.word_times:
            return ()
        return tuple(Word(w, i * self.word_s, (i + 1) * self.word_s) for i, w in enumerate(words))


def broken(route: str, code: str = "unavailable", *, retryable: bool = True) -> ProviderError:
    """A failure for a script."""
    return ProviderError(route, code, "scripted to fail", fault=Fault.PROVIDER, retryable=retryable)
