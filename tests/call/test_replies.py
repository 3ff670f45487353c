"""A reply's clauses in order, its failures as events, and nothing left running when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from aywa.call.replies import CLOSE_S, PhraseCache, ReplyMaker, ReplyRoutes
from aywa.call.router.models import ModelRoute
from aywa.call.router.voices import VoiceRoute
from aywa.call.sentences import SentenceCache
from aywa.call.voicing import Voicing
from aywa.core import events as ev
from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.settings import ChunkPlan, FormatPlan, Replacement
from aywa.ports.errors import ProviderError
from aywa.ports.llm import Finished, Flush, LlmDelta, LlmRequest, TextDelta, ToolCallDelta
from aywa.ports.stt import Word
from aywa.ports.tts import TtsCapabilities, TtsChunk, TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts, broken
from tests.call.router.routes import Model

pytestmark = pytest.mark.virtual_time

ASKED = [{"role": "user", "content": "hello"}]
LONG = "One two three, four five. Six seven eight nine. Ten eleven twelve. Thirteen fourteen."


@dataclass
class Llm(ScriptedLlm):
    """Says deltas; a number among them is a pause, an exception breaks it. closed: how often a stream was let go."""

    deltas: list[Any] = field(default_factory=list)
    closed: int = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        try:
            for item in self.deltas:
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, int | float):
                    await asyncio.sleep(item)
                else:
                    yield TextDelta(item) if isinstance(item, str) else item
        finally:
            self.closed += 1


@dataclass
class Tts:
    """Says chunks for each clause in its turn, as Llm does deltas."""

    clauses: list[list[Any]] = field(default_factory=list)
    name: str = "test-tts"
    capabilities: TtsCapabilities = field(default_factory=lambda: TtsCapabilities((8000,), True))
    asked: list[str] = field(default_factory=list)
    closed: int = 0

    async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
        self.asked.append(text)
        try:
            for item in self.clauses[len(self.asked) - 1]:
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, int | float):
                    await asyncio.sleep(item)
                else:
                    yield item
        finally:
            self.closed += 1


def maker(llm: Any, tts: Any, rate_hz: int = 8000, **settings: Any) -> tuple[ReplyMaker, list[ev.Event]]:
    posted: list[ev.Event] = []
    routes = replace(ReplyRoutes(llm, tts, TtsOptions(rate_hz)), **settings)
    return ReplyMaker(7, routes, posted.append), posted


def of(posted: list[ev.Event], kind: type[Any]) -> list[Any]:
    return [event for event in posted if isinstance(event, kind)]


def now() -> float:
    return asyncio.get_running_loop().time()


def chunk(seconds: float = 0.1, rate_hz: int = 8000, words: tuple[Word, ...] = ()) -> TtsChunk:
    return TtsChunk(b"\x01\x02" * round(seconds * rate_hz), rate_hz, words)


async def test_clauses_come_in_order_each_with_its_audio_and_then_the_end() -> None:
    reply, posted = maker(ScriptedLlm(lambda r: LONG), ScriptedTts())
    await reply.answer(ASKED)
    clauses = of(posted, ev.ClauseSynthesized)
    assert [c.clause for c in clauses] == list(range(len(clauses)))
    assert " ".join(c.text for c in clauses) == LONG
    assert all(c.samples == len(reply.audio[c.clause]) // 2 for c in clauses)
    completed = posted[-1]
    assert isinstance(completed, ev.ReplyCompleted)
    assert (completed.clauses, completed.completion_tokens) == (len(clauses), len(LONG.split()))
    assert completed.text.split() == LONG.split()
    assert "".join(t.text for t in of(posted, ev.ReplyTextReceived)) == completed.text
    assert not of(posted, ev.ReplyFailed)


async def test_the_first_clause_is_spoken_before_the_model_has_finished() -> None:
    llm = Llm(deltas=["Well, let me see. ", 2.0, "There it is."])
    reply, posted = maker(llm, ScriptedTts(first_audio_s=0.1))
    task = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(0.3)
    assert [c.text for c in of(posted, ev.ClauseSynthesized)] == ["Well,", "let me see."]
    await task
    assert now() == pytest.approx(2.1)


async def test_a_fixed_text_is_spoken_without_the_model() -> None:
    llm = ScriptedLlm()
    reply, posted = maker(llm, ScriptedTts())
    await reply.say("Hello there. How are you?")
    assert [c.text for c in of(posted, ev.ClauseSynthesized)] == ["Hello there.", "How are you?"]
    assert posted[0] == ev.ReplyTextReceived(7, "Hello there. How are you?")
    assert posted[-1] == ev.ReplyCompleted(7, "Hello there. How are you?", 2)
    assert llm.requests == []


async def test_tool_deltas_and_what_was_used_are_taken_without_a_word() -> None:
    llm = Llm(deltas=[ToolCallDelta(0, "id", "name", "{}"), "Fine.", Finished("stop", 11, 5, 3)])
    reply, posted = maker(llm, ScriptedTts())
    await reply.answer(ASKED)
    assert posted[-1] == ev.ReplyCompleted(7, "Fine.", 1, 11, 5, 3, "scripted-llm")


# --- cancelling ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.05, 0.25, 0.5, 1.5, 2.5])
async def test_cancelling_lets_model_and_voice_go_at_once(after_s: float) -> None:
    llm = Llm(deltas=[0.1, "One two three. ", 1.0, "Four five six. ", 1.0, "Seven."])
    tts = Tts([[0.3, chunk(), 0.3, chunk()]] * 9)
    reply, posted = maker(llm, tts)
    task = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert now() == pytest.approx(after_s)
    assert llm.closed == 1
    assert tts.closed == len(tts.asked)
    assert not of(posted, ev.ReplyCompleted)
    assert not of(posted, ev.ReplyFailed)
    before = len(posted)
    await asyncio.sleep(10)
    assert len(posted) == before


class Handle:
    """A stream that is no generator, as a vendor's SDK has it: it stops only when it is closed."""

    def __init__(self, items: list[Any], close_s: float = 0.0) -> None:
        self.items = items
        self.close_s = close_s
        self.closed = 0

    def __aiter__(self) -> Handle:
        return self

    async def __anext__(self) -> Any:
        if not self.items:
            raise StopAsyncIteration
        if isinstance(item := self.items.pop(0), int | float):
            await asyncio.sleep(item)
            return await anext(self)
        return item

    async def aclose(self) -> None:
        self.closed += 1
        await asyncio.sleep(self.close_s)


