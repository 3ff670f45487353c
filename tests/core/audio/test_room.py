"""The office: as loud as it should be, the same every time, without a seam, and nobody who speaks in it."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.core.audio.frame import shorts
from aywa.core.audio.room import ROOM_DB, SECONDS, office


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_it_is_as_loud_as_it_should_be(rate_hz: int) -> None:
    sound = shorts(office(rate_hz)).astype(np.float64)
    assert len(sound) == SECONDS * rate_hz
    loudness = 20 * np.log10(np.sqrt(np.mean(sound**2)) / 32767)
    assert loudness == pytest.approx(ROOM_DB, abs=0.5)
    # No stroke of a key is as loud as a voice.
    assert 20 * np.log10(np.abs(sound).max() / 32767) < -18


def test_it_is_the_same_every_time() -> None:
    assert office(8000) == office(8000)


def test_it_ends_where_it_begins() -> None:
    sound = shorts(office(16000)).astype(np.float64)
    steps = np.abs(np.diff(sound))
    assert abs(sound[0] - sound[-1]) <= np.percentile(steps, 99.9)


def test_it_is_never_silent() -> None:
    frames = shorts(office(8000)).reshape(-1, 160).astype(np.float64)
    assert (np.abs(frames).max(axis=1) > 0).all()
