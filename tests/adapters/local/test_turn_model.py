"""The turn model tells a finished sentence from a broken one, and is shed before it holds anything up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aywa.adapters.local.engine import LocalEngine
from aywa.adapters.local.resample import from_pcm16
from aywa.adapters.local.smart_turn import SmartTurn, mel_filters
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


def test_the_features_are_those_of_one_product(models: Path) -> None:
    """To the last bit or nearly: the model's answer moves by .1 when its features move by a millionth."""
    audio = from_pcm16(prompt("conf-onlyperson", 16000))
    found = SmartTurn(models / "smart-turn" / "smart-turn-v3.2-cpu.onnx").features(audio)
    wave = np.concatenate((np.zeros(128000 - len(audio), dtype=np.float32), audio))
    wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)).astype(np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(wave, 200, mode="reflect"), 400)[::160][:800]
    spectrum = np.fft.rfft(framed * window)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log = np.log10(np.maximum(power @ mel_filters().astype(np.float32), 1e-10)).T
    wanted = (np.maximum(log, log.max() - 8.0) + 4.0) / 4.0
    assert found.shape == (80, 800)
    assert np.allclose(found, wanted, rtol=0, atol=3e-7)


_TIMES = """
import sys, time
from pathlib import Path
import numpy as np
from aywa.adapters.local.smart_turn import SmartTurn
model = SmartTurn(Path(sys.argv[1]))
audio = np.random.default_rng(1).normal(0, 0.05, 128000).astype(np.float32)
time.sleep(0.3)
process, thread = time.process_time(), time.thread_time()
for _ in range(8):
    model.features(audio)
print((time.process_time() - process) / (time.thread_time() - thread))
"""


def test_the_features_keep_no_other_thread_busy(models: Path) -> None:
    """In a process of its own, without the limits that the child is started with."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    model = models / "smart-turn" / "smart-turn-v3.2-cpu.onnx"
    ratio = subprocess.check_output([sys.executable, "-c", _TIMES, str(model)], env=environment, text=True)
    assert float(ratio) < 1.2
