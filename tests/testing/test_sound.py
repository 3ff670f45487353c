"""WAV files of every kind, other rates, and mu-law against the standard's own points."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.testing.sound import (
    NotAWav,
    decode_mulaw,
    encode_mulaw,
    hum,
    pieces,
    read_wav,
    resample,
    to_pcm,
    trim,
    write_wav,
)

RAMP = np.linspace(-1, 1, 64, endpoint=False)


def riff(form: bytes, body: bytes, *, before: bytes = b"", size: int | None = None) -> bytes:
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + before
    chunks += b"data" + struct.pack("<I", len(body) if size is None else size) + body
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def form(code: int, bits: int, channels: int = 1, rate: int = 8000) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", code, channels, rate, rate * block, block, bits)


def integers(bits: int) -> bytes:
    if bits == 8:
        return (RAMP * 128 + 128).astype("u1").tobytes()
    wide = (RAMP * 2.0**31).astype("<i4")
    return wide.view("u1").reshape(-1, 4)[:, 4 - bits // 8 :].tobytes()


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_reads_integers(bits: int) -> None:
    sound = read_wav(riff(form(1, bits), integers(bits)))
    assert sound.rate_hz == 8000
    assert sound.samples == pytest.approx(RAMP, abs=2.0 ** (1 - bits))


@pytest.mark.parametrize("bits", [32, 64])
def test_reads_floats(bits: int) -> None:
    sound = read_wav(riff(form(3, bits, rate=44100), RAMP.astype(f"<f{bits // 8}").tobytes()))
    assert sound.samples == pytest.approx(RAMP, abs=1e-6)


def test_reads_the_extensible_format() -> None:
    extension = struct.pack("<HHIH", 22, 24, 4, 1) + bytes(14)
    assert (
        read_wav(riff(struct.pack("<H", 0xFFFE) + form(1, 24)[2:] + extension, integers(24))).samples.size
        == 64
    )


def test_mixes_channels() -> None:
    body = np.stack([np.full(9, 8192), np.full(9, -4096)], axis=1).astype("<i2").tobytes()
    assert read_wav(riff(form(1, 16, channels=2), body)).samples == pytest.approx(np.full(9, 0.0625))


def test_passes_over_what_it_does_not_know() -> None:
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    assert read_wav(riff(form(1, 16), integers(16), before=odd)).samples.size == 64


def test_reads_to_the_end_of_a_recording_that_was_broken_off() -> None:
    assert read_wav(riff(form(1, 16), integers(16) + b"x", size=0xFFFFFFFF)).samples.size == 64


def test_makes_nothing_of_what_is_no_number() -> None:
    body = np.array([np.nan, np.inf, -np.inf, 0.5], "<f4").tobytes()
    assert read_wav(riff(form(3, 32), body)).samples.tolist() == [0.0, 1.0, -1.0, 0.5]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"ID3\x03 an MP3", "it begins with b'ID3"),
        (b"RIFF\0\0\0\0WAVE", "no data chunk"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd", "before its format"),
        (riff(b"short", b""), "cut short"),
        (riff(form(0x55, 16), b"ab"), r"compressed \(format 0x0055\)"),
        (riff(form(1, 12), b"ab"), "1 channels of 12 bit"),
        (riff(form(1, 16, channels=0), b"ab"), "0 channels"),
        (riff(form(3, 16), b"ab"), "16 bit"),
        (riff(form(1, 16, rate=0), b"ab"), "0 Hz"),
        (riff(form(1, 16), b""), "holds no audio"),
        (riff(form(1, 8, rate=1000), bytes(1_200_001)), "longer than 20 minutes"),
    ],
)
def test_says_what_is_wrong_and_how_to_mend_it(data: bytes, reason: str) -> None:
    with pytest.raises(NotAWav, match=reason) as error:
        read_wav(data)
    assert "\n" not in str(error.value)
    assert "; " in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        assert read_wav(data).samples.size
    except NotAWav:
        pass
    try:
        assert read_wav(b"RIFF0000WAVEfmt \x10\0\0\0" + data).samples.size
    except NotAWav:
        pass


def test_others_can_read_what_it_writes() -> None:
    both = np.arange(20, dtype=np.int16).reshape(10, 2)
    with wave.open(io.BytesIO(write_wav(both, 16000))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 16000, 2)
        assert file.readframes(10) == both.astype("<i2").tobytes()
    assert read_wav(write_wav(both[:, 0], 8000)).samples.size == 10


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(44100, 16000), (8000, 16000), (48000, 8000), (11025, 8000), (16000, 16000)]
)
def test_a_tone_keeps_its_pitch_and_level_at_another_rate(from_hz: int, to_hz: int) -> None:
    def tone(rate_hz: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz).astype(np.float32)

    changed = resample(tone(from_hz), from_hz, to_hz)
    assert changed.size == to_hz
    assert changed[200:-200] == pytest.approx(tone(to_hz)[200:-200], abs=0.002)


def test_what_does_not_fit_into_the_band_is_taken_out() -> None:
    high = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(high, 16000, 8000)[200:-200]).max() < 0.001
    assert resample(high[:0], 16000, 8000).size == 0


def test_loud_samples_are_clipped() -> None:
    assert np.frombuffer(to_pcm(np.array([2, -2, 0.5], np.float32)), "<i2").tolist() == [32767, -32768, 16384]


def test_mulaw_at_the_points_of_the_standard() -> None:
    # G.711 table 2a, decoder output values 0, 1, 8, 127 and their negatives, in 16 bits.
    codes = bytes([0xFF, 0xFE, 0xF7, 0x80, 0x7F, 0x7E, 0x00])
    values = np.frombuffer(decode_mulaw(codes), "<i2").tolist()
    assert values == [0, 8, 64, 32124, 0, -8, -32124]
    assert encode_mulaw(np.array([0, 8, 64, 32124, -8, -32768, 32767], "<i2").tobytes()) == bytes(
        [0xFF, 0xFE, 0xF7, 0x80, 0x7E, 0x00, 0x80]
    )


def test_mulaw_stays_within_half_a_step_and_in_order() -> None:
    samples = np.arange(-32124, 32125, dtype="<i2")
    decoded = np.frombuffer(decode_mulaw(encode_mulaw(samples.tobytes())), "<i2").astype(int)
    # A step is a sixteenth of its segment, and a segment begins at a power of two less the bias of 132.
    assert np.all(np.abs(decoded - samples) <= (np.abs(samples.astype(int)) + 132) / 32)
    assert np.all(np.diff(decoded) >= 0)


def test_mulaw_codes_come_back_as_they_were() -> None:
    codes = bytes(range(256))
    # 0x7F is the negative zero, which no sample is.
    assert encode_mulaw(decode_mulaw(codes)) == codes.replace(b"\x7f", b"\xff")


def test_silence_around_speech_is_cut_off_to_a_frame() -> None:
    loud = np.full(160, 8000, "<i2").tobytes()
    assert (
        trim(bytes(900) + loud * 3 + bytes(320) + loud + bytes(5000), 8000).strip(b"\0").startswith(loud[:2])
    )
    assert len(trim(bytes(320 * 4) + loud * 3 + bytes(320 * 9), 8000)) == 320 * 3
    assert trim(bytes(5000), 8000) == b""


def test_a_long_recording_is_cut_at_its_quiet_places() -> None:
    loud, quiet = np.full(160, 8000, "<i2").tobytes(), bytes(320)
    pcm = loud * 70 + quiet + loud * 69 + quiet + loud * 50
    assert [len(piece) // 320 for piece in pieces(pcm, 8000, 2.0)] == [71, 70, 50]
    assert pieces(loud, 8000, 2.0) == [loud]


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_a_hum_is_short_low_and_always_the_same(rate_hz: int) -> None:
    samples = np.frombuffer(hum(rate_hz), "<i2").astype(float)
    assert samples.size == round(0.47 * rate_hz)
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    low = spectrum[: round(500 * samples.size / rate_hz)].sum()
    assert low > 0.9 * spectrum.sum()
    assert hum(rate_hz) == hum(rate_hz)