@dataclass
class HandleRoutes:
    """Both a model and a voice whose streams are handles."""

    handle: Callable[[], Handle]
    name: str = "handles"
    capabilities: TtsCapabilities = field(default_factory=lambda: TtsCapabilities((8000,), True))
    made: list[Handle] = field(default_factory=list)

    def stream(self, request: LlmRequest) -> Handle:
        self.made.append(self.handle())
        return self.made[-1]

    def synthesize(self, text: str, options: TtsOptions) -> Handle:
        return self.stream(LlmRequest(()))

    async def warm(self, request: LlmRequest) -> None:
        """Nothing."""


async def test_streams_that_are_not_generators_are_closed_too() -> None:
    llm = HandleRoutes(lambda: Handle([TextDelta("One two. "), 1.0, TextDelta("Three.")]))
    tts = HandleRoutes(lambda: Handle([5.0]))
    reply, _ = maker(llm, tts)
    task = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [h.closed for h in (*llm.made, *tts.made)] == [1, 1]


async def test_a_stream_that_does_not_let_go_does_not_hold_the_call() -> None:
    llm = HandleRoutes(lambda: Handle([100.0], close_s=1000))
    reply, _ = maker(llm, ScriptedTts())
    task = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert now() == pytest.approx(0.5 + CLOSE_S)
    # Nobody waits for it, and it is not forgotten.
    await asyncio.sleep(1000)


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deltas", "at_s"),
    [([20.0], 3.0), (["One two. ", 20.0], 2.0), (["One two. ", 1.5, "three. ", 1.5, "four. ", 20.0], 5.0)],
)
async def test_a_model_that_takes_too_long(deltas: list[Any], at_s: float) -> None:
    llm = Llm(deltas=deltas)
    reply, posted = maker(llm, ScriptedTts(), first_delta_s=3.0, next_delta_s=2.0)
    await reply.answer(ASKED)
    assert now() == pytest.approx(at_s)
    assert posted[-1] == ev.ReplyFailed(
        7, "llm", "deadline", "scripted-llm: it did not answer in time", "scripted-llm"
    )
    assert llm.closed == 1


