"""What an outbound call is to be, and the addresses and fields that its INVITE gets. It sends nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from aywa.core.sip.events import Fields
from aywa.core.sip.offer import LocalMedia
from aywa.core.sip.trunk import Trunk
from aywa.core.sip.uri import Unreadable, parse_uri

# RFC 3323 4.1.1.3, for who has no address to be called back at.
ANONYMOUS = "sip:anonymous@anonymous.invalid"
NOWHERE = "sip:invalid"


@dataclass(frozen=True, slots=True)
class Dial:
    """An outbound call. uri: an address, or with a trunk a bare number. from_uri: the same for who calls. replaces: the
    Replaces field of a transfer. asserted, diversion: addresses or numbers. call_id: the Call-ID, which nobody else may
    have; empty for a fresh one."""

    uri: str
    media: LocalMedia
    trunk: str = ""
    from_uri: str = ""
    from_name: str = ""
    headers: Fields = ()
    asserted: str = ""
    diversion: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    ring_s: float = 60.0
    replaces: str = ""
    call_id: str = ""


def address_of(text: str, trunk: Trunk | None) -> str:
    """An address as it is; a bare number or name at the trunk."""
    if is_uri(text):
        return text
    return NOWHERE if trunk is None else trunk.address(text)


def sender_of(text: str, trunk: Trunk | None) -> str:
    """Who calls: as given, else the trunk's user, else nobody in particular."""
    if is_uri(text):
        return text
    return ANONYMOUS if trunk is None else trunk.address(text or trunk.own)


def is_uri(text: str) -> bool:
    """Whether it is a whole address."""
    try:
        parse_uri(text)
    except Unreadable:
        return False
    return True


def fields_for(dial: Dial, trunk: Trunk | None) -> Fields:
    """The header fields of its INVITE, besides those that every INVITE has (RFC 3325, RFC 5806, RFC 3891)."""
    made: list[tuple[str, str]] = []
    if dial.asserted:
        made.append(("P-Asserted-Identity", f"<{address_of(dial.asserted, trunk)}>"))
    if dial.diversion:
        made.append(("Diversion", f"<{address_of(dial.diversion, trunk)}>"))
    if dial.replaces:
        made.append(("Replaces", dial.replaces))
    return (*made, *dial.headers)
