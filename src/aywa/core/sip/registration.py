"""Our registration at a trunk (RFC 3261 10): made, kept, and tried again in time. Credentials are the asker's business."""

from __future__ import annotations

from dataclasses import dataclass

from aywa.core.sip.events import Registered, RegistrationFailed
from aywa.core.sip.fields import parse_seconds
from aywa.core.sip.flow import Flow
from aywa.core.sip.headers import Headers
from aywa.core.sip.line import Ask, Hop, Wire, unconcerned
from aywa.core.sip.message import Request, Response
from aywa.core.sip.uri import Unreadable, parse_uri

EXPIRES_S = 600
# A registrar that wants more than a day is not meant for us.
EXPIRES_MAX_S = 86_400
# It is made again so long before its end, or after four fifths of a short one.
EARLY_S = 30.0
SHARE = 0.8
LEAST_S = 1.0
RETRY_S = 5.0
RETRY_MAX_S = 300.0
# Only a person can mend these: the words are wrong, or we are not wanted.
HOPELESS = frozenset((401, 403, 404, 407))
# How often a 423 is answered by asking for longer.
MOST_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class Registrar:
    """Where and as whom. aor: the address of record; uris: of the registrar, the first to be tried first."""

    trunk: str
    aor: str
    domain: str
    uris: tuple[str, ...]
    expires_s: int = EXPIRES_S


class Registration:
    """One registration. wire: who asks for us."""

    def __init__(self, registrar: Registrar, wire: Wire) -> None:
        self._registrar = registrar
        self._wire = wire
        self._call_id, self._tag = wire.word(), wire.word()
        self._cseq = 0
        self._asked_s = registrar.expires_s
        self._asking = False
        self._intervals = 0
        self._failures = 0
        self._until: float | None = None
        self.at: float | None = wire.now
        self.registered = False
        self.stopped = False

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return None if self._asking or self.stopped else self.at

    def wake(self) -> None:
        """Registers, for the first time or again."""
        if self.deadline is not None and self._wire.now >= self.deadline:
            self._ask(self._asked_s)

    def stop(self) -> None:
        """Not any more: the registrar is told, and nothing else is awaited."""
        was, self.stopped = self.registered, True
        self.registered = False
        if was:
            self._ask(0)

    def _ask(self, expires_s: int) -> None:
        self._asking = True
        registrar = self._registrar
        made = Headers(
            (
                ("From", f"<{registrar.aor}>;tag={self._tag}"),
                ("To", f"<{registrar.aor}>"),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._next_cseq()} REGISTER"),
                ("Expires", str(expires_s)),
            )
        )
        request = Request("REGISTER", registrar.domain, made)
        answered = unconcerned if self.stopped else self._answered
        failed = unconcerned if self.stopped else self._failed
        self._wire.ask(Ask(request, Hop(registrar.uris), answered, failed, self._next_cseq, registrar.trunk))

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _answered(self, response: Response, flow: Flow) -> None:
        if response.provisional or self.stopped:
            return
        self._asking = False
        if response.successful:
            self._granted(response, flow)
        elif response.status == 423 and self._intervals < MOST_INTERVALS:
            self._intervals += 1
            least_s = parse_seconds(response.headers.get("min-expires"), 0)
            if self._asked_s < least_s <= EXPIRES_MAX_S:
                self._asked_s = least_s
                self._ask(least_s)
                return
            self._refused(response.status, response.reason, None)
        else:
            after = response.headers.get("retry-after")
            self._refused(response.status, response.reason, parse_seconds(after, 0) if after else None)

    def _granted(self, response: Response, flow: Flow) -> None:
        expires_s = min(_granted_s(response, self._wire.contact(flow), self._asked_s), EXPIRES_MAX_S)
        self._failures = self._intervals = 0
        now = self._wire.now
        self.registered = True
        self._until = now + expires_s
        self.at = now + max(expires_s - EARLY_S, expires_s * SHARE, LEAST_S)
        self._wire.tell(Registered(self._registrar.trunk, expires_s))

    def _failed(self, why: str) -> None:
        self._asking = False
        if not self.stopped:
            self._refused(408 if why == "timeout" else 503, why, None)

    def _refused(self, status: int, why: str, after_s: int | None) -> None:
        now = self._wire.now
        self._failures += 1
        self._intervals = 0
        # The registration that there is may hold on until its end.
        self.registered = self._until is not None and now < self._until
        if status in HOPELESS:
            self.at = None
            retry_s = None
        else:
            pause_s = min(RETRY_S * 2.0 ** min(self._failures - 1, 10), RETRY_MAX_S)
            retry_s = min(max(pause_s, float(after_s or 0)), 10 * RETRY_MAX_S)
            # Not all trunks of all runtimes at the same moment after an outage.
            retry_s *= 1 + int.from_bytes(self._wire.token(1), "big") / 1024
            self.at = now + retry_s
        self._wire.tell(RegistrationFailed(self._registrar.trunk, status, why, retry_s))


def _granted_s(response: Response, ours: str, asked_s: int) -> int:
    """How long it holds: what stands at our own Contact, else what the response says (RFC 3261 10.2.4)."""
    default_s = parse_seconds(response.headers.get("expires"), asked_s)
    try:
        mine = parse_uri(ours)
        for contact in response.contacts:
            if contact.parsed_uri.same(mine):
                return parse_seconds(contact.params.get("expires"), default_s)
    except Unreadable:
        return default_s
    return default_s
