"""Requests of ours from the wish to the last word: where they go, one place after the other, and with which credentials
(RFC 3261 8.1.3, 22; RFC 3263 4.3).

Who asks hears of every answer, except of those that only mean: try again, there or otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from aywa.core.sip.dialog import Dialog
from aywa.core.sip.digest import DigestClient
from aywa.core.sip.endpoint import Endpoint
from aywa.core.sip.events import Fields, Lookup
from aywa.core.sip.flow import Action, Flow
from aywa.core.sip.line import Ask, Hop, unconcerned
from aywa.core.sip.message import Request, Response
from aywa.core.sip.resolve import Candidate, Question, Record, Resolution
from aywa.core.sip.uri import SipUri, Unreadable, parse_uri

# Without any answer to an INVITE for so long the next place is tried, if there is one. Timer B would take 32 s.
PATIENCE_S = 4.0
# Open wishes; a lookup that never comes back holds one.
MOST_ASKS = 50_000
# How long a name's records may take, and how long the answer is remembered.
LOOKUP_S = 5.0
REMEMBERED_S = 60.0
MOST_NAMES = 1_000
# What tells where to reach us (RFC 3261 table 2).
WITH_CONTACT = frozenset(("INVITE", "UPDATE", "REFER", "NOTIFY", "OPTIONS", "REGISTER"))


class Paths(Protocol):
    """Which sockets there are; the shell knows. Neither method may wait."""

    def flow_to(self, transport: str, remote: tuple[str, int], name: str) -> Flow | None:
        """The way to send there; None: there is none, the transport or the kind of address is not served. A stream that is not
        open yet has no connection_id. name: whose certificate it must be."""

    def address_of(self, flow: Flow) -> tuple[str, int]:
        """The address that the far side shall use for us: for Via and Contact."""


@dataclass(slots=True)
class _Wish:
    """One request under way. key: of its transaction, None while it waits for records or was given up."""

    ask: Ask
    digest: DigestClient | None
    uris: list[str]
    places: list[Candidate] = field(default_factory=list)
    resolution: Resolution | None = None
    key: str | None = None
    sent: Request | None = None
    flow: Flow | None = None
    heard: bool = False
    cancelled: bool = False
    cancel_headers: Fields = ()


class Asking:
    """All requests of ours. out: takes what is to be done. digest_of: who answers challenges for an account."""

    def __init__(
        self,
        endpoint: Endpoint,
        paths: Paths,
        below: Callable[[int], int],
        out: Callable[[Iterable[Action | Lookup]], None],
    ) -> None:
        self._endpoint = endpoint
        self._paths = paths
        self._below = below
        self._out = out
        self._wishes: dict[int, _Wish] = {}
        self._of_key: dict[str, int] = {}
        # INVITEs that were given up for another place: a late 2xx is hung up.
        self._left: dict[str, Request] = {}
        # When a wish is looked at again: the few that wait for records, or could go elsewhere.
        self._timed: dict[int, float] = {}
        self._count = 0
        self._names: dict[Question, tuple[float, tuple[Record, ...]]] = {}

    def __len__(self) -> int:
        return len(self._wishes)

    # --- beginning -----------------------------------------------------------------------------------------------------

    def ask(self, ask: Ask, digest: DigestClient | None, now: float) -> int:
        """Sends a request, as soon as it is known where to."""
        self._count += 1
        ticket = self._count
        if len(self._wishes) >= MOST_ASKS:
            ask.failed("overload")
            return ticket
        wish = _Wish(ask, digest, list(ask.hop.uris))
        self._wishes[ticket] = wish
        if ask.hop.flow is not None:
            self._send(ticket, wish, ask.hop.flow, now)
        else:
            self._next(ticket, wish, "nowhere", now)
        return ticket

    def cancel(self, ticket: int, headers: Fields, now: float) -> None:
        """The INVITE is not wanted any more."""
        wish = self._wishes.get(ticket)
        if wish is None:
            return
        wish.cancelled, wish.cancel_headers = True, headers
        self._time(ticket, None)
        if wish.key is None:
            self._drop(ticket, "cancelled")
        else:
            self._out(self._endpoint.cancel(wish.key, now, headers))

    def pass_on(self, request: Request, hop: Hop, now: float) -> None:
        """An ACK: sent once to the first place; sent again when the 2xx comes again."""
        flow = hop.flow or self._at_once(hop, now)
        if flow is not None:
            self._out([self._endpoint.send(request, flow)])

    def _at_once(self, hop: Hop, now: float) -> Flow | None:
        for text in hop.uris:
            resolution = self._resolution(text)
            if resolution is None:
                continue
            self._remember_into(resolution, now)
            for place in resolution.candidates:
                flow = self._paths.flow_to(place.transport, (place.address, place.port), place.name)
                if flow is not None:
                    return flow
        return None

    # --- finding the place ---------------------------------------------------------------------------------------------

    def _resolution(self, text: str) -> Resolution | None:
        try:
            uri = parse_uri(text)
        except Unreadable:
            return None
        return Resolution(uri, self._below) if isinstance(uri, SipUri) else None

    def _remember_into(self, resolution: Resolution, now: float) -> None:
        while (question := resolution.question) is not None:
            known = self._names.get(question)
            if known is None or now >= known[0]:
                return
            resolution.answer(question, known[1])

    def _next(self, ticket: int, wish: _Wish, why: str, now: float) -> None:
        """The next place, or the next URI's places, or the end."""
        wish.key = None
        self._time(ticket, None)
        while True:
            while wish.places:
                place = wish.places.pop(0)
                flow = self._paths.flow_to(place.transport, (place.address, place.port), place.name)
                if flow is not None:
                    self._send(ticket, wish, flow, now)
                    return
            if not wish.uris:
                self._drop(ticket, why)
                return
            wish.resolution = self._resolution(wish.uris.pop(0))
            if self._resolve(ticket, wish, now):
                return

    def _resolve(self, ticket: int, wish: _Wish, now: float) -> bool:
        """Goes on with the wish's records; true while one has to be looked up."""
        if wish.resolution is None:
            return False
        self._remember_into(wish.resolution, now)
        question = wish.resolution.question
        if question is not None:
            self._time(ticket, now + LOOKUP_S)
            self._out([Lookup(question.kind, question.name)])
            return True
        self._time(ticket, None)
        wish.places = list(wish.resolution.candidates)
        wish.resolution = None
        return False

    def looked_up(self, kind: str, name: str, records: Iterable[Record], now: float) -> None:
        """The records of a name came, none if there are none."""
        question = Question(kind, name)
        if len(self._names) >= MOST_NAMES:
            self._names.clear()
        self._names[question] = (now + REMEMBERED_S, tuple(records))
        for ticket in list(self._timed):
            wish = self._wishes[ticket]
            waits = wish.resolution is not None and wish.resolution.question == question
            if waits and not self._resolve(ticket, wish, now):
                self._next(ticket, wish, "nowhere", now)

    # --- sending -------------------------------------------------------------------------------------------------------

    def _send(self, ticket: int, wish: _Wish, flow: Flow, now: float) -> None:
        request = wish.ask.request
        if wish.sent is not None:
            # Another attempt is another request (RFC 3261 8.1.3.5): the number is not used twice.
            request = request.copy()
            number = wish.ask.next_cseq()
            request.headers.set("CSeq", f"{number} {request.method}")
            wish.ask.request = request
        if request.method in WITH_CONTACT:
            host, port = self._paths.address_of(flow)
            request.headers.set("Contact", f"<{contact_uri(flow, host, port)}>")
        if wish.digest is not None:
            wish.digest.authorise(request)
        wish.sent, wish.flow, wish.heard = request, flow, False
        if request.method == "INVITE" and (wish.places or wish.uris):
            self._time(ticket, now + PATIENCE_S)
        key, actions = self._endpoint.request(request, flow, now)
        wish.key = key
        self._of_key[key] = ticket
        self._out(actions)

    # --- answers -------------------------------------------------------------------------------------------------------

    def received(self, key: str, response: Response, flow: Flow, now: float) -> None:
        """An answer to a request of ours."""
        ticket = self._of_key.get(key)
        wish = self._wishes.get(ticket) if ticket is not None else None
        if ticket is None or wish is None or wish.sent is None or wish.key != key:
            self._late(key, response, flow, now)
            return
        wish.heard = True
        self._time(ticket, None)
        ask = wish.ask
        if (
            response.status in (401, 407)
            and not wish.cancelled
            and wish.digest is not None
            and wish.flow is not None
        ):
            if wish.digest.challenged(response, wish.sent):
                self._send(ticket, wish, wish.flow, now)
                return
        elif not response.provisional and wish.digest is not None:
            wish.digest.accepted()
        if response.status == 503 and (wish.places or wish.uris) and not wish.cancelled:
            # RFC 3263 4.3: this one cannot; another may.
            self._next(ticket, wish, "overload", now)
            return
        ask.answered(response, flow)

    def failed(self, key: str, why: str, now: float) -> None:
        """A transaction of ours came to nothing."""
        ticket = self._of_key.get(key)
        wish = self._wishes.get(ticket) if ticket is not None else None
        if ticket is None or wish is None or wish.key != key:
            return
        if wish.cancelled or wish.heard:
            self._drop(ticket, "cancelled" if wish.cancelled else why)
        else:
            # Also where the dialog's own connection is gone: then by the way that its URI says.
            self._next(ticket, wish, why, now)

    def ended(self, key: str) -> None:
        """A transaction is forgotten: nothing more comes of it."""
        ticket = self._of_key.pop(key, None)
        self._left.pop(key, None)
        wish = self._wishes.get(ticket) if ticket is not None else None
        if ticket is not None and wish is not None and wish.key == key:
            del self._wishes[ticket]
            self._time(ticket, None)

    def _late(self, key: str, response: Response, flow: Flow, now: float) -> None:
        """An INVITE that was given up was answered after all."""
        request = self._left.get(key)
        if request is None or not response.successful:
            return
        dialog = Dialog.of_caller(request, response)
        hop = Hop((dialog.next_hop,), flow if flow.reliable else None)
        self.pass_on(dialog.ack(response.cseq.number), hop, now)
        self.ask(Ask(dialog.request("BYE"), hop, unconcerned, unconcerned, dialog.next_cseq), None, now)

    def _drop(self, ticket: int, why: str) -> None:
        wish = self._wishes.pop(ticket)
        self._time(ticket, None)
        wish.ask.failed(why)

    # --- time ----------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        return min(self._timed.values(), default=None)

    def _time(self, ticket: int, at: float | None) -> None:
        if at is None:
            self._timed.pop(ticket, None)
        else:
            self._timed[ticket] = at

    def wake(self, now: float) -> None:
        """Tries the next place where one keeps silent, and gives up on names that do not come."""
        for ticket in [ticket for ticket, at in self._timed.items() if now >= at]:
            self._time(ticket, None)
            wish = self._wishes[ticket]
            if wish.resolution is not None:
                self._give_up_name(ticket, wish, wish.resolution, now)
            else:
                self._give_up_place(ticket, wish, now)

    def _give_up_name(self, ticket: int, wish: _Wish, resolution: Resolution, now: float) -> None:
        assert resolution.question is not None, "it waits for one"
        resolution.answer(resolution.question, ())
        if not self._resolve(ticket, wish, now):
            self._next(ticket, wish, "nowhere", now)

    def _give_up_place(self, ticket: int, wish: _Wish, now: float) -> None:
        assert wish.key is not None, "it waits for an answer to a request"
        assert wish.sent is not None, "it waits for an answer to a request"
        self._left[wish.key] = wish.sent
        self._out(self._endpoint.cancel(wish.key, now))
        self._next(ticket, wish, "timeout", now)


def contact_uri(flow: Flow, host: str, port: int) -> str:
    """Where requests for us go (RFC 3261 8.1.1.8)."""
    transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
    bare = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"sip:aywa@{bare}:{port}{transport}"
