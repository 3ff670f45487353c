"""The talking half of an RTP leg: frames of the playout become packets, and what lies between replies is sent, too.

The stream never stops: between talkspurts it carries silence, since trunks and the NAT boxes before them take a stream
that stops for one that is gone. A talkspurt leaves at once and not on the silence's beat; its first packet is marked,
its timestamp follows the last one, and the silence after it waits until the timestamps' clock has caught up, so that
the two never drift apart. Keys (RFC 4733) take their place in the same numbering; where the far side has no telephone
events they sound as tones in the place of the silence. Where comfort noise was agreed on (RFC 3389) a few packets of that
stand for the silence. Frames that are there before their time, and silence, are made into packets in one go and leave by
themselves (`media.pacer`), unless a codec or a cipher goes by their order. Refuses to decide what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aywa.core.audio.frame import FRAME_S
from aywa.core.rtp.dtmf import EventPacket, KeySender
from aywa.core.rtp.packet import Sender
from aywa.media.pacer import Pacer, Run
from aywa.media.rtp.settings import RtpSettings
from aywa.media.wheel import Timer, Wheel

# The loop was held up for longer: the silence that was due meanwhile is not made up for.
_LATE_S = FRAME_S

# Of comfort noise: what is said of silence is said again so often, which keeps the boxes on the way open, too.
NOISE_S = 0.4
# Of a key as a tone (Q.24: 40 ms must be understood), with the gap behind it.
MOST_TONES_S = 60.0
# Packets of silence that are made at once.
SILENCE_RUN = 25

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
        pacer: Pacer,
    ) -> None:
        self._sender = sender
        # The stream's clock at the next packet, and when (loop time) that is due.
        self._ticks = 0
        self._next_s = now()
        # What leaves by itself, how many of it are counted already, and who is told when it is over: nobody of silence.
        self._pacer = pacer
        self._run: Run | None = None
        self._counted = 0
        self._over: Callable[[], None] | None = None
        self._wheel = wheel
        self._now = now
        self._sendto = sendto
        self._destination: tuple[str, int] = ("", 0)
        self._protect: _Change | None = None
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

    @property
    def sender(self) -> Sender:
        """The stream's numbers and counts, as of now."""
        self._settle()
        return self._sender

    def ticks_at(self, now: float, clock_hz: int) -> int:
        """The stream's clock, where nothing is on its way."""
        self._settle()
        return max(0, self._ticks + round((now - self._next_s) * clock_hz))

    def protect_with(self, protect: _Change | None) -> None:
        """What a packet goes through from now on (SRTP); None: nothing."""
        if protect is not None or self._protect is not None:
            self._interrupt()
        self._protect = protect

    def code(
        self, payload_type: int, clock_hz: int, ptime_ms: int, frame: bytes, encode: _Change | None
    ) -> None:
        """How audio is sent from now on. frame: 20 ms of silence as the leg has it. encode: to a payload; None where it
        is one."""
        self._interrupt()
        self._pending = b""
        self._payload_type = payload_type
        self._encode = encode
        if clock_hz != self._clock_hz:
            self._ticks = self._ticks * clock_hz // self._clock_hz
            self._clock_hz = clock_hz
        self._packet_s = ptime_ms / 1000
        self._packet_ticks = clock_hz * ptime_ms // 1000
        self._frame_bytes = len(frame)
        self._packet_bytes = round(len(frame) * self._packet_s / FRAME_S)
        self._silence = frame * (ptime_ms // 20 + 1)
        self._plain = self._packet_bytes == len(frame)

    def dial_as(self, payload_type: int | None, clock_hz: int) -> None:
        """How keys are sent from now on; None: not at all."""
        self._interrupt()
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
        self._interrupt()
        self._tone = tone
        if tone is None:
            self._tones.clear()

    def rest_as(self, payload_type: int | None, noise: bytes) -> None:
        """How silence is sent from now on. payload_type: of comfort noise, None: as audio. noise: what it is like."""
        self._interrupt()
        self._noise_type, self._noise = payload_type, noise

    def send_to(self, destination: tuple[str, int] | None) -> None:
        """Where packets go from now on; None: nothing leaves, since a far side that holds us wants nothing."""
        if destination is None or destination != self._destination:
            self._interrupt()
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
        elif self._run is not None:
            self._interrupt()
        if not self._sending:
            return
        if not self._plain:
            self._regroup(frame)
            return
        encode = self._encode
        packet = self._sender.packet(
            self._payload_type, frame if encode is None else encode(frame), self._ticks, self._marked
        )
        self._marked = False
        self._ticks += self._packet_ticks
        self._next_s += FRAME_S
        # As _transmit: a call less for nearly every packet.
        try:
            protect = self._protect
            self._sendto(packet if protect is None else protect(packet), self._destination)
        except OSError:
            self.unsent += 1

    def quiet(self) -> None:
        """The playout has stopped: silence follows when the last frame has been heard."""
        if self._silent:
            return
        self._interrupt()
        self._silent = True
        if not self._sending:
            return
        if self._pending:
            self._packet(self._pending + self._silence[len(self._pending) : self._packet_bytes])
            self._pending = b""
        self._arm(self._now())

    def _begin(self) -> None:
        """A talkspurt starts at once, also in the middle of a packet of silence."""
        self._disarm()
        self._silent = False
        self._marked = True
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
        packet = self._sender.packet(self._payload_type, payload, self._ticks, self._marked)
        self._marked = False
        self._ticks += self._packet_ticks
        self._next_s += self._packet_s
        self._transmit(packet)

    def _transmit(self, packet: bytes) -> None:
        try:
            protect = self._protect
            self._sendto(packet if protect is None else protect(packet), self._destination)
        except OSError:
            # The far side may be back in a moment; the timeout knows how long that is.
            self.unsent += 1

    def _skip(self, now: float, grace_s: float) -> None:
        """The clock of the timestamps goes on where nothing was sent."""
        late_s = now - self._next_s
        if late_s > grace_s:
            self._ticks += round(late_s * self._clock_hz)
            self._next_s = now

    # --- what leaves by itself ---------------------------------------------------------------------------------

    def begin(self, frames: Sequence[bytes], due_s: float, over: Callable[[], None]) -> bool:
        """Frames of the talkspurt that has begun, the first of which is due at due_s (loop time). over() is called when they have
        left, or when something else must be thought of first; False: one at a time, please."""
        if self._silent or self._marked or self._run is not None or not self._runs():
            return False
        self._over = over
        return self._start(frames, due_s)

    def left(self) -> int:
        """How many of the frames that were given last have left."""
        self._settle()
        return self._counted

    def halt(self) -> int:
        """The others do not. Answers how many have."""
        self._halt()
        self._over = None
        return self._counted

    def _runs(self) -> bool:
        """A codec has a memory, and a cipher's numbers must not be used twice."""
        return self._sending and self._plain and self._encode is None and self._protect is None

    def _start(self, payloads: Sequence[bytes], due_s: float) -> bool:
        packets = self._sender.ahead(self._payload_type, payloads, self._ticks, self._packet_ticks)
        run = Run(packets, self._sendto, self._destination, self._run_over)
        if not self._pacer.begin(run, due_s):
            return False
        self._run, self._counted = run, 0
        return True

    def _settle(self) -> None:
        """Counts what has left meanwhile."""
        run = self._run
        if run is None:
            return
        new = run.left - self._counted
        if new:
            self._counted += new
            self._sender.count(new, self._packet_bytes, self._ticks + (new - 1) * self._packet_ticks)
            self._ticks += new * self._packet_ticks
            self._next_s += new * self._packet_s
        self.unsent += run.unsent
        run.unsent = 0

    def _halt(self) -> None:
        run = self._run
        if run is not None:
            self._pacer.halt(run)
            self._settle()
            self._run = None

    def _interrupt(self) -> None:
        """Something is about to change: whoever gave the frames is to think again, a moment later."""
        run = self._run
        if run is not None:
            self._halt()
            self._wheel.at(self._now(), self._again)

    def _again(self) -> None:
        over, self._over = self._over, None
        if self._run is not None:
            self._over = over
        elif over is not None and not self._silent:
            over()
        elif self._silent and self._sending:
            self._arm(self._now())

    def _run_over(self) -> None:
        self._settle()
        self._run = None
        over, self._over = self._over, None
        if not self._silent:
            if over is not None:
                over()
            return
        now = self._now()
        if self._next_s <= now:
            self._still_silent()
        else:
            self._arm(now)

    # --- silence -----------------------------------------------------------------------------------------------

    def _arm(self, now: float) -> None:
        if self._timer is not None or self._run is not None:
            return
        due_s = max(self._next_s, now)
        if not (
            self._silence_runs() and self._start([self._silence[: self._packet_bytes]] * SILENCE_RUN, due_s)
        ):
            self._timer = self._wheel.at(due_s, self._still_silent)

    def _silence_runs(self) -> bool:
        """Whether nothing but silence is to be sent for a while."""
        busy = self._tones or self._keys_timer is not None or self._noise_type is not None
        return not busy and not self._marked and self._runs()

    def _hush(self, now: float) -> None:
        """Comfort noise stands for the silence, until there is something to be heard."""
        packet = self._sender.packet(self._noise_type or 0, self._noise, self._ticks, False)
        self._ticks += self._packet_ticks
        self._next_s += self._packet_s
        self._transmit(packet)
        self._timer = self._wheel.at(now + NOISE_S, self._still_silent)

    def _disarm(self) -> None:
        self._halt()
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
            self._ticks += self._packet_ticks
            self._next_s += self._packet_s
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
            if self._silent:
                self._disarm()
            self._key_slot()
            if self._silent:
                self._arm(self._now())
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
        if self._silent:
            # Comfort noise may rest for longer, and silence is made ahead.
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
            ticks = self._ticks + round((now - self._next_s) * self._clock_hz)
            step = self._keys.step(ticks * self._keys_hz // self._clock_hz)
            if isinstance(step, EventPacket):
                began = step.ticks * self._clock_hz // self._keys_hz
                self._transmit(self._sender.packet(self._keys_type, step.payload, began, step.marker))
        self._keys_timer = self._wheel.at(now + FRAME_S, self._key_slot)

    # --- in another process ------------------------------------------------------------------------------------

    def to_dict(self, now: float) -> dict[str, Any]:
        """Plain values: the numbers, and how far the clock is."""
        self._settle()
        return {"sender": self._sender.to_dict(), "ticks": self._ticks, "ahead_s": self._next_s - now}

    def take_up(self, values: Mapping[str, Any]) -> None:
        """Goes on where to_dict left off; the time in between is skipped like any other in which nothing was sent."""
        self._sender = Sender.from_dict(values["sender"])
        self._ticks = int(values["ticks"])
        self._next_s = self._now() + float(values["ahead_s"])
        self._marked = True
