"""What the parts of one call share, and what they need of the agent that carries it. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aywa.core.rtp.plan import StreamPlan
from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import Ended, Event, Fields, MediaChanged, Reason
from aywa.core.sip.flow import Flow
from aywa.core.sip.headers import Headers
from aywa.core.sip.message import Request, Response, respond_to
from aywa.core.sip.offer import Negotiation
from aywa.core.sip.session_timer import SessionTimer
from aywa.core.sip.uri import SipUri, bare_host, parse_uri, read_ip

# RFC 3261 17: the timers of what is sent again outside of any transaction.
T1_S = 0.5
T2_S = 4.0
GIVE_UP_S = 64 * T1_S
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY"
SUPPORTED = "replaces, timer, 100rel"
SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a request goes: over this flow if there is one, else to the first of the URIs that takes it."""

    uris: tuple[str, ...]
    flow: Flow | None = None


@dataclass(slots=True)
class Ask:
    """A request that wants an answer. answered: of every response, a challenge that was met excepted; failed: nothing will come,
    why: "timeout", "overload", "nowhere", "cancelled", or what the transport said. next_cseq: for trying again with
    credentials."""

    request: Request
    hop: Hop
    answered: Callable[[Response, Flow], None]
    failed: Callable[[str], None]
    next_cseq: Callable[[], int]
    account: str = ""
    credentials: tuple[str, str] | None = field(default=None, repr=False)


class Wire(Protocol):
    """What a call needs of its agent."""

    @property
    def now(self) -> float:
        """The time of whatever is being handled."""

    def token(self, size: int) -> bytes:
        """So many bytes that nobody can guess."""

    def word(self) -> str:
        """A word that nobody can guess, for tags and Call-IDs."""

    def ask(self, ask: Ask) -> int:
        """Sends a request; the ticket is good for `cancel`."""

    def cancel(self, ticket: int, headers: Fields) -> None:
        """The INVITE is not wanted any more; its answer still comes."""

    def pass_on(self, request: Request, hop: Hop) -> None:
        """Sends an ACK."""

    def respond(self, key: str, response: Response) -> None:
        """Answers a request."""

    def contact(self, flow: Flow) -> str:
        """Our Contact as seen over that flow."""

    def tell(self, event: Event) -> None:
        """To the shell."""


class Line:
    """One call's common state: its dialog, its media, its timer, and whether it is over."""

    def __init__(self, key: str, wire: Wire, timer: SessionTimer, account: str = "") -> None:
        self.key = key
        self.wire = wire
        self.timer = timer
        self.account = account
        self.credentials: tuple[str, str] | None = None
        self.dialog: Dialog | None = None
        self.negotiation: Negotiation | None = None
        self.flow: Flow | None = None
        self.natted = False
        # The far side's, as it last said: what may be sent to it.
        self.allowed: frozenset[str] = frozenset()
        self.supported: frozenset[str] = frozenset()
        self.answered = False
        self.ended = False

    @property
    def hop(self) -> Hop:
        """Where a request within the dialog goes."""
        dialog = self.dialog
        uris = (dialog.next_hop,) if dialog else ()
        flow = self.flow
        if flow is not None and (flow.reliable or (self.natted and dialog is not None and not dialog.routes)):
            # An open connection is the one way that is known to work (RFC 3261 18.1.1), and behind NAT the only one.
            return Hop(uris, flow)
        return Hop(uris)

    def learn(self, message: Request | Response, flow: Flow) -> None:
        """Takes note of what every message of the far side says of it."""
        if "allow" in message.headers:
            self.allowed = frozenset(message.headers.tokens("allow"))
        if "supported" in message.headers or isinstance(message, Request):
            self.supported = frozenset(message.headers.tokens("supported"))
        self.flow = flow
        contacts = message.contacts
        if contacts:
            self.natted = _behind_nat(contacts[0].uri, flow)

    def ask(
        self,
        request: Request,
        answered: Callable[[Response, Flow], None],
        failed: Callable[[str], None],
        hop: Hop | None = None,
        next_cseq: Callable[[], int] | None = None,
    ) -> int:
        """A request within the dialog, or the one that makes it."""
        dialog = self.dialog
        numbers = next_cseq or (dialog.next_cseq if dialog else lambda: request.cseq.number + 1)
        made = Ask(request, hop or self.hop, answered, failed, numbers, self.account, self.credentials)
        return self.wire.ask(made)

    def answer(
        self, key: str, request: Request, status: int, *fields: tuple[str, str], body: bytes = b""
    ) -> Response:
        """Answers a request within the dialog; the response is given back for whoever sends it again."""
        made = Headers(fields)
        if body:
            made.set("Content-Type", SDP)
        tag = self.dialog.local_tag if self.dialog and status > 100 else None
        response = respond_to(request, status, tag=tag, headers=tuple(made), body=body)
        self.wire.respond(key, response)
        return response

    def contact_field(self) -> tuple[str, str]:
        """Our Contact."""
        assert self.flow is not None
        return ("Contact", f"<{self.wire.contact(self.flow)}>")

    def hang_up_for(self, status: int, why: str) -> None:
        """This side cannot go on with the call: BYE, with the reason."""
        if self.dialog is not None and not self.ended:
            cause = Reason("SIP", status, why)
            bye = self.dialog.request("BYE", (("Reason", str(cause)),))
            self.ask(bye, unconcerned, unconcerned)
        self.end("local", status, why)

    def media_changed(self) -> None:
        """Tells the plan that was just agreed."""
        if self.negotiation is not None and self.negotiation.plan is not None and not self.ended:
            self.wire.tell(MediaChanged(self.key, self.negotiation.plan))

    @property
    def plan(self) -> StreamPlan | None:
        """What was agreed last."""
        return self.negotiation.plan if self.negotiation else None

    def end(
        self, by: str, status: int, reason: str, cause: Reason | None = None, headers: Fields = ()
    ) -> None:
        """The call is over for the shell, whatever is still to be said to the far side."""
        if not self.ended:
            self.ended = True
            self.wire.tell(Ended(self.key, by, status, reason, cause, headers, self.answered))


def unconcerned(*_: object) -> None:
    """What becomes of a request does not matter."""


def has_sdp(message: Request | Response) -> bool:
    """Whether the body is a session description; without a type it is taken for one."""
    return bool(message.body) and message.content_type in (SDP, "")


def fields_of(message: Request | Response) -> Fields:
    """The header fields that a call may be interested in: those of its own, X-... and others, without the machinery."""
    return tuple((name, value) for name, value in message.headers if name.lower() not in MACHINERY)


MACHINERY = frozenset(
    """via from to call-id cseq max-forwards contact content-length content-type allow supported require route record-route
    authorization proxy-authorization www-authenticate proxy-authenticate session-expires min-se v f t i m l c k x""".split()
)


def _behind_nat(contact: str, flow: Flow) -> bool:
    """Whether the far side's Contact can only be reached by the way it came: a private address out of a public one, or
    not the address it came from at all while that is of the same kind."""
    # An address that was read has a URI that can be.
    uri = parse_uri(contact)
    if not isinstance(uri, SipUri):
        return False
    said, seen = read_ip(bare_host(uri.host)), read_ip(flow.remote[0])
    if said is None or seen is None:
        return False
    return said != seen and (said.is_unspecified or (said.is_private and not seen.is_private))
