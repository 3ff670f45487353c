"""Between a leg's audio and a stream's payloads."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.core.audio.frame import shorts, to_float
from aywa.core.audio.g711 import alaw_to_pcm, mulaw_to_pcm
from aywa.core.audio.level import rms
from aywa.core.rtp.plan import Codec
from aywa.media.rtp.coding import decoder, encoder, leg_format
from aywa.ports.media import AudioFormat


class Halved:
    """A codec that keeps the upper byte of each sample."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def encode(self, pcm: bytes) -> bytes:
        return pcm[1::2]

    def decode(self, payload: bytes) -> bytes:
        return b"".join(bytes([0, each]) for each in payload)

    def conceal(self, samples: int, following: bytes | None = None) -> bytes:
        return b""


def tone(rate_hz: int, seconds: float = 0.4) -> bytes:
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    return (np.sin(2 * np.pi * 400 * t) * 8000).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("codec", "format_and_rate"),
    [
        (Codec.PCMU, (AudioFormat.MULAW, 8000)),
        (Codec.PCMA, (AudioFormat.ALAW, 8000)),
        (Codec.G722, (AudioFormat.PCM16, 16_000)),
        (Codec.OPUS, (AudioFormat.PCM16, 16_000)),
    ],
)
def test_a_leg_is_as_its_codec_likes_it(codec: Codec, format_and_rate: tuple[AudioFormat, int]) -> None:
    assert leg_format(codec) == format_and_rate


@pytest.mark.parametrize(
    ("codec", "audio"), [(Codec.PCMU, AudioFormat.MULAW), (Codec.PCMA, AudioFormat.ALAW)]
)
def test_nothing_is_to_be_done_where_both_are_the_same(codec: Codec, audio: AudioFormat) -> None:
    assert encoder(codec, audio, 8000, Halved) is None
    assert decoder(codec, audio, 8000, Halved) is None


def test_one_g711_becomes_the_other() -> None:
    encode = encoder(Codec.PCMA, AudioFormat.MULAW, 8000, Halved)
    decode = decoder(Codec.PCMA, AudioFormat.MULAW, 8000, Halved)
    assert encode is not None
    assert decode is not None
    loud = b"\x80\x00\xff"
    heard = shorts(alaw_to_pcm(encode(loud))).astype(int)
    assert np.abs(heard - shorts(mulaw_to_pcm(loud)).astype(int)).max() <= 1024
    assert shorts(mulaw_to_pcm(decode(b"\x2a\xaa\xd5"))).tolist() == [-32124, 32124, 8]


def test_other_codecs_go_by_pcm_and_other_rates_by_a_resampler() -> None:
    encode = encoder(Codec.G722, AudioFormat.MULAW, 8000, Halved)
    decode = decoder(Codec.G722, AudioFormat.PCM16, 16_000, Halved)
    assert encode is not None
    assert decode is not None
    assert decode(b"\x01\x02") == b"\x00\x01\x00\x02"
    narrow = encoder(Codec.PCMU, AudioFormat.PCM16, 16_000, Halved)
    assert narrow is not None
    pcm = mulaw_to_pcm(b"".join(narrow(tone(16_000)[at : at + 640]) for at in range(0, 12_800, 640)))
    assert len(pcm) == len(tone(8000))
    assert rms(to_float(pcm)) == pytest.approx(rms(to_float(tone(8000))), rel=0.05)
    assert len(encode(b"\xff" * 160)) == 320