async def test_a_voice_that_takes_too_long_stops_the_model() -> None:
    llm = Llm(deltas=["One two. ", *[1.0, "more and more. "] * 50])
    tts = Tts([[chunk(), 20.0]] * 60)
    reply, posted = maker(llm, tts, next_audio_s=2.5)
    await reply.answer(ASKED)
    assert now() == pytest.approx(2.5)
    assert posted[-1] == ev.ReplyFailed(
        7, "tts", "deadline", "test-tts: it did not answer in time", "test-tts"
    )
    assert (llm.closed, tts.closed) == (1, 1)
    assert reply.audio == {}


ERRORS: list[tuple[BaseException, str]] = [
    (broken("x", "rate_limited"), "rate_limited"),
    (RuntimeError("with the caller's words"), "RuntimeError"),
    (KeyError("k"), "KeyError"),
    (TimeoutError(), "deadline"),
    (asyncio.CancelledError(), "cancelled"),
    (ExceptionGroup("several", [OSError()]), "ExceptionGroup"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=[code for _, code in ERRORS])
@pytest.mark.parametrize("before", [[], ["One two three. ", 0.5]])
async def test_a_model_that_breaks(error: BaseException, code: str, before: list[Any]) -> None:
    llm = Llm(deltas=[*before, error])
    reply, posted = maker(llm, ScriptedTts())
    await reply.answer(ASKED)
    failed = posted[-1]
    assert isinstance(failed, ev.ReplyFailed)
    assert (failed.step, failed.code) == ("llm", code)
    assert "caller's words" not in failed.message
    assert len(of(posted, ev.ClauseSynthesized)) == len(before) // 2
    assert len(of(posted, ev.ReplyFailed)) == 1


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=[code for _, code in ERRORS])
async def test_a_voice_that_breaks_in_the_middle_keeps_what_was_made_and_stops_the_model(
    error: BaseException, code: str
) -> None:
    llm = Llm(deltas=["One two. ", "Three four. ", *[1.0, "more and more. "] * 50])
    # Of a voice that may do better it is wanted once more.
    tts = Tts([[chunk()], [0.2, chunk(), error], [error]])
    reply, posted = maker(llm, tts)
    await reply.answer(ASKED)
    assert now() == pytest.approx(0.2)
    failed = posted[-1]
    assert isinstance(failed, ev.ReplyFailed)
    assert (failed.step, failed.code) == ("tts", code)
    assert [c.text for c in of(posted, ev.ClauseSynthesized)] == ["One two."]
    assert (llm.closed, tts.closed) == (1, 2 if code in ("rate_limited", "deadline") else 3)


async def test_a_voice_that_breaks_on_a_fixed_text() -> None:
    reply, posted = maker(ScriptedLlm(), Tts([[broken("tts")]]))
    await reply.say("Hello there.")
    assert isinstance(posted[-1], ev.ReplyFailed)
    assert not of(posted, ev.ReplyCompleted)


async def test_a_route_that_refuses_before_there_is_a_stream() -> None:
    class Refuses(ScriptedLlm):
        def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
            raise ProviderError("llm", "no_key", "no key", fault=broken("x").fault, retryable=False)

    reply, posted = maker(Refuses(), ScriptedTts())
    await reply.answer(ASKED)
    assert posted == [ev.ReplyFailed(7, "llm", "no_key", "llm: no key", "llm")]


@pytest.mark.parametrize("deltas", [[], [""], [" \n "], ["..."], ["**"], [Finished("stop")]])
async def test_a_reply_without_a_word(deltas: list[Any]) -> None:
    tts = Tts()
    reply, posted = maker(Llm(deltas=deltas), tts)
    await reply.answer(ASKED)
    completed = posted[-1]
    assert isinstance(completed, ev.ReplyCompleted)
    assert completed.clauses == 0
    assert tts.asked == []


