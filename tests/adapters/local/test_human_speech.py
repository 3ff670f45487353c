"""Word errors on people's voices, over the telephone and in the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.adapters.local.moonshine import Moonshine
from aywa.adapters.local.resample import from_pcm16, resample
from tests.adapters.local.speech import SAID, errors, librivox, prompt, recording


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    from aywa.adapters.models.cache import models_dir

    return Moonshine(models_dir() / "moonshine")


def hear(moonshine: Moonshine, pcm: bytes, rate_hz: int) -> str:
    return moonshine.transcribe(resample(from_pcm16(pcm), rate_hz, 16000))


def test_word_errors_on_the_telephone_band(moonshine: Moonshine) -> None:
    counts = [errors(said, hear(moonshine, prompt(name), 8000)) for name, said in SAID.items()]
    counts += [errors(said, hear(moonshine, recording(path, 8000), 8000)) for path, said in librivox()]
    wrong, all_words = (sum(column) for column in zip(*counts, strict=True))
    print(f"telephone band: {wrong} of {all_words} words wrong, {100 * wrong / all_words:.1f} %")
    assert wrong / all_words <= 0.08


def test_word_errors_on_wide_band(moonshine: Moonshine) -> None:
    counts = [errors(said, hear(moonshine, recording(path, 16000), 16000)) for path, said in librivox()]
    wrong, all_words = (sum(column) for column in zip(*counts, strict=True))
    print(f"wide band: {wrong} of {all_words} words wrong, {100 * wrong / all_words:.1f} %")
    assert wrong / all_words <= 0.08


def test_any_length_can_be_heard(moonshine: Moonshine) -> None:
    text = hear(moonshine, recording(Path(librivox()[0][0]), 16000) * 3, 16000)
    assert text.lower().count("dashwood") == 3
    assert hear(moonshine, b"", 16000) == ""
    assert len(hear(moonshine, bytes(64), 16000)) < 20
