"""The voice detector finds people's voices, and its rows know nothing of each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from aywa.adapters.local.resample import from_pcm16
from aywa.adapters.local.silero import SileroVad
from aywa.ports.vad import Vad
from tests.adapters.local.speech import noise, prompt, silence


@pytest.fixture(params=[8000, 16000])
def vad(models: Path, request: pytest.FixtureRequest) -> SileroVad:
    return SileroVad(models / "silero" / "silero_vad.onnx", request.param)


def windows(vad: Vad, pcm: bytes) -> npt.NDArray[np.float32]:
    audio = from_pcm16(pcm)
    whole = len(audio) // vad.window_samples
    return audio[: whole * vad.window_samples].reshape(whole, vad.window_samples)


def scores(vad: Vad, pcm: bytes) -> list[float]:
    row = vad.open()
    found = [float(vad.score([row], window[None])[0]) for window in windows(vad, pcm)]
    vad.close(row)
    return found


def test_a_window_is_32_ms(vad: SileroVad) -> None:
    assert vad.window_samples * 1000 == 32 * vad.rate_hz


def test_voice_is_found_and_silence_is_not(vad: SileroVad) -> None:
    pcm = silence(1, vad.rate_hz) + prompt("agent-pass", vad.rate_hz) + silence(1, vad.rate_hz)
    found = scores(vad, pcm)
    assert max(found[:28]) < 0.3
    assert sum(score > 0.5 for score in found[31:-31]) > 0.6 * len(found[31:-31])
    assert max(found[-20:]) < 0.3


def test_noise_is_not_voice(vad: SileroVad) -> None:
    assert max(scores(vad, noise(3, vad.rate_hz))) < 0.5


def test_a_batch_gives_what_each_row_gives_alone(vad: SileroVad) -> None:
    parts = [
        windows(vad, prompt(name, vad.rate_hz))[:20] for name in ("agent-pass", "conf-invalid", "vm-sorry")
    ]
    alone = []
    for part in parts:
        row = vad.open()
        alone.append([vad.score([row], window[None])[0] for window in part])
        vad.close(row)
    rows = [vad.open() for _ in parts]
    together = [vad.score(rows, np.stack([part[step] for part in parts])) for step in range(20)]
    assert np.allclose(np.array(together).T, alone, atol=1e-4)


def test_more_rows_than_one_batch(vad: SileroVad) -> None:
    rows = [vad.open() for _ in range(150)]
    assert len(set(rows)) == 150
    window = windows(vad, prompt("agent-pass", vad.rate_hz))[20]
    found = vad.score(rows, np.tile(window, (150, 1)))
    assert found.shape == (150,)
    assert np.allclose(found, found[0], atol=1e-4)


def test_a_row_that_is_given_back_begins_afresh(vad: SileroVad) -> None:
    pcm = prompt("agent-pass", vad.rate_hz)
    assert scores(vad, pcm) == scores(vad, pcm)


def test_no_rows_is_no_work(vad: SileroVad) -> None:
    assert vad.score([], np.zeros((0, vad.window_samples), np.float32)).shape == (0,)


def test_wrong_use_is_refused(vad: SileroVad) -> None:
    row = vad.open()
    with pytest.raises(ValueError, match="rows"):
        vad.score([row], np.zeros((1, 100), np.float32))
    vad.close(row)
    with pytest.raises(ValueError, match="not open"):
        vad.close(row)
