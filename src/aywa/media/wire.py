"""A leg's audio format: bytes of a sample, silence, both ways between the wire and PCM16, and the way to numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aywa.core.audio import g711
from aywa.core.audio.frame import Floats, to_float
from aywa.ports.media import AudioFormat


@dataclass(frozen=True, slots=True)
class Wire:
    """decode and encode are None where the wire carries PCM16 as it is. to_float: samples in -1..1."""

    width: int
    silence: bytes
    to_float: Callable[[bytes], Floats]
    decode: Callable[[bytes], bytes] | None
    encode: Callable[[bytes], bytes] | None

    def to_pcm(self, frame: bytes) -> bytes:
        """PCM16 of a frame."""
        return frame if self.decode is None else self.decode(frame)

    def from_pcm(self, pcm: bytes) -> bytes:
        """The frame for PCM16."""
        return pcm if self.encode is None else self.encode(pcm)


_WIRES = {
    AudioFormat.PCM16: Wire(2, b"\0\0", to_float, None, None),
    AudioFormat.MULAW: Wire(1, g711.MULAW_SILENCE, g711.mulaw_to_float, g711.mulaw_to_pcm, g711.pcm_to_mulaw),
    AudioFormat.ALAW: Wire(1, g711.ALAW_SILENCE, g711.alaw_to_float, g711.alaw_to_pcm, g711.pcm_to_alaw),
}


def wire(audio_format: AudioFormat, rate_hz: int) -> Wire:
    """The format's wire; G.711 has one rate."""
    if audio_format is not AudioFormat.PCM16 and rate_hz != g711.RATE_HZ:
        raise ValueError(f"G.711 runs at {g711.RATE_HZ} Hz, not at {rate_hz}")
    return _WIRES[audio_format]
