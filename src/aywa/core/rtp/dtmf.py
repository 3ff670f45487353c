"""Keys as telephone events (RFC 4733), both ways: each key once, whatever is lost, doubled or late.

The receiver tells a key when it begins and how long it was when it is over; the sender says what each packet slot
carries while it dials. Neither refuses or repeats audio: that is the leg's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from struct import Struct

# RFC 4733 3.2, by their codes; 16 has been a hook flash since RFC 2833.
KEYS = "0123456789*#ABCD"
FLASH = "!"
_EVENTS = KEYS + FLASH
_CODES = {key: code for code, key in enumerate(_EVENTS)}

# Senders repeat at 20 to 50 ms, so three packets of the slowest are missing.
LOST_END_S = 0.16
# RFC 4733 2.5.1.5: events in one packet, one behind the other.
MOST_BLOCKS = 8
# Old gateways give each packet of an event a timestamp of its own: this much further than the last at most.
_LONGEST_STEP_S = 0.2
_LONGEST_DURATION = 0xFFFF
_HALF = 0x80000000

_BLOCK = Struct("!BBH")

# Q.24 and the field: 40 ms must be understood; 100 ms is what people press.
TONE_S = 0.1
GAP_S = 0.08
# A key with the silence after it, as our own legs send it (media/rtp/settings.py).
DIALLED_S = 0.2
# The contract's pauses.
PAUSES_S = {"w": 0.5, "W": 1.0}
# RFC 4733 2.5.1.4: the end is sent three times in all.
ENDS = 3
MOST_DIALLED = 256
# RFC 4733 2.3.4, in -dBm0.
LEVEL = 10


def dialling_s(keys: str) -> float:
    """How long keys and pauses take to be sent, by whoever sends them slowest."""
    return sum(PAUSES_S.get(key, DIALLED_S) for key in keys)


@dataclass(frozen=True, slots=True)
class KeyStarted:
    """A key went down. volume_db: as the sender says (dBm0, 0 to -63)."""

    key: str
    volume_db: int


@dataclass(frozen=True, slots=True)
class KeyEnded:
    """The key that began last is up. seen: its end came; else nothing came any more."""

    key: str
    duration_s: float
    seen: bool


KeyEvent = KeyStarted | KeyEnded


class KeyReceiver:
    """The keys of one stream. clock_hz: of telephone-event. deadline: when `wake` wants to be called, or None."""

    def __init__(self, clock_hz: int = 8000) -> None:
        self._clock_hz = clock_hz
        # The newest event: its key, whether that is down, its timestamp, the ticks of earlier segments and of this one.
        self._key = ""
        self._down = False
        self._timestamp: int | None = None
        self._earlier = 0
        self._duration = 0
        self.deadline: float | None = None

    def receive(self, payload: bytes, timestamp: int, now: float, marker: bool = False) -> list[KeyEvent]:
        """A packet of telephone-event."""
        told: list[KeyEvent] = []
        for start in range(0, min(len(payload) - 3, 4 * MOST_BLOCKS), 4):
            code, flags, duration = _BLOCK.unpack_from(payload, start)
            if code < len(_EVENTS):
                self._block(_EVENTS[code], flags, duration, timestamp, marker and start == 0, now, told)
            timestamp = (timestamp + duration) & 0xFFFFFFFF
        return told

    def wake(self, now: float) -> list[KeyEvent]:
        """Ends a key of which nothing came any more."""
        told: list[KeyEvent] = []
        if self.deadline is not None and now >= self.deadline:
            self._up(told, seen=False)
        return told

    def _block(
        self,
        key: str,
        flags: int,
        duration: int,
        timestamp: int,
        marker: bool,
        now: float,
        told: list[KeyEvent],
    ) -> None:
        ends = bool(flags & 0x80)
        known = self._timestamp
        if known is None or timestamp != known:
            step = 0 if known is None else (timestamp - known) & 0xFFFFFFFF
            if step >= _HALF:
                # Of an event before this one: said already, or too late to be said in its place.
                return
            if known is None or marker or not self._continues(key, duration, step, ends):
                self._up(told, seen=False)
                self._key, self._down = key, True
                self._earlier = self._duration = 0
                told.append(KeyStarted(key, -(flags & 0x3F)))
            self._timestamp = timestamp
        if not self._down:
            # The end once more.
            return
        self._duration = max(self._duration, duration)
        self.deadline = now + LOST_END_S
        if ends:
            self._up(told, seen=True)

    def _continues(self, key: str, duration: int, step: int, ends: bool) -> bool:
        """Whether a packet with a timestamp so much newer belongs to the newest event all the same."""
        if key != self._key:
            return False
        if self._down and step == _LONGEST_DURATION:
            # RFC 4733 2.5.1.3: a segment that follows on a full one.
            self._earlier += step
            self._duration = 0
            return True
        grew = duration > self._duration if self._down else ends and duration == self._duration
        return grew and step <= _LONGEST_STEP_S * self._clock_hz

    def _up(self, told: list[KeyEvent], seen: bool) -> None:
        if self._down:
            told.append(KeyEnded(self._key, (self._earlier + self._duration) / self._clock_hz, seen))
        self._down = False
        self.deadline = None


@dataclass(frozen=True, slots=True)
class EventPacket:
    """A packet of telephone-event to send in this slot. ticks: where the event began."""

    payload: bytes
    ticks: int
    marker: bool


@dataclass(frozen=True, slots=True)
class Pausing:
    """Nothing of the keys in this slot, and no speech: the far side must hear a gap."""


DialStep = EventPacket | Pausing


class KeySender:
    """Dials keys, a packet slot at a time. packet_ticks: of a slot. clock_hz: of telephone-event and of the ticks.
    Characters that are no key and no pause are left out."""

    def __init__(
        self, packet_ticks: int, clock_hz: int = 8000, tone_s: float = TONE_S, gap_s: float = GAP_S
    ) -> None:
        self._packet_ticks = packet_ticks
        self._clock_hz = clock_hz
        self._tone = round(tone_s * clock_hz)
        self._gap = round(gap_s * clock_hz)
        self._queue: deque[str] = deque()
        self._code = 0
        # Where the key or the pause began; ends that are still to be sent; where the gap or the pause is over.
        self._began: int | None = None
        self._ends = 0
        self._quiet_until: int | None = None

    @property
    def busy(self) -> bool:
        """There is something to send or to wait for."""
        return bool(self._queue) or self._began is not None or self._quiet_until is not None

    def dial(self, keys: str) -> int:
        """Appends keys and pauses; answers how many did not fit."""
        known = [
            key for key in (each if each in PAUSES_S else each.upper() for each in keys) if self._knows(key)
        ]
        room = max(0, MOST_DIALLED - len(self._queue))
        self._queue.extend(known[:room])
        return max(0, len(known) - room)

    def stop(self) -> None:
        """Forgets what was not begun."""
        self._queue.clear()

    def step(self, ticks: int) -> DialStep | None:
        """What the slot at these ticks carries; None: whatever else there is."""
        while True:
            if self._began is not None:
                return self._sounding(ticks, self._began)
            if self._quiet_until is not None:
                if ticks < self._quiet_until:
                    return Pausing()
                self._quiet_until = None
            if not self._queue:
                return None
            key = self._queue.popleft()
            if key in PAUSES_S:
                self._quiet_until = ticks + round(PAUSES_S[key] * self._clock_hz)
            else:
                self._code, self._began, self._ends = _CODES[key], ticks, ENDS

    @staticmethod
    def _knows(key: str) -> bool:
        return key in _CODES or key in PAUSES_S

    def _sounding(self, ticks: int, began: int) -> EventPacket:
        passed = ticks - began
        if passed < self._tone:
            duration = min(passed + self._packet_ticks, self._tone)
            return EventPacket(_BLOCK.pack(self._code, LEVEL, duration), began, passed == 0)
        self._ends -= 1
        if self._ends == 0:
            self._began = None
            self._quiet_until = max(began + self._tone + self._gap, ticks + 1)
        return EventPacket(_BLOCK.pack(self._code, 0x80 | LEVEL, self._tone), began, False)
