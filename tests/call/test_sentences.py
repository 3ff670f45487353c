"""Sentences that recur: what is kept, for whom, and how much."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from aywa.call.sentences import SentenceCache, Spoken
from aywa.core.events import HeardWord
from aywa.ports.tts import TtsOptions

VOICE = TtsOptions(8000, "anna", extra={"provider": "11labs", "stability": 0.5})
ONE = Spoken(b"\x01\x02" * 100, (HeardWord("Hello.", 0, 100),))


def test_what_is_said_again_is_kept() -> None:
    mine = SentenceCache().of("org")
    for _ in range(2):
        assert mine.find("tts", VOICE, "Hello.") is None
        mine.offer("tts", VOICE, "Hello.", ONE)
    assert mine.find("tts", VOICE, "Hello.") == ONE
    assert mine.cache.hits == 1
    # Once more changes nothing.
    before = mine.cache.bytes
    mine.offer("tts", VOICE, "Hello.", Spoken(b"\x03\x04"))
    assert mine.find("tts", VOICE, "Hello.") == ONE
    assert mine.cache.bytes == before == ONE.cost


@pytest.mark.parametrize(
    "other",
    [
        replace(VOICE, voice="bert"),
        replace(VOICE, rate_hz=16000),
        replace(VOICE, language="de"),
        replace(VOICE, speed=1.1),
        replace(VOICE, extra={"provider": "11labs", "stability": 0.6}),
        replace(VOICE, extra={"provider": "11labs"}),
    ],
)
def test_another_voice_is_another_sentence(other: TtsOptions) -> None:
    mine = SentenceCache().of("org")
    for _ in range(2):
        mine.offer("tts", VOICE, "Hello.", ONE)
    assert mine.find("tts", other, "Hello.") is None


def test_another_owner_route_or_text_is_another_sentence() -> None:
    cache = SentenceCache()
    for _ in range(2):
        cache.of("org").offer("tts", VOICE, "Hello.", ONE)
    assert cache.of("another").find("tts", VOICE, "Hello.") is None
    assert cache.of("org").find("tts-2", VOICE, "Hello.") is None
    assert cache.of("org").find("tts", VOICE, "Hello") is None
    assert cache.of("org").find("tts", VOICE, "Hello.") == ONE


def test_neither_the_context_nor_how_texts_are_cut_makes_another_sentence() -> None:
    mine = SentenceCache().of("org")
    extra = MappingProxyType({**VOICE.extra, "chunkPlan": {"minCharacters": 5}, "cachingEnabled": True})
    for number in range(2):
        mine.offer("tts", replace(VOICE, context=f"reply-{number}", more=True, extra=extra), "Hello.", ONE)
    assert mine.find("tts", VOICE, "Hello.") == ONE


def test_what_is_long_or_empty_is_not_kept() -> None:
    mine = SentenceCache(longest=10, bytes_max=2000).of("org")
    for _ in range(3):
        mine.offer("tts", VOICE, "Hello there.", ONE)
        mine.offer("tts", VOICE, "Empty.", Spoken(b""))
        mine.offer("tts", VOICE, "Huge.", Spoken(b"\0" * 2000))
    assert mine.cache.bytes == 0
    for text in ("Hello there.", "Empty.", "Huge."):
        assert mine.find("tts", VOICE, text) is None


def test_the_ones_longest_unused_go_first() -> None:
    mine = SentenceCache(bytes_max=2 * ONE.cost).of("org")

    def say(text: str) -> None:
        for _ in range(2):
            mine.offer("tts", VOICE, text, ONE)

    say("One.")
    say("Two.")
    assert mine.find("tts", VOICE, "One.") == ONE
    say("Three.")
    assert mine.cache.bytes == 2 * ONE.cost
    assert [mine.find("tts", VOICE, text) for text in ("One.", "Two.", "Three.")] == [ONE, None, ONE]


def test_what_was_seen_long_ago_is_forgotten() -> None:
    mine = SentenceCache(seen_max=2).of("org")
    for text in ("One.", "Two.", "Three.", "One."):
        mine.offer("tts", VOICE, text, ONE)
    assert mine.find("tts", VOICE, "One.") is None
    mine.offer("tts", VOICE, "One.", ONE)
    assert mine.find("tts", VOICE, "One.") == ONE
