"""The softphone's messages as text: requests within and outside of a call, answers, acknowledgements. Sends nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aywa.testing.softphone.call import Dialog
from aywa.testing.softphone.lines import Place
from aywa.testing.softphone.message import Message, bracketed, parameter

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, REFER, NOTIFY, UPDATE"
AGENT = "aywa softphone"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: its name, and where it is reached."""

    user: str
    transport: str
    place: Place

    @property
    def uri(self) -> str:
        """For a Contact."""
        host, port = self.place
        return f"sip:{self.user}@{bracketed(host)}:{port};transport={self.transport}"


def request_of(method: str, dialog: Dialog, me: Writer, branch: str, cseq: int, body: bytes = b"") -> Message:
    """A request of the dialog (RFC 3261 12.2.1.1)."""
    host, port = me.place
    request = Message(f"{method} {dialog.target} SIP/2.0", body=body)
    via = f"SIP/2.0/{me.transport.upper()} {bracketed(host)}:{port};branch=z9hG4bK{branch};rport"
    request.add("Via", via)
    request.add("Max-Forwards", "70")
    request.headers += [("Route", one) for one in dialog.route]
    request.add("From", dialog.ours)
    request.add("To", dialog.theirs)
    request.add("Call-ID", dialog.call_id)
    request.add("CSeq", f"{cseq} {method}")
    request.add("Contact", f"<{me.uri}>")
    request.add("Allow", ALLOW)
    request.add("User-Agent", AGENT)
    if body:
        request.add("Content-Type", "application/sdp")
    return request


def response_to(
    request: Message, status: int, reason: str, to: str, contact: str, body: bytes = b""
) -> Message:
    """An answer (RFC 3261 8.2.6)."""
    response = Message(f"SIP/2.0 {status} {reason}", body=body)
    for name, value in request.headers:
        if name in ("Via", "From", "Call-ID", "CSeq", "Record-Route"):
            response.add(name, value)
    response.add("To", to)
    response.add("Contact", f"<{contact}>")
    response.add("Allow", ALLOW)
    if body:
        response.add("Content-Type", "application/sdp")
    return response


def to_of(request: Message, dialog: Dialog | None, status: int) -> str:
    """The To of an answer: with our tag, once there is a dialog and more than "trying" to say."""
    to = request.get("To")
    ours = dialog is not None and request.get("Call-ID") == dialog.call_id
    if ours and dialog is not None and status > 100 and not parameter(to, "tag"):
        return dialog.ours
    return to


def cancel_of(invite: Message) -> Message:
    """RFC 3261 9.1: with the Via of what it cancels."""
    copied = ("Via", "From", "To", "Call-ID", "Max-Forwards")
    cancel = Message(f"CANCEL {invite.uri} SIP/2.0")
    cancel.headers = [(n, v) for n, v in invite.headers if n in copied]
    cancel.add("CSeq", f"{invite.cseq[0]} CANCEL")
    return cancel


def refused_ack(invite: Message, response: Message) -> Message:
    """The ACK of a refusal, which belongs to the INVITE's own transaction (RFC 3261 17.1.1.3)."""
    ack = Message(f"ACK {invite.uri} SIP/2.0")
    copied = ("Via", "From", "Call-ID", "Max-Forwards", "Route")
    ack.headers = [(n, v) for n, v in invite.headers if n in copied]
    ack.add("To", response.get("To"))
    ack.add("CSeq", f"{invite.cseq[0]} ACK")
    return ack


def anew(request: Message, branch: str, cseq: int) -> Message:
    """The request as another one, to be given what was missing."""
    made = Message(request.start, body=request.body)
    for name, value in request.headers:
        if name == "Via":
            value = re.sub(r"branch=[^;,\s]+", f"branch=z9hG4bK{branch}", value)
        elif name == "CSeq":
            value = f"{cseq} {request.method}"
        made.add(name, value)
    return made


def headers_of(lines: Sequence[str]) -> list[tuple[str, str]]:
    """`Name: value` lines as headers. Raises ValueError."""
    found = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[\w!%*+.'`~-]+", name.strip()):
            raise ValueError(f"{line[:60]!r} is no header: write Name: value")
        found.append((name.strip(), value.strip()))
    return found
