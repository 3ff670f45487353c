"""Clauses as they are spoken: pieces at the edges of written words, another voice for the rest, and every word once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.call.router.attempt import CLOSE_S
from aywa.call.router.board import HealthBoard
from aywa.call.router.voices import MAX_ATTEMPTS, SECONDS_AT_LEAST, Piece, VoiceRoute, VoiceRouter
from aywa.call.sentences import SentenceCache, Sentences
from aywa.core.route_health import BREAK_AFTER, Failure
from aywa.core.settings import FormatPlan
from aywa.core.voicing.format import voice_text
from aywa.core.voicing.text import Voiced, unchanged
from aywa.ports.errors import CODES, ProviderError
from aywa.ports.stt import Word
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.scripted_providers import broken
from aywa.testing.virtual_time import run_virtual
from tests.call.router.routes import Told, Voice, about, now, others

pytestmark = pytest.mark.virtual_time

RATE_HZ = 8000
WORD_S = 0.3
TEXT = "One two three four five six seven eight."


def samples(seconds: float, at: int = 0) -> bytes:
    """No two of them alike."""
    return (np.arange(at, at + round(seconds * RATE_HZ)) % 30_000).astype("<i2").tobytes()


def speech(
    text: str, cuts: Sequence[int] = (), *, told: Sequence[str] | None = None, rate_hz: int = RATE_HZ
) -> list[TtsChunk]:
    """The text's audio, cut at these samples; every word is told with the chunk in which it begins."""
    words = text.split() if told is None else list(told)
    pcm = samples(len(text.split()) * WORD_S)
    edges = sorted({0, len(pcm) // 2, *(cut for cut in cuts if 0 < cut < len(pcm) // 2)})
    chunks: list[TtsChunk] = []
    for start, end in pairwise(edges):
        some = tuple(
            Word(word, n * WORD_S, (n + 1) * WORD_S)
            for n, word in enumerate(words)
            if start <= n * WORD_S * RATE_HZ < end
        )
        chunks.append(TtsChunk(pcm[2 * start : 2 * end], rate_hz, some))
    return chunks


def slowly(chunks: Sequence[Any], pause_s: float = 0.01) -> list[Any]:
    """With a pause before each."""
    return [item for chunk in chunks for item in (pause_s, chunk)]


EVERY = range(0, 200_000, 1600)


@dataclass
class Choir:
    """A router over scripted voices: 3 s for the first audio, 1.5 s while there is another, 2 s for each further piece."""

    voices: list[Voice]
    sentences: Sentences | None = None
    told: Told = field(default_factory=Told)
    board: HealthBoard = field(default_factory=HealthBoard)

    def __post_init__(self) -> None:
        for place, voice in enumerate(self.voices):
            if voice.name == "one":
                voice.name = "abcdef"[place]
        self.routes = [VoiceRoute(voice, TtsOptions(RATE_HZ)) for voice in self.voices]
        self.router = VoiceRouter(self.routes, RATE_HZ, self.board, self.told, self.sentences)

    async def speak(self, text: Voiced | str = TEXT) -> list[Piece]:
        self.pieces: list[Piece] = []
        speaking = self.router.speak(text)
        try:
            async with aclosing(speaking.pieces()) as pieces:
                async for piece in pieces:
                    self.pieces.append(piece)
        finally:
            await speaking.close()
        return self.pieces

    async def fails(self, text: Voiced | str = TEXT) -> ProviderError:
        with pytest.raises(ProviderError) as raised:
            _ = await self.speak(text)
        return raised.value

    @property
    def words(self) -> str:
        return " ".join(piece.text for piece in self.pieces)

    @property
    def pcm(self) -> bytes:
        return b"".join(piece.pcm for piece in self.pieces)

    async def sound(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        assert not others()
        assert [self.router.health(route).active for route in self.routes] == [0] * len(self.routes)
        assert [voice.closed for voice in self.voices] == [len(voice.asked) for voice in self.voices]


def whole(pieces: Sequence[Piece]) -> bool:
    """Each piece's words are its text's, in order, within its audio."""
    for piece in pieces:
        assert [word.text for word in piece.words] == piece.text.split()
        assert all(0 <= word.start <= word.end <= len(piece.pcm) // 2 for word in piece.words)
        assert all(a.end <= b.start for a, b in zip(piece.words, piece.words[1:], strict=False))
    return True


# --- pieces ----------------------------------------------------------------------------------------------------------


async def test_pieces_are_whole_words_and_together_they_are_all() -> None:
    choir = Choir([Voice([slowly(speech(TEXT, EVERY))])])
    pieces = await choir.speak()
    assert len(pieces) > 3
    assert whole(pieces)
    assert (choir.words, choir.pcm) == (TEXT, samples(8 * WORD_S))
    # Each but the last ends where a word begins.
    at = 0
    for piece in pieces[:-1]:
        at += len(piece.pcm) // 2
        assert at % round(WORD_S * RATE_HZ) == 0
    await choir.sound()


async def test_the_first_piece_comes_while_the_voice_still_speaks() -> None:
    choir = Choir([Voice([slowly(speech(TEXT, EVERY), 0.1)])])
    speaking = asyncio.create_task(choir.speak())
    await asyncio.sleep(0.5)
    assert choir.pieces
    assert not speaking.done()
    _ = await speaking


async def test_what_is_there_whole_is_not_cut() -> None:
    choir = Choir([Voice([speech(TEXT, EVERY)])])
    assert len(await choir.speak()) == 1


async def test_formatted_text_is_cut_at_written_words_only() -> None:
    text = voice_text("It costs $42.50 or $1,000 for all of you.", FormatPlan())
    choir = Choir([Voice([slowly(speech(text.spoken, EVERY))])])
    pieces = await choir.speak(text)
    assert len(pieces) > 2
    assert whole(pieces)
    assert choir.words == text.written
    assert choir.voices[0].asked == [text.spoken]
    assert choir.pcm == samples(len(text.spoken.split()) * WORD_S)


@pytest.mark.parametrize(
    "told",
    [
        ["One", "two", "dree", *TEXT.split()[3:]],
        ["One two", "three", "four five", "six", "seven eight."],
        list("Onetwothree"),
    ],
)
async def test_a_voice_that_tells_other_words_is_not_cut_there(told: list[str]) -> None:
    choir = Choir([Voice([slowly(speech(TEXT, EVERY, told=told))])])
    pieces = await choir.speak()
    assert whole(pieces)
    assert len(pieces) <= 2
    assert (choir.words, choir.pcm) == (TEXT, samples(8 * WORD_S))


async def test_a_voice_without_words_is_not_cut() -> None:
    choir = Choir([Voice([slowly(speech(TEXT, EVERY, told=[]))])])
    assert len(await choir.speak()) == 1
    assert choir.pcm == samples(8 * WORD_S)


@pytest.mark.parametrize("rates", [(16000, 16000), (8000, 16000), (16000, 8000)])
async def test_another_rate_is_changed_over_the_whole(rates: tuple[int, int]) -> None:
    chunks = speech(TEXT, EVERY)
    mixed = [TtsChunk(c.pcm, rates[n % 2], c.words) for n, c in enumerate(chunks)]
    choir = Choir([Voice([slowly(mixed)])])
    pieces = await choir.speak()
    assert whole(pieces)
    assert choir.words == TEXT
    if rates[0] != RATE_HZ:
        assert len(pieces) == 1


async def test_words_without_any_sound_left_are_not_lost() -> None:
    """The voice told that the last word begins just where its audio ended."""
    chunks = speech(TEXT, EVERY)
    at = sum(len(c.pcm) for c in chunks[:-1]) // 2
    last = TtsChunk(b"", RATE_HZ, (Word("eight.", at / RATE_HZ, at / RATE_HZ + 0.1),))
    words = [
        Word(w, n * at / 7 / RATE_HZ, (n + 1) * at / 7 / RATE_HZ) for n, w in enumerate(TEXT.split()[:7])
    ]
    choir = Choir([Voice([[0.01, TtsChunk(samples(at / RATE_HZ), RATE_HZ, tuple(words)), 0.01, last, 0.5]])])
    pieces = await choir.speak()
    assert whole(pieces)
    assert choir.words == TEXT


# --- another voice ---------------------------------------------------------------------------------------------------


async def test_another_says_the_rest_and_stays() -> None:
    dying = [*slowly(speech(TEXT, EVERY)[:8]), broken("a")]
    rest = "five six seven eight."
    choir = Choir([Voice([dying]), Voice([slowly(speech(rest, EVERY)), speech("Bye now.")])])
    pieces = await choir.speak()
    assert whole(pieces)
    given = " ".join(piece.text for piece in pieces if piece.route == "a")
    assert (choir.words, choir.voices[1].asked[0]) == (TEXT, TEXT[len(given) + 1 :])
    assert choir.told.notes == [
        (
            "RouteFailed",
            {"kind": "tts", "route": "a", "code": "unavailable", "words_given": len(given.split())},
        ),
        ("RouteSwitched", {"kind": "tts", "route": "b", "before": "a", "code": "unavailable"}),
    ]
    _ = await choir.speak("Bye now.")
    assert choir.voices[0].asked == [TEXT]
    assert choir.router.current.name == "b"
    await choir.sound()


@pytest.mark.parametrize("code", ["unavailable", "unauthorized", "rate_limited", "quota", "deadline"])
async def test_the_next_speaks_at_once_when_one_refuses(code: str) -> None:
    choir = Choir([Voice([[broken("a", code, retryable=code != "unauthorized")]]), Voice([speech(TEXT)])])
    assert [piece.route for piece in await choir.speak()] == ["b"]
    assert now() == 0.0
    await choir.sound()


@pytest.mark.parametrize(("voices", "at_s"), [(1, 3.0), (2, 1.5 + 3.0)])
async def test_the_first_sound_has_its_time_and_less_while_there_is_another(voices: int, at_s: float) -> None:
    choir = Choir([Voice([[100.0]]) for _ in range(voices)])
    assert (await choir.fails()).code == "deadline"
    assert (now(), [len(voice.asked) for voice in choir.voices]) == (about(at_s), [1] * voices)
    await choir.sound()


async def test_nothing_however_often_it_comes_is_no_sound() -> None:
    silent = [TtsChunk(b"", RATE_HZ), 0.5] * 1000
    choir = Choir([Voice([silent]), Voice([[*speech("One two"), *silent]])])
    assert (await choir.fails()).code == "deadline"
    # What the second said is not asked for again, and of the rest both are asked once more.
    assert (choir.words, [len(voice.asked) for voice in choir.voices]) == ("One", [2, 2])
    assert now() == about(1.5 + 2.0 + 2.0 + 3.0)
    await choir.sound()


async def test_a_voice_that_gives_no_sound_is_not_taken_for_one_that_spoke() -> None:
    choir = Choir([Voice([[]]), Voice([speech(TEXT)])])
    assert [piece.route for piece in await choir.speak()] == ["b"]
    assert choir.told.notes[0][1]["code"] == "failed"
    only = Choir([Voice([[]])])
    assert (await only.speak(), only.told.notes) == ([], [])


async def test_an_only_voice_that_died_is_asked_for_the_rest() -> None:
    dying = [*slowly(speech(TEXT, EVERY)[:8]), broken("a")]
    choir = Choir([Voice([dying, [broken("a")]])])
    assert (await choir.fails()).code == "unavailable"
    assert choir.voices[0].asked[0] == TEXT
    assert choir.voices[0].asked[1].endswith("six seven eight.")
    assert choir.told.kinds == ["RouteFailed"] * len(choir.voices[0].asked)
    assert len(choir.voices[0].asked) <= MAX_ATTEMPTS
    await choir.sound()


async def test_who_says_nothing_of_the_rest_has_failed_with_a_known_code() -> None:
    dying = [*slowly(speech(TEXT, EVERY)[:8]), broken("a")]
    choir = Choir([Voice([dying, []])])
    assert (await choir.fails()).code == "silent"
    assert {note["code"] for _, note in choir.told.notes} <= CODES
    await choir.sound()


async def test_one_that_is_not_well_is_skipped_and_all_of_them_are_asked_when_none_is() -> None:
    choir = Choir([Voice([speech(TEXT)]), Voice([speech(TEXT)])])
    for place in (0, 1):
        for _ in range(BREAK_AFTER):
            choir.router.health(choir.routes[place]).begin(0.0)
            choir.router.health(choir.routes[place]).end(Failure("unavailable"), 0.0)
        pieces = await choir.speak()
        assert [piece.route for piece in pieces] == ["b"]
    assert choir.told.notes[:2] == [
        ("RouteSkipped", {"kind": "tts", "route": "a", "code": "unavailable"}),
        ("RouteSwitched", {"kind": "tts", "route": "b", "before": "a", "code": ""}),
    ]
    assert choir.told.kinds == ["RouteSkipped", "RouteSwitched"]


async def test_audio_without_end_is_cut() -> None:
    endless = [TtsChunk(samples(1.0), RATE_HZ)] * 1000
    choir = Choir([Voice([slowly(endless)])])
    assert (await choir.fails("Hi.")).code == "overlong"
    assert sum(1 for _ in choir.pieces) == 0
    assert now() < SECONDS_AT_LEAST
    await choir.sound()


async def test_one_that_does_not_let_go_does_not_hold_up_the_next() -> None:
    choir = Choir([Voice([["stuck"]]), Voice([speech(TEXT)])])
    assert [piece.route for piece in await choir.speak()] == ["b"]
    assert now() == about(1.5)
    choir.voices[0].free.set()
    await asyncio.sleep(0.1)
    await choir.sound()


async def test_one_that_does_not_let_go_holds_up_a_cancel_for_a_moment_only() -> None:
    choir = Choir([Voice([["stuck"]])])
    speaking = asyncio.create_task(choir.speak())
    await asyncio.sleep(1.0)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    assert (speaking.cancelled(), now()) == (True, about(1.0 + CLOSE_S))
    choir.voices[0].free.set()
    await asyncio.sleep(0.1)


# --- leaving ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", range(5))
async def test_left_at_any_piece_it_closes_the_stream_and_leaves_no_task(taken: int) -> None:
    choir = Choir([Voice([[*slowly(speech(TEXT, EVERY)), 100.0]]), Voice()])
    speaking = choir.router.speak(TEXT)
    pieces = speaking.pieces()
    for _ in range(taken):
        _ = await anext(pieces)
    await pieces.aclose()
    await choir.sound()
    await speaking.close()
    assert (choir.router.health(choir.routes[0]).failures, choir.told.notes) == (0, [])


@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.01, 0.1, 0.105, 2.0])
async def test_cancelled_at_any_time_nothing_is_left(after_s: float) -> None:
    choir = Choir([Voice([[*slowly(speech(TEXT, EVERY)[:6]), broken("a")]]), Voice([[0.1, 100.0]])])
    speaking = asyncio.create_task(choir.speak())
    await asyncio.sleep(after_s)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    assert (speaking.cancelled(), now()) == (after_s < 2.0, about(after_s)) or after_s >= 1.7
    await choir.sound()


async def test_warming_is_the_present_voices() -> None:
    choir = Choir([Voice(), Voice()])
    await choir.router.warm()
    assert [voice.warmed for voice in choir.voices] == [1, 0]


# --- from memory -----------------------------------------------------------------------------------------------------


async def test_what_one_voice_spoke_twice_is_played_from_memory() -> None:
    cache = SentenceCache()
    choir = Choir([Voice([slowly(speech(TEXT, EVERY))])], cache.of("org"))
    heard = []
    for _ in range(3):
        assert whole(await choir.speak())
        heard.append((choir.words, choir.pcm))
    assert len(choir.pieces) == 1
    assert (heard, len(choir.voices[0].asked)) == ([heard[0]] * 3, 2)
    _ = await Choir(choir.voices, cache.of("another")).speak()
    assert len(choir.voices[0].asked) == 3


async def test_what_two_voices_spoke_is_not_kept() -> None:
    cache = SentenceCache()
    dying = [*slowly(speech(TEXT, EVERY)[:8]), broken("a")]
    for _ in range(3):
        choir = Choir([Voice([dying]), Voice([speech("four five six seven eight.")])], cache.of("org"))
        _ = await choir.speak()
        assert {piece.route for piece in choir.pieces} == {"a", "b"}
    assert cache.bytes == 0


# --- whatever happens ------------------------------------------------------------------------------------------------

WORDS = st.lists(
    st.sampled_from(["yes", "no,", "$42.50", "3pm", "you", "-", "I'm", "twenty", "10%", "end."]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(
    words=WORDS,
    cuts=st.lists(st.integers(1, 40_000), max_size=12),
    breaks=st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=1, max_size=3),
    telling=st.sampled_from(["all", "none", "some"]),
    pause_s=st.sampled_from([0.0, 0.01]),
)
def test_whatever_the_voices_do_every_word_is_given_once_and_in_order(
    words: list[str], cuts: list[int], breaks: list[int | None], telling: str, pause_s: float
) -> None:
    """breaks: after how many chunks each voice breaks."""

    class Speaks(Voice):
        async def synthesize(self, text: str, options: TtsOptions) -> Any:
            told = {"all": None, "none": [], "some": text.split()[: len(text.split()) // 2]}[telling]
            chunks = speech(text, cuts, told=told)
            after = breaks[int(self.name)]
            script = slowly(chunks[:after], pause_s)
            self.scripts = [[*script, *([] if after is None else [broken(self.name)])]]
            async for item in self.play(text):
                yield item

    async def run() -> None:
        text = voice_text(" ".join(words), FormatPlan())
        choir = Choir([Speaks(name=str(place)) for place in range(len(breaks))])
        failed = False
        try:
            _ = await choir.speak(text)
        except ProviderError:
            failed = True
        assert whole(choir.pieces)
        given = choir.words.split()
        assert given == text.written.split()[: len(given)]
        if not failed and any(map(str.isalnum, text.spoken)):
            assert given == text.written.split()
        if None in breaks and len(breaks) < MAX_ATTEMPTS:
            assert not failed
        await choir.sound()

    run_virtual(run())


def test_a_text_that_is_not_formatted_is_its_own_words() -> None:
    assert unchanged("a  b").written == "a b"
