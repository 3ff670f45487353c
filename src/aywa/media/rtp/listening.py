"""The listening half of an RTP leg: datagrams in, the leg's audio out in order and without a wait where nothing is missing.

Strangers, broken packets and payloads that nobody agreed to are counted and dropped. What is lost is replaced by a
fading repetition, so that a recogniser's clock and words stay where they were. Refuses to buffer for a steady pace: that
is for who plays audio, not for who recognises it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np

from aywa.core.audio.frame import Shorts, shorts
from aywa.core.rtp.dtmf import KeyReceiver, KeyStarted
from aywa.core.rtp.packet import HEADER_BYTES, is_rtcp, parse
from aywa.core.rtp.source import REFUSED, Inbound
from aywa.media.rtp.latch import Latch, Source
from aywa.media.rtp.reorder import Reorder
from aywa.media.rtp.settings import RtpSettings
from aywa.media.wheel import Timer, Wheel
from aywa.media.wire import Wire

_Change = Callable[[bytes], bytes]
_unpack = Struct("!BBHII").unpack_from
# RFC 3389 4, RFC 3551 6: comfort noise says that there is nothing to hear.
_COMFORT_NOISE = 13
# Each packet of a lost stretch is so much quieter than the one before.
_FADE = 0.5


@dataclass(frozen=True, slots=True)
class Ear:
    """What a stream's audio is for. audio: takes it in the leg's format. key: takes a key that went down. reports: takes a
    report on the audio's port (RFC 5761)."""

    audio: Callable[[bytes], None]
    key: Callable[[str], None]
    reports: Callable[[bytes, float], object]


_DEAF = Ear(lambda payload: None, lambda key: None, lambda data, now: False)


class Listening:
    """`readable` is called by the poller. last_s: when the last packet that counts came (loop time)."""

    def __init__(
        self,
        wheel: Wheel,
        now: Callable[[], float],
        wire: Wire,
        settings: RtpSettings,
        latch: Latch,
    ) -> None:
        self.latch = latch
        self.inbound = Inbound(8000)
        self.reorder = Reorder(settings.least_window, settings.most_window)
        self.last_s = now()
        self.heard = False
        self.malformed = 0
        self.unknown = 0
        self.unproven = 0
        self.concealed = 0
        self._wheel = wheel
        self._wire = wire
        self.ear = _DEAF
        self.unprotect: Callable[[bytes], bytes | None] | None = None
        self._settings = settings
        self._receives = False
        self._decoders: Mapping[int, _Change | None] = {}
        self._keys: KeyReceiver | None = None
        self._keys_type = -1
        self._quiet_types: Collection[int] = ()
        self._last = b""
        self._lost_in_row = 0
        self._timer: Timer | None = None

    def code(
        self,
        decoders: Mapping[int, _Change | None],
        clock_hz: int,
    ) -> None:
        """What may come from now on: decoders by payload type, None where the payload is the leg's audio."""
        self._decoders = decoders
        self.inbound.clock_hz = clock_hz

    def keys(self, payload_type: int | None, clock_hz: int, noise_type: int | None) -> None:
        """As what keys and comfort noise come."""
        if payload_type is None:
            self._keys, self._keys_type = None, -1
        elif self._keys is None or self._keys_type != payload_type:
            self._keys, self._keys_type = KeyReceiver(clock_hz), payload_type
        self._quiet_types = (_COMFORT_NOISE, _COMFORT_NOISE if noise_type is None else noise_type)

    def receiving(self, receives: bool, now: float) -> None:
        """Whether anything is to be heard; the far side may send all the same."""
        self._receives = receives
        self.last_s = now

    def close(self) -> None:
        """Nothing is heard any more."""
        self._receives = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- datagrams ---------------------------------------------------------------------------------------------

    def take(self, data: bytes, source: Source, now: float) -> None:
        """A datagram on the audio's port."""
        latch = self.latch
        known = source == latch.source
        if not known and self.unprotect is None and not self._from_elsewhere(data, source, now):
            return
        if len(data) < HEADER_BYTES:
            self.malformed += 1
            return
        if is_rtcp(data):
            self.ear.reports(data, now)
            return
        if self.unprotect is not None:
            opened = self.unprotect(data)
            if opened is None:
                self.unproven += 1
                return
            data = opened
            if not known and not latch.taken(source, True, now - self.last_s):
                return
        first, second, sequence, timestamp, ssrc = _unpack(data)
        payload_type = second & 0x7F
        if first != 0x80:
            packet = parse(data)
            if packet is None:
                self.malformed += 1
                return
            payload = packet[5]
        else:
            payload = data[HEADER_BYTES:]
        if payload_type in self._decoders:
            timed = True
        else:
            timed = False
            if payload_type != self._keys_type and payload_type not in self._quiet_types:
                self.unknown += 1
                return
        number = self.inbound.take(ssrc, sequence, timestamp, now, timed)
        if number == REFUSED:
            return
        self.last_s = now
        self.heard = True
        if not timed:
            if payload_type == self._keys_type:
                self._pressed(payload, timestamp, now, second >= 0x80)
            payload = b""
        elif (decode := self._decoders[payload_type]) is not None and payload:
            payload = decode(payload)
        reorder = self.reorder
        if number == reorder.next and not reorder.waiting:
            reorder.next = number + 1
            if payload:
                self._last = payload
                self._lost_in_row = 0
                if self._receives:
                    self.ear.audio(payload)
            return
        self._hear(reorder.put(number, payload))
        if reorder.waiting and self._timer is None:
            self._timer = self._wheel.at(now + self._settings.held_s, self._given_up)

    def _from_elsewhere(self, data: bytes, source: Source, now: float) -> bool:
        """A packet that is not from the present source; only what could be one of ours may become it."""
        if len(data) < HEADER_BYTES or data[0] & 0xC0 != 0x80:
            self.latch.refused += 1
            return False
        return self.latch.taken(source, False, now - self.last_s)

    def _pressed(self, payload: bytes, timestamp: int, now: float, marker: bool) -> None:
        assert self._keys is not None
        for event in self._keys.receive(payload, timestamp, now, marker):
            if isinstance(event, KeyStarted):
                self.ear.key(event.key)

    # --- what is missing ---------------------------------------------------------------------------------------

    def _hear(self, due: list[bytes | int]) -> None:
        for piece in due:
            if isinstance(piece, int):
                self._conceal(piece)
            elif piece:
                self._last = piece
                self._lost_in_row = 0
                if self._receives:
                    self.ear.audio(piece)

    def _conceal(self, missing: int) -> None:
        for _ in range(min(missing, self._settings.most_concealed - self._lost_in_row)):
            self._lost_in_row += 1
            if not self._last or not self._receives:
                return
            self.concealed += 1
            faded: Shorts = (shorts(self._wire.to_pcm(self._last)) * _FADE).astype(np.int16)
            self._last = self._wire.from_pcm(faded.tobytes())
            self.ear.audio(self._last)

    def _given_up(self) -> None:
        self._timer = None
        self._hear(self.reorder.give_up())

    # --- now and then ------------------------------------------------------------------------------------------

    def chores(self, now: float) -> None:
        """A key whose end got lost."""
        if self._keys is not None:
            self._keys.wake(now)

    # --- in another process ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "inbound": self.inbound.to_dict(),
            "next": self.reorder.next,
            "source": None if self.latch.source is None else list(self.latch.source),
        }

    def take_up(self, values: Mapping[str, Any]) -> None:
        """Goes on where to_dict left off."""
        self.inbound = Inbound.from_dict(values["inbound"])
        self.reorder.next = int(values["next"])
