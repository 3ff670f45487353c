"""Asterisk's AudioSocket, over TCP: each message is a kind, a length of two bytes, big-endian, and so much payload.

There is neither clear nor mark: what was sent is heard, so nothing is sent ahead. Facts: Asterisk's documentation, "AudioSocket"
(Configuration, Channel Drivers) and "AudioSocket()" (Dialplan Applications).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from uuid import UUID

from aywa.adapters.transports.equipment.codec import (
    Audio,
    Broken,
    Dialect,
    Handshake,
    Key,
    Message,
    Plain,
    Received,
    Said,
    Started,
    Stopped,
    Traits,
)
from aywa.adapters.transports.equipment.reading import key
from aywa.ports.media import AudioFormat

HANG_UP, ID, DTMF, ERROR = 0x00, 0x01, 0x03, 0xFF
RATES_HZ = {0x10: 8000, 0x11: 12_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x15: 44_100, 0x16: 48_000,
            0x17: 96_000, 0x18: 192_000}  # fmt: skip
"""Kind of an audio message -> its rate. Asterisk before the releases of the end of 2025 has the first alone, and the dialplan's
AudioSocket() still has."""
_SPOKEN = tuple((AudioFormat.PCM16, rate_hz) for rate_hz in (8000, 16_000, 24_000, 32_000, 48_000, 12_000))
_SPOKEN_HZ = frozenset(rate_hz for _, rate_hz in _SPOKEN)
_HEADER = struct.Struct("!BH")
_ID_BYTES = 16
_FIRST = frozenset((ID, HANG_UP, ERROR))
NAMELESS = "a stream must begin with its UUID"
_HUNG_UP, _NOT_FORWARDED, _NO_MEMORY = 0x01, 0x02, 0x04

TRAITS = Traits("audiosocket", _SPOKEN, chunks_most=1, lead_s=0.02, endless=True)
"""endless: Asterisk sends its caller only what it is sent, and a telephone that hears nothing for long hangs up."""


class AudioSocket(Plain):
    """One call. It starts with the first audio, whose kind tells the rate, or with what comes after `hurry`, when none has."""

    traits = TRAITS

    def __init__(self, handshake: Handshake | None = None) -> None:
        self._rest = bytearray()
        self._id = ""
        self._kind = 0
        self._hurried = False
        self._over = False

    def hurry(self) -> None:
        """No audio has come for a while (a caller whose telephone sends none in silence): it will be of the usual rate. The
        next message, though it be empty, begins the stream."""
        self._hurried = True

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        if isinstance(message, str):
            return [Broken("text in a stream of bytes")]
        self._rest += message
        found: list[Received] = []
        if not self._id and self._rest and self._rest[0] not in _FIRST and not self._over:
            # At once, whatever length it promises: somebody else's protocol.
            found += self._ended(Broken(NAMELESS, final=True))
        for kind, payload in self._whole():
            if self._over:
                # Whatever follows its end is not heard.
                break
            found += self._understand(kind, payload)
        if self._over:
            self._rest.clear()
        elif self._hurried and self._id and not self._kind:
            found.append(self._start(0x10))
        return found

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return _HEADER.pack(self._kind or 0x10, len(payload)) + payload

    def hang_up(self, reason: str) -> Sequence[Message]:
        """As the seam says."""
        return (_HEADER.pack(HANG_UP, 0),)

    def _whole(self) -> Iterator[tuple[int, bytes]]:
        """The messages that are there from beginning to end; less than one stays."""
        rest, at = self._rest, 0
        while len(rest) - at >= _HEADER.size:
            kind, size = _HEADER.unpack_from(rest, at)
            end = at + _HEADER.size + size
            if end > len(rest):
                break
            yield kind, bytes(rest[at + _HEADER.size : end])
            at = end
        del rest[:at]

    def _understand(self, kind: int, payload: bytes) -> Sequence[Received]:
        if kind == ID:
            return self._named(payload)
        if kind == HANG_UP:
            return self._ended(Stopped("hung up"))
        if kind == ERROR:
            return self._failed(payload)
        if not self._id:
            return self._ended(Broken(NAMELESS, final=True))
        if kind in RATES_HZ:
            return self._heard(kind, payload)
        if kind == DTMF:
            pressed = key(payload.decode("ascii", "replace"))
            return [Broken("no key of a telephone") if pressed is None else Key(pressed)]
        return [Said(f"0x{kind:02x}")]

    def _named(self, payload: bytes) -> Sequence[Received]:
        if self._id:
            return [Broken("a second UUID")]
        if len(payload) != _ID_BYTES:
            return self._ended(Broken(f"a UUID has {_ID_BYTES} bytes, not {len(payload)}", final=True))
        self._id = str(UUID(bytes=payload))
        return []

    def _heard(self, kind: int, payload: bytes) -> Sequence[Received]:
        rate_hz = RATES_HZ[kind]
        if rate_hz not in _SPOKEN_HZ:
            return self._ended(Broken(f"audio at {rate_hz} Hz is not spoken here", final=True))
        begun: list[Received] = [] if self._kind else [self._start(kind)]
        if kind != self._kind:
            return [Broken(f"audio at {rate_hz} Hz in a stream at {RATES_HZ[self._kind]} Hz")]
        if len(payload) % 2:
            return [*begun, Broken(f"audio of {len(payload)} bytes is not a whole number of samples")]
        return [*begun, Audio(payload)] if payload else begun

    def _start(self, kind: int) -> Started:
        self._kind = kind
        return Started(self._id, self._id, AudioFormat.PCM16, RATES_HZ[kind])

    def _failed(self, payload: bytes) -> Sequence[Received]:
        """One byte of bits where Asterisk says it; anything else is another application's."""
        code = payload[0] if len(payload) == 1 else 0
        if code & _HUNG_UP:
            return self._ended(Stopped("the caller hung up"))
        why = {_NOT_FORWARDED: "it could not pass audio on", _NO_MEMORY: "it is out of memory"}.get(code)
        return [Broken(f"Asterisk reports an error: {why or 'it does not say which'}")]

    def _ended(self, last: Received) -> Sequence[Received]:
        self._over = True
        return [last]


DIALECTS = {"audiosocket": Dialect(TRAITS, AudioSocket)}
"""Not at an address of the media port: at a port of its own."""
