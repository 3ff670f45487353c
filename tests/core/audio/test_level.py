from __future__ import annotations

import numpy as np
import pytest

from aywa.core.audio.frame import Floats
from aywa.core.audio.level import SILENCE_DB, block_levels, dbfs, leading_silence_s, rms


def test_the_level_of_a_full_scale_square_wave_is_zero() -> None:
    square = np.array([1, -1] * 50, np.float32)
    assert rms(square) == 1
    assert dbfs(square) == 0


def test_a_tenth_of_it_is_20_db_less() -> None:
    assert dbfs(np.full(10, 0.1, np.float32)) == pytest.approx(-20, abs=1e-4)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(10, np.float32)])
def test_nothing_is_silence(samples: Floats) -> None:
    assert rms(samples) == 0
    assert dbfs(samples) == SILENCE_DB


def test_blocks_of_a_row_and_of_many() -> None:
    row = np.concatenate((np.full(4, 1), np.full(4, 0.01), np.zeros(4))).astype(np.float32)
    assert block_levels(row, 3).tolist() == pytest.approx([0, -40, SILENCE_DB], abs=1e-3)
    assert block_levels(np.stack((row, row)), 3).shape == (2, 3)


def test_how_long_it_is_silent_before_anything_is_to_be_heard() -> None:
    quiet, loud = np.full(160, 0.001, np.float32), np.full(160, 0.1, np.float32)
    assert leading_silence_s(np.concatenate((quiet, quiet, loud)), 8000) == 0.04
    assert leading_silence_s(loud, 8000) == 0
    assert leading_silence_s(quiet, 8000) == 0.02
    assert leading_silence_s(np.zeros(0, np.float32), 8000) == 0
    assert leading_silence_s(np.concatenate((quiet, loud)), 8000, least_db=-70) == 0
