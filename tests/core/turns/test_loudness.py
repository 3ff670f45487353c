"""How loud a caller usually is: learned from turns that were taken, and from nothing else."""

from __future__ import annotations

import pytest

from aywa.core.turns import loudness as ld
from aywa.core.turns.loudness import Loudness


def spoke(made: Loudness, level_db: float | None, voice_s: float, *, taken: bool = True) -> Loudness:
    made.voice_started(10.0)
    made.voice_stopped(10.0 + voice_s, level_db)
    if taken:
        made.took()
    else:
        made.forget()
    return made


def test_the_first_turn_says_what_is_usual() -> None:
    assert Loudness().usual_db is None
    assert spoke(Loudness(), -20.0, 2.0).usual_db == -20.0


def test_a_turn_is_as_loud_as_its_voices_on_average_by_length() -> None:
    made = Loudness()
    made.voice_started(1.0)
    made.voice_stopped(2.0, -30.0)
    made.voice_started(3.0)
    made.voice_stopped(6.0, -20.0)
    made.took()
    assert made.usual_db == pytest.approx(-22.5)


def test_what_is_usual_follows_the_turns_and_short_ones_less() -> None:
    assert spoke(spoke(Loudness(), -20.0, 2.0), -10.0, 2.0).usual_db == pytest.approx(-20 + 10 * ld.RISE)
    assert spoke(spoke(Loudness(), -20.0, 2.0), -30.0, 2.0).usual_db == pytest.approx(-20 - 10 * ld.FALL)
    half = ld.FULL_S / 2
    assert spoke(spoke(Loudness(), -20.0, 2.0), -10.0, half).usual_db == pytest.approx(-20 + 5 * ld.RISE)


@pytest.mark.parametrize(
    ("level_db", "voice_s", "taken"), [(-40.0, 2.0, False), (None, 2.0, True), (-40.0, ld.LEAST_S / 2, True)]
)
def test_what_says_nothing_is_forgotten(level_db: float | None, voice_s: float, taken: bool) -> None:
    made = spoke(Loudness(), level_db, voice_s, taken=taken)
    assert made.usual_db is None
    made.took()
    assert made.usual_db is None
