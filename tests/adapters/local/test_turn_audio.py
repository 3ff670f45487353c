"""What of a caller's audio belongs to the turn."""

from __future__ import annotations

import numpy as np

from aywa.adapters.local.turn_audio import TurnAudio

RATE = 1000  # so that 1 ms is one sample


def audio(count_ms: int, value: int = 1) -> bytes:
    return np.full(count_ms, value, dtype="<i2").tobytes()


def kept(turn: TurnAudio) -> list[int]:
    return [int(sample) for sample in np.frombuffer(turn.since(), dtype="<i2")]


def test_without_voice_nothing_is_kept() -> None:
    turn = TurnAudio(RATE)
    turn.feed(audio(5000))
    assert len(turn) == 0
    assert not turn.voiced


def test_the_audio_before_the_mark_is_kept() -> None:
    turn = TurnAudio(RATE, lead_s=0.5)
    turn.feed(audio(2000, 1))
    turn.feed(audio(300, 2))
    turn.voice(True)
    turn.feed(audio(100, 3))
    assert kept(turn) == [1] * 200 + [2] * 300 + [3] * 100
    assert turn.seconds == 0.6


def test_long_silence_is_shortened() -> None:
    turn = TurnAudio(RATE, lead_s=0.2, pause_s=0.3)
    turn.voice(True)
    turn.feed(audio(100, 1))
    turn.voice(False)
    for _ in range(200):
        turn.feed(audio(10, 0))
    turn.voice(True)
    turn.feed(audio(100, 2))
    assert kept(turn) == [1] * 100 + [0] * 300 + [0] * 200 + [2] * 100
    assert turn.epoch == 2


def test_a_settled_turn_begins_afresh() -> None:
    turn = TurnAudio(RATE, lead_s=0.2)
    turn.voice(True)
    turn.feed(audio(1000, 1))
    turn.voice(False)
    turn.feed(audio(100, 0))
    turn.drop(1050 * 2)
    assert not turn.voiced
    assert len(turn) == 0
    turn.voice(True)
    assert kept(turn) == [0] * 50


def test_voice_after_what_is_settled_stays() -> None:
    turn = TurnAudio(RATE)
    turn.voice(True)
    turn.feed(audio(1000, 1))
    turn.feed(audio(500, 2))
    turn.drop(1000 * 2)
    turn.voice(False)
    assert turn.voiced
    assert kept(turn) == [2] * 500


def test_the_quietest_place() -> None:
    turn = TurnAudio(RATE)
    turn.voice(True)
    turn.feed(audio(700, 9) + audio(100, 1) + audio(700, 9))
    assert turn.quietest(0.2, 1.4) == 750 * 2
