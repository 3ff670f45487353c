"""What the SIP side tells and asks: records only. A call here is one leg, by the key that the agent gave it."""

from __future__ import annotations

from dataclasses import dataclass, field

from aywa.core.rtp.plan import StreamPlan
from aywa.core.sip.flow import Flow

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Party:
    """A name and an address, as the far side writes them."""

    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a call ended, by another protocol's or SIP's own code (RFC 3326)."""

    protocol: str
    cause: int
    text: str = ""

    def __str__(self) -> str:
        text = self.text.replace("\\", "").replace('"', "'")
        return f"{self.protocol};cause={self.cause}" + (f';text="{text}"' if text else "")


@dataclass(frozen=True, slots=True)
class Lookup:
    """Look this up and call `looked_up` with the same kind and name. kind: NAPTR, SRV, or ADDRESS (A and AAAA)."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A call comes in and waits: ring, answer, or reject. uri: the Request-URI. trunk: whose gateway it came from, or empty.
    user: who proved to be it by a password, or empty. asserted: who the network says the caller is. replaces: the call that
    this one takes the place of, or empty. trunks: all whose gateways are in that network; trunk is the first."""

    call: str
    uri: str
    caller: Party
    called: Party
    trunk: str
    user: str
    flow: Flow
    headers: Fields
    asserted: str = ""
    diversion: str = ""
    replaces: str = ""
    has_offer: bool = True
    sip_call_id: str = ""
    trunks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """An outbound call goes on: ringing, or early media when there is a plan."""

    call: str
    status: int
    reason: str
    plan: StreamPlan | None = None


@dataclass(frozen=True, slots=True)
class Redirected:
    """Whoever was called says that the call belongs elsewhere, and waits: follow, or refuse_redirect. targets: whole URIs, the
    best first. It may come again, with those that are left, where a target that was followed did not answer."""

    call: str
    status: int
    reason: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """An outbound call was answered."""

    call: str
    plan: StreamPlan
    headers: Fields = ()


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The caller knows that the inbound call was answered."""

    call: str
    plan: StreamPlan


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The stream is another from now on: the first answer of an inbound call, hold, another address, codec or key."""

    call: str
    plan: StreamPlan


@dataclass(frozen=True, slots=True)
class MediaRefused:
    """The far side did not take our change: everything stays as it was."""

    call: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """A key by SIP INFO."""

    call: str
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """Anything else by SIP INFO."""

    call: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReferReceived:
    """The far side wants this call's party to call somebody: accept_refer or refuse_refer. replaces: the call of ours that
    the new one takes the place of, or empty. headers: those that belong into the new INVITE, Replaces among them."""

    call: str
    target: str
    replaces: str = ""
    referred_by: str = ""
    headers: Fields = ()


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """How a transfer of ours fares, as the far side tells. final: nothing more will come. refused: it does not take the REFER
    itself, and calls nobody."""

    call: str
    status: int
    reason: str
    final: bool
    refused: bool = False


@dataclass(frozen=True, slots=True)
class InfoSent:
    """What became of an INFO of ours."""

    call: str
    status: int


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """What became of a request within the dialog. key: as it was sent with. status: 0 without an answer, and reason says why."""

    call: str
    key: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; exactly once. by: "local", "remote", or "network" when somebody did not answer any more. status: of
    the refusal, 200 for a call that was hung up. answered: it had been up."""

    call: str
    by: str
    status: int
    reason: str
    cause: Reason | None = None
    headers: Fields = ()
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A trunk knows where we are, for so long."""

    trunk: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """It does not. retry_s: when it is tried again; None: only a person can mend it."""

    trunk: str
    status: int
    reason: str
    retry_s: float | None


@dataclass(frozen=True, slots=True)
class TrunkUp:
    """A gateway of the trunk answers."""

    trunk: str


@dataclass(frozen=True, slots=True)
class TrunkDown:
    """None of them does."""

    trunk: str
    why: str


@dataclass(frozen=True, slots=True)
class PingResult:
    """What became of an OPTIONS. status: 0 when nobody answered."""

    key: str
    status: int
    reason: str
    round_trip_s: float
    headers: Fields = field(default=())


@dataclass(frozen=True, slots=True)
class Banned:
    """A stranger is not heard until then (time as passed in)."""

    address: str
    until_s: float
    why: str


Event = (
    InviteReceived
    | Progress
    | Redirected
    | Answered
    | Confirmed
    | MediaChanged
    | MediaRefused
    | DigitReceived
    | InfoReceived
    | InfoSent
    | RequestAnswered
    | ReferReceived
    | ReferProgress
    | Ended
    | Registered
    | RegistrationFailed
    | TrunkUp
    | TrunkDown
    | PingResult
    | Banned
)
