"""Between a leg's audio and what an RTP stream carries: nothing to do where both are the same G.711, else by way of PCM16.

A leg keeps its format for the whole call; the stream's codec may change at any re-INVITE, so the two need not match.
Refuses to know packets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aywa.core.audio import g711
from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.resample import Resampler
from aywa.core.rtp.plan import Codec
from aywa.media.wire import wire
from aywa.ports.media import AudioFormat

_Change = Callable[[bytes], bytes]


class AudioCodec(Protocol):
    """One direction's state of a codec. PCM16 at the codec's rate_hz."""

    def encode(self, pcm: bytes, /) -> bytes:
        """A packet's payload."""

    def decode(self, payload: bytes, /) -> bytes:
        """A payload's audio; nothing for one that is broken."""


# A fresh one for each direction of each stream; raises where the codec's library is missing.
OpenCodec = Callable[[Codec], AudioCodec]

_FORMATS = {Codec.PCMU: AudioFormat.MULAW, Codec.PCMA: AudioFormat.ALAW}


class _Table:
    """G.711."""

    def __init__(self, codec: Codec) -> None:
        mulaw = codec is Codec.PCMU
        self.encode: _Change = g711.pcm_to_mulaw if mulaw else g711.pcm_to_alaw
        self.decode: _Change = g711.mulaw_to_pcm if mulaw else g711.alaw_to_pcm


def leg_format(codec: Codec) -> tuple[AudioFormat, int]:
    """The format and rate of a leg whose first codec this is: G.711 stays as it is, the rest is PCM16."""
    return _FORMATS.get(codec, AudioFormat.PCM16), codec.rate_hz


def encoder(codec: Codec, audio: AudioFormat, rate_hz: int, opened: OpenCodec) -> _Change | None:
    """From the leg's frames to payloads; None: they are the same."""
    if _FORMATS.get(codec) is audio:
        return None
    own, coding = wire(audio, rate_hz), _open(codec, opened)
    change = _resampling(rate_hz, codec.rate_hz)

    def encode(frame: bytes) -> bytes:
        pcm = own.to_pcm(frame)
        return coding.encode(pcm if change is None else change(pcm))

    return encode


def decoder(codec: Codec, audio: AudioFormat, rate_hz: int, opened: OpenCodec) -> _Change | None:
    """From payloads to the leg's audio; None: they are the same."""
    if _FORMATS.get(codec) is audio:
        return None
    own, coding = wire(audio, rate_hz), _open(codec, opened)
    change = _resampling(codec.rate_hz, rate_hz)

    def decode(payload: bytes) -> bytes:
        pcm = coding.decode(payload)
        return own.from_pcm(pcm if change is None else change(pcm))

    return decode


def _open(codec: Codec, opened: OpenCodec) -> AudioCodec:
    return _Table(codec) if codec in _FORMATS else opened(codec)


def _resampling(from_hz: int, to_hz: int) -> _Change | None:
    if from_hz == to_hz:
        return None
    resampler = Resampler(from_hz, to_hz)
    return lambda pcm: to_pcm(resampler.push(to_float(pcm)))
