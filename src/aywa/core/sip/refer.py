"""Transfers of a call that is up: REFER, the NOTIFYs that say how it fares, Replaces and Referred-By, both ways
(RFC 3515, RFC 4488, RFC 3891, RFC 3892).

Nobody is called from here: what the far side asks for is told, and whoever does it says how it went.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import Fields, ReferProgress, ReferReceived
from aywa.core.sip.fields import parse_address, parse_params, parse_value
from aywa.core.sip.flow import Flow
from aywa.core.sip.line import Line, unconcerned
from aywa.core.sip.message import REASONS, Request, Response
from aywa.core.sip.uri import SipUri, TelUri, Unreadable, parse_uri, read_number, unescape

SIPFRAG = "message/sipfrag"
# How long news of a transfer are awaited, ours and the far side's (RFC 3515 2.4.4 leaves it to both).
NEWS_S = 180
# What may come along in the target's URI (RFC 3261 19.1.5 warns of the rest).
CARRIED = frozenset(("replaces", "require", "diversion", "p-asserted-identity", "user-to-user"))
MOST_CARRIED = 16


@dataclass(frozen=True, slots=True)
class Replaces:
    """Which dialog a new one takes the place of, as seen by who is asked (RFC 3891 6.1)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}"


def read_replaces(text: str) -> Replaces | None:
    """A Replaces field; None when it is not one."""
    call_id, _, rest = text.partition(";")
    try:
        params = parse_params(f";{rest}")
    except Unreadable:
        return None
    to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
    if not call_id.strip() or not to_tag or not from_tag:
        return None
    return Replaces(call_id.strip(), to_tag, from_tag, "early-only" in params)


