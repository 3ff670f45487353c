"""Makes one reply: the model's text, cut into clauses, each synthesised as soon as it stands.

Posts what came of it and holds the audio until it is asked for. Never raises: a failure is an event.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from aywa.call.router.attempt import CLOSE_S
from aywa.call.router.board import HealthBoard, Tell, silent
from aywa.call.router.continued import Continued
from aywa.call.router.models import ModelRoute, ModelRouter
from aywa.call.router.voices import VoiceRoute, VoiceRouter
from aywa.call.sentences import Sentences
from aywa.call.tool_calls import ToolCalls
from aywa.call.voicing import Voicing
from aywa.core import events as ev
from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.core.audio.resample import resample_pcm
from aywa.core.clauses import ClauseCutter
from aywa.core.voicing.text import Voiced
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, Flush, Llm, LlmRequest, TextDelta, ToolCallDelta
from aywa.ports.tts import Tts, TtsOptions

__all__ = ["CLOSE_S", "PhraseCache", "ReplyMaker", "ReplyRoutes", "synthesise"]

Post = Callable[[ev.Event], None]
TELL_EVERY_S = 0.25
"""How old the model's words may become before the call is told of them; their costs and their budget go by it."""


class PhraseCache:
    """Phrases that every call needs, made once for each voice: (voice, text) -> audio and the places of its words; those
    longest unused go first. A voice that is asked with another key is another one."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        # With the adapter: another one must not get its number while its phrases are here.
        self._made: dict[
            tuple[int, str, TtsOptions, Voiced], tuple[bytes, tuple[ev.HeardWord, ...], Tts]
        ] = {}
        self._making: dict[tuple[int, str, TtsOptions, Voiced], asyncio.Event] = {}

    async def phrase(self, routes: ReplyRoutes, text: str) -> tuple[bytes, tuple[ev.HeardWord, ...]]:
        """As `synthesise`. Calls that begin together have it made once."""
        current = routes.voices.current
        key = (id(current.tts), current.name, current.options, await routes.voicing.voice(text))
        if (busy := self._making.get(key)) is not None:
            # Once: what another call could not have made is made by everybody for himself.
            await busy.wait()
        kept = self._made.pop(key, None)
        if kept is None:
            made = await self._make(key, routes, text)
            if not made[0] or routes.voices.current is not current:
                return made
            kept = (*made, current.tts)
            while len(self._made) >= self._most:
                del self._made[next(iter(self._made))]
        self._made[key] = kept
        return kept[:2]

    async def _make(
        self, key: tuple[int, str, TtsOptions, Voiced], routes: ReplyRoutes, text: str
    ) -> tuple[bytes, tuple[ev.HeardWord, ...]]:
        over = asyncio.Event()
        _ = self._making.setdefault(key, over)
        try:
            return await synthesise(routes, text)
        finally:
            if self._making.get(key) is over:
                del self._making[key]
            over.set()


@dataclass(slots=True)
class ReplyRoutes:
    """The models and the voices of one call, and how they are asked. deadlines in seconds: to the model's first delta
    (first_of_many_s: while another could be asked), between two of them, to a clause's first audio, and between two
    pieces of it. max_characters: of one reply, whatever the model makes of max_tokens. stock: phrase -> PCM16 at
    stock_rate_hz, for when the voice is dead. phrases: of all calls. more_models, more_voices: who is asked when the
    first is not well. about: what a customer's own model is told of the call. voicing: how texts are cut and formatted
    for the voice. sentences: spoken before; None: the voice's owner wants none. models, voices: made of these."""

    llm: Llm
    tts: Tts
    voice: TtsOptions
    model: str = ""
    temperature: float = 0.5
    max_tokens: int = 250
    first_delta_s: float = 8.0
    first_of_many_s: float = 3.0
    next_delta_s: float = 4.0
    first_audio_s: float = 3.0
    next_audio_s: float = 2.0
    max_characters: int = 20_000
    stock: Mapping[str, bytes] = field(default_factory=dict)
    stock_rate_hz: int = 16000
    phrases: PhraseCache = field(default_factory=PhraseCache)
    more_models: tuple[ModelRoute, ...] = ()
    more_voices: tuple[VoiceRoute, ...] = ()
    board: HealthBoard = field(default_factory=HealthBoard)
    hedges: bool = True
    about: LlmRequest = field(default_factory=lambda: LlmRequest(()))
    voicing: Voicing = field(default_factory=Voicing)
    sentences: Sentences | None = None
    models: ModelRouter = field(init=False)
    voices: VoiceRouter = field(init=False)

    def __post_init__(self) -> None:
        first = ModelRoute(
            self.llm,
            self.model,
            self.temperature,
            self.max_tokens,
            self.first_delta_s,
            self.next_delta_s,
            self.first_of_many_s,
        )
        voice = VoiceRoute(self.tts, self.voice, self.first_audio_s, self.next_audio_s)
        self.models = ModelRouter((first, *self.more_models), self.board, hedges=self.hedges)
        self.voices = VoiceRouter(
            (voice, *self.more_voices), self.voice.rate_hz, self.board, sentences=self.sentences
        )

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the record calls its models and its voices, in the order in which they are asked."""
        models = (ModelRoute(self.llm, self.model), *self.more_models)
        voices = (VoiceRoute(self.tts, self.voice), *self.more_voices)
        return tuple(route.name for route in models), tuple(route.name for route in voices)

    def tell(self, tell: Tell = silent) -> None:
        """Whom the routers tell of what they do."""
        self.models.tell = self.voices.tell = tell

    def sound_at(self, rate_hz: int) -> None:
        """All voices speak at this rate from now on: the leg's, which is known when it connects."""
        if rate_hz != self.voice.rate_hz:
            self.voice = replace(self.voice, rate_hz=rate_hz)
            self.voices.retune(rate_hz)

    def offer(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """The models are told of these tools, from now on."""
        self.about = replace(self.about, tools=tuple(tools))

    def request(self, messages: Sequence[Mapping[str, Any]]) -> LlmRequest:
        """What the models are asked, by these messages."""
        chat = tuple(
            ChatMessage(m["role"], m["content"], tuple(m.get("tool_calls", ())), m.get("tool_call_id"))
            for m in messages
        )
        return replace(self.about, messages=chat, max_tokens=self.max_tokens)

    def stock_pcm(self, text: str) -> bytes:
        """The phrase at the call's rate; empty when there is none."""
        pcm = self.stock.get(text, b"")
        return _stock_at(pcm, self.stock_rate_hz, self.voice.rate_hz) if pcm else b""


@dataclass(slots=True)
class _Usage:
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    route: str = ""


class _Stopped(Exception):
    """The reply cannot be made to its end: which step failed, and how."""

    def __init__(self, step: str, code: str, message: str, route: str) -> None:
        super().__init__(message)
        self.step = step
        self.code = code
        self.route = route


@dataclass(slots=True)
class ReplyMaker:
    """One reply. audio: piece of a clause -> PCM16 at the voice's rate, until it is taken."""

    reply_id: int
    routes: ReplyRoutes
    post: Post
    audio: dict[int, bytes] = field(default_factory=dict)
    _text: str = ""
    _untold: list[str] = field(default_factory=list)
    _told_s: float = 0.0
    _sounds_until_s: float = 0.0
    _clauses: int = 0
    _usage: _Usage = field(default_factory=_Usage)
    _calls: ToolCalls = field(default_factory=ToolCalls)
    _heard: asyncio.Event | None = None
    _context: str = field(default_factory=lambda: secrets.token_hex(8))
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

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
        finally:
            self._tell()
        if isinstance(stopped, _Stopped):
            self.post(ev.ReplyFailed(self.reply_id, stopped.step, stopped.code, str(stopped), stopped.route))
            return
        usage = self._usage
        if calls := self._calls.whole:
            self.post(ev.ToolCallsReceived(self.reply_id, calls))
        self.post(
            ev.ReplyCompleted(
                self.reply_id,
                self._text,
                self._clauses,
                usage.prompt,
                usage.cached,
                usage.completion,
                usage.route,
            )
        )

    async def _answer(self, messages: Sequence[Mapping[str, Any]]) -> None:
        clauses: asyncio.Queue[str | None] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            _ = group.create_task(self._speak_all(clauses))
            with _step("llm"):
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
            self._made(text, pcm, (), "stock")

    async def _write(self, messages: Sequence[Mapping[str, Any]], clauses: asyncio.Queue[str | None]) -> None:
        """The model's text, clause by clause. When it breaks in the middle, another goes on from what was cut so far."""
        routes = self.routes
        cutter = ClauseCutter(plan=routes.voicing.plan)
        request, broken = routes.request(messages), frozenset[str]()
        going_on: Continued | None = None
        while True:
            answering = routes.models.ask(request, broken)
            try:
                async with aclosing(answering.deltas()) as deltas:
                    async for delta in deltas:
                        if isinstance(delta, TextDelta):
                            text = delta.text if going_on is None else going_on.feed(delta.text)
                            self._cut(cutter, text, clauses)
                            if len(self._text) >= routes.max_characters:
                                break
                        elif isinstance(delta, ToolCallDelta):
                            self._calls.take(delta)
                        elif isinstance(delta, Flush):
                            _put(clauses, cutter.flush())
                        elif isinstance(delta, Finished):
                            self._used(delta, answering.route)
                break
            except ProviderError as error:
                route = answering.route
                if route is None or not routes.models.has_other(broken | {route.name}):
                    raise
                broken |= {route.name}
                # Half a call is none; whoever goes on makes his own.
                self._calls = ToolCalls()
                self._text = self._text[: len(self._text) - len(cutter.forget())]
                # The caller is waiting again: the next clause comes early, as the first one does.
                cutter = ClauseCutter(plan=routes.voicing.plan)
                going_on = Continued(self._text)
                request = going_on.request(routes.request(messages))
                fields = {"before": route.name, "code": error.code, "characters_given": len(self._text)}
                routes.models.tell("RouteSwitched", {"kind": "llm", **fields})
            finally:
                await answering.close()
        if going_on is not None:
            self._cut(cutter, going_on.finish(), clauses)
        _put(clauses, cutter.finish())

    def _cut(self, cutter: ClauseCutter, text: str, clauses: asyncio.Queue[str | None]) -> None:
        if text:
            self._wrote(text)
            cut = cutter.feed(text)
            if cut:
                self._tell()
            _put(clauses, cut)

    def _used(self, finished: Finished, route: ModelRoute | None) -> None:
        before = self._usage
        self._usage = _Usage(
            before.prompt + finished.prompt_tokens,
            before.cached + finished.cached_tokens,
            before.completion + finished.completion_tokens,
            "" if route is None else route.name,
        )

    def _wrote(self, text: str) -> None:
        """The first of it is news at once; the rest is told with its clause, or every TELL_EVERY_S."""
        first = not self._text
        self._text += text
        self._untold.append(text)
        now = self._loop.time()
        if first or now >= self._told_s + TELL_EVERY_S:
            self._told_s = now
            self._tell()

    def _tell(self) -> None:
        if self._untold:
            self.post(ev.ReplyTextReceived(self.reply_id, "".join(self._untold), len(self._untold)))
            self._untold.clear()

    async def _speak_all(self, clauses: asyncio.Queue[str | None]) -> None:
        while (clause := await clauses.get()) is not None:
            with _step("tts"):
                await self._speak(clause)

    async def _speak(self, clause: str) -> None:
        if self._clauses and self._heard is not None:
            await self._heard.wait()
        routes = self.routes
        # In the history the ends of lines are spaces.
        text = await routes.voicing.voice(clause)
        speaking = routes.voices.speak(text, self._context, more=True, ahead_s=self._ahead_s)
        try:
            async with aclosing(speaking.pieces()) as pieces:
                async for piece in pieces:
                    self._made(piece.text, piece.pcm, piece.words, piece.route)
        finally:
            await speaking.close()

    def _ahead_s(self) -> float:
        """How long what was made so far will still sound, if it sounds since it was made."""
        return self._sounds_until_s - self._loop.time()

    def _made(self, text: str, pcm: bytes, words: tuple[ev.HeardWord, ...], route: str) -> None:
        now = self._loop.time()
        sounds_s = len(pcm) / SAMPLE_BYTES / self.routes.voices.rate_hz
        self._sounds_until_s = max(self._sounds_until_s, now) + sounds_s
        number = self._clauses
        self._clauses += 1
        self.audio[number] = pcm
        self.post(ev.ClauseSynthesized(self.reply_id, number, text, len(pcm) // SAMPLE_BYTES, words, route))


async def synthesise(routes: ReplyRoutes, text: str) -> tuple[bytes, tuple[ev.HeardWord, ...]]:
    """The text's PCM16 at the call's rate, and the places of its words. Raises ProviderError."""
    pcm = bytearray()
    words: list[ev.HeardWord] = []
    speaking = routes.voices.speak(await routes.voicing.voice(text))
    try:
        async with aclosing(speaking.pieces()) as pieces:
            async for piece in pieces:
                at = len(pcm) // SAMPLE_BYTES
                words += [ev.HeardWord(w.text, w.start + at, w.end + at) for w in piece.words]
                pcm += piece.pcm
    finally:
        await speaking.close()
    return bytes(pcm), tuple(words)


# All calls of a process have the same few phrases.
_stock_at = lru_cache(64)(resample_pcm)


def _put(clauses: asyncio.Queue[str | None], some: Sequence[str]) -> None:
    for clause in some:
        clauses.put_nowait(clause)


@contextmanager
def _step(step: str) -> Iterator[None]:
    """Says which step it was that failed."""
    try:
        yield
    except ProviderError as error:
        raise _Stopped(step, error.code, str(error), error.route) from error
