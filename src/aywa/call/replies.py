"""Makes one reply: the model's text, cut into clauses, each synthesised as soon as it stands.

Posts what came of it and holds the audio until it is asked for. Never raises: a failure is an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

from aywa.call.sentences import Sentences, Spoken
from aywa.call.voicing import Voicing
from aywa.core import events as ev
from aywa.core.audio.align import align_words
from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.core.audio.resample import resample_pcm
from aywa.core.clauses import ClauseCutter
from aywa.core.playout import place_words
from aywa.core.voicing.text import Voiced, written_places
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, Flush, Llm, LlmRequest, TextDelta
from aywa.ports.stt import Word
from aywa.ports.tts import Tts, TtsOptions

# How long a stream may take to let go.
CLOSE_S = 1.0

Post = Callable[[ev.Event], None]
T = TypeVar("T")


class PhraseCache:
    """Phrases that every call needs, made once for each voice: (voice, text) -> audio and the places of its words."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._made: dict[tuple[str, TtsOptions, Voiced], tuple[bytes, tuple[ev.HeardWord, ...]]] = {}

    async def phrase(self, routes: ReplyRoutes, text: str) -> tuple[bytes, tuple[ev.HeardWord, ...]]:
        """As `synthesise`."""
        key = (routes.tts.name, routes.voice, await routes.voicing.voice(text))
        made = self._made.get(key)
        if made is None:
            made = await synthesise(routes, text)
            if made[0] and len(self._made) < self._most:
                self._made[key] = made
        return made


@dataclass(frozen=True, slots=True)
class ReplyRoutes:
    """The model and the voice of the call, and how they are asked. deadlines in seconds: to the model's first delta,
    between two of them, to a clause's first audio, and between two pieces of it. max_characters: of one reply, whatever the
    model makes of max_tokens. stock: phrase -> PCM16 at stock_rate_hz, for when the voice is dead. phrases: of all calls.
    voicing: how texts are cut and formatted for the voice. sentences: spoken before; None: the voice's owner wants none."""

    llm: Llm
    tts: Tts
    voice: TtsOptions
    model: str = ""
    temperature: float = 0.5
    max_tokens: int = 250
    first_delta_s: float = 8.0
    next_delta_s: float = 4.0
    first_audio_s: float = 3.0
    next_audio_s: float = 2.0
    max_characters: int = 20_000
    stock: Mapping[str, bytes] = field(default_factory=dict)
    stock_rate_hz: int = 16000
    phrases: PhraseCache = field(default_factory=PhraseCache)
    voicing: Voicing = field(default_factory=Voicing)
    sentences: Sentences | None = None

    def stock_pcm(self, text: str) -> bytes:
        """The phrase at the call's rate; empty when there is none."""
        pcm = self.stock.get(text, b"")
        return resample_pcm(pcm, self.stock_rate_hz, self.voice.rate_hz) if pcm else b""


@dataclass(slots=True)
class _Usage:
    prompt: int = 0
    cached: int = 0
    completion: int = 0


