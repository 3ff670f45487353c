"""Sound for a scripted caller: WAV files in and out, any rate to the call's rate, and mu-law of its own.

The caller codes G.711 itself, from the standard's definition, because a peer that shared the runtime's codec could
not notice when it is wrong. It refuses compressed WAV files, and to open anything: bytes in, bytes out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from aywa.testing.wire import FRAME_S, Samples, level_dbfs, voiced_frames

MAX_WAV_S = 1200
RATES_HZ = range(1000, 384_001)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CONVERT = "convert it, for example with: ffmpeg -i FILE -c:a pcm_s16le mended.wav"
_MULAW_BIAS = 132
_MULAW_CLIP = 32635
# The top of the band is faded out, not cut off, so that it does not ring.
_FADE = 0.06
# "Mm-hmm": its length, start and length of each syllable, and the resonances (Hz, width, gain) of a closed mouth.
_HUM_S = 0.47
_HUM_SYLLABLES = ((0.0, 0.16), (0.23, 0.24))
_NASAL_FORMANTS = ((250, 60, 1.0), (1000, 120, 0.12), (2200, 200, 0.05))

Floats = npt.NDArray[np.float32]


class NotAWav(ValueError):
    """The bytes are not a WAV that can be played. The text is one line: the reason, then how to mend it."""

    def __init__(self, reason: str, mend: str = _CONVERT) -> None:
        super().__init__(f"{reason}; {mend}")


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples between -1 and 1."""

    samples: Floats
    rate_hz: int

    def pcm(self, rate_hz: int) -> bytes:
        """PCM16 LE at another rate."""
        return to_pcm(resample(self.samples, self.rate_hz, rate_hz))


@dataclass(frozen=True, slots=True)
class _Format:
    code: int
    channels: int
    rate_hz: int
    block: int
    bits: int


