"""A clause's audio as it comes, and what the assistant's document says of it."""

from __future__ import annotations

import pytest

from aywa.adapters.tts import fields
from aywa.adapters.tts.sound import MOST_CLAUSE_S, Sound, speakable
from aywa.adapters.wire.websocket import Address
from aywa.core.audio.g711 import mulaw_to_pcm
from aywa.ports.errors import ProviderError
from aywa.ports.stt import Word

error = Address("a-voice", "ws://there").error


def test_half_a_sample_waits_for_its_other_half() -> None:
    sound = Sound(8000, error)
    assert sound.audio(b"\1") is None
    chunk = sound.audio(b"\2\3")
    assert chunk is not None
    assert chunk.pcm == b"\1\2"
    assert sound.samples == 1


def test_mu_law_is_a_sample_a_byte() -> None:
    chunk = Sound(8000, error, mulaw=True).audio(b"\x80\xff\x00")
    assert chunk is not None
    assert chunk.pcm == mulaw_to_pcm(b"\x80\xff\x00")


def test_words_go_with_the_audio_that_they_begin_in() -> None:
    sound = Sound(1000, error)
    sound.words([Word("a", 0.0, 0.005), Word("b", 0.010, 0.012), Word("c", 0.030, 0.050)])
    chunks = [sound.audio(bytes(20)), sound.audio(bytes(20)), sound.end()]
    assert [[word.text for word in chunk.words] for chunk in chunks if chunk] == [["a"], ["b"], ["c"]]
    last = chunks[-1]
    assert last is not None
    # It was said to begin after the end.
    assert (last.words[0].start_s, last.words[0].end_s) == (0.02, 0.02)


def test_words_are_brought_into_order() -> None:
    sound = Sound(1000, error)
    sound.words([Word("a", 0.004, 0.002), Word("b", 0.001, 0.003)])
    chunk = sound.audio(bytes(20))
    assert chunk is not None
    assert [(word.start_s, word.end_s) for word in chunk.words] == [(0.004, 0.004), (0.004, 0.004)]


def test_speech_without_an_end_is_an_error() -> None:
    sound = Sound(8000, error)
    sound.audio(bytes(round(2 * 8000 * MOST_CLAUSE_S)))
    with pytest.raises(ProviderError) as caught:
        sound.audio(bytes(2))
    assert caught.value.code == "overlong"


def test_no_audio_is_an_error() -> None:
    with pytest.raises(ProviderError) as caught:
        Sound(8000, error).end()
    assert caught.value.code == "malformed"


def test_what_can_be_said() -> None:
    assert [speakable(text) for text in ("Ja.", "7", "\u4f60\u597d", " - ", "...", "")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_fields_of_another_shape_count_as_absent() -> None:
    document = {"a": 7, "b": "x", "c": True, "d": float("nan"), "e": None, "f": 9.5}
    assert [fields.text(document, name) for name in "abz"] == ["", "x", ""]
    assert [fields.number(document, name, 0.0, 8.0) for name in "abcdefz"] == [
        7.0, None, None, None, None, 8.0, None,
    ]  # fmt: skip
    assert [fields.flag(document, name) for name in "acz"] == [None, True, None]


def test_languages() -> None:
    tags = ("en", "de-DE", "multi", "", "x-klingon", "yue", "EN-us")
    assert [fields.language(tag) for tag in tags] == ["en", "de", "", "", "", "yue", "en"]
