"""One vendor's equipment in a call, without sockets and clocks: told what arrives and the time, it says what to send.

An equipment speaks as the vendor's documentation says and takes the runtime's messages by the same letter: what the document
does not have is a violation, which is remembered and changes nothing. What it plays goes through an Ear. It refuses to
know who the other party is.
"""

from __future__ import annotations

import base64
import binascii
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import FRAME_S, Ear, EarSettings

Message = str | bytes
"""Text or binary, where the protocol has both; on a stream of bytes, bytes."""
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the equipment knows of its call. secret: with which it signs or what it shows; empty: neither."""

    caller: str = "+4930123456"
    called: str = "+4930654321"
    call_id: str = "CA4f0c5e1d2b3a49788796a5b4c3d2e1f0"
    stream_id: str = "MZ0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    account: str = "AC00000000000000000000000000000001"
    parameters: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)


# --- what the runtime says -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound to be played. payload: in the coding agreed on."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Say so when what came before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Throw away what was not heard."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Press these."""

    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The runtime ends the stream or the call."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The runtime asks for the call to go elsewhere; data as it came."""

    data: Json


@dataclass(frozen=True, slots=True)
class Ask:
    """Anything else that the vendor knows: one word."""

    what: str
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """The vendor's documentation does not allow this."""

    why: str


Told = Audio | Mark | Clear | Keys | HangUp | Transfer | Ask | Violation


class NotTheProtocol(Exception):
    """What came is none of the vendor's messages."""


class Equipment(ABC):
    """Base of every vendor's side. A subclass translates: `_take`, `_media` and the messages of a call's life."""

    name: ClassVar[str]
    codings: ClassVar[tuple[Coding, ...]] = (Coding.LINEAR,)
    rates_hz: ClassVar[tuple[int, ...]] = (8000,)
    chunk_s: ClassVar[float] = FRAME_S
    """How much of its caller's sound one message carries."""
    has_marks: bool = True
    has_clear: bool = True
    has_keys: bool = True
    """Its caller's keys reach the runtime."""
    subprotocols: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
    ) -> None:
        self.facts = facts or Facts()
        self.coding = coding or self.codings[0]
        self.rate_hz = rate_hz or self.rates_hz[0]
        self.ear = Ear(self.rate_hz, ear)
        self.chunk_bytes = round(self.rate_hz * self.chunk_s) * self.coding.sample_bytes
        self.told: list[tuple[float, Told]] = []
        self.hung_up = False
        """The runtime asked for the end."""
        self.late_s = 0.0
        """How far its own clock has ever been behind: what came meanwhile came all at once."""
        self.sequence = 0
        self._pending = b""
        self._sent_s = 0.0

    # --- the way in --------------------------------------------------------------------------------------------------

    def headers(self, url: str) -> Mapping[str, str]:
        """What the vendor shows at the door of this address."""
        return {}

    def query(self) -> Mapping[str, str]:
        """What the vendor adds to the address."""
        return {}

    @abstractmethod
    def opening(self) -> list[Message]:
        """What is said first, when the connection is there."""

    # --- what the caller does ----------------------------------------------------------------------------------------

    def speak(self, pcm: bytes) -> list[Message]:
        """The caller's next sound, PCM16 LE: the messages that it fills."""
        self._pending += self.coding.encode(pcm)
        found: list[Message] = []
        while len(self._pending) >= self.chunk_bytes:
            chunk, self._pending = self._pending[: self.chunk_bytes], self._pending[self.chunk_bytes :]
            found.append(self.media(chunk))
            self._sent_s += self.chunk_s
        return found

    @abstractmethod
    def media(self, payload: bytes) -> Message:
        """One message of the caller's sound, in the coding."""

    @abstractmethod
    def press(self, digit: str) -> list[Message]:
        """The caller pressed a key."""

    def hang_up(self) -> list[Message]:
        """The caller hung up: what is said before the connection is closed."""
        return []

    # --- what the runtime says ---------------------------------------------------------------------------------------

    def receive(self, message: Message, now_s: float) -> list[Message]:
        """Takes a message; what is answered at once."""
        answers = self.wake(now_s)
        try:
            told = list(self._take(message))
        except NotTheProtocol as error:
            told = [Violation(str(error))]
        for one in told:
            self.told.append((now_s, one))
            answers += self._obey(one, now_s)
        return answers + self.wake(now_s)

    @abstractmethod
    def _take(self, message: Message) -> Iterator[Told]:
        """What a message says. Raises NotTheProtocol."""

    def _obey(self, told: Told, now_s: float) -> list[Message]:
        match told:
            case Audio(payload=payload):
                self.ear.put(self.coding.decode(payload), now_s)
            case Mark(name=name):
                self.ear.mark(name)
            case Clear():
                return self._cleared(self.ear.clear(now_s))
            case HangUp():
                self.hung_up = True
            case Ask():
                return self._answer(told, now_s)
            case Keys() | Transfer() | Violation():
                pass
        return []

    def _answer(self, ask: Ask, now_s: float) -> list[Message]:
        """What the vendor does about anything else."""
        return []

    def _cleared(self, names: list[str]) -> list[Message]:
        """What the vendor says when it has thrown away sound, with these marks in it."""
        return [self._mark_reached(name) for name in names]

    def _mark_reached(self, name: str) -> Message:
        """What the vendor says when it has come to a mark."""
        raise NotImplementedError

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return self.ear.deadline

    def wake(self, now_s: float) -> list[Message]:
        """Plays until now; what is to be said about it."""
        return [self._mark_reached(name) for name in self.ear.wake(now_s)]

    # --- for those who look ------------------------------------------------------------------------------------------

    @property
    def violations(self) -> list[str]:
        """What the runtime did that the documentation does not allow."""
        return [one.why for _, one in self.told if isinstance(one, Violation)]

    def of(self, kind: type[Told]) -> list[tuple[float, Told]]:
        """What the runtime said of one kind, and when."""
        return [(at_s, one) for at_s, one in self.told if isinstance(one, kind)]

    def next_sequence(self) -> int:
        """1, 2, 3 ..."""
        self.sequence += 1
        return self.sequence


# --- what several documents share ------------------------------------------------------------------------------------


def text_of(message: Message, what: str = "a text message") -> str:
    """The text; a binary message is none."""
    if isinstance(message, bytes):
        raise NotTheProtocol(f"a binary message of {len(message)} bytes where {what} is expected")
    return message


def object_of(text: str) -> Json:
    """A JSON object."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise NotTheProtocol(f"text that is no JSON ({error}): {text[:60]!r}") from error
    if not isinstance(found, dict):
        raise NotTheProtocol(f"JSON that is no object: {text[:60]!r}")
    return found


def field_of(message: Json, path: str, kind: type[Any] = str) -> Any:
    """A field that must be there, by its path with dots."""
    found: Any = message
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise NotTheProtocol(f"{path} must be {kind.__name__}, not {found!r:.60}")
    return found


def payload_of(message: Json, path: str) -> bytes:
    """Base64 that must be there and be right."""
    written = field_of(message, path)
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotTheProtocol(f"{path} is no base64: {error}") from error


def written(payload: bytes) -> str:
    """Base64."""
    return base64.b64encode(payload).decode("ascii")


def compact(message: Json) -> str:
    """A message as JSON."""
    return json.dumps(message, separators=(",", ":"))
