"""The listening half of an RTP leg: datagrams in, the leg's audio out in order and without a wait where nothing is missing.

Strangers, broken packets and payloads that nobody agreed to are counted and dropped. What is lost is replaced by what the
voice would have gone on as, so that a recogniser's clock and words stay where they were. Where the far side sends comfort
noise instead of its silence (RFC 3389) noise like it is heard, at its pace, until there is audio again. Refuses to buffer
for a steady pace: that is for who plays audio, not for who recognises it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any

from aywa.core.audio.frame import FRAME_S
from aywa.core.rtp.comfort_noise import ComfortNoise
from aywa.core.rtp.concealment import Concealment
from aywa.core.rtp.dtmf import KeyReceiver, KeyStarted
from aywa.core.rtp.packet import HEADER_BYTES, is_rtcp, parse
from aywa.core.rtp.reorder import Reorder
from aywa.core.rtp.source import REFUSED, Inbound
from aywa.media.rtp.latch import Latch, Source
from aywa.media.rtp.ports import MOST_BYTES
from aywa.media.rtp.settings import RtpSettings
from aywa.media.wheel import Timer, Wheel
from aywa.media.wire import Wire

_Change = Callable[[bytes], bytes]
# What a packet held, and what makes audio of it.
_Payload = tuple[bytes, _Change | None]
_NO_AUDIO: _Payload = (b"", None)
ReceiveFrom = Callable[[int], tuple[bytes, Source]]
_unpack = Struct("!BBHII").unpack_from
# Version 2, no padding, no extension, no contributing sources (RFC 3550 5.1).
_PLAIN = 0x80
# Of a header as a number of 96 bits: the marker, a sequence number more, the timestamp's place.
_MARKER, _NEXT_SEQUENCE, _TIMESTAMP_BITS = 0x80 << 80, 1 << 64, 32
# 120 ms of the fastest clock.
_MOST_STEP_TICKS = 5760 + 1
# The last payloads are kept with the headers they came with, which saves a copy of each.
_NO_HEADER = bytes(HEADER_BYTES)
# RFC 3389 4, RFC 3551 6: comfort noise says that there is nothing to hear.
_COMFORT_NOISE = 13
# Packets that what is lost is made from: two periods of the deepest voice, also in packets of 10 ms.
_RECENT = 4


@dataclass(frozen=True, slots=True)
class Ear:
    """What a stream's audio is for. audio: takes it in the leg's format. key: takes a key that went down. reports: takes a
    report on the audio's port (RFC 5761)."""

    audio: Callable[[bytes], None]
    key: Callable[[str], None]
    reports: Callable[[bytes, float], object]


def _nothing() -> None:
    """Nobody minds."""


_DEAF = Ear(lambda payload: None, lambda key: None, lambda data, now: False)


