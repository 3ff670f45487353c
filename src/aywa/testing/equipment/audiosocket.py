"""Asterisk's side of AudioSocket, from the Asterisk documentation's page "AudioSocket" and the protocol's own README.

A stream of bytes: each message is a type, a length of two bytes, big endian, and a payload. 0x01 is the call's UUID, 0x03 a key,
0x10 audio (16 bit little endian, 8000 Hz; 0x11 to 0x18 the higher rates), 0x00 the end, 0xff an error. There are no marks and no
clear, and nothing waits: what comes is passed on. So a runtime must not send ahead, and what it sent cannot be taken back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

from aywa.testing.equipment.base import (
    Audio,
    Equipment,
    Facts,
    HangUp,
    Message,
    NotTheProtocol,
    Told,
    Violation,
)
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings

END, UUID_IS, KEY, ERROR = 0x00, 0x01, 0x03, 0xFF
AUDIO_HZ = {
    0x10: 8000, 0x11: 12000, 0x12: 16000, 0x13: 24000, 0x14: 32000, 0x15: 44100, 0x16: 48000, 0x17: 96000, 0x18: 192000,
}  # fmt: skip
HEADER_BYTES = 3
AHEAD_S = 0.1
"""More than this in the way at once is sent ahead, not paced: the caller's phone throws it away."""


def packed(kind: int, payload: bytes = b"") -> bytes:
    """A message."""
    return struct.pack(">BH", kind, len(payload)) + payload


class AudioSocketEquipment(Equipment):
    """facts.call_id: the call's UUID. Messages are pieces of the stream, cut anywhere."""

    name = "audiosocket"
    codings = (Coding.LINEAR,)
    rates_hz = tuple(AUDIO_HZ.values())
    has_marks = False
    has_clear = False

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
    ) -> None:
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self._kind = next(kind for kind, hz in AUDIO_HZ.items() if hz == self.rate_hz)
        self._came = b""

    def opening(self) -> list[Message]:
        """The UUID."""
        return [packed(UUID_IS, UUID(self.facts.call_id).bytes)]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        return packed(self._kind, payload)

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        return [packed(KEY, digit.encode("ascii"))]

    def hang_up(self) -> list[Message]:
        """As the base says."""
        return [packed(END)]

    def receive(self, message: Message, now_s: float) -> list[Message]:
        """As the base says; and whether it came ahead of its time."""
        answers = super().receive(message, now_s)
        if (ahead_s := self.ear.queued_s(now_s)) > AHEAD_S + self.late_s:
            ahead = Violation(f"{ahead_s * 1000:.0f} ms sent ahead; only what is due may be sent")
            self.told.append((now_s, ahead))
        return answers

    def _take(self, message: Message) -> Iterator[Told]:
        if isinstance(message, str):
            raise NotTheProtocol("text on a stream of bytes")
        self._came += message
        while len(self._came) >= HEADER_BYTES:
            kind, length = struct.unpack(">BH", self._came[:HEADER_BYTES])
            if len(self._came) < HEADER_BYTES + length:
                return
            payload = self._came[HEADER_BYTES : HEADER_BYTES + length]
            self._came = self._came[HEADER_BYTES + length :]
            yield self._one(kind, payload)

    def _one(self, kind: int, payload: bytes) -> Told:
        if kind == END:
            return HangUp()
        if kind == ERROR:
            return Violation(f"the runtime reports an error: {payload.hex()[:20]}")
        if kind not in AUDIO_HZ:
            return Violation(f"type {kind:#04x} is nothing that Asterisk takes")
        if kind != self._kind:
            return Violation(f"audio of {AUDIO_HZ[kind]} Hz on a stream of {self.rate_hz} Hz")
        if len(payload) % 2 or not payload:
            return Violation(f"audio of {len(payload)} bytes: no whole samples")
        return Audio(payload)
