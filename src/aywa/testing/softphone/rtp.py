"""The softphone's audio: G.711 in RTP both ways, keys as telephone events, and figures of what arrived.

Packets leave when they are given, with whatever clock the giver has; what arrives is handed on in arrival order at once.
Refuses to hide loss: nothing is concealed, a figure says what was missing.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import numpy as np

from aywa.testing.softphone.lines import Place
from aywa.testing.softphone.message import PCMA, PCMU, Audio
from aywa.testing.softphone.network import Impairment, Network
from aywa.testing.sound import decode_mulaw, encode_mulaw

RATE_HZ = 8000
FRAME_SAMPLES = 160
KEY_NAMES = "0123456789*#ABCD"
KEY_FRAMES = 5
"""A key is held for so many frames (100 ms), and its end is said three times (RFC 4733 2.5.1.4)."""

_KEY_ENDS = 3
_KEY_VOLUME = 10
_DATAGRAM_BYTES = 2048
_AT_ONCE = 64
"""So many datagrams are read until the loop may do something else."""
# socket(7): the kernel notes when a datagram came in, however late its reader is. The module socket does not name it.
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None


@dataclass(slots=True)
class Arrivals:
    """What came, counted. Times are the loop's; jitter as RFC 3550 6.4.1 has it."""

    packets: int = 0
    duplicates: int = 0
    reordered: int = 0
    unknown: int = 0
    streams: int = 0
    marked: int = 0
    first_s: float | None = None
    last_s: float | None = None
    longest_gap_s: float = 0.0
    jitter_s: float = 0.0
    _highest: int = -1
    _base: int = 0
    _seen: set[int] = field(default_factory=set)
    _before: int = 0
    _transit_s: float | None = None

    @property
    def lost(self) -> int:
        """Sequence numbers that never came, over all streams."""
        return self._before + max(0, self._highest - self._base + 1 - len(self._seen))

    def began(self) -> None:
        """Another source: its numbers begin anew."""
        self._before = self.lost
        self._seen.clear()
        self._highest, self._transit_s = -1, None
        self.streams += 1

    def take(self, sequence: int, timestamp: int, now_s: float) -> bool:
        """Counts a packet; False for one that came before."""
        extended = self._extend(sequence)
        if extended in self._seen:
            self.duplicates += 1
            return False
        self._seen.add(extended)
        self.packets += 1
        self.reordered += extended < self._highest
        self._highest = max(self._highest, extended)
        self.first_s = now_s if self.first_s is None else self.first_s
        if self.last_s is not None:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self.last_s)
        self.last_s = now_s
        transit_s = now_s - timestamp / RATE_HZ
        if self._transit_s is not None and abs(change := transit_s - self._transit_s) < 1.0:
            self.jitter_s += (abs(change) - self.jitter_s) / 16
        self._transit_s = transit_s
        return True

    def _extend(self, sequence: int) -> int:
        if self._highest < 0:
            self._highest = self._base = sequence
            return sequence
        return self._highest + ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000


@dataclass(frozen=True, slots=True)
class KeyHeard:
    """A key that the far side pressed."""

    key: str
    at_s: float


