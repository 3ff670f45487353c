"""The turn model tells a finished sentence from a broken one, and is shed before it holds anything up."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from aywa.adapters.local.engine import LocalEngine
from aywa.adapters.local.smart_turn import mel_filters
from aywa.ports.errors import ProviderError
from tests.adapters.local.speech import prompt, silence


async def test_a_finished_sentence_scores_higher(ears: LocalEngine) -> None:
    whole = prompt("conf-onlyperson", 16000)
    cut = whole[: int(1.2 * 32000)]
    assert await ears.turn_model.score(whole) > await ears.turn_model.score(cut)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 8.0, 12.0])
async def test_any_length(ears: LocalEngine, seconds: float) -> None:
    assert 0 <= await ears.turn_model.score(silence(seconds)) <= 1


async def test_too_many_at_once_are_shed(ears: LocalEngine) -> None:
    scores = await asyncio.gather(
        *(ears.turn_model.score(silence(2)) for _ in range(12)), return_exceptions=True
    )
    shed = [score for score in scores if isinstance(score, ProviderError)]
    assert len(shed) >= 8
    assert {error.code for error in shed} == {"shed"}


def test_the_mel_filters() -> None:
    filters = mel_filters()
    assert filters.shape == (201, 80)
    # equal area: a peak twice as wide is half as high
    assert np.allclose(filters.sum(axis=0) * 40.0, 1.0, atol=0.35)
    assert filters[0].max() == 0.0
    assert list(filters.argmax(axis=0)) == sorted(filters.argmax(axis=0))
