"""Between a leg's audio and what an RTP stream carries: nothing to do where both are the same G.711, else by way of PCM16.

A leg keeps its format for the whole call; the stream's codec may change at any re-INVITE, so the two need not match.
Refuses to know packets.
"""

from __future__ import annotations

from collections.abc import Callable

from aywa.core.audio import g711
from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.resample import Resampler
from aywa.core.rtp.plan import Codec
from aywa.media.wire import wire
from aywa.ports.codec import CodingMaker
from aywa.ports.media import AudioFormat

_Change = Callable[[bytes], bytes]


_FORMATS = {Codec.PCMU: AudioFormat.MULAW, Codec.PCMA: AudioFormat.ALAW}


def leg_format(codec: Codec) -> tuple[AudioFormat, int]:
    """The format and rate of a leg whose first codec this is: G.711 stays as it is, the rest is PCM16."""
    return _FORMATS.get(codec, AudioFormat.PCM16), codec.rate_hz


def encoder(codec: Codec, audio: AudioFormat, rate_hz: int, make: CodingMaker) -> _Change | None:
    """From the leg's frames to payloads; None: they are the same."""
    if _FORMATS.get(codec) is audio:
        return None
    own, (code, _) = wire(audio, rate_hz), _coding(codec, make)
    change = _resampling(rate_hz, codec.rate_hz)

    def encode(frame: bytes) -> bytes:
        pcm = own.to_pcm(frame)
        return code(pcm if change is None else change(pcm))

    return encode


def decoder(codec: Codec, audio: AudioFormat, rate_hz: int, make: CodingMaker) -> _Change | None:
    """From payloads to the leg's audio; None: they are the same."""
    if _FORMATS.get(codec) is audio:
        return None
    own, (_, decoded) = wire(audio, rate_hz), _coding(codec, make)
    change = _resampling(codec.rate_hz, rate_hz)

    def decode(payload: bytes) -> bytes:
        pcm = decoded(payload)
        return own.from_pcm(pcm if change is None else change(pcm))

    return decode


def _coding(codec: Codec, make: CodingMaker) -> tuple[_Change, _Change]:
    """Encodes, decodes. One of its own for each direction and payload type: each has its memory."""
    if codec is Codec.PCMU:
        return g711.pcm_to_mulaw, g711.mulaw_to_pcm
    if codec is Codec.PCMA:
        return g711.pcm_to_alaw, g711.alaw_to_pcm
    made = make(codec)
    return made.encode, made.decode


def _resampling(from_hz: int, to_hz: int) -> _Change | None:
    if from_hz == to_hz:
        return None
    resampler = Resampler(from_hz, to_hz)
    return lambda pcm: to_pcm(resampler.push(to_float(pcm)))
