from __future__ import annotations

import pytest

from aywa.media.wire import wire
from aywa.ports.media import AudioFormat


def test_pcm_is_left_alone() -> None:
    pcm = wire(AudioFormat.PCM16, 24000)
    assert pcm.to_pcm(b"\1\2") == pcm.from_pcm(b"\1\2") == b"\1\2"
    assert pcm.to_pcm(pcm.silence) == bytes(2)


def test_mulaw_is_decoded_and_encoded() -> None:
    mulaw = wire(AudioFormat.MULAW, 8000)
    assert mulaw.to_pcm(b"\x80") == (32124).to_bytes(2, "little")
    assert mulaw.from_pcm((32124).to_bytes(2, "little")) == b"\x80"
    assert mulaw.to_pcm(mulaw.silence) == bytes(2)


def test_alaw_is_decoded_and_encoded() -> None:
    alaw = wire(AudioFormat.ALAW, 8000)
    assert alaw.to_pcm(b"\xaa") == (32256).to_bytes(2, "little")
    assert alaw.from_pcm(alaw.to_pcm(bytes(range(256)))) == bytes(range(256))
    assert alaw.to_pcm(alaw.silence) == (8).to_bytes(2, "little")


def test_mulaw_has_one_rate() -> None:
    with pytest.raises(ValueError, match="8000"):
        wire(AudioFormat.MULAW, 16000)
