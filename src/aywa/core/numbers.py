"""Telephone numbers and SIP addresses as texts: what is one, when two are the same, how a trunk wants it dialled.

Refuses to know whom they belong to. A message of SIP is read elsewhere; here only what a document or a person wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}\Z")
# What may stand for a user in a SIP URI without being escaped (RFC 3261 25.1), and a number's own marks.
_DIALABLE: Final = re.compile(r"[0-9A-Za-z+*#._-]{3,40}\Z")
_DIGITS: Final = re.compile(r"(?:\+|00)?([0-9]{3,40})\Z")
_SEPARATORS: Final = str.maketrans("", "", " -().\u00a0\u2011/")
_SIP: Final = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[0-9A-Za-z\-_.!~*'()&=+$,;/%#]{1,128})@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z](?:[0-9A-Za-z.\-]{0,252}[0-9A-Za-z])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<parameters>(?:;[0-9A-Za-z\-_.!~*'()\[\]/:&+$%]{1,64}"
    r"(?:=[0-9A-Za-z\-_.!~*'()\[\]/:&+$%]{1,128})?){0,8})\Z",
    re.IGNORECASE,
)
PORT_MAX: Final = 65_535
# Names that a template has of its own, or that say who calls: no stranger sets those.
RESERVED: Final = frozenset(
    "now date time month day year customer phonenumber call transport assistant variablevalues".split()
)
VARIABLES_MAX: Final = 50
VARIABLE_LENGTH_MAX: Final = 1_000
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class SipAddress:
    """A SIP URI's parts. host: in lower case, an IPv6 address in its brackets. port: None when it does not say."""

    scheme: str
    user: str
    host: str
    port: int | None
    parameters: str = ""


def is_e164(text: str) -> bool:
    """Whether it is a number as the whole world dials it: +, and 2 to 15 digits."""
    return _E164.match(text) is not None


def is_dialable(text: str) -> bool:
    """Whether it can be dialled at all: an extension, a service's number, a name."""
    return _DIALABLE.match(text) is not None


def number_key(text: str) -> str:
    """The same for two spellings of one number: +49 30 123, 0049-30-123 and 4930123. A name is the same in any case."""
    digits = _DIGITS.match(text.translate(_SEPARATORS))
    return text.strip().lower() if digits is None else digits.group(1)


def sip_address(text: str) -> SipAddress | None:
    """None for what is no SIP URI, or one with a password or headers in it, which nobody should write down."""
    found = _SIP.match(text)
    if found is None:
        return None
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 1 <= port <= PORT_MAX:
        return None
    scheme, host = found["scheme"].lower(), found["host"].lower()
    return SipAddress(scheme, found["user"] or "", host, port, found["parameters"])


def dialled(number: str, *, leading_plus: bool, tech_prefix: str = "") -> str:
    """The number as a trunk wants it."""
    plain = number if leading_plus else number.removeprefix("+")
    return tech_prefix + plain


def is_listed(destination: str, listed: Iterable[str]) -> bool:
    """Whether a number begins with a listed one (+49), or a SIP URI's host is a listed one (sip:pbx.example.com,
    sip:*.example.com, sip:*)."""
    address = sip_address(destination)
    if address is None:
        key = number_key(destination)
        return any(
            key.startswith(prefix)
            for entry in listed
            if not entry.lower().startswith(("sip:", "sips:")) and (prefix := _prefix(entry))
        )
    hosts = (
        entry.partition(":")[2].lower() for entry in listed if entry.lower().startswith(("sip:", "sips:"))
    )
    return any(_is_host(address.host, host) for host in hosts)


def variables_of(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What an INVITE's X- headers set: X-Order-Id as order-id, order_id and Order-Id (contract 13.6). The first of a name
    counts. A stranger wrote them: neither many, nor long, nor in the place of what the runtime itself says."""
    found: dict[str, str] = {}
    taken = 0
    for header, value in headers:
        name = header[2:]
        lower = name.lower()
        if header[:2].lower() != "x-" or _NAME.match(name) is None or lower in found:
            continue
        if lower.replace("-", "").replace("_", "") in RESERVED:
            continue
        if taken == VARIABLES_MAX:
            break
        taken += 1
        for spelling in (lower, lower.replace("-", "_"), name):
            found.setdefault(spelling, value[:VARIABLE_LENGTH_MAX])
    return found


def _prefix(entry: str) -> str:
    # A + alone lists every number there is; +1 is no spelling of a whole number yet.
    plain = entry.translate(_SEPARATORS)
    return plain.removeprefix("+") if plain.lstrip("+").isdigit() else plain.rstrip("*").lower()


def _is_host(host: str, listed: str) -> bool:
    if listed.startswith("*."):
        return host.endswith(listed[1:])
    return listed in ("*", host)
