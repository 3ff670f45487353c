"""Makes one reply: the model's text, cut into clauses, each synthesised as soon as it stands.

Posts what came of it and holds the audio until it is asked for. Never raises: a failure is an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aywa.core import events as ev
from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.resample import Resampler
from aywa.core.clauses import ClauseCutter
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, Llm, LlmRequest, TextDelta
from aywa.ports.stt import Word
from aywa.ports.tts import Tts, TtsOptions

Post = Callable[[ev.Event], None]


@dataclass(frozen=True, slots=True)
class ReplyRoutes:
    """The model and the voice of the call, and how they are asked. deadlines in seconds: to the model's first delta,
    between two of them, and to a clause's audio."""

    llm: Llm
    tts: Tts
    voice: TtsOptions
    model: str = ""
    temperature: float = 0.5
    max_tokens: int = 250
    first_delta_s: float = 10.0
    next_delta_s: float = 5.0
    clause_audio_s: float = 5.0


@dataclass(slots=True)
class _Usage:
    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass(slots=True)
class ReplyMaker:
    """One reply. audio: clause number -> PCM16 at the voice's rate, until it is taken."""

    reply_id: int
    routes: ReplyRoutes
    post: Post
    audio: dict[int, bytes] = field(default_factory=dict)
    _text: list[str] = field(default_factory=list)
    _clauses: int = 0
    _usage: _Usage = field(default_factory=_Usage)

    async def answer(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Asks the model and speaks what it says."""
        clauses: asyncio.Queue[str | None] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak_all(clauses))
            try:
                await self._write(messages, clauses)
            except ProviderError as error:
                speaking.cancel()
                self._fail("llm", error.code, str(error))
            except TimeoutError:
                speaking.cancel()
                self._fail("llm", "deadline", f"{self.routes.llm.name} did not answer in time")
            else:
                clauses.put_nowait(None)

    async def say(self, text: str) -> None:
        """Speaks a fixed text."""
        clauses: asyncio.Queue[str | None] = asyncio.Queue()
        cutter = ClauseCutter()
        self._wrote(text)
        for clause in (*cutter.feed(text), *cutter.finish()):
            clauses.put_nowait(clause)
        clauses.put_nowait(None)
        await self._speak_all(clauses)

    async def _write(self, messages: Sequence[Mapping[str, Any]], clauses: asyncio.Queue[str | None]) -> None:
        cutter = ClauseCutter()
        routes = self.routes
        stream = routes.llm.stream(
            LlmRequest(
                tuple(ChatMessage(m["role"], m["content"]) for m in messages),
                model=routes.model,
                temperature=routes.temperature,
                max_tokens=routes.max_tokens,
            )
        )
        deltas = aiter(stream)
        wait_s = routes.first_delta_s
        try:
            while True:
                async with asyncio.timeout(wait_s):
                    delta = await anext(deltas, None)
                if delta is None:
                    break
                wait_s = routes.next_delta_s
                if isinstance(delta, TextDelta):
                    self._wrote(delta.text)
                    for clause in cutter.feed(delta.text):
                        clauses.put_nowait(clause)
                elif isinstance(delta, Finished):
                    self._usage = _Usage(delta.prompt_tokens, delta.cached_tokens, delta.completion_tokens)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        for clause in cutter.finish():
            clauses.put_nowait(clause)

    def _wrote(self, text: str) -> None:
        self._text.append(text)
        self.post(ev.ReplyTextReceived(self.reply_id, text))

    async def _speak_all(self, clauses: asyncio.Queue[str | None]) -> None:
        try:
            while (clause := await clauses.get()) is not None:
                await self._speak(clause)
        except ProviderError as error:
            self._fail("tts", error.code, str(error))
            return
        except TimeoutError:
            self._fail("tts", "deadline", f"{self.routes.tts.name} did not answer in time")
            return
        usage = self._usage
        text = "".join(self._text)
        self.post(
            ev.ReplyCompleted(
                self.reply_id, text, self._clauses, usage.prompt, usage.cached, usage.completion
            )
        )

    async def _speak(self, clause: str) -> None:
        rate_hz = self.routes.voice.rate_hz
        pieces: list[bytes] = []
        words: list[Word] = []
        async with asyncio.timeout(self.routes.clause_audio_s):
            async for chunk in self.routes.tts.synthesize(clause, self.routes.voice):
                pieces.append(_at_rate(chunk.pcm, chunk.rate_hz, rate_hz))
                words += chunk.words
        pcm = b"".join(pieces)
        if not pcm:
            return
        number = self._clauses
        self._clauses += 1
        self.audio[number] = pcm
        samples = len(pcm) // 2
        self.post(
            ev.ClauseSynthesized(self.reply_id, number, clause, samples, _placed(words, rate_hz, samples))
        )

    def _fail(self, step: str, code: str, message: str) -> None:
        self.post(ev.ReplyFailed(self.reply_id, step, code, message))


def _placed(words: Sequence[Word], rate_hz: int, samples: int) -> tuple[ev.HeardWord, ...]:
    return tuple(
        ev.HeardWord(w.text, min(round(w.start_s * rate_hz), samples), min(round(w.end_s * rate_hz), samples))
        for w in words
    )


def _at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    if from_hz == to_hz:
        return pcm
    resampler = Resampler(from_hz, to_hz)
    samples = to_float(pcm)
    return to_pcm(np.concatenate([resampler.push(samples), resampler.flush()]))
