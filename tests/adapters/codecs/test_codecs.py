"""Every codec by the same rules: what is heard after coding is what was said, and bytes from nowhere do no harm."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.adapters.codecs import available_codecs, make_coding
from aywa.adapters.codecs.opus import MOST_SAMPLES
from aywa.core.audio.frame import shorts
from aywa.core.rtp.plan import Codec
from aywa.ports.codec import CodecUnavailable, Coding, CodingMaker

BYTES_A_FRAME = {Codec.PCMU: 160, Codec.PCMA: 160, Codec.G722: 160}
FRAME_S = 0.02


def vowel(rate_hz: int, seconds: float = 1.0) -> bytes:
    """Something like a voice: a tone of 150 Hz with its harmonics, getting louder and softer."""
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    wave = sum(np.sin(2 * np.pi * 150 * each * at) / each for each in range(1, 12))
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 2 * at)
    samples: bytes = (wave * loudness * 6000).astype("<i2").tobytes()
    return samples


def frames(pcm: bytes, rate_hz: int) -> list[bytes]:
    size = round(rate_hz * FRAME_S) * 2
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


def spectra(pcm: bytes) -> npt.NDArray[np.float64]:
    samples = shorts(pcm)[: len(pcm) // 2 // 512 * 512].reshape(-1, 512) * np.hanning(512)
    magnitudes: npt.NDArray[np.float64] = np.abs(np.fft.rfft(samples))
    return magnitudes


def likeness(one: bytes, other: bytes) -> float:
    """How much alike they sound: Opus keeps spectra, not the shape of a wave, and delays by some milliseconds."""
    return float(np.corrcoef(spectra(one).ravel(), spectra(other).ravel())[0, 1])


@pytest.fixture(params=list(Codec))
def coding(request: pytest.FixtureRequest) -> Coding:
    maker: CodingMaker = make_coding
    return maker(request.param)


def test_what_is_heard_is_what_was_said(coding: Coding) -> None:
    codec = coding.codec
    said = vowel(codec.rate_hz)
    payloads = [coding.encode(frame) for frame in frames(said, codec.rate_hz)]
    heard = [coding.decode(payload) for payload in payloads]
    assert {len(each) for each in heard} == {len(frames(said, codec.rate_hz)[0])}
    assert likeness(said, b"".join(heard)) > 0.97
    if codec in BYTES_A_FRAME:
        assert {len(payload) for payload in payloads} == {BYTES_A_FRAME[codec]}
    else:
        assert max(len(payload) for payload in payloads) < 160


def test_encoder_and_decoder_do_not_disturb_each_other(coding: Coding) -> None:
    other = make_coding(coding.codec)
    spoken = frames(vowel(coding.codec.rate_hz), coding.codec.rate_hz)
    alone = [other.encode(frame) for frame in spoken]
    together = []
    for frame in spoken:
        coding.decode(alone[3])
        together.append(coding.encode(frame))
    assert together == alone


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=50,
    deadline=None,
    derandomize=True,
)
@given(payload=st.binary(max_size=300))
def test_bytes_from_nowhere_are_audio_or_nothing(coding: Coding, payload: bytes) -> None:
    pcm = coding.decode(payload)
    assert len(pcm) % 2 == 0
    assert len(pcm) <= 2 * max(MOST_SAMPLES, 2 * len(payload))
    assert coding.decode(b"") == b""


def test_a_lost_packet_is_guessed_or_left_to_others(coding: Coding) -> None:
    spoken = frames(vowel(coding.codec.rate_hz), coding.codec.rate_hz)
    payloads = [coding.encode(frame) for frame in spoken]
    heard = []
    for number, payload in enumerate(payloads):
        if number % 10 != 5:
            heard.append(coding.decode(payload))
            continue
        guess = coding.conceal(len(spoken[0]) // 2, payloads[number + 1] if number % 20 == 5 else None)
        assert len(guess) == (len(spoken[0]) if coding.codec is Codec.OPUS else 0)
        heard.append(guess)
    if coding.codec is Codec.OPUS:
        assert likeness(b"".join(spoken), b"".join(heard)) > 0.9


@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
def test_opus_packets_of_other_lengths(milliseconds: int) -> None:
    opus = make_coding(Codec.OPUS)
    pcm = vowel(16_000, milliseconds / 1000)
    assert len(opus.decode(opus.encode(pcm))) == len(pcm)


def test_a_length_that_opus_does_not_know_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="123 samples"):
        make_coding(Codec.OPUS).encode(bytes(246))


def test_opus_guesses_no_more_than_a_packet_can_hold() -> None:
    opus = make_coding(Codec.OPUS)
    assert len(opus.conceal(10**9)) <= MOST_SAMPLES * 2


def test_all_of_them_are_there() -> None:
    assert available_codecs() == dict.fromkeys(Codec, "")


@pytest.mark.parametrize(
    ("codec", "module", "says"),
    [(Codec.G722, "G722", "package G722"), (Codec.OPUS, "opuslib_next.classes", "opuslib-next and libopus")],
)
def test_one_that_is_missing_says_what_to_install(
    codec: Codec, module: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CodecUnavailable, match=says):
        make_coding(codec)
    missing = available_codecs()
    assert says in missing.pop(codec)
    assert set(missing.values()) == {""}


def test_a_decoder_that_refuses_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    opus = make_coding(Codec.OPUS)
    # RFC 6716 3.4: a packet of code 3 whose frames are longer than 120 ms together.
    assert opus.decode(b"\xff\xff") == b""
    monkeypatch.setattr(opus, "_api", SimpleNamespace(decode=lambda *_: -4))
    assert opus.conceal(320) == b""
