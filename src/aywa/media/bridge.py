"""Joins legs, so that their parties hear each other: on a steady beat, whatever their codecs and rates; and holds them.

Each side has a beat of its own, and on every beat its party gets 20 ms: of the other, of the music on hold, or silence, with
what is whispered on top. What comes from a party goes through a jitter buffer (core/rtp/relay.py). Refuses to know who the
parties are and why they are joined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aywa.core.audio.frame import FRAME_S, frame_bytes
from aywa.core.audio.mix import mix
from aywa.core.audio.resample import resample_pcm
from aywa.core.rtp.relay import Relay
from aywa.media.wheel import Timer, Wheel

# The loop was held up for longer: the beats meanwhile are not made up for.
LATE_S = 0.1
# A whisper that has not been heard yet; the playout behind it keeps its own pace.
WHISPER_S = 5.0
# Of music on hold; what is longer is cut.
MUSIC_S = 300.0
# While keys are sent, nothing else is: a stream has one or the other (RFC 4733 2.6). Of a key with the gap behind it, and of
# the pauses between keys.
KEY_S, PAUSES_S = 0.25, {"w": 0.5, "W": 1.0}


class Party(Protocol):
    """What a bridge needs of a leg. No method waits."""

    @property
    def rate_hz(self) -> int:
        """Of its audio both ways."""

    def send_joined(self, pcm: bytes, heard_from_s: float) -> None:
        """20 ms for the party, and when it begins to hear them (loop time)."""

    def send_keys(self, digits: str) -> None:
        """Keys for the party; the leg then tells its side (`keys`)."""

    def quiet(self) -> None:
        """No audio follows for a while."""


class Side:
    """One leg in the bridge, or on hold."""

    def __init__(self, party: Party, wheel: Wheel, now: Callable[[], float]) -> None:
        self.party = party
        self.other: Side | None = None
        self._wheel = wheel
        self._now = now
        self._frame_bytes = frame_bytes(party.rate_hz)
        self._whisper_most = round(WHISPER_S / FRAME_S) * self._frame_bytes
        self._whisper = bytearray()
        self._music: bytes | None = None
        self._music_at = 0
        # What this side hears of the other.
        self._relay: Relay | None = None
        self._keys_until_s = 0.0
        self._next_s = now()
        self._timer: Timer | None = wheel.at(self._next_s, self._beat)

    @property
    def held(self) -> bool:
        """Its party is on hold."""
        return self._music is not None

    # --- from the leg ----------------------------------------------------------------------------------------------

    def heard(self, pcm: bytes) -> None:
        """The party's audio, as it arrives."""
        other = self.other
        if other is not None and self._music is None and other._relay is not None:
            other._relay.hear(pcm, self._now())

    def pressed(self, digit: str) -> bool:
        """A key, if anybody is there for it."""
        if self.other is None or self.held:
            return False
        self.other.party.send_keys(digit)
        return True

    def keys(self, digits: str) -> None:
        """The party is sent keys, and no audio meanwhile."""
        seconds = sum(PAUSES_S.get(digit, KEY_S) for digit in digits)
        self._keys_until_s = max(self._keys_until_s, self._now()) + seconds
        self.party.quiet()

    def whisper(self, pcm: bytes) -> None:
        """What the party alone hears."""
        room = self._whisper_most - len(self._whisper)
        self._whisper += pcm[: max(0, room)]

    def leave(self) -> None:
        """The leg is joined with nobody, and not on hold. Whom it was joined with hears silence."""
        self._parted()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- what was asked --------------------------------------------------------------------------------------------

    def join(self, other: Side) -> None:
        """The two hear each other; who was joined with either of them does not any more."""
        if self.other is not other:
            self._parted()
            other._parted()
            self.other, other.other = other, self
            self._relay = Relay(other.party.rate_hz, self.party.rate_hz)
            other._relay = Relay(self.party.rate_hz, other.party.rate_hz)
        self._music = other._music = None

    def hold(self, pcm: bytes, rate_hz: int) -> None:
        """The party hears this, again and again."""
        cut = pcm[: round(MUSIC_S * rate_hz) * 2 & ~1]
        self._music = resample_pcm(cut, rate_hz, self.party.rate_hz) if cut else b""
        self._music_at = 0

    def retrieve(self) -> None:
        """The party hears whom it is joined with."""
        self._music = None

    def _parted(self) -> None:
        other = self.other
        if other is not None:
            self.other = self._relay = None
            other.other = other._relay = None

    # --- the beat --------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        now = self._now()
        if now - self._next_s > LATE_S:
            self._next_s = now
        beat_s = self._next_s
        self._next_s += FRAME_S
        # Before anything that could raise: one bad frame is not the end of the call.
        self._timer = self._wheel.at(self._next_s, self._beat)
        frame = bytes(self._frame_bytes) if self._relay is None else self._relay.frame(now)
        if self._music is not None:
            frame = self._of_music()
        if self._whisper:
            frame = mix(frame, bytes(self._whisper[: self._frame_bytes]))
            del self._whisper[: self._frame_bytes]
        if now >= self._keys_until_s:
            self.party.send_joined(frame, beat_s)

    def _of_music(self) -> bytes:
        music, size = self._music or b"", self._frame_bytes
        if not music:
            return bytes(size)
        made = bytearray()
        while len(made) < size:
            piece = music[self._music_at : self._music_at + size - len(made)]
            made += piece
            self._music_at = (self._music_at + len(piece)) % len(music)
        return bytes(made)