class Rtp:
    """One audio socket. heard(pcm) is called with PCM16 at 8 kHz, which arrived at `arrivals.last_s`; `draw(n)` gives chance
    bits. network: between it and the far side.

    What arrives has the kernel's time of arrival: a telephone on a busy machine does not take its own lateness for the far
    side's.
    """

    def __init__(
        self,
        heard: Callable[[bytes], None],
        draw: Callable[[int], int],
        network: Impairment | None = None,
        *,
        opened: socket.socket,
    ) -> None:
        self._out = Network(network, "audio out") if network is not None else None
        self._in = Network(network, "audio in") if network is not None else None
        self.arrivals = Arrivals()
        self.keys: list[KeyHeard] = []
        self.sent = 0
        self.local: Place = opened.getsockname()[:2]
        self.far: Audio | None = None
        self._heard = heard
        self._socket = opened
        self._loop = asyncio.get_running_loop()
        self._source = draw(32)
        self._sequence, self._timestamp = draw(16), draw(32)
        self._their_source: int | None = None
        self._key_at: int | None = None
        self._pressing: list[tuple[int, int, bool, int]] = []
        self._talking = False

    @classmethod
    async def open(
        cls,
        host: str,
        heard: Callable[[bytes], None],
        draw: Callable[[int], int],
        network: Impairment | None = None,
    ) -> Self:
        """Binds a port of the host's. Raises OSError."""
        loop = asyncio.get_running_loop()
        family, kind, _, _, place = (await loop.getaddrinfo(host, 0, type=socket.SOCK_DGRAM))[0]
        opened = socket.socket(family, kind)
        try:
            opened.setblocking(False)
            opened.bind(place)
            if _SO_TIMESTAMPNS is not None:
                opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            opened.close()
            raise
        rtp = cls(heard, draw, network, opened=opened)
        loop.add_reader(opened, rtp._read)
        return rtp

    def close(self) -> None:
        """Nothing is sent or heard any more."""
        for way in (self._out, self._in):
            if way is not None:
                way.close()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def press(self, keys: str) -> None:
        """Queues keys: each takes the place of the audio for KEY_FRAMES frames, with as long a pause after it."""
        for key in keys.upper():
            if key in KEY_NAMES:
                number = KEY_NAMES.index(key)
                held = [(number, (i + 1) * FRAME_SAMPLES, False, i) for i in range(KEY_FRAMES)]
                last = [(number, KEY_FRAMES * FRAME_SAMPLES, True, KEY_FRAMES + i) for i in range(_KEY_ENDS)]
                self._pressing += held + last + [(-1, 0, False, 0)] * KEY_FRAMES

    @property
    def pressing(self) -> bool:
        """Keys are on their way."""
        return bool(self._pressing)

    def send_frame(self, pcm: bytes) -> None:
        """20 ms for the far side: a key that is held, or the audio. Nothing while it does not listen."""
        if self.far is None or not self.far.listens or not self.far.port:
            self._timestamp += FRAME_SAMPLES
            self._talking = False
            return
        if self._pressing and self.far.keys is not None:
            self._send_key(self.far.keys)
        else:
            self._pressing.clear()
            payload = encode_mulaw(pcm) if self.far.payload == PCMU else encode_alaw(pcm)
            self._send(self.far.payload, payload, marked=not self._talking, timestamp=self._timestamp)
            self._talking = True
        self._timestamp += FRAME_SAMPLES

    def _send_key(self, payload_type: int) -> None:
        number, length, over, place = self._pressing.pop(0)
        if number < 0:
            self._send(
                self.far.payload if self.far else PCMU, b"\xff" * FRAME_SAMPLES, timestamp=self._timestamp
            )
            return
        # All packets of one event carry the timestamp of its beginning (RFC 4733 2.2.1).
        began = self._timestamp - place * FRAME_SAMPLES
        event = struct.pack("!BBH", number, (0x80 if over else 0) | _KEY_VOLUME, length)
        self._send(payload_type, event, marked=place == 0, timestamp=began)

    def _send(self, payload_type: int, payload: bytes, *, timestamp: int, marked: bool = False) -> None:
        assert self.far is not None
        self._sequence = (self._sequence + 1) & 0xFFFF
        head = struct.pack(
            "!BBHII", 0x80, payload_type | (0x80 if marked else 0), self._sequence,
            timestamp & 0xFFFFFFFF, self._source,
        )  # fmt: skip
        packet, to = head + payload, (self.far.host, self.far.port)
        self.sent += 1
        if self._out is None:
            self._post(packet, to)
        else:
            self._out.carry(lambda: self._post(packet, to))

    def _post(self, packet: bytes, to: Place) -> None:
        # A packet that the kernel does not take is lost, as on any line.
        with suppress(OSError):
            self._socket.sendto(packet, to)

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, stamps, _, _ = self._socket.recvmsg(_DATAGRAM_BYTES, socket.CMSG_SPACE(16))
            except OSError:
                # There is no more; or the far side's host said that nobody listens.
                return
            if self._in is None:
                self._came(data, _age_s(stamps))
            else:
                # Between the two lies a network of our own, whose delays are the far side's.
                self._in.carry(partial(self._came, data, 0.0))

    def _came(self, data: bytes, age_s: float) -> None:
        if len(data) < 12 or data[0] >> 6 != 2:
            self.arrivals.unknown += 1
            return
        first, second, sequence, timestamp, source = struct.unpack("!BBHII", data[:12])
        start = 12 + 4 * (first & 15)
        if first & 0x10 and len(data) >= start + 4:
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        end = len(data) - (data[-1] if first & 0x20 else 0)
        now_s = self._loop.time() - age_s
        if source != self._their_source:
            self._their_source = source
            self.arrivals.began()
        if not self.arrivals.take(sequence, timestamp, now_s):
            return
        self.arrivals.marked += second >> 7
        self._take(second & 0x7F, timestamp, data[start:end], now_s)

    def _take(self, payload_type: int, timestamp: int, payload: bytes, now_s: float) -> None:
        if payload_type == PCMU:
            self._heard(decode_mulaw(payload))
        elif payload_type == PCMA:
            self._heard(decode_alaw(payload))
        elif self.far is not None and payload_type == self.far.keys and len(payload) >= 4:
            # Every packet of one event has its beginning's timestamp.
            if timestamp != self._key_at and payload[0] < len(KEY_NAMES):
                self._key_at = timestamp
                self.keys.append(KeyHeard(KEY_NAMES[payload[0]], now_s))
        else:
            self.arrivals.unknown += 1


def _age_s(stamps: list[tuple[int, int, bytes]]) -> float:
    """How long ago the kernel took a datagram in."""
    for level, kind, data in stamps:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= 16:
            seconds, nanoseconds = struct.unpack("@qq", data[:16])
            at_s: float = seconds + nanoseconds / 1e9
            return max(0.0, time.time() - at_s)
    return 0.0


def decode_alaw(payload: bytes) -> bytes:
    """G.711 A-law to PCM16 LE."""
    return _ALAW[np.frombuffer(payload, np.uint8)].tobytes()


def encode_alaw(pcm: bytes) -> bytes:
    """PCM16 LE to G.711 A-law: the nearest of its values."""
    return bytes(_TO_ALAW[np.frombuffer(pcm, "<u2")])


def _alaw_values() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, magnitude, -magnitude).astype("<i2")


def _alaw_codes() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    order = np.argsort(_ALAW, kind="stable")
    values = _ALAW[order].astype(np.float64)
    pcm = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.float64)
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, pcm)
    return order[nearest].astype(np.uint8)


_ALAW = _alaw_values()
_TO_ALAW = _alaw_codes()