async def test_a_clause_without_a_sample_is_left_out() -> None:
    reply, posted = maker(Llm(deltas=["One two. Three four. "]), Tts([[], [chunk()]]))
    await reply.answer(ASKED)
    assert [(c.clause, c.text) for c in of(posted, ev.ClauseSynthesized)] == [(0, "Three four.")]
    assert posted[-1] == ev.ReplyCompleted(7, "One two. Three four. ", 1)


async def test_a_model_that_never_ends_is_stopped() -> None:
    class Endless(ScriptedLlm):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
            while True:
                yield TextDelta("and so on. ")

    reply, posted = maker(Endless(), ScriptedTts(), max_characters=500)
    await reply.answer(ASKED)
    completed = posted[-1]
    assert isinstance(completed, ev.ReplyCompleted)
    assert 500 <= len(completed.text) < 520


# --- a reply that is only a guess ------------------------------------------------------------------------------------


async def test_of_a_guess_only_the_first_clause_is_spoken_until_it_is_released() -> None:
    tts = ScriptedTts()
    reply, posted = maker(ScriptedLlm(lambda r: LONG), tts)
    reply.put_off()
    task = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(5.0)
    assert len(tts.spoken) == len(of(posted, ev.ClauseSynthesized)) == 1
    # The model may write on: its words are kept.
    assert "".join(t.text for t in of(posted, ev.ReplyTextReceived)).split() == LONG.split()
    assert not of(posted, ev.ReplyCompleted)
    reply.release()
    await task
    assert " ".join(c.text for c in of(posted, ev.ClauseSynthesized)) == LONG
    assert isinstance(posted[-1], ev.ReplyCompleted)


async def test_a_guess_that_is_released_at_once_is_a_reply_like_any_other() -> None:
    reply, posted = maker(ScriptedLlm(lambda r: LONG), ScriptedTts())
    reply.put_off()
    reply.release()
    reply.release()
    await reply.answer(ASKED)
    assert " ".join(c.text for c in of(posted, ev.ClauseSynthesized)) == LONG
    assert now() == 0.0


async def test_what_was_never_put_off_needs_no_release() -> None:
    reply, posted = maker(ScriptedLlm(lambda r: LONG), ScriptedTts())
    reply.release()
    await reply.answer(ASKED)
    assert isinstance(posted[-1], ev.ReplyCompleted)


async def test_a_guess_that_breaks_says_so_before_it_is_released() -> None:
    reply, posted = maker(Llm(deltas=["One two. ", "Three four. ", 1.0, broken("llm")]), ScriptedTts())
    reply.put_off()
    await reply.answer(ASKED)
    assert now() == pytest.approx(1.0)
    assert isinstance(posted[-1], ev.ReplyFailed)


async def test_a_guess_that_is_thrown_away_leaves_nothing_behind() -> None:
    llm = Llm(deltas=["One two. ", "Three four. ", 100.0])
    reply, posted = maker(llm, ScriptedTts())
    reply.put_off()
    task = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (llm.closed, of(posted, ev.ReplyFailed)) == (1, [])


# --- the runtime's own voice -----------------------------------------------------------------------------------------

STOCK = {"Hello there. Goodbye.": b"\x01\x02" * 1600}


