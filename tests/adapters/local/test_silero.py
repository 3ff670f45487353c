"""The voice detector finds people's voices, and its rows know nothing of each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from aywa.adapters.local.onnx import session
from aywa.adapters.local.onnx_file import floats_of
from aywa.adapters.local.resample import from_pcm16
from aywa.adapters.local.silero import SileroVad
from aywa.ports.vad import Vad
from tests.adapters.local.speech import SAID, librivox, noise, prompt, recording, silence


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


def test_it_answers_what_the_model_file_answers(vad: SileroVad, models: Path) -> None:
    """The file's own network, run window after window on people's speech, against all the speech in one batch."""
    plain = session(models / "silero" / "silero_vad.onnx", arena=True)
    context = vad.window_samples // 8
    speech = [prompt(name, vad.rate_hz) for name in sorted(SAID)]
    speech += [recording(path, vad.rate_hz) for path, _ in librivox()]
    assert len(speech) > 30
    parts = [windows(vad, pcm)[:300] for pcm in speech]
    longest = max(map(len, parts))
    audio = np.zeros((len(parts), longest, vad.window_samples), dtype=np.float32)
    for place, part in enumerate(parts):
        audio[place, : len(part)] = part
    rows = [vad.open() for _ in parts]
    found = np.array([vad.score(rows, audio[:, step]) for step in range(longest)])
    state = np.zeros((2, len(parts), 128), dtype=np.float32)
    before = np.zeros((len(parts), context), dtype=np.float32)
    wanted = np.empty_like(found)
    for step in range(longest):
        data = np.concatenate((before, audio[:, step]), axis=1)
        feeds = {"input": data, "state": state, "sr": np.array(vad.rate_hz)}
        probabilities, state = plain.run(None, feeds)
        before, wanted[step] = data[:, -context:], probabilities[:, 0]
    assert wanted.max() > 0.99
    assert np.allclose(found, wanted, rtol=0, atol=1e-4)


def test_a_file_that_is_missing_or_holds_something_else_is_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        SileroVad(tmp_path / "silero_vad.onnx")
    with pytest.raises(ValueError, match="not Silero v6: 0 spectra"):
        SileroVad(models / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
    whole = (models / "silero" / "silero_vad.onnx").read_bytes()
    other = tmp_path / "other.onnx"
    for part in (whole[: len(whole) // 2], whole[len(whole) // 2 :], b"not a model"):
        other.write_bytes(part)
        with pytest.raises(ValueError, match="not an ONNX model"):
            SileroVad(other)


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [("stft.forward_basis_buffer", "not symmetrical"), ("encoder.2.reparam_conv.bias", "encoder.2")],
)
def test_other_weights_than_expected_are_refused(
    models: Path, tmp_path: Path, tensor: str, reason: str
) -> None:
    whole = (models / "silero" / "silero_vad.onnx").read_bytes()
    other = tmp_path / "other.onnx"
    for name, value in floats_of(whole):
        if name.endswith(tensor):
            if "basis" in tensor:
                changed = value.copy()
                changed[3, 0, 5] *= 1.001
                whole = whole.replace(value.tobytes(), changed.tobytes())
            else:
                whole = whole.replace(name.encode(), name.upper().encode())
    other.write_bytes(whole)
    for rate_hz in (8000, 16000):
        with pytest.raises(ValueError, match=reason):
            SileroVad(other, rate_hz)
