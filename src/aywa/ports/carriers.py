"""What the service needs of a carrier: a vendor that asks over HTTP what a call is to become, streams its audio over a media
socket, and is told over HTTP to place a call or to end one.

A carrier's adapter reads requests and writes answers; it decides nothing, and never sees a document. What the vendor sends
never makes it raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

RING_S = 60.0
"""How long a party may ring when nobody says (contract 14.3)."""


@dataclass(frozen=True, slots=True)
class CarrierAccount:
    """A vendor's account behind a phone number. vendor: twilio, telnyx ... keys: what opens it, by the names of the document
    that has it. api_url: empty for the vendor's own."""

    vendor: str
    number: str = ""
    api_url: str = ""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def key(self, name: str) -> str:
        """Empty when it was not given."""
        return self.keys.get(name, "")


@dataclass(frozen=True, slots=True)
class CarrierRequest:
    """A vendor's request. urls: the address in every way in which the vendor may have written it. headers: names in lower
    case. query: decoded. now_s: Unix time."""

    method: str
    urls: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    now_s: float = 0.0

    def asked(self, name: str) -> str:
        """The first value of that name in the address."""
        return next(iter(self.query.get(name, ())), "")


class Happening(StrEnum):
    """What a vendor tells. CALLED: a call comes in, and it asks what to do. NEXT: the media socket is over, and it asks what
    comes then. DIALLED: whom a caller was passed on to is gone, or never was there. OTHER: nothing that matters."""

    CALLED = "called"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"
    NEXT = "next"
    DIALLED = "dialled"
    OTHER = "other"


class Outcome(StrEnum):
    """How a call, or a part of it, came to its end."""

    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    UNALLOCATED = "unallocated"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CarrierNews:
    """A vendor's request, read. provider_id: the vendor's name for the call. outcome: with ENDED and DIALLED. detail: for a
    person, short. parameters: the customer's own, with CALLED."""

    happening: Happening
    provider_id: str = ""
    caller: str = ""
    called: str = ""
    caller_name: str = ""
    outcome: Outcome | None = None
    detail: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CarrierAnswer:
    """What the vendor is answered with."""

    body: str = field(default="", repr=False)
    media_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class MediaWay:
    """Where a call's audio goes, and where the vendor asks and tells about it. stream_url: of the media socket, with what opens
    it. next_url: asked when the socket is over. dialled_url: told how passing the caller on went. status_url: told how the
    call goes on. parameters: sent along with the stream."""

    stream_url: str = field(repr=False)
    next_url: str = field(default="", repr=False)
    dialled_url: str = field(default="", repr=False)
    status_url: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Onward:
    """Whom a caller is passed on to: either number or uri (SIP) is set. digits: to be sent once it is answered."""

    number: str = ""
    uri: str = ""
    caller_id: str = ""
    digits: str = ""
    ring_s: float = RING_S


@dataclass(frozen=True, slots=True)
class Placing:
    """A call to be placed. call_id: ours, so that the same request twice is one call, where the vendor knows how."""

    call_id: str
    to: str
    caller_id: str
    way: MediaWay
    digits: str = ""
    ring_s: float = RING_S


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a vendor can do. places: calls. asks: it takes markup, and asks again when the media socket is over. answers: it
    wants to be told over HTTP to answer. ends: it must be told over HTTP that a call is over; the socket's end is not
    enough. passes_on: a caller, to another number. keys: it presses keys for the caller's side."""

    places: bool = False
    asks: bool = False
    answers: bool = False
    ends: bool = False
    passes_on: bool = False
    keys: bool = False


class Carrier(Protocol):
    """One vendor."""

    vendor: str
    abilities: Abilities

    # --- what it asks and tells: pure ----------------------------------------------------------------------------

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        """Why the request may not be the vendor's own, for the log; empty when it is."""

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        """What the request tells. step: the end of the address it came to: empty, next, dialled or status."""

    def connect(self, way: MediaWay) -> CarrierAnswer:
        """The caller's audio goes to the media socket."""

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        """Nobody takes the call."""

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        """The caller is connected with somebody else."""

    def done(self) -> CarrierAnswer:
        """There is nothing more to do; a call that is still there ends."""

    # --- what it is told: raises ProviderError -----------------------------------------------------------------------

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        """Places a call; answers the vendor's name for it."""

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        """Picks up."""

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        """Ends a call, whether it was answered or rings; one that is over already is no error."""

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        """Passes the caller on, where the vendor asks nothing. way.next_url: where it may ask then."""

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        """Presses keys: 0-9, *, #, A-D."""

    async def close(self) -> None:
        """Closes the connections."""
