"""The talking half of an RTP leg: frames of the playout become packets, and what lies between replies is sent, too.

The stream never stops: between talkspurts it carries silence, since trunks and the NAT boxes before them take a stream
that stops for one that is gone. A talkspurt leaves at once and not on the silence's beat; its first packet is marked,
its timestamp follows the last one, and the silence after it waits until the timestamps' clock has caught up, so that
the two never drift apart. Keys (RFC 4733) take their place in the same numbering; where the far side has no telephone
events they sound as tones in the place of the silence. Where comfort noise was agreed on (RFC 3389) a few packets of that
stand for the silence. Refuses to decide what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aywa.core.audio.frame import FRAME_S
from aywa.core.rtp.dtmf import EventPacket, KeySender
from aywa.core.rtp.packet import Sender
from aywa.media.rtp.settings import RtpSettings
from aywa.media.wheel import Timer, Wheel

# The loop was held up for longer: the silence that was due meanwhile is not made up for.
_LATE_S = FRAME_S

# Of comfort noise: what is said of silence is said again so often, which keeps the boxes on the way open, too.
NOISE_S = 0.4
# Of a key as a tone (Q.24: 40 ms must be understood), with the gap behind it.
MOST_TONES_S = 60.0

_Change = Callable[[bytes], bytes]
SendTo = Callable[[bytes, tuple[str, int]], object]


class Talking:
    """sendto(packet, destination) puts it on the wire. `audio` is the way of nearly every packet.

    protect: what a packet goes through before (SRTP), or None. unsent: packets that the system did not take.
    """

    def __init__(
        self,
        wheel: Wheel,
        now: Callable[[], float],
        sendto: SendTo,
        sender: Sender,
        settings: RtpSettings,
    ) -> None:
        self.sender = sender
        # The stream's clock at the next packet, and when (loop time) that is due.
        self.ticks = 0
        self.next_s = now()
        self._wheel = wheel
        self._now = now
        self._sendto = sendto
        self._destination: tuple[str, int] = ("", 0)
        self.protect: _Change | None = None
        self.unsent = 0
        self._settings = settings
        self._sending = False
        self._silent = True
        self._marked = True
        self._encode: _Change | None = None
        self._payload_type = 0
        self._clock_hz = 8000
        self._frame_bytes = 160
        self._packet_bytes = 160
        self._packet_ticks = 160
        self._packet_s = FRAME_S
        self._plain = True
        self._silence = b""
        self._pending = b""
        self._timer: Timer | None = None
        self._keys: KeySender | None = None
        self._keys_type = 0
        self._keys_hz = 8000
        self._keys_timer: Timer | None = None
        # A key as the leg's audio, and what is left to sound of those that were dialled.
        self._tone: Callable[[str], bytes] | None = None
        self._tones = bytearray()
        self._noise_type: int | None = None
        self._noise = b""

    def code(
        self, payload_type: int, clock_hz: int, ptime_ms: int, frame: bytes, encode: _Change | None
    ) -> None:
        """How audio is sent from now on. frame: 20 ms of silence as the leg has it. encode: to a payload; None where it
        is one."""
        self._pending = b""
        self._payload_type = payload_type
        self._encode = encode
        if clock_hz != self._clock_hz:
            self.ticks = self.ticks * clock_hz // self._clock_hz
            self._clock_hz = clock_hz
        self._packet_s = ptime_ms / 1000
        self._packet_ticks = clock_hz * ptime_ms // 1000
        self._frame_bytes = len(frame)
        self._packet_bytes = round(len(frame) * self._packet_s / FRAME_S)
        self._silence = frame * (ptime_ms // 20 + 1)
        self._plain = self._packet_bytes == len(frame)

    def dial_as(self, payload_type: int | None, clock_hz: int) -> None:
        """How keys are sent from now on; None: not at all."""
        if payload_type is None:
            self._keys = None
            return
        self._keys_type = payload_type
        if self._keys is None or clock_hz != self._keys_hz:
            self._keys_hz = clock_hz
            ticks = round(FRAME_S * clock_hz)
            self._keys = KeySender(ticks, clock_hz, self._settings.key_s, self._settings.key_gap_s)

    def sound_as(self, tone: Callable[[str], bytes] | None) -> None:
        """Keys sound in the audio, from now on, where there are no telephone events. tone: a key or a pause as the leg's audio;
        None: they do not."""
        self._tone = tone
        if tone is None:
            self._tones.clear()

    def rest_as(self, payload_type: int | None, noise: bytes) -> None:
        """How silence is sent from now on. payload_type: of comfort noise, None: as audio. noise: what it is like."""
        self._noise_type, self._noise = payload_type, noise

    def send_to(self, destination: tuple[str, int] | None) -> None:
        """Where packets go from now on; None: nothing leaves, since a far side that holds us wants nothing."""
        if destination is not None:
            self._destination = destination
        if destination is not None and not self._sending:
            self._marked = True
            self._sending = True
            now = self._now()
            self._skip(now, 0.0)
            if self._silent:
                self._arm(now)
        elif destination is None:
            self._sending = False
            self._pending = b""
            self._disarm()

    def close(self) -> None:
        """Nothing leaves any more."""
        self.send_to(None)
        if self._keys_timer is not None:
            self._keys_timer.cancel()
            self._keys_timer = None

    # --- a talkspurt -------------------------------------------------------------------------------------------

    def audio(self, frame: bytes) -> None:
        """A frame of the playout, at its time."""
        if self._silent:
            self._begin()
        if not self._sending:
            return
        if not self._plain:
            self._regroup(frame)
            return
        encode = self._encode
        packet = self.sender.packet(
            self._payload_type, frame if encode is None else encode(frame), self.ticks, self._marked
        )
        self._marked = False
        self.ticks += self._packet_ticks
        self.next_s += FRAME_S
        # As _transmit: a call less for nearly every packet.
        try:
            protect = self.protect
            self._sendto(packet if protect is None else protect(packet), self._destination)
        except OSError:
            self.unsent += 1

    def quiet(self) -> None:
        """The playout has stopped: silence follows when the last frame has been heard."""
        if self._silent:
            return
        self._silent = True
        if not self._sending:
            return
        if self._pending:
            self._packet(self._pending + self._silence[len(self._pending) : self._packet_bytes])
            self._pending = b""
        self._arm(self._now())

    def _begin(self) -> None:
        """A talkspurt starts at once, also in the middle of a packet of silence."""
        self._silent = False
        self._marked = True
        self._disarm()
        self._skip(self._now(), 0.0)

    def _regroup(self, frame: bytes) -> None:
        """Packets of another length than the playout's frames."""
        size = self._packet_bytes
        pending = self._pending + frame
        while len(pending) >= size:
            self._packet(pending[:size])
            pending = pending[size:]
        self._pending = pending

    def _packet(self, wire: bytes) -> None:
        encode = self._encode
        payload = wire if encode is None else encode(wire)
        packet = self.sender.packet(self._payload_type, payload, self.ticks, self._marked)
        self._marked = False
        self.ticks += self._packet_ticks
        self.next_s += self._packet_s
        self._transmit(packet)

    def _transmit(self, packet: bytes) -> None:
        try:
            protect = self.protect
            self._sendto(packet if protect is None else protect(packet), self._destination)
        except OSError:
            # The far side may be back in a moment; the timeout knows how long that is.
            self.unsent += 1

    def _skip(self, now: float, grace_s: float) -> None:
        """The clock of the timestamps goes on where nothing was sent."""
        late_s = now - self.next_s
        if late_s > grace_s:
            self.ticks += round(late_s * self._clock_hz)
            self.next_s = now

    # --- silence -----------------------------------------------------------------------------------------------

    def _arm(self, now: float) -> None:
        if self._timer is None:
            self._timer = self._wheel.at(max(self.next_s, now), self._still_silent)

    def _hush(self, now: float) -> None:
        """Comfort noise stands for the silence, until there is something to be heard."""
        packet = self.sender.packet(self._noise_type or 0, self._noise, self.ticks, False)
        self.ticks += self._packet_ticks
        self.next_s += self._packet_s
        self._transmit(packet)
        self._timer = self._wheel.at(now + NOISE_S, self._still_silent)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _still_silent(self) -> None:
        self._timer = None
        now = self._now()
        self._skip(now, _LATE_S)
        if self._keys_timer is None and self._tones:
            self._packet(self._next_tones())
        elif self._keys_timer is None and self._noise_type is not None:
            self._hush(now)
            return
        elif self._keys_timer is None:
            self._packet(self._silence[: self._packet_bytes])
        else:
            # The keys have the stream; their packets carry the same clock.
            self.ticks += self._packet_ticks
            self.next_s += self._packet_s
            self._marked = True
        self._arm(now)

    # --- keys --------------------------------------------------------------------------------------------------

    def dial(self, keys: str) -> bool:
        """Sends keys and pauses after those before; False: the stream has no keys."""
        if not self._sending:
            return False
        if self._keys is None:
            return self._sound(keys)
        self._keys.dial(keys)
        if self._keys_timer is None:
            self._key_slot()
        return True

    def _sound(self, keys: str) -> bool:
        """The same as tones; they wait for the end of a reply, too."""
        tone = self._tone
        if tone is None:
            return False
        most = round(MOST_TONES_S / FRAME_S) * self._frame_bytes
        for key in keys:
            self._tones += tone(key)
        del self._tones[most:]
        if self._silent and self._timer is not None:
            # Comfort noise may rest for longer.
            self._disarm()
            self._arm(self._now())
        return True

    def _next_tones(self) -> bytes:
        size = self._packet_bytes
        sound = bytes(self._tones[:size])
        del self._tones[:size]
        return sound + self._silence[: size - len(sound)]

    def _key_slot(self) -> None:
        """20 ms of what is dialled. While a reply plays, keys wait for its end."""
        self._keys_timer = None
        if self._keys is None or not self._sending or not self._keys.busy:
            return
        now = self._now()
        if self._silent:
            # Events may be counted by another clock than audio; one sender's timestamps have one (RFC 4733 2.1).
            ticks = self.ticks + round((now - self.next_s) * self._clock_hz)
            step = self._keys.step(ticks * self._keys_hz // self._clock_hz)
            if isinstance(step, EventPacket):
                began = step.ticks * self._clock_hz // self._keys_hz
                self._transmit(self.sender.packet(self._keys_type, step.payload, began, step.marker))
        self._keys_timer = self._wheel.at(now + FRAME_S, self._key_slot)

    # --- in another process ------------------------------------------------------------------------------------

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain values: the numbers, and how far the clock is."""
        return {"sender": self.sender.to_dict(), "ticks": self.ticks, "ahead_s": self.next_s - now}

    def take_up(self, values: Mapping[str, Any]) -> None:
        """Goes on where to_dict left off; the time in between is skipped like any other in which nothing was sent."""
        self.sender = Sender.from_dict(values["sender"])
        self.ticks = int(values["ticks"])
        self.next_s = self._now() + float(values["ahead_s"])
        self._marked = True
