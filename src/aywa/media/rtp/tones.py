"""Keys as tones in a leg's inbound audio, for streams without telephone events. Refuses to take the sound away: what has been
heard of a tone before it is known to be one has been heard.
"""

from __future__ import annotations

from collections.abc import Callable

from aywa.core.rtp.dtmf import KeyStarted
from aywa.core.rtp.plan import Codec
from aywa.core.rtp.tones import ToneReceiver
from aywa.media.wire import Wire
from aywa.ports.media import Leg

# A key that sounds is told by signalling when it is up, or a moment later.
SAME_KEY_S = 2.0


def carries_tones(codec: Codec) -> bool:
    """Opus is made for voices and music, and may bend what is neither."""
    return codec is not Codec.OPUS


class TonesHeard:
    """One leg's. now(): loop time."""

    def __init__(self, wire: Wire, rate_hz: int, now: Callable[[], float]) -> None:
        self._wire = wire
        self._rate_hz = rate_hz
        self._now = now
        self._leg: Leg
        self._receiver: ToneReceiver | None = None
        # They come by signalling: what sounds is the same once more.
        self._elsewhere = False
        self._last = ("", float("-inf"))

    def open(self, leg: Leg) -> None:
        """Whose audio it is."""
        self._leg = leg

    def ear(self, wanted: bool) -> Callable[[bytes], None]:
        """What takes the leg's audio from now on."""
        if not wanted or self._elsewhere:
            self._receiver = None
            return self._leg.audio_received
        self._receiver = self._receiver or ToneReceiver(self._rate_hz)
        return self._hear

    def signalled(self, key: str) -> bool:
        """A key came by signalling; False: it was heard already."""
        self._elsewhere = True
        heard, at_s = self._last
        self._last = ("", float("-inf"))
        return heard != key or self._now() - at_s > SAME_KEY_S

    def _hear(self, audio: bytes) -> None:
        receiver = self._receiver
        if receiver is not None:
            for event in receiver.hear(self._wire.to_pcm(audio)):
                if isinstance(event, KeyStarted):
                    self._last = (event.key, self._now())
                    self._leg.dtmf_received(event.key)
        self._leg.audio_received(audio)
