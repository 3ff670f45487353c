"""Phone calls, between the service, which knows numbers and organisations, and the SIP port, which knows neither.

The service answers what an INVITE is to become (`Router`), and asks for calls to be placed (`Telephone`). It never sees a
message of SIP; the SIP port never sees a document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from aywa.ports.calls import CallPlan
from aywa.ports.carriers import RING_S as RING_S
from aywa.ports.carriers import CarrierAccount

Headers = tuple[tuple[str, str], ...]
"""Names as they were written, in their order."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A trunk's peer. transport: udp, tcp or tls. network: whence its calls may come, as 203.0.113.0/24; empty: none do.
    outbound: calls may be placed through it. ping: whether it is asked now and then if it is there (OPTIONS)."""

    host: str
    port: int = 5060
    transport: str = "udp"
    network: str = ""
    outbound: bool = True
    ping: bool = False
    srtp: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """Where and as whom a trunk is registered."""

    domain: str
    username: str
    realm: str = ""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A byo-sip-trunk, ready for use. id: of its credential. registration: None where the peer knows us by our address.
    freeswitch: the gateway of the operator's FreeSWITCH by which its calls go out, in the place of our own SIP port."""

    id: str
    org_id: str
    name: str
    gateways: tuple[Gateway, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    registration: Registration | None = None
    leading_plus: bool = False
    tech_prefix: str = ""
    diversion: str = ""
    freeswitch: str = ""

    @property
    def networks(self) -> tuple[str, ...]:
        """Whence its calls may come."""
        return tuple(gateway.network for gateway in self.gateways if gateway.network)


@dataclass(frozen=True, slots=True)
class TrunkState:
    """How a trunk fares. answers: one of its gateways does (OPTIONS); registered: it knows where we are; both None while that is
    not known, or not asked. why: of what is not well. since_ms: Unix time of the last change, 0 before the first."""

    answers: bool | None = None
    registered: bool | None = None
    why: str = ""
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Who proves by digest that he may call a number. realm: empty for the SIP port's own."""

    username: str
    password: str = field(repr=False)
    realm: str = ""


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """A call to be placed. Either user, to be asked of one of the trunk's gateways, or uri, a whole SIP URI that is looked up
    by itself. caller_id, caller_name: who calls, empty when nobody said. diversion: on whose behalf. digits: to be sent
    once it was answered (an extension). headers: further ones, all of them X-. carrier: by whose API it is placed, in the place
    of a trunk, and number_id: from which phone number. base_url: where this API was reached by who asked for the call."""

    call_id: str
    org_id: str
    trunk: Trunk | None = None
    user: str = ""
    uri: str = ""
    caller_id: str = ""
    caller_name: str = ""
    diversion: str = ""
    digits: str = ""
    ring_s: float = RING_S
    headers: Headers = ()
    carrier: CarrierAccount | None = None
    number_id: str = ""
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class InboundInvite:
    """An INVITE, as far as it matters to whom it goes. source: the address it came from. called, called_host: of its
    Request-URI. caller, caller_host, caller_name: as it says of itself; asserted: as a trunk says of it
    (P-Asserted-Identity), empty without. account: whose digest was good; empty: nobody's. trusted: what needs no digest,
    for it comes from this machine. headers: all of them. sip_call_id: its Call-ID."""

    source: str
    called: str
    called_host: str = ""
    caller: str = ""
    caller_host: str = ""
    caller_name: str = ""
    asserted: str = ""
    diversion: str = ""
    account: str = ""
    trusted: bool = False
    headers: Headers = ()
    sip_call_id: str = ""
    transport: str = "udp"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the INVITE is answered with. retry_after_s: for a 503. ended_reason: published; empty when there is no call to
    have one. message: for the log and the record, never for the wire. call_id: the call that it is on record as."""

    status: int
    phrase: str = ""
    retry_after_s: float | None = None
    ended_reason: str = ""
    message: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """The caller is connected with somebody else: nobody answered for the number. call: the leg to be placed, with the call's
    id; its end is the call's end, for ended_reason."""

    call: OutboundCall
    ended_reason: str
    message: str = ""


Answer = CallPlan | Forward | Refusal
"""A plan: the call is prepared, and is answered."""


class Router(Protocol):
    """Says what becomes of an INVITE."""

    async def route(self, invite: InboundInvite) -> Answer:
        """Never raises: what it cannot find out, it refuses."""

    async def trunks(self) -> Sequence[Trunk]:
        """All of them, of every organisation. Raises StoreUnavailable."""

    async def accounts(self) -> Sequence[Account]:
        """All of them. Raises StoreUnavailable."""

    async def refer(self, org_id: str, call_id: str, target: str) -> OutboundCall | Refusal:
        """Whether a live call's far side may send the call to the target, a SIP or tel URI (REFER). Never raises."""

    def redirect(self, call: OutboundCall, target: str) -> OutboundCall | Refusal:
        """Whether a call that is being placed may go to the target, a SIP or tel URI, instead: whoever was called says so (3xx).
        The call as it is to be placed then; its trunk is kept only where the trunk's password may be shown. Never raises."""

    def on_change(self, tell: Callable[[], None]) -> None:
        """tell: called when trunks or accounts may not be what they were."""


class Telephone(Protocol):
    """Places calls, for which the call's host has been prepared."""

    def dial(self, call: OutboundCall) -> None:
        """Begins, and tells the call's host what becomes of it. Raises CallRefused when it cannot even begin."""


class TrunkStates(Protocol):
    """Knows how trunks fare."""

    def trunk_state(self, trunk_id: str) -> TrunkState:
        """Of one that is not known here: nothing."""


class TransferVerb(StrEnum):
    """How a caller gets to somebody else. REFER: his own side calls (RFC 3515). DIAL: we do, and stay in between."""

    REFER = "refer"
    DIAL = "dial"


class TransferStatus(StrEnum):
    """How a transfer stands (contract 11.3). CONNECTED, then COMPLETED; the others are its end, and CANCELLED is the caller's
    hanging up before anybody answered."""

    CONNECTED = "connected"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Transfer:
    """A live call's caller is to be connected with somebody else, without a word before. call: whom, with the live call's id;
    whether anybody may be called there is settled before. music: what the caller hears meanwhile (PCM16 at music_hz), over
    and over; empty: a ringing tone. headers of the call go into the INVITE, or the REFER."""

    call: OutboundCall
    verb: TransferVerb = TransferVerb.REFER
    music: bytes = field(default=b"", repr=False)
    music_hz: int = 8000


@dataclass(frozen=True, slots=True)
class TransferNews:
    """sip_status: of the final answer, 0 without. refused: the far side does not do REFER, or not for us; nobody was called."""

    status: TransferStatus
    sip_status: int = 0
    reason: str = ""
    refused: bool = False


class Transfers(Protocol):
    """Passes callers on."""

    def transfer(self, transfer: Transfer, tell: Callable[[TransferNews], None]) -> None:
        """Begins; tell(news) is called as it goes on. When it goes well, the call's leg ends as "forwarded"; when it does not,
        the call goes on with its assistant. Raises CallRefused when that call is not here, or is being transferred."""


class TellTransfer(Protocol):
    """Takes news of a transfer: a TransferStatus's value, the final answer's status, its words."""

    def __call__(self, status: str, sip_status: int = 0, reason: str = "", /) -> None: ...


class CallTransfers(Protocol):
    """Passes one call's caller on, as its assistant wants it."""

    async def begin(self, destination: Mapping[str, Any], tell: TellTransfer) -> None:
        """destination: of the contract (11.1). Never raises: what cannot be done is told as failed."""
