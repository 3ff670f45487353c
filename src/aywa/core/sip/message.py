"""Requests and responses: read from bytes with a verdict, and written (RFC 3261 7, 8.2, 18.3, 25; RFC 4475 says what to expect).

What is read has the six fields every message must have, each of them readable; all others are left as they are. Nothing here
knows transactions or dialogs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aywa.core.sip.fields import (
    TOKEN,
    Address,
    CSeq,
    Via,
    parse_address,
    parse_addresses,
    parse_cseq,
    parse_via,
    split_list,
)
from aywa.core.sip.headers import Headers, canonical
from aywa.core.sip.uri import SipUri, Unreadable, parse_uri, read_number

# The start line and the fields together, the body, and the fields by count: what a telephone call never needs.
HEAD_MAX_BYTES = 32 * 1024
BODY_MAX_BYTES = 64 * 1024
FIELDS_MAX = 256
MAX_FORWARDS = 70
# RFC 3261 20.22.
MAX_FORWARDS_MOST = 255

REASONS: Mapping[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    429: "Provide Referrer Identity",
    433: "Anonymity Disallowed",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}

# An end of line is CRLF; a bare LF is taken too, as hand-written tools send it.
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")
_REQUEST_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) ([^ \t]+) (SIP/[0-9]+\.[0-9]+)", re.IGNORECASE)
# Enough to know that it was meant as a request, and which.
_MEANT_AS_REQUEST = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+)[ \t][^\r\n]*SIP/[^\r\n]*", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: ([^\r\n]*))?", re.IGNORECASE)
_CALL_ID = re.compile(r"[^ \t]+")
# To be there once (RFC 3261 8.1.1, 7.3.1).
_ONCE = ("from", "to", "call-id", "cseq")


@dataclass(slots=True)
class Message:
    """What requests and responses have in common. Of a message that parse() gave, every accessor here can be read."""

    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    @property
    def call_id(self) -> str:
        return self.headers.get("call-id") or ""

    @property
    def cseq(self) -> CSeq:
        return parse_cseq(self.headers.get("cseq") or "")

    @property
    def from_address(self) -> Address:
        return parse_address(self.headers.get("from") or "")

    @property
    def to_address(self) -> Address:
        return parse_address(self.headers.get("to") or "")

    @property
    def via(self) -> Via:
        """The topmost: of the hop that sent the request."""
        return parse_via(self.top_via)

    @property
    def top_via(self) -> str:
        """The topmost as it is written; empty when there is none. Empty members of the list are none (RFC 3261 7.3.1)."""
        return next((member for value in self.headers.get_all("via") for member in split_list(value)), "")

    @property
    def vias(self) -> list[Via]:
        return [parse_via(hop) for hop in self.headers.get_list("via")]

    @property
    def contacts(self) -> list[Address]:
        """All but the * of a REGISTER."""
        return parse_addresses(value for value in self.headers.get_all("contact") if value != "*")

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case; empty when nothing is said."""
        return (self.headers.get("content-type") or "").partition(";")[0].strip(" \t").lower()

    def _encode(self, start: str) -> bytes:
        # Content-Length always: over a stream it is a must, over UDP it lets the receiver see what was cut off.
        head = "\r\n".join((start, *self.headers.lines(), f"Content-Length: {len(self.body)}", "", ""))
        return head.encode("utf-8", "replace") + self.body


