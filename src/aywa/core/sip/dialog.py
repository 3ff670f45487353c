"""One dialog (RFC 3261 12): who talks to whom, by which route, and with which numbers. It builds requests and sends none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aywa.core.sip.fields import CSEQ_MAX, Address, parse_address, parse_addresses
from aywa.core.sip.headers import Headers
from aywa.core.sip.message import Request, Response
from aywa.core.sip.uri import SipUri, Unreadable, parse_uri

# A route is as long as the proxies that insist on staying; nobody has so many.
MOST_ROUTES = 20


@dataclass(slots=True)
class Dialog:
    """local, remote: with their tags, as they stand in From and To of our requests. target: where requests are meant to go;
    routes: by which proxies. remote_cseq: of the last request from there, None before the first."""

    call_id: str
    local: Address
    remote: Address
    target: str
    routes: tuple[str, ...] = ()
    local_cseq: int = 0
    remote_cseq: int | None = None

    @staticmethod
    def of_caller(request: Request, response: Response) -> Dialog:
        """What our INVITE and an answer with a tag make (RFC 3261 12.1.2)."""
        routes = tuple(reversed(_routes(response.headers)))
        return Dialog(
            call_id=request.call_id,
            local=request.from_address,
            remote=response.to_address,
            target=_contact(response) or request.uri,
            routes=routes,
            local_cseq=request.cseq.number,
        )

    @staticmethod
    def of_callee(request: Request, tag: str) -> Dialog:
        """What an INVITE from there and our tag make (RFC 3261 12.1.1)."""
        return Dialog(
            call_id=request.call_id,
            local=request.to_address.with_tag(tag),
            remote=request.from_address,
            target=_contact(request) or request.from_address.uri,
            routes=_routes(request.headers),
            remote_cseq=request.cseq.number,
        )

    @property
    def local_tag(self) -> str:
        """Ours."""
        return self.local.tag or ""

    @property
    def remote_tag(self) -> str:
        """The far side's; empty when it is older than tags."""
        return self.remote.tag or ""

    @property
    def next_hop(self) -> str:
        """The URI that says where to send (RFC 3261 8.1.2)."""
        return self.routes[0] if self.routes else self.target

    def next_cseq(self) -> int:
        """The number of our next request."""
        self.local_cseq = self.local_cseq % CSEQ_MAX + 1
        return self.local_cseq

    def request(self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """A request within the dialog (RFC 3261 12.2.1.1)."""
        return self._request(method, self.next_cseq(), headers, body)

    def ack(self, cseq: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The ACK of a 2xx to the INVITE with that number (RFC 3261 13.2.2.4)."""
        return self._request("ACK", cseq, headers, body)

    def _request(self, method: str, cseq: int, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        uri, routes = self.target, self.routes
        if routes and not _is_loose(routes[0]):
            # A strict router gets the request as its own, with the target at the end of the route.
            uri, routes = routes[0], (*routes[1:], self.target)
        made = Headers([("Route", f"<{route}>") for route in routes])
        made.add("From", str(self.local))
        made.add("To", str(self.remote))
        made.add("Call-ID", self.call_id)
        made.add("CSeq", f"{cseq} {method}")
        for name, value in headers:
            made.add(name, value)
        return Request(method, uri, made, body)

    def takes(self, request: Request) -> bool:
        """Whether the request comes in order (RFC 3261 12.2.2); if not it is answered by 500. ACK and CANCEL have no number
        of their own."""
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """A request or answer that may move the far side (RFC 3261 12.2)."""
        self.target = _contact(message) or self.target

    def matches(self, call_id: str, local_tag: str, remote_tag: str) -> bool:
        """Whether a message belongs here (RFC 3261 12)."""
        return (call_id, local_tag, remote_tag) == (self.call_id, self.local_tag, self.remote_tag)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "call_id": self.call_id,
            "local": str(self.local),
            "remote": str(self.remote),
            "target": self.target,
            "routes": list(self.routes),
            "local_cseq": self.local_cseq,
            "remote_cseq": self.remote_cseq,
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Dialog:
        """What to_dict gave."""
        return Dialog(
            values["call_id"],
            parse_address(values["local"]),
            parse_address(values["remote"]),
            values["target"],
            tuple(values["routes"]),
            values["local_cseq"],
            values["remote_cseq"],
        )


def _contact(message: Request | Response) -> str:
    contacts = message.contacts
    return contacts[0].uri if contacts else ""


def _routes(headers: Headers) -> tuple[str, ...]:
    return tuple(each.uri for each in parse_addresses(headers.get_all("record-route")))[:MOST_ROUTES]


def _is_loose(route: str) -> bool:
    try:
        uri = parse_uri(route)
    except Unreadable:
        return False
    return isinstance(uri, SipUri) and uri.loose
