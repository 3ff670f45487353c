"""Words found in audio by its pauses and by their own lengths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.audio.align import Outline, align_words, outline
from aywa.core.spoken import spoken_s
from tests.core.feed import examples

RATE_HZ = 8000
HOP = 80


def audio(*parts: float, floor: float = 0.0) -> bytes:
    """Voice of so many seconds; below 0: silence. floor: noise under all of it."""
    random = np.random.default_rng(7)
    pieces = [random.normal(0, 3000 if part > 0 else 0.0, round(abs(part) * RATE_HZ)) for part in parts]
    whole = np.concatenate(pieces) if pieces else np.zeros(0)
    noisy = whole + random.normal(0, 1, len(whole)) * floor
    return np.clip(noisy, -32768, 32767).astype("<i2").tobytes()


def places(text: str, pcm: bytes) -> list[tuple[str, float, float]]:
    """In seconds."""
    return [(w.text, w.start / RATE_HZ, w.end / RATE_HZ) for w in align_words(text, pcm, RATE_HZ)]


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.02)


def test_silence_at_both_ends_belongs_to_no_word() -> None:
    [(word, start, end)] = places("Hello.", audio(-0.3, 0.5, -0.4))
    assert (word, start, end) == ("Hello.", near(0.3), near(0.8))


def test_words_between_pauses_share_the_time_by_their_lengths() -> None:
    (_, start, middle), (_, again, end) = places("hello you", audio(-0.1, 0.8))
    assert (start, end) == (near(0.1), near(0.9))
    assert middle == again
    drawn_out = spoken_s("you") + 0.06
    assert middle - start == near(0.8 * spoken_s("hello") / (spoken_s("hello") + drawn_out))


def test_a_pause_is_where_the_text_has_a_stop() -> None:
    words = places("Yes of course, we are open today.", audio(0.7, -0.2, 1.0))
    assert words[2] == ("course,", words[1][2], near(0.7))
    assert words[3][:2] == ("we", near(0.9))


def test_a_pause_without_a_stop_is_where_the_lengths_say() -> None:
    words = places("we have a free appointment tomorrow", audio(0.4, -0.2, 1.5))
    assert [w for w, _, end in words if end <= 0.42] == ["we", "have", "a"]
    assert words[3][1] == near(0.6)


def test_short_silences_are_consonants() -> None:
    parted = places("tomorrow morning", audio(0.22, -0.05, 0.22, -0.06, 0.3))
    assert parted[0][2] == parted[1][1]
    assert parted[1][2] == near(0.85)


def test_a_long_silence_that_no_word_can_fill_is_a_pause() -> None:
    words = places("one two three, four", audio(1.0, -0.7, 0.35))
    assert (words[2][2], words[3][1]) == (near(1.0), near(1.7))


def test_numbers_take_their_time() -> None:
    words = places("It is $1,249.99 now.", audio(3.0))
    assert words[2][2] - words[2][1] > 2.0


def test_abbreviations_and_dashes_may_be_followed_by_a_pause() -> None:
    words = places("Ask Dr. Smith", audio(0.7, -0.15, 0.45))
    assert (words[1][2], words[2][1]) == (near(0.7), near(0.85))
    words = places("wait — no", audio(0.3, -0.25, 0.3))
    assert words[2][1] == near(0.55)


def test_noise_under_the_voice_hides_no_pause() -> None:
    words = places("Yes of course, we are open today.", audio(-0.2, 0.7, -0.2, 1.0, -0.3, floor=60.0))
    assert words[0][1] == near(0.2)
    assert (words[2][2], words[3][1], words[-1][2]) == (near(0.9), near(1.1), near(2.1))


def test_what_has_no_outline_is_shared_by_all() -> None:
    assert places("", audio(0.5)) == []
    for pcm in (bytes(8000), b"\x00\x10" * 4000):
        words = places("hello you", pcm)
        assert (words[0][1], words[-1][2]) == (0.0, near(0.5))
    assert align_words("hello you", b"", RATE_HZ)[1].end == 0
    assert align_words("hello you", bytes(50), RATE_HZ)[1].end == 25


def test_only_the_longest_silences_are_looked_at() -> None:
    found = outline(audio(*[0.1, -0.1] * 10, *[0.1, -0.2] * 12, 0.1), HOP)
    assert len(found.silences) == 12
    assert all(end - start >= 19 for start, end in found.silences)
    assert found.first == 0
    assert outline(b"", HOP) == Outline(0, 1, ())


parts = st.lists(st.floats(0.05, 0.8).flatmap(lambda s: st.sampled_from([s, -s])), max_size=14)
words = st.lists(
    st.sampled_from(["Hello,", "we", "are", "$4.50", "Dr.", "open.", "—", "tomorrow"]), max_size=30
)


@examples(100)
@given(parts, words, st.sampled_from([8000, 16000, 24000, 50]))
def test_every_word_has_a_place_in_order_and_within_the_audio(
    parts: list[float], words: list[str], rate_hz: int
) -> None:
    pcm = audio(*parts)
    placed = align_words(" ".join(words), pcm, rate_hz)
    assert [w.text for w in placed] == words
    assert all(0 <= w.start <= w.end <= len(pcm) // 2 for w in placed)
    assert all(a.end <= b.start for a, b in pairwise(placed))