@dataclass(slots=True)
class Request(Message):
    """uri: the Request-URI as written."""

    method: str = ""
    uri: str = ""

    def __init__(
        self,
        method: str,
        uri: str,
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.uri = uri
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    def encode(self) -> bytes:
        return self._encode(f"{self.method} {self.uri} SIP/2.0")

    def copy(self) -> Request:
        return Request(self.method, self.uri, self.headers.copy(), self.body)


@dataclass(slots=True)
class Response(Message):
    status: int = 0
    reason: str = ""

    def __init__(
        self,
        status: int,
        reason: str = "",
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        self.status = status
        self.reason = reason or REASONS.get(status, "Unknown")
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    @property
    def provisional(self) -> bool:
        return self.status < 200

    @property
    def successful(self) -> bool:
        return 200 <= self.status < 300

    def encode(self) -> bytes:
        reason = self.reason.replace("\r", " ").replace("\n", " ")
        return self._encode(f"SIP/2.0 {self.status} {reason}")

    def copy(self) -> Response:
        return Response(self.status, self.reason, self.headers.copy(), self.body)


class Malformed(ValueError):
    """A message that cannot stand. status: what to answer, 0 when nothing may be (a response, an ACK, mere noise). message: as
    much as could be read of it; its accessors may raise Unreadable."""

    def __init__(self, status: int, why: str, message: Request | Response | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.message = message


def parse(data: bytes, *, stream: bool = False) -> Request | Response:
    """One message: a datagram, or what a Framer cut out of a stream, where Content-Length must stand. Raises Malformed."""
    data = data.lstrip(b"\r\n")
    end = END_OF_HEAD.search(data, 0, HEAD_MAX_BYTES + 4)
    head = data[: end.start()] if end else data[:HEAD_MAX_BYTES].rstrip(b"\r\n")
    start, headers, field_fault = read_head(head)
    fault: tuple[int, str] | None = None
    if len(data) > HEAD_MAX_BYTES and end is None:
        fault = (513, "too long")
    elif end is None and not (data.endswith(b"\n") and headers.get("content-length") == "0"):
        # Without the empty line only what says that it has no body is whole.
        fault = (400, "no end of the header")
    message, start_fault = _read_start(start, headers)
    fault = start_fault or fault or field_fault
    if fault is None:
        message.body, fault = _read_body(headers, data[end.end() :] if end else b"", stream)
    if fault is None:
        fault = _check_fields(message)
    if fault is not None:
        status, why = fault
        silent = isinstance(message, Response) or message.method == "ACK"
        raise Malformed(0 if silent else status, why, message)
    return message


def respond_to(
    request: Request,
    status: int,
    reason: str = "",
    *,
    tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """The answer to a request with what every answer repeats (RFC 3261 8.2.6.2). tag: of the To, where it has none yet; a 100
    needs none."""
    made = Headers()
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        for value in request.headers.get_all(name):
            if name == "To" and tag is not None:
                value = _tagged(value, tag)
            made.add(name, value)
    if status == 100 and (stamp := request.headers.get("timestamp")) is not None:
        made.add("Timestamp", stamp)
    for name, value in headers:
        made.add(name, value)
    return Response(status, reason, made, body)


def _tagged(value: str, tag: str) -> str:
    try:
        tagged = parse_address(value).tag is not None
    except Unreadable:
        # Answering what could not be read: the field goes back as it came.
        return value
    return value if tagged else f"{value};tag={tag}"


def read_head(head: bytes) -> tuple[str, Headers, tuple[int, str] | None]:
    """The start line, the fields that could be read, and what was wrong with the first that could not."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        # Header fields are UTF-8 (RFC 3261 7.3.1); older exchanges send names in Latin-1, and no string of ours may hold
        # what cannot be written again.
        text = head.decode("latin-1")
    start, _, rest = text.partition("\n")
    fields: list[tuple[str, str, str]] = []
    fault: tuple[int, str] | None = None
    if rest[:1] in (" ", "\t"):
        fault = (400, "the start line is folded")
    lines = _FOLD.sub(" ", rest).split("\n") if rest else []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not TOKEN.fullmatch(name):
            fault = fault or (400, "a header field without a name")
            continue
        if len(fields) == FIELDS_MAX:
            return start.rstrip("\r"), Headers.read(fields), fault or (513, "too many header fields")
        fields.append((canonical(name), name, value.replace("\r", " ").strip(" \t")))
    return start.rstrip("\r"), Headers.read(fields), fault


def _read_start(start: str, headers: Headers) -> tuple[Request | Response, tuple[int, str] | None]:
    request = _REQUEST_LINE.fullmatch(start)
    if request is not None:
        method, uri, version = request.groups()
        made = Request(method, uri, headers)
        if version.upper() != "SIP/2.0":
            return made, (505, "another version")
        return made, _check_uri(uri)
    status = _STATUS_LINE.fullmatch(start)
    if status is not None:
        response = Response(int(status[1]), headers=headers)
        response.reason = status[2] or ""
        return response, None
    meant = _MEANT_AS_REQUEST.fullmatch(start)
    if meant is not None:
        return Request(meant[1], "", headers), (400, "the request line")
    # Anything else: a response with a status that is none, or noise. Neither is answered.
    return Response(0, "", headers), (0, "the start line")


def _check_uri(text: str) -> tuple[int, str] | None:
    try:
        uri = parse_uri(text)
    except Unreadable:
        return 400, "the Request-URI"
    # Headers may not stand in a Request-URI (RFC 3261 19.1.1, RFC 4475 3.1.2.11).
    return (400, "headers in the Request-URI") if isinstance(uri, SipUri) and uri.headers else None


def _read_body(headers: Headers, rest: bytes, stream: bool) -> tuple[bytes, tuple[int, str] | None]:
    """Cut to Content-Length; without one, in a datagram, all there is (RFC 3261 18.3, 20.14)."""
    try:
        length = content_length(headers)
    except Unreadable:
        return b"", (400, "Content-Length")
    if length is None:
        if stream:
            return b"", (400, "no Content-Length")
        length = len(rest)
    if length > BODY_MAX_BYTES:
        return b"", (513, "too long")
    if length > len(rest):
        return b"", (400, "shorter than its Content-Length")
    return rest[:length], None


def content_length(headers: Headers) -> int | None:
    """None when nothing is said. Raises Unreadable, also when two differ (RFC 4475 3.3.9)."""
    values = set(headers.get_all("content-length"))
    if len(values) > 1:
        raise Unreadable("more than one Content-Length")
    return read_number(values.pop(), 2**31 - 1) if values else None


def _check_fields(message: Request | Response) -> tuple[int, str] | None:
    headers = message.headers
    for name in _ONCE:
        count = len(headers.get_all(name))
        if count != 1:
            return 400, f"{name}: {'missing' if count == 0 else 'more than one'}"
    name = "call-id"
    try:
        if not _CALL_ID.fullmatch(message.call_id):
            raise Unreadable("no Call-ID")
        name = "cseq"
        cseq = message.cseq
        name = "via"
        if not message.vias:
            return 400, "via: missing"
        for name in ("from", "to"):
            parse_address(headers.get(name) or "")
        name = "contact"
        if headers.get(name) is not None:
            _ = message.contacts
        for name in ("route", "record-route"):
            parse_addresses(headers.get_all(name))
        name = "max-forwards"
        forwards = headers.get_all(name)
        if len(forwards) > 1:
            return 400, "max-forwards: more than one"
        if forwards:
            read_number(forwards[0], MAX_FORWARDS_MOST)
    except Unreadable as error:
        return 400, f"{name}: {error}"
    if isinstance(message, Request) and cseq.method != message.method:
        return 400, "cseq: another method"
    return None
