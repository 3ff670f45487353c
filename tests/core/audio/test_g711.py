"""The recommendation's own values, and properties that hold for every code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aywa.core.audio import g711

EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")


def values(pcm: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(pcm, "<i2")]


@pytest.mark.parametrize(
    ("code", "value"),
    [(0x00, -32124), (0x80, 32124), (0x7F, 0), (0xFF, 0), (0xFE, 8), (0x7E, -8), (0xEF, 132)],
)
def test_mulaw_values(code: int, value: int) -> None:
    assert values(g711.mulaw_to_pcm(bytes([code]))) == [value]


@pytest.mark.parametrize(
    ("code", "value"), [(0xD5, 8), (0x55, -8), (0xAA, 32256), (0x2A, -32256), (0xD4, 24), (0xC5, 264)]
)
def test_alaw_values(code: int, value: int) -> None:
    assert values(g711.alaw_to_pcm(bytes([code]))) == [value]


def test_mulaw_there_and_back() -> None:
    # Negative zero (0x7F) comes back as zero.
    again = g711.pcm_to_mulaw(g711.mulaw_to_pcm(EVERY_CODE))
    assert again.replace(b"\xff", b"\x7f") == EVERY_CODE.replace(b"\xff", b"\x7f")


def test_alaw_there_and_back() -> None:
    assert g711.pcm_to_alaw(g711.alaw_to_pcm(EVERY_CODE)) == EVERY_CODE


def test_silence_is_silent() -> None:
    assert values(g711.mulaw_to_pcm(g711.MULAW_SILENCE)) == [0]
    assert values(g711.alaw_to_pcm(g711.ALAW_SILENCE)) == [8]
    assert g711.pcm_to_mulaw(bytes(4)) == g711.MULAW_SILENCE * 2


@pytest.mark.parametrize(
    ("encode", "decode"), [(g711.pcm_to_mulaw, g711.mulaw_to_pcm), (g711.pcm_to_alaw, g711.alaw_to_pcm)]
)
def test_the_error_of_every_sample_is_a_small_part_of_it(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]
) -> None:
    back = np.array(values(decode(encode(EVERY_SAMPLE.tobytes()))), dtype=np.int64)
    magnitude = np.abs(EVERY_SAMPLE.astype(np.int64))
    # Half a step is 1/32 of the value (a segment has 16), and the loudest are clipped.
    assert (np.abs(back - EVERY_SAMPLE) <= magnitude / 30 + 17).all()
    assert (np.diff(back) >= 0).all()


@pytest.mark.parametrize("encode", [g711.pcm_to_mulaw, g711.pcm_to_alaw])
def test_short_and_long_pieces_have_the_same_codes(encode: Callable[[bytes], bytes]) -> None:
    pcm = EVERY_SAMPLE.tobytes()
    frames = [pcm[at : at + 320] for at in range(0, len(pcm), 320)]
    assert b"".join(map(encode, frames)) == encode(pcm)


@pytest.mark.parametrize(
    ("to_float", "to_pcm"), [(g711.mulaw_to_float, g711.mulaw_to_pcm), (g711.alaw_to_float, g711.alaw_to_pcm)]
)
def test_as_floats_every_code_is_its_sample(
    to_float: Callable[[bytes], np.ndarray], to_pcm: Callable[[bytes], bytes]
) -> None:
    expected = np.frombuffer(to_pcm(EVERY_CODE), "<i2") / 32768
    assert np.array_equal(to_float(EVERY_CODE), expected.astype(np.float32))
    assert to_float(b"").size == 0