def read_wav(data: bytes) -> Sound:
    """Reads 8, 16, 24 or 32 bit integers, 32 or 64 bit floats, any number of channels (mixed to one). Raises NotAWav."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotAWav(
            f"it begins with {data[:4]!r}, a WAV begins with RIFF....WAVE" if data else "it is empty"
        )
    form, body = _chunks(data)
    samples = _samples(form, body)
    if not samples.size:
        raise NotAWav("it holds no audio", "record it again")
    if samples.size > MAX_WAV_S * form.rate_hz:
        raise NotAWav(f"it is longer than {MAX_WAV_S // 60} minutes", "cut it into parts")
    return Sound(samples, form.rate_hz)


def write_wav(samples: Samples, rate_hz: int) -> bytes:
    """A WAV of PCM16: one channel from [samples], more from [samples, channels]."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    body = samples.astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", _PCM, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def resample(samples: Floats, from_hz: int, to_hz: int) -> Floats:
    """Changes the rate of a whole recording, through its spectrum: what lies above the lower band edge is taken out."""
    if from_hz == to_hz or not samples.size:
        return samples
    common = gcd(from_hz, to_hz)
    step_in, step_out = from_hz // common, to_hz // common
    # Zeros on the end keep the spectrum's wrap-around away from the beginning, and make both lengths whole.
    steps = -(-(samples.size + from_hz // 10) // step_in)
    spectrum = np.fft.rfft(samples, steps * step_in)
    kept = min(spectrum.size, steps * step_out // 2 + 1)
    fade = max(1, int(kept * _FADE))
    spectrum = spectrum[:kept].copy()
    spectrum[-fade:] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fade))
    changed = np.fft.irfft(spectrum, steps * step_out) * (step_out / step_in)
    return changed[: round(samples.size * to_hz / from_hz)].astype(np.float32)


def to_pcm(samples: Floats) -> bytes:
    """Floats between -1 and 1 as PCM16 LE; what is louder is clipped."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()


def trim(pcm: bytes, rate_hz: int) -> bytes:
    """PCM16 without the silence before and after it, to a frame of 20 ms."""
    size = round(rate_hz * FRAME_S) * 2
    frames = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    voiced = [number for number, is_voiced in enumerate(voiced_frames(frames)) if is_voiced]
    return b"".join(frames[voiced[0] : voiced[-1] + 1]) if voiced else b""


def pieces(pcm: bytes, rate_hz: int, longest_s: float) -> list[bytes]:
    """Cuts PCM16 into pieces no longer than longest_s, each at the quietest frame of its second half."""
    size = round(rate_hz * FRAME_S) * 2
    most = round(longest_s / FRAME_S)
    frames = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    found = []
    while len(frames) > most:
        levels = [level_dbfs(frame) for frame in frames[most // 2 : most]]
        cut = most // 2 + levels.index(min(levels)) + 1
        found.append(b"".join(frames[:cut]))
        frames = frames[cut:]
    return [*found, b"".join(frames)]


def hum(rate_hz: int) -> bytes:
    """ "Mm-hmm" as PCM16, 0.47 s: two nasal hums on a rising and falling pitch, with a little breath between them.

    Speech synthesisers read it as letters; recognisers write this one as they write a person's.
    """
    time_s = np.arange(round(_HUM_S * rate_hz)) / rate_hz
    first, second = (_syllable(time_s, *syllable) for syllable in _HUM_SYLLABLES)
    pitch_hz = np.where(
        time_s < _HUM_SYLLABLES[0][1], 190 - 95 * time_s, 237 - 178 * np.maximum(time_s - 0.23, 0)
    )
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    voice = sum((_nasal(k * pitch_hz) * np.sin(k * phase) for k in range(1, 18)), np.zeros(time_s.size))
    voice *= 0.8 * first + second
    breath = np.random.default_rng(7).standard_normal(time_s.size) * ((time_s > 0.14) & (time_s < 0.25))
    return to_pcm((0.18 * voice / np.abs(voice).max() + 0.0055 * breath).astype(np.float32))


def encode_mulaw(pcm: bytes) -> bytes:
    """PCM16 LE to G.711 mu-law."""
    return bytes(_ENCODE[np.frombuffer(pcm, "<u2")])


def decode_mulaw(payload: bytes) -> bytes:
    """G.711 mu-law to PCM16 LE."""
    return bytes(_DECODE[np.frombuffer(payload, np.uint8)])


def _syllable(time_s: npt.NDArray[np.float64], start_s: float, length_s: float) -> npt.NDArray[np.float64]:
    """How loud it is: up fast, down slowly."""
    place = (time_s - start_s) / length_s
    return np.clip(np.minimum(place / 0.15, (1 - place) / 0.3), 0, 1)


def _nasal(pitch_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How strong a partial is with the lips closed. Nothing above the telephone's band."""
    strength = sum(gain / (1 + ((pitch_hz - at) / width) ** 2) for at, width, gain in _NASAL_FORMANTS)
    return np.where(pitch_hz < 3400, strength, 0.0)


def _chunks(data: bytes) -> tuple[_Format, bytes]:
    """The format and the audio. A length that runs past the end (a recorder that was stopped) means: to the end."""
    form: _Format | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            form = _format(body)
        elif name == b"data":
            if form is None:
                raise NotAWav("its audio comes before its format")
            return form, body
        at += 8 + size + size % 2
    raise NotAWav("it has no audio (no data chunk)")


def _format(body: bytes) -> _Format:
    if len(body) < 16:
        raise NotAWav("its format chunk is cut short")
    code, channels, rate_hz, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if code == _EXTENSIBLE and len(body) >= 26:
        code = int.from_bytes(body[24:26], "little")
    whole = channels and bits in ((8, 16, 24, 32) if code == _PCM else (32, 64))
    if code not in (_PCM, _FLOAT):
        raise NotAWav(f"it is compressed (format {code:#06x}), only integer and float samples are read")
    if not whole or block != channels * bits // 8:
        raise NotAWav(f"{channels} channels of {bits} bit in blocks of {block} bytes make no sense")
    if rate_hz not in RATES_HZ:
        raise NotAWav(f"a rate of {rate_hz} Hz makes no sense")
    return _Format(code, channels, rate_hz, block, bits)


def _samples(form: _Format, body: bytes) -> Floats:
    body = body[: len(body) // form.block * form.block]
    if form.code == _FLOAT:
        values = np.frombuffer(body, "<f4" if form.bits == 32 else "<f8").astype(np.float32)
        values = np.nan_to_num(values, posinf=1.0, neginf=-1.0)
    elif form.bits == 8:
        values = (np.frombuffer(body, np.uint8).astype(np.float32) - 128.0) / 128.0
    elif form.bits == 24:
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        values = wide.view("<i4").reshape(-1).astype(np.float32) / 2.0**31
    else:
        values = np.frombuffer(body, f"<i{form.bits // 8}").astype(np.float32) / 2.0 ** (form.bits - 1)
    mixed: Floats = values.reshape(-1, form.channels).mean(axis=1)
    return mixed


def _decode_table() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + _MULAW_BIAS) << exponent) - _MULAW_BIAS
    return np.where(code & 128, -magnitude, magnitude).astype("<i2")


def _encode_table() -> npt.NDArray[np.uint8]:
    pcm = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(pcm), _MULAW_CLIP) + _MULAW_BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = np.where(pcm < 0, 128, 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)
    table: npt.NDArray[np.uint8] = (~code & 255).astype(np.uint8)
    return table


_DECODE = _decode_table()
_ENCODE = _encode_table()