class Listening:
    """recvfrom(most) reads a datagram. `readable` is called by the poller. last_s: when the last packet that counts came
    (loop time). moved(): the source is another one."""

    def __init__(
        self,
        wheel: Wheel,
        now: Callable[[], float],
        recvfrom: ReceiveFrom,
        wire: Wire,
        rate_hz: int,
        settings: RtpSettings,
        latch: Latch,
    ) -> None:
        self.latch = latch
        self._inbound = Inbound(8000)
        self._reorder: Reorder[_Payload] = Reorder(settings.least_window, settings.most_window)
        self._last_s = now()
        self.moved: Callable[[], None] = _nothing
        self.malformed = 0
        self.unknown = 0
        self.unproven = 0
        self.concealed = 0
        self._recvfrom = recvfrom
        self._wheel = wheel
        self._now = now
        self._wire = wire
        self._rate_hz = rate_hz
        self._ear = _DEAF
        self._unprotect: Callable[[bytes], bytes | None] | None = None
        self._settings = settings
        self._receives = False
        self._decoders: Mapping[int, _Change | None] = {}
        self._plain_type = -1
        self._keys: KeyReceiver | None = None
        self._keys_type = -1
        self._quiet_types: Collection[int] = ()
        # The last packets' audio behind their headers, for what is lost after them.
        self._recent: deque[bytes] = deque(maxlen=_RECENT)
        self._concealment: Concealment | None = None
        self._lost_in_row = 0
        self._timer: Timer | None = None
        # The far side is silent and has said what that sounds like.
        self._noise: ComfortNoise | None = None
        self._noise_timer: Timer | None = None
        self._noise_due_s = 0.0
        self._late = 0
        self._late_s = self._last_s
        # While packets come in order: the next one's header as a number, its size, what one is more than the one before, and
        # when those came that are not counted yet. Nothing, if anything else is to be thought of.
        self._expected = -1
        self._size = 0
        self._step = 0
        self._step_ticks = 0
        self._in_row: list[float] = []
        self._timestamp = 0
        self._audio: Callable[[bytes], None] = _DEAF.audio

    @property
    def inbound(self) -> Inbound:
        """What came, as of now."""
        self._settle()
        return self._inbound

    @property
    def reorder(self) -> Reorder[_Payload]:
        """What is late, lost and waiting, as of now."""
        self._settle()
        return self._reorder

    @property
    def last_s(self) -> float:
        """When the last packet that counts came (loop time)."""
        return self._in_row[-1] if self._in_row else self._last_s

    @property
    def began(self) -> bool:
        """Whether any packet came that counts."""
        return self._inbound.source is not None

    def alive(self, now: float) -> None:
        """The far side is there, if silent."""
        self._settle()
        self._last_s = now

    def listen(self, ear: Ear) -> None:
        """Whose audio it is from now on."""
        self._settle()
        self._ear = ear

    def secure(self, unprotect: Callable[[bytes], bytes | None] | None) -> None:
        """What a packet goes through first (SRTP); None: nothing."""
        self._settle()
        self._unprotect = unprotect

    def code(
        self,
        decoders: Mapping[int, _Change | None],
        clock_hz: int,
    ) -> None:
        """What may come from now on: decoders by payload type, None where the payload is the leg's audio."""
        self._settle()
        self._decoders = decoders
        plain = [payload_type for payload_type, decode in decoders.items() if decode is None]
        self._plain_type = plain[0] if plain else -1
        self._inbound.clock_hz = clock_hz

    def keys(self, payload_type: int | None, clock_hz: int, noise_type: int | None) -> None:
        """As what keys and comfort noise come."""
        self._settle()
        if payload_type is None:
            self._keys, self._keys_type = None, -1
        elif self._keys is None or self._keys_type != payload_type:
            self._keys, self._keys_type = KeyReceiver(clock_hz), payload_type
        self._quiet_types = (_COMFORT_NOISE, _COMFORT_NOISE if noise_type is None else noise_type)

    def receiving(self, receives: bool, now: float) -> None:
        """Whether anything is to be heard; the far side may send all the same."""
        self._settle()
        self._receives = receives
        self._last_s = now
        if not receives:
            self._end_noise()

    def close(self) -> None:
        """Nothing is heard any more."""
        self._settle()
        self._receives = False
        self._end_noise()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- datagrams ---------------------------------------------------------------------------------------------

    def readable(self, now: float) -> None:
        """The audio's socket holds a datagram. What follows is the way of nearly every packet, 20,000 a second in 400
        calls: so it makes few calls."""
        try:
            data, source = self._recvfrom(MOST_BYTES)
        except OSError:
            # Nothing there after all, or an answer (ICMP) to something that was sent.
            return
        if (
            int.from_bytes(data[:HEADER_BYTES], "big") == self._expected
            and len(data) == self._size
            and source == self.latch.source
        ):
            self._expected += self._step
            self._in_row.append(now)
            self._recent.append(data)
            self._audio(data[HEADER_BYTES:])
            return
        self._settle()
        if source != self.latch.source or self._unprotect is not None:
            admitted = self._admitted(data, source, now)
            if admitted is None:
                return
            data = admitted
        if len(data) < HEADER_BYTES:
            self._odd(data, now)
            return
        first, second, sequence, timestamp, ssrc = _unpack(data)
        if first != _PLAIN or second & 0x7F != self._plain_type:
            self._odd(data, now)
            return
        number = self._inbound.take(ssrc, sequence, timestamp, now)
        if number == REFUSED:
            return
        self._last_s = now
        reorder = self._reorder
        if number == reorder.next and not reorder.waiting and len(data) > HEADER_BYTES:
            reorder.next = number + 1
            if self._noise is not None:
                self._end_noise()
            self._recent.append(data)
            if self._receives:
                self._ear.audio(data[HEADER_BYTES:])
                self._await_next(data, timestamp)
        else:
            self._place(number, (data[HEADER_BYTES:], None), now)

    def _await_next(self, data: bytes, timestamp: int) -> None:
        """From the second packet of a length on it is known what the next one's header is, but for wraps and markers."""
        if self._unprotect is None and len(data) == self._size and self._keeps_step(timestamp):
            header = int.from_bytes(data[:HEADER_BYTES], "big") & ~_MARKER
            self._step = _NEXT_SEQUENCE + (self._step_ticks << _TIMESTAMP_BITS)
            self._expected = header + self._step
            self._audio = self._ear.audio
        self._size, self._timestamp = len(data), timestamp

    def _keeps_step(self, timestamp: int) -> bool:
        """Whether it is as long after the packet before as that was after the one before it."""
        step, self._step_ticks = self._step_ticks, (timestamp - self._timestamp) & 0xFFFFFFFF
        return step == self._step_ticks and 0 < step < _MOST_STEP_TICKS

    def _settle(self) -> None:
        """Counts what came in order; from now on each packet is looked at, until it is clear again what comes next."""
        if self._expected < 0:
            return
        self._expected = -1
        came_s, self._in_row = self._in_row, []
        if not came_s:
            return
        count = len(came_s)
        self._last_s = came_s[-1]
        self._reorder.next += count
        self._timestamp = (self._timestamp + count * self._step_ticks) & 0xFFFFFFFF
        self._inbound.take_row(self._timestamp, self._step_ticks, came_s)

    def _admitted(self, data: bytes, source: Source, now: float) -> bytes | None:
        """The packet as it was before SRTP, if it is from whom it may be; None: nobody's."""
        latch, quiet_s = self.latch, now - self._last_s
        if self._unprotect is None:
            # Only what could be one of ours may move the stream.
            if len(data) < HEADER_BYTES or data[0] & 0xC0 != _PLAIN or is_rtcp(data):
                latch.refused += not latch.allows(source)
                return data if latch.allows(source) else None
            if latch.taken(source, False, quiet_s):
                self.moved()
                return data
            return None
        if is_rtcp(data):
            return data
        opened = self._unprotect(data) if len(data) >= HEADER_BYTES else None
        if opened is None:
            self.unproven += 1
            return None
        if source != latch.source:
            if not latch.taken(source, True, quiet_s):
                return None
            self.moved()
        return opened

    def _odd(self, data: bytes, now: float) -> None:
        """Whatever is not the usual audio in the usual header."""
        if is_rtcp(data):
            self._ear.reports(data, now)
            return
        packet = parse(data)
        if packet is None:
            self.malformed += 1
            return
        payload_type, marker, sequence, timestamp, ssrc, payload = packet
        audio = payload_type in self._decoders
        if not audio and payload_type != self._keys_type and payload_type not in self._quiet_types:
            self.unknown += 1
            return
        # The timestamp of a key says when it was pressed, and not when the packet was sent.
        number = self._inbound.take(ssrc, sequence, timestamp, now, audio)
        if number == REFUSED:
            return
        self._last_s = now
        if payload_type == self._keys_type:
            self._pressed(payload, timestamp, now, marker)
        elif not audio:
            self._hush(payload, now)
        self._place(number, (payload, self._decoders[payload_type]) if audio else _NO_AUDIO, now)

    def _place(self, number: int, payload: _Payload, now: float) -> None:
        """What waits is decoded in its turn: a decoder remembers what came before."""
        reorder = self._reorder
        self._hear(reorder.put(number, payload))
        if reorder.waiting and self._timer is None:
            self._wait(now)

    def _wait(self, now: float) -> None:
        """For the next one, and no longer than held_s."""
        missing = self._reorder.next

        def given_up() -> None:
            self._timer = None
            reorder = self._reorder
            if reorder.waiting and reorder.next == missing:
                self._hear(reorder.give_up())
            if reorder.waiting:
                self._wait(self._now())

        self._timer = self._wheel.at(now + self._settings.held_s, given_up)

    def _pressed(self, payload: bytes, timestamp: int, now: float, marker: bool) -> None:
        assert self._keys is not None
        for event in self._keys.receive(payload, timestamp, now, marker):
            if isinstance(event, KeyStarted):
                self._ear.key(event.key)

    # --- what is missing ---------------------------------------------------------------------------------------

    def _hear(self, due: list[_Payload | int]) -> None:
        for piece in due:
            if isinstance(piece, int):
                self._conceal(piece)
                continue
            payload, decode = piece
            audio = payload if decode is None or not payload else decode(payload)
            if not audio:
                continue
            if self._noise is not None:
                self._end_noise()
            if self._concealment is not None:
                # The last made-up sound and this one meet without a click.
                audio = self._wire.from_pcm(self._concealment.heard(self._wire.to_pcm(audio)))
                self._concealment = None
                self._lost_in_row = 0
            self._recent.append(_NO_HEADER + audio)
            if self._receives:
                self._ear.audio(audio)

    def _conceal(self, missing: int) -> None:
        if not self._recent:
            return
        made = self._concealment
        if made is None:
            made = self._concealment = Concealment(self._rate_hz)
            for data in self._recent:
                made.heard(self._wire.to_pcm(data[HEADER_BYTES:]))
        samples = (len(self._recent[-1]) - HEADER_BYTES) // self._wire.width
        for _ in range(min(missing, self._settings.most_concealed - self._lost_in_row)):
            self._lost_in_row += 1
            self.concealed += 1
            audio = self._wire.from_pcm(made.lost(samples))
            if self._receives:
                self._ear.audio(audio)

    # --- comfort noise -----------------------------------------------------------------------------------------

    def _hush(self, payload: bytes, now: float) -> None:
        if not self._receives:
            return
        if self._noise is None:
            self._noise = ComfortNoise()
            self._noise_due_s = now
        self._noise.receive(payload)
        if self._noise_timer is None:
            self._rustle()

    def _rustle(self) -> None:
        """20 ms of noise, and again after them. Time that the loop missed is not made up for."""
        noise, now = self._noise, self._now()
        assert noise is not None
        self._noise_due_s = max(self._noise_due_s, now - FRAME_S) + FRAME_S
        self._noise_timer = self._wheel.at(self._noise_due_s, self._rustle)
        self._ear.audio(self._wire.from_pcm(noise.make(round(self._rate_hz * FRAME_S))))

    def _end_noise(self) -> None:
        self._noise = None
        if self._noise_timer is not None:
            self._noise_timer.cancel()
            self._noise_timer = None

    # --- now and then ------------------------------------------------------------------------------------------

    def chores(self, now: float) -> None:
        """A key whose end got lost; a network that has become calm. Packets in order need not be counted for that."""
        if self._keys is not None:
            self._keys.wake(now)
        if self._reorder.late != self._late:
            self._late, self._late_s = self._reorder.late, now
        elif now - self._late_s >= self._settings.calm_s:
            self._late_s = now
            self._reorder.calm()

    # --- in another process ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        self._settle()
        return {
            "inbound": self._inbound.to_dict(),
            "next": self._reorder.next,
            "source": None if self.latch.source is None else list(self.latch.source),
        }

    def take_up(self, values: Mapping[str, Any]) -> None:
        """Goes on where to_dict left off."""
        self._settle()
        self._inbound = Inbound.from_dict(values["inbound"])
        self._reorder.next = int(values["next"])