class _Stopped(Exception):
    """The reply cannot be made to its end: which step failed, and how."""

    def __init__(self, step: str, code: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.code = code


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
    _heard: asyncio.Event | None = None

    def put_off(self) -> None:
        """The reply is only a guess: no more than its first clause is synthesised until `release`."""
        self._heard = asyncio.Event()

    def release(self) -> None:
        """The reply will be heard."""
        if self._heard is not None:
            self._heard.set()

    async def answer(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Asks the model and speaks what it says. When one of the two breaks, the other is stopped."""
        await self._report(self._answer(messages))

    async def say(self, text: str) -> None:
        """Speaks a fixed text."""
        await self._report(self._say(text))

    async def _report(self, making: Coroutine[Any, Any, None]) -> None:
        """The last event tells what came of it."""
        stopped: BaseException | None = None
        try:
            await making
        except* _Stopped as group:
            stopped = group.exceptions[0]
        if isinstance(stopped, _Stopped):
            self.post(ev.ReplyFailed(self.reply_id, stopped.step, stopped.code, str(stopped)))
            return
        usage, text = self._usage, "".join(self._text)
        self.post(
            ev.ReplyCompleted(
                self.reply_id, text, self._clauses, usage.prompt, usage.cached, usage.completion
            )
        )

    async def _answer(self, messages: Sequence[Mapping[str, Any]]) -> None:
        clauses: asyncio.Queue[str | None] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            _ = group.create_task(self._speak_all(clauses))
            with _step("llm", self.routes.llm.name):
                await self._write(messages, clauses)
            clauses.put_nowait(None)

    async def _say(self, text: str) -> None:
        clauses: asyncio.Queue[str | None] = asyncio.Queue()
        # All of it is there: whole sentences sound better.
        cutter = ClauseCutter(early=False, plan=self.routes.voicing.plan)
        self._wrote(text)
        for clause in (*cutter.feed(text), *cutter.finish()):
            clauses.put_nowait(clause)
        clauses.put_nowait(None)
        try:
            await self._speak_all(clauses)
        except _Stopped:
            pcm = self.routes.stock_pcm(text)
            if self._clauses or not pcm:
                raise
            self._made(text, pcm, ())

    async def _write(self, messages: Sequence[Mapping[str, Any]], clauses: asyncio.Queue[str | None]) -> None:
        routes = self.routes
        cutter = ClauseCutter(plan=routes.voicing.plan)
        request = LlmRequest(
            tuple(ChatMessage(m["role"], m["content"]) for m in messages),
            model=routes.model,
            temperature=routes.temperature,
            max_tokens=routes.max_tokens,
        )
        wait_s, written = routes.first_delta_s, 0
        async with _closing(routes.llm.stream(request)) as deltas:
            while written < routes.max_characters:
                async with asyncio.timeout(wait_s):
                    delta = await anext(deltas, None)
                if delta is None:
                    break
                wait_s = routes.next_delta_s
                if isinstance(delta, TextDelta):
                    written += len(delta.text)
                    self._wrote(delta.text)
                    for clause in cutter.feed(delta.text):
                        clauses.put_nowait(clause)
                elif isinstance(delta, Flush):
                    for clause in cutter.flush():
                        clauses.put_nowait(clause)
                elif isinstance(delta, Finished):
                    self._usage = _Usage(delta.prompt_tokens, delta.cached_tokens, delta.completion_tokens)
        for clause in cutter.finish():
            clauses.put_nowait(clause)

    def _wrote(self, text: str) -> None:
        self._text.append(text)
        self.post(ev.ReplyTextReceived(self.reply_id, text))

    async def _speak_all(self, clauses: asyncio.Queue[str | None]) -> None:
        while (clause := await clauses.get()) is not None:
            with _step("tts", self.routes.tts.name):
                await self._speak(clause)

    async def _speak(self, clause: str) -> None:
        if self._clauses and self._heard is not None:
            await self._heard.wait()
        pcm, words = await synthesise(self.routes, clause)
        if pcm:
            self._made(clause, pcm, words)

    def _made(self, clause: str, pcm: bytes, words: tuple[ev.HeardWord, ...]) -> None:
        number = self._clauses
        self._clauses += 1
        self.audio[number] = pcm
        # In the history the ends of lines are spaces.
        clause = " ".join(clause.split())
        self.post(ev.ClauseSynthesized(self.reply_id, number, clause, len(pcm) // SAMPLE_BYTES, words))


async def synthesise(routes: ReplyRoutes, text: str) -> tuple[bytes, tuple[ev.HeardWord, ...]]:
    """The text's PCM16 at the voice's rate, and the places of its words as they are written. Raises what the voice raises,
    and TimeoutError."""
    said = await routes.voicing.voice(text)
    if not any(map(str.isalnum, said.spoken)):
        return b"", ()
    kept = routes.sentences.find(routes.tts.name, routes.voice, said.spoken) if routes.sentences else None
    if kept is None:
        kept = await _synthesised(routes, said.spoken)
        if routes.sentences is not None:
            routes.sentences.offer(routes.tts.name, routes.voice, said.spoken, kept)
    return kept.pcm, written_places(said, kept.words) if kept.pcm else ()


async def _synthesised(routes: ReplyRoutes, text: str) -> Spoken:
    voice = routes.voice
    sound = _Sound(voice.rate_hz)
    words: list[Word] = []
    wait_s = routes.first_audio_s
    async with _closing(routes.tts.synthesize(text, voice)) as chunks:
        while True:
            async with asyncio.timeout(wait_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            wait_s = routes.next_audio_s
            sound.add(chunk.pcm, chunk.rate_hz)
            words += chunk.words
    pcm = sound.pcm()
    return Spoken(pcm, _placed(text, words, pcm, voice.rate_hz))


@contextmanager
def _step(step: str, route: str) -> Iterator[None]:
    """Says which step it was that failed, however it failed."""
    try:
        yield
    except ProviderError as error:
        raise _Stopped(step, error.code, str(error)) from error
    except TimeoutError:
        raise _Stopped(step, "deadline", f"{route} did not answer in time") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody stopped this reply: something inside the route was cancelled.
        raise _Stopped(step, "cancelled", f"{route} gave up") from None
    except Exception as error:
        raise _Stopped(step, error.__class__.__name__, f"{route} broke") from error


@asynccontextmanager
async def _closing(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Closes the stream whatever happens, which is what stops the far side. Its last words change nothing."""
    try:
        yield aiter(stream)
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_S):
                    await close()


class _Sound:
    """A clause's audio as it comes in. Samples may be cut anywhere; the rate is changed over the whole, or there would be
    a seam at every chunk."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._done: list[bytes] = []
        self._from_hz = rate_hz
        self._pieces: list[bytes] = []

    def add(self, pcm: bytes, rate_hz: int) -> None:
        if rate_hz != self._from_hz:
            self._change_rate()
            self._from_hz = rate_hz
        self._pieces.append(pcm)

    def pcm(self) -> bytes:
        self._change_rate()
        return b"".join(self._done)

    def _change_rate(self) -> None:
        joined = b"".join(self._pieces)
        whole = joined[: len(joined) // SAMPLE_BYTES * SAMPLE_BYTES]
        self._pieces.clear()
        if whole:
            self._done.append(resample_pcm(whole, self._from_hz, self._rate_hz))


def _placed(text: str, words: Sequence[Word], pcm: bytes, rate_hz: int) -> tuple[ev.HeardWord, ...]:
    """The spoken words' places: what the voice told, and from the audio what it did not."""
    told = [
        ev.HeardWord(w.text, max(0, round(w.start_s * rate_hz)), max(0, round(w.end_s * rate_hz)))
        for w in words
        if isfinite(w.start_s) and isfinite(w.end_s)
    ]
    samples = len(pcm) // SAMPLE_BYTES
    return place_words(text, told, samples, lambda: align_words(text, pcm, rate_hz))