class Referral:
    """The transfers of one line. find: the call that a Replaces means, or empty."""

    def __init__(self, line: Line, find: Callable[[Replaces], str]) -> None:
        self._line = line
        self._find = find
        # Ours: the number of the REFER whose news are awaited, and until when.
        self._asked: int | None = None
        self._until: float | None = None
        # The far side's: not yet decided, then told of while it runs.
        self._open: tuple[str, Request] | None = None
        self._told: int | None = None

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return self._until

    def wake(self) -> None:
        """No news for too long."""
        if self._until is not None and self._line.wire.now >= self._until:
            # The far side took it and keeps silent.
            self._news(408, "no news", final=True)

    # --- ours ----------------------------------------------------------------------------------------------------------

    def ask(self, target: str, other: Dialog | None, headers: Fields) -> None:
        """The far side is to call the target; in the place of our other call, if there is one."""
        line = self._line
        assert line.dialog is not None, "only a call that is up is transferred"
        if self._asked is not None:
            line.wire.tell(ReferProgress(line.key, 491, REASONS[491], True))
            return
        uri = target
        if other is not None:
            replaces = Replaces(other.call_id, other.remote_tag, other.local_tag)
            uri = f"{target}{'&' if '?' in target else '?'}Replaces={quote(str(replaces), safe='')}"
        fields = (("Refer-To", f"<{uri}>"), ("Referred-By", f"<{line.dialog.local.uri}>"), *headers)
        request = line.dialog.request("REFER", fields)
        self._asked = request.cseq.number
        self._until = line.wire.now + NEWS_S
        line.ask(request, self._answered, self._failed)

    def _answered(self, response: Response, flow: Flow) -> None:
        if response.provisional or self._asked is None:
            return
        if not response.successful:
            self._news(response.status, response.reason, final=True, refused=True)
        elif (response.headers.get("refer-sub") or "").strip().lower() == "false":
            # RFC 4488 4: it was taken, and nothing more will be told.
            self._news(response.status, response.reason, final=True)

    def _failed(self, why: str) -> None:
        self._news(408 if why == "timeout" else 503, why, final=True, refused=True)

    def _news(self, status: int, why: str, *, final: bool, refused: bool = False) -> None:
        line = self._line
        if self._asked is None:
            return
        if final:
            self._asked = self._until = None
        line.wire.tell(ReferProgress(line.key, status, why, final, refused))

    def notified(self, key: str, request: Request) -> None:
        """A NOTIFY (RFC 3515 2.4.4, 2.4.5)."""
        line = self._line
        try:
            event, _ = parse_value(request.headers.get("event") or "")
            state, _ = parse_value(request.headers.get("subscription-state") or "")
        except Unreadable:
            event = state = ""
        if event != "refer":
            line.answer(key, request, 489, ("Allow-Events", "refer"))
            return
        line.answer(key, request, 200)
        status, why = read_fragment(request.body)
        final = status >= 200 or state == "terminated"
        if status or final:
            self._news(status or 480, why or "no result", final=final)

    # --- the far side's ------------------------------------------------------------------------------------------------

    def received(self, key: str, request: Request) -> None:
        """A REFER: told, and answered when it is decided."""
        line = self._line
        targets = request.headers.get_all("refer-to")
        try:
            address = parse_address(targets[0]) if len(targets) == 1 else None
            uri = parse_uri(address.uri) if address else None
        except Unreadable:
            uri = None
        if not isinstance(uri, SipUri | TelUri):
            line.answer(key, request, 400)
            return
        method = (uri.params.get("method") or "INVITE").upper()
        if method != "INVITE":
            line.answer(key, request, 501)
            return
        if self._open is not None or self._told is not None:
            line.answer(key, request, 491)
            return
        carried = _carried(uri) if isinstance(uri, SipUri) else ()
        referred_by = request.headers.get("referred-by") or ""
        if referred_by:
            carried += (("Referred-By", referred_by),)
        wanted = next((value for name, value in carried if name.lower() == "replaces"), "")
        replaces = read_replaces(wanted)
        self._open = (key, request)
        bare = str(uri) if isinstance(uri, TelUri) else str(_bare(uri))
        line.wire.tell(
            ReferReceived(line.key, bare, self._find(replaces) if replaces else "", referred_by, carried)
        )

    def accept(self) -> None:
        """It is being done."""
        if self._open is None:
            return
        line, (key, request) = self._line, self._open
        self._open = None
        silent = (request.headers.get("refer-sub") or "").strip().lower() == "false"
        fields = (("Refer-Sub", "false"),) if silent else ()
        line.answer(key, request, 202, line.contact_field(), *fields)
        if not silent:
            self._told = request.cseq.number
            self.tell(100, REASONS[100])

    def refuse(self, status: int) -> None:
        """It is not."""
        if self._open is not None:
            (key, request), self._open = self._open, None
            self._line.answer(key, request, status)

    def tell(self, status: int, why: str) -> None:
        """How it fares; a final status is the last that is told."""
        line = self._line
        if self._told is None or line.dialog is None or line.ended:
            return
        state = "terminated;reason=noresource" if status >= 200 else f"active;expires={NEWS_S}"
        fields = (
            line.contact_field(),
            ("Event", f"refer;id={self._told}"),
            ("Subscription-State", state),
            ("Content-Type", f"{SIPFRAG};version=2.0"),
        )
        if status >= 200:
            self._told = None
        text = (why or REASONS.get(status, "Unknown")).replace("\r", " ").replace("\n", " ")
        body = f"SIP/2.0 {status} {text}\r\n".encode()
        line.ask(line.dialog.request("NOTIFY", fields, body), unconcerned, unconcerned)


def read_fragment(body: bytes) -> tuple[int, str]:
    """The status line of a message/sipfrag (RFC 3420); 0 when there is none."""
    first = body[:200].decode("utf-8", "replace").lstrip().splitlines()
    version, _, rest = first[0].partition(" ") if first else ("", "", "")
    code, _, reason = rest.strip().partition(" ")
    if version.upper() != "SIP/2.0":
        return 0, ""
    try:
        status = read_number(code, 699)
    except Unreadable:
        return 0, ""
    return (status, reason.strip()) if status >= 100 else (0, "")


def _carried(uri: SipUri) -> Fields:
    found = [(name, unescape(value)) for name, value in uri.headers[:MOST_CARRIED]]
    return tuple(
        (name, value) for name, value in found if name.lower() in CARRIED or name.lower().startswith("x-")
    )


def _bare(uri: SipUri) -> SipUri:
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return SipUri(uri.host, uri.user, uri.port, params, (), uri.secure, uri.password)