@pytest.mark.parametrize("says", [broken("tts"), 1000.0], ids=["broken", "late"])
async def test_a_fixed_text_in_stock_is_spoken_when_the_voice_is_dead(says: Any) -> None:
    reply, posted = maker(ScriptedLlm(), Tts([[says]]), stock=STOCK, stock_rate_hz=16000)
    await reply.say("Hello there. Goodbye.")
    assert of(posted, ev.ClauseSynthesized) == [
        ev.ClauseSynthesized(7, 0, "Hello there. Goodbye.", len(reply.audio[0]) // 2, (), "stock")
    ]
    assert len(reply.audio[0]) // 2 == pytest.approx(800, abs=2)
    assert posted[-1] == ev.ReplyCompleted(7, "Hello there. Goodbye.", 1)


async def test_what_is_not_in_stock_is_not_spoken_when_the_voice_is_dead() -> None:
    reply, posted = maker(ScriptedLlm(), Tts([[broken("tts")]]), stock=STOCK)
    await reply.say("Something else.")
    assert isinstance(posted[-1], ev.ReplyFailed)
    assert (posted[-1].step, reply.audio) == ("tts", {})


async def test_a_text_of_which_a_part_was_spoken_is_not_begun_anew() -> None:
    long = "Hello there my dear good old friend of mine. Goodbye."
    reply, posted = maker(ScriptedLlm(), Tts([[chunk()], [broken("tts")]]), stock={long: b"\x01\x02" * 800})
    await reply.say(long)
    assert len(of(posted, ev.ClauseSynthesized)) == 1
    assert isinstance(posted[-1], ev.ReplyFailed)


@pytest.mark.parametrize(
    ("before", "at_s"), [([], 2.0), ([1.9, chunk()], 3.0), ([chunk(), 0.5, chunk()], 1.6)]
)
async def test_each_clause_and_each_piece_of_it_has_a_deadline_of_its_own(
    before: list[Any], at_s: float
) -> None:
    tts = Tts([[chunk()], [*before, 1000.0]])
    reply, posted = maker(Llm(deltas=["One two. ", "Three four. "]), tts, first_audio_s=2.0, next_audio_s=1.1)
    await reply.answer(ASKED)
    assert now() == pytest.approx(at_s)
    assert posted[-1] == ev.ReplyFailed(
        7, "tts", "deadline", "test-tts: it did not answer in time", "test-tts"
    )


# --- sound ---------------------------------------------------------------------------------------------------------


def tone(rate_hz: int, seconds: float = 0.5, hz: float = 440) -> bytes:
    at = np.arange(round(rate_hz * seconds), dtype=np.float32) / rate_hz
    return to_pcm((0.5 * np.sin(2 * np.pi * hz * at)).astype(np.float32))


@pytest.mark.parametrize("from_hz", [24000, 22050, 8000])
@pytest.mark.parametrize("portion", [131, 960, 100_000])
async def test_a_voice_at_another_rate_is_as_long_and_without_seams(from_hz: int, portion: int) -> None:
    """Chunks of any number of bytes, cut inside samples too."""
    pcm = tone(from_hz)
    chunks = [TtsChunk(pcm[at : at + portion], from_hz) for at in range(0, len(pcm), portion)]
    reply, posted = maker(Llm(deltas=["Hello there."]), Tts([chunks]), rate_hz=16000)
    await reply.answer(ASKED)
    [clause] = of(posted, ev.ClauseSynthesized)
    assert clause.samples == pytest.approx(8000, abs=1)
    made, wanted = to_float(reply.audio[0])[200:7800], to_float(tone(16000))[200:7800]
    assert float(np.abs(made - wanted).max()) < 0.02


async def test_half_a_sample_at_the_end_is_dropped() -> None:
    reply, _ = maker(Llm(deltas=["Hello there."]), Tts([[TtsChunk(b"\x01\x02\x03", 8000)]]))
    await reply.answer(ASKED)
    assert reply.audio == {0: b"\x01\x02"}


async def test_a_voice_that_changes_its_rate() -> None:
    chunks = [chunk(0.1, 8000), chunk(0.1, 24000), chunk(0.1, 8000)]
    reply, posted = maker(Llm(deltas=["Hello there."]), Tts([chunks]))
    await reply.answer(ASKED)
    assert of(posted, ev.ClauseSynthesized)[0].samples == pytest.approx(2400, abs=2)


async def test_words_are_placed_within_the_clause_whatever_the_voice_says() -> None:
    words = (
        Word("back", 0.06, 0.02),
        Word("well", 0.0, 0.04),
        Word("nothing", float("nan"), 0.03),
        Word("odd", -1, float("inf")),
        Word("late", 0.09, 7.0),
    )
    reply, posted = maker(Llm(deltas=["Well back late."]), Tts([[chunk(0.1, 24000, words)]]))
    await reply.answer(ASKED)
    [clause] = of(posted, ev.ClauseSynthesized)
    assert clause.samples == 800
    assert [(w.text, w.start, w.end) for w in clause.words] == [
        ("Well", 0, 320),
        ("back", 480, 480),
        ("late.", 720, 800),
    ]


async def test_words_that_the_voice_does_not_tell_are_found_in_its_audio() -> None:
    tone, pause = b"\x00\x20\x00\xe0" * 1200, bytes(4800)
    audio = TtsChunk(tone + pause + tone + tone, 8000)
    reply, posted = maker(Llm(deltas=["Yes. "]), Tts([[audio]]))
    await reply.say("Sure, come in")
    [clause] = of(posted, ev.ClauseSynthesized)
    sure, come, last = clause.words
    assert (sure.start, sure.end, come.start, last.end) == (0, 2400, 4800, 9600)
    assert come.end == last.start


async def test_the_voice_is_given_what_is_said_and_the_history_what_is_written() -> None:
    # Half a second a word.
    said = "It costs forty two dollars and fifty cents.".split()
    words = tuple(Word(word, n / 2, (n + 1) / 2) for n, word in enumerate(said))
    tts = Tts([[chunk(4.0, words=words)]])
    reply, posted = maker(Llm(deltas=["It costs\n$42", ".50."]), tts)
    await reply.answer(ASKED)
    assert tts.asked == ["It costs. forty two dollars and fifty cents."]
    [clause] = of(posted, ev.ClauseSynthesized)
    assert clause.text == "It costs $42.50."
    assert [(w.text, w.start / 8000, w.end / 8000) for w in clause.words] == [
        ("It", 0.0, 0.5),
        ("costs", 0.5, 1.0),
        ("$42.50.", 1.0, 4.0),
    ]
    [completed] = of(posted, ev.ReplyCompleted)
    assert completed.text == "It costs\n$42.50."


async def test_a_plan_that_is_sent_cuts_and_formats() -> None:
    tts = Tts([[chunk()]] * 3)
    plan = ChunkPlan(min_characters=20, format=FormatPlan(replacements=(Replacement("hi", "Hello"),)))
    reply, posted = maker(Llm(deltas=["Hello, you. We are open at 5. No."]), tts, voicing=Voicing(plan))
    await reply.answer(ASKED)
    assert tts.asked == ["hi, you. We are open at five.", "No."]
    assert [c.text for c in of(posted, ev.ClauseSynthesized)] == [
        "Hello, you. We are open at 5.",
        "No.",
    ]


async def test_a_flush_has_what_is_held_spoken_at_once() -> None:
    tts = Tts([[chunk()], [chunk()]])
    reply, posted = maker(Llm(deltas=["Let me see", Flush(), 3.0, " what there is"]), tts)
    making = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(1.0)
    assert [c.text for c in of(posted, ev.ClauseSynthesized)] == ["Let me see"]
    await making
    assert tts.asked == ["Let me see", "what there is"]


async def test_what_the_customer_takes_away_is_not_spoken() -> None:
    tts = Tts([[chunk()]])
    plan = ChunkPlan(format=FormatPlan(formatters=("asterisk",)))
    reply, posted = maker(Llm(deltas=["*smiles.* Hello."]), tts, voicing=Voicing(plan))
    await reply.answer(ASKED)
    assert tts.asked == ["Hello."]
    assert of(posted, ev.ClauseSynthesized)[-1].text.endswith("Hello.")


async def test_a_sentence_that_recurs_is_played_from_memory() -> None:
    cache = SentenceCache()
    tts = Tts([[chunk(0.2)], [chunk(0.2)], [chunk(0.2)]])
    heard: list[Any] = []
    for owner in ("org", "org", "org", "another"):
        reply, posted = maker(Llm(deltas=["One moment."]), tts, sentences=cache.of(owner))
        await reply.answer(ASKED)
        [clause] = of(posted, ev.ClauseSynthesized)
        heard.append((clause.samples, clause.words, reply.audio[0]))
    assert tts.asked == ["One moment."] * 3
    assert heard == [heard[0]] * 4
    assert cache.hits == 1


async def test_a_phrase_is_made_once_for_each_way_to_say_it() -> None:
    tts = Tts([[chunk()], [chunk(0.2)]])
    phrases = PhraseCache()
    routes = maker(ScriptedLlm(), tts, phrases=phrases)[0].routes
    raw = replace(routes, voicing=Voicing(ChunkPlan(format=FormatPlan(enabled=False))))
    lengths = [len((await phrases.phrase(each, "$5?"))[0]) for each in (routes, raw, routes, raw)]
    assert tts.asked == ["five dollars?", "$5?"]
    assert lengths == [1600, 3200, 1600, 3200]


async def test_a_phrase_by_another_key_is_another_phrase() -> None:
    """The same voice by name, asked through another adapter: it may be another organisation's own."""
    phrases = PhraseCache()
    ours, theirs = (maker(ScriptedLlm(), Tts([[chunk(s)]]), phrases=phrases)[0].routes for s in (0.1, 0.2))
    lengths = [len((await phrases.phrase(routes, "Sorry?"))[0]) for routes in (ours, theirs, ours, theirs)]
    assert lengths == [1600, 3200, 1600, 3200]


async def test_phrases_that_were_not_wanted_the_longest_make_room() -> None:
    phrases = PhraseCache(most=2)
    tts = Tts([[chunk()]] * 9)
    routes = maker(ScriptedLlm(), tts, phrases=phrases)[0].routes
    for text in ("One.", "Two.", "One.", "Three.", "One.", "Two."):
        _ = await phrases.phrase(routes, text)
    assert tts.asked == ["One.", "Two.", "Three.", "Two."]


async def test_a_model_that_breaks_in_the_middle_is_gone_on_with_and_no_word_comes_twice() -> None:
    first = Llm(deltas=["We are open today. ", "We close at ", 0.5, broken("a")], name="a")
    second = Llm(deltas=["We are open today. ", "We close at five."], name="b")
    reply, posted = maker(first, ScriptedTts(), more_models=(ModelRoute(second),))
    await reply.answer(ASKED)
    assert (
        " ".join(c.text for c in of(posted, ev.ClauseSynthesized)) == "We are open today. We close at five."
    )
    [completed] = of(posted, ev.ReplyCompleted)
    assert completed.text.split() == "We are open today. We close at five.".split()


async def test_whoever_goes_on_does_not_wait_for_one_that_does_not_let_go() -> None:
    stuck = Model([["We are open today. ", "stuck"]], "a")
    second = Llm(deltas=["Come by."], name="b")
    reply, posted = maker(stuck, ScriptedTts(), more_models=(ModelRoute(second),))
    await reply.answer(ASKED)
    assert now() == pytest.approx(4.0)
    assert [c.text for c in of(posted, ev.ClauseSynthesized)][-1] == "Come by."
    stuck.free.set()
    await asyncio.sleep(0.1)


async def test_whoever_goes_on_is_heard_as_early_as_whoever_began() -> None:
    """The caller waits in silence again, and a whole sentence would take its time."""
    first = Llm(deltas=["Let me see what there is. ", 0.1, broken("first", "cut_short")], name="first")
    other = Llm(deltas=["We have a table, ", 2.0, "and it is by the window."], name="other")
    reply, posted = maker(first, ScriptedTts(), more_models=(ModelRoute(other),))
    began_s = now()
    making = asyncio.create_task(reply.answer(ASKED))
    await asyncio.sleep(1.0)
    assert [c.text for c in of(posted, ev.ClauseSynthesized)] == [
        "Let me see what there is.",
        "We have a table,",
    ]
    await making
    assert now() - began_s == pytest.approx(2.1)


async def test_calls_that_begin_together_have_a_phrase_made_once() -> None:
    tts, cache = ScriptedTts(first_audio_s=0.2), PhraseCache()
    routes = [maker(ScriptedLlm(), tts, phrases=cache)[0].routes for _ in range(3)]
    made = await asyncio.gather(*(cache.phrase(each, "One moment.") for each in routes))
    assert tts.spoken == ["One moment."]
    assert made[0][0] is made[1][0] is made[2][0]


async def test_a_phrase_that_could_not_be_made_for_one_call_is_made_for_the_others() -> None:
    tts, cache = ScriptedTts(), PhraseCache()
    routes = [maker(ScriptedLlm(), tts, phrases=cache)[0].routes for _ in range(3)]
    tts.fail_next.append(broken("scripted-tts", "unauthorized", retryable=False))
    made = await asyncio.gather(
        *(cache.phrase(each, "One moment.") for each in routes), return_exceptions=True
    )
    assert isinstance(made[0], ProviderError)
    assert all(not isinstance(each, BaseException) and each[0] for each in made[1:])


async def test_the_voice_takes_the_leg_s_own_rate_when_it_is_known() -> None:
    tts = ScriptedTts()
    routes = ReplyRoutes(
        ScriptedLlm(), tts, TtsOptions(8000), more_voices=(VoiceRoute(tts, TtsOptions(8000)),)
    )
    lengths = []
    for rate_hz in (8000, 16000):
        posted: list[ev.Event] = []
        routes.sound_at(rate_hz)
        reply = ReplyMaker(7, routes, posted.append)
        await reply.say("Hello there.")
        (clause,) = of(posted, ev.ClauseSynthesized)
        lengths.append(clause.samples)
        assert clause.words[-1].end <= clause.samples
    assert lengths[1] == pytest.approx(2 * lengths[0], rel=0.02)


# --- tool calls ------------------------------------------------------------------------------------------------


async def test_tool_calls_are_told_when_the_reply_is_whole() -> None:
    call = [ToolCallDelta(0, "c1", "dtmf", '{"dtmf":'), ToolCallDelta(0, "", "", ' "1"}')]
    made, posted = maker(Llm(deltas=["One moment. ", *call, Finished("tool_calls", 9)]), ScriptedTts())
    await made.answer(ASKED)
    assert [type(event) for event in posted[-2:]] == [ev.ToolCallsReceived, ev.ReplyCompleted]
    assert posted[-2] == ev.ToolCallsReceived(made.reply_id, (ev.ToolCall("c1", "dtmf", '{"dtmf": "1"}'),))
    assert isinstance(posted[-1], ev.ReplyCompleted)
    assert (posted[-1].text, posted[-1].clauses) == ("One moment. ", 1)


async def test_a_reply_may_be_nothing_but_tool_calls() -> None:
    made, posted = maker(
        Llm(deltas=[ToolCallDelta(0, "c1", "endCall", ""), Finished("tool_calls")]), ScriptedTts()
    )
    await made.answer(ASKED)
    assert [type(event) for event in posted] == [ev.ToolCallsReceived, ev.ReplyCompleted]


async def test_the_calls_of_a_model_that_broke_are_not_those_of_the_next() -> None:
    broke = Llm(deltas=["One ", ToolCallDelta(0, "c1", "dtmf", "{}"), broken("unavailable")])
    other = Llm(deltas=["two three.", ToolCallDelta(0, "c2", "endCall", "{}"), Finished("tool_calls")])
    other.name = "other"
    made, posted = maker(broke, ScriptedTts(), more_models=(ModelRoute(other),))
    await made.answer(ASKED)
    (calls,) = [event for event in posted if isinstance(event, ev.ToolCallsReceived)]
    assert [call.id for call in calls.calls] == ["c2"]


def test_models_are_told_of_tools_calls_and_results() -> None:
    routes = ReplyRoutes(ScriptedLlm(), ScriptedTts(), TtsOptions(8000))
    tool = {"type": "function", "function": {"name": "dtmf"}}
    routes.offer([tool])
    call = {"id": "c1", "type": "function", "function": {"name": "dtmf", "arguments": "{}"}}
    request = routes.request(
        [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "Pressed.", "tool_call_id": "c1"},
        ]
    )
    assert request.tools == (tool,)
    assert [(m.tool_calls, m.tool_call_id) for m in request.messages] == [((call,), None), ((), "c1")]
