"""The WAV file that callers hear on hold."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.hold_music import read_music


def written(path: Path, frames: bytes, *, channels: int = 1, width: int = 2, rate_hz: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(frames)
    return path


def test_without_a_file_there_is_none() -> None:
    assert read_music(None) == (b"", 8000)


def test_both_channels_are_heard(tmp_path: Path) -> None:
    left_and_right = (100).to_bytes(2, "little") + (300).to_bytes(2, "little")
    file = written(tmp_path / "music.wav", left_and_right * 4, channels=2, rate_hz=16_000)
    assert read_music(file) == ((200).to_bytes(2, "little") * 4, 16_000)


@pytest.mark.parametrize(
    ("frames", "given", "why"),
    [
        (b"\x80" * 8, {"width": 1}, "8 bits"),
        (b"\x00" * 8, {"rate_hz": 96_000}, "96000 Hz"),
        (b"", {}, "empty"),
    ],
)
def test_what_cannot_be_played_is_named(
    tmp_path: Path, frames: bytes, given: dict[str, int], why: str
) -> None:
    with pytest.raises(CannotStart, match=f"RUNTIME_MEDIA_HOLD_MUSIC: .*{why}.*ffmpeg"):
        read_music(written(tmp_path / "music.wav", frames, **given))


def test_what_is_no_wav_at_all(tmp_path: Path) -> None:
    other = tmp_path / "music.mp3"
    other.write_bytes(b"ID3")
    for file in (other, tmp_path / "nothing.wav"):
        with pytest.raises(CannotStart, match="cannot be used"):
            read_music(file)
