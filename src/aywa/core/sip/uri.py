"""Addresses as SIP writes them: sip, sips and tel read in full, any other scheme kept as it is (RFC 3261 19.1, 25.1; RFC 3966).

Reads and compares; resolves nothing and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# A longer one is nobody's address; the grammar knows no limit, a table of bans and routes needs one.
URI_MAX_CHARS = 2048
PORT_MAX = 65535
# What is secured keeps another default (RFC 3261 19.1.2).
DEFAULT_PORT = 5060
DEFAULT_PORT_TLS = 5061
# Parameters that never match when only one side has them (RFC 3261 19.1.4).
TOLD_BY_ABSENCE = ("user", "ttl", "method", "maddr")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.+)", re.DOTALL)
# user-unreserved and unreserved (RFC 3261 25.1), and the # that dial strings bring along.
_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|%[0-9A-Fa-f]{2})+")
_PASSWORD = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*")
# The underscore is no host name's by the grammar, and the name of many a machine in a container network.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.\-_]*)(?::([0-9]{1,6}))?")
_PARAM = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+")
_HEADER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$=]|%[0-9A-Fa-f]{2})*")
_PRINTABLE = re.compile(r"[!-~]+")
_ESCAPE = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_TO_ESCAPE = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")
_PHONE = re.compile(r"\+?[0-9A-Fa-f*#\-.()]+")
_SEPARATORS = str.maketrans("", "", "-.()")


class Unreadable(ValueError):
    """This text is not what it claims to be; says what is wrong with it, never the text itself."""


def read_number(text: str, most: int) -> int:
    """Digits as a number up to the given one. Python's own reading would let signs, spaces and other scripts' digits through."""
    if not (text.isascii() and text.isdigit()):
        raise Unreadable("not a number")
    digits = text.lstrip("0")
    # Length first: a number of a million digits is not to be calculated.
    if len(digits) > len(str(most)) or (value := int(digits or "0")) > most:
        raise Unreadable("the number is too large")
    return value


def unescape(text: str) -> str:
    """The text with %hh resolved. Octets that are no UTF-8 are shown as replacement characters."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(
        lambda run: bytes.fromhex(run.group().replace("%", "")).decode("utf-8", "replace"), text
    )


def escape_user(text: str) -> str:
    """A name or number as it may stand before the @."""
    return _TO_ESCAPE.sub(
        lambda char: "".join(f"%{octet:02X}" for octet in char.group().encode("utf-8", "replace")), text
    )


def host_text(host: str) -> str:
    """An address as it stands in a URI or a Via: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def bare_host(host: str) -> str:
    """A host without the brackets of IPv6, in lower case: as sockets want it and as it compares."""
    return host.strip("[]").lower()


@dataclass(frozen=True, slots=True)
class SipUri:
    """sip: or sips:. user and the values are kept as written (escaped); the names of parameters are in lower case."""

    host: str
    user: str | None = None
    port: int | None = None
    params: Mapping[str, str | None] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    secure: bool = False
    password: str | None = field(default=None, repr=False)

    @property
    def scheme(self) -> str:
        return "sips" if self.secure else "sip"

    @property
    def user_text(self) -> str:
        """The part before the @ as it is meant: resolved, or empty."""
        return unescape(self.user or "")

    @property
    def transport(self) -> str | None:
        value = self.params.get("transport")
        return value.lower() if value else None

    @property
    def loose(self) -> bool:
        """Whether it names a loose router (RFC 3261 19.1.1)."""
        return "lr" in self.params

    def __str__(self) -> str:
        user = ""
        if self.user is not None:
            user = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        port = "" if self.port is None else f":{self.port}"
        params = "".join(
            f";{name}" if value is None else f";{name}={value}" for name, value in self.params.items()
        )
        headers = "&".join(f"{name}={value}" for name, value in self.headers)
        return f"{self.scheme}:{user}{host_text(self.host)}{port}{params}{'?' + headers if headers else ''}"

    def same(self, other: object) -> bool:
        """Whether both name the same resource (RFC 3261 19.1.4)."""
        if not isinstance(other, SipUri) or self.secure != other.secure or self.port != other.port:
            return False
        if bare_host(self.host) != bare_host(other.host):
            return False
        mine, theirs = (
            (_comparable(self.user), _comparable(self.password)),
            (
                _comparable(other.user),
                _comparable(other.password),
            ),
        )
        return (
            mine == theirs
            and _same_params(self.params, other.params)
            and _headers(self.headers) == _headers(other.headers)
        )


@dataclass(frozen=True, slots=True)
class TelUri:
    """tel: (RFC 3966). number: as written."""

    number: str
    params: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        return "tel"

    @property
    def digits(self) -> str:
        """Without the marks that are there for people (RFC 3966 5.1.1)."""
        return self.number.translate(_SEPARATORS)

    def __str__(self) -> str:
        params = "".join(
            f";{name}" if value is None else f";{name}={value}" for name, value in self.params.items()
        )
        return f"tel:{self.number}{params}"

    def same(self, other: object) -> bool:
        """Whether both are one number (RFC 3966 4)."""
        return (
            isinstance(other, TelUri)
            and self.digits.lower() == other.digits.lower()
            and {name: _comparable(value) for name, value in self.params.items()}
            == {name: _comparable(value) for name, value in other.params.items()}
        )


@dataclass(frozen=True, slots=True)
class OtherUri:
    """Any other scheme: known by its name only."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"

    def same(self, other: object) -> bool:
        return self == other


Uri = SipUri | TelUri | OtherUri


def parse_uri(text: str) -> Uri:
    """Raises Unreadable."""
    if len(text) > URI_MAX_CHARS:
        raise Unreadable("the URI is too long")
    match = _SCHEME.fullmatch(text)
    if match is None:
        raise Unreadable("no URI")
    scheme, rest = match[1].lower(), match[2]
    if scheme in ("sip", "sips"):
        return _parse_sip(rest, scheme == "sips")
    if not _PRINTABLE.fullmatch(rest) or any(char in rest for char in '<>"'):
        raise Unreadable("characters that no URI may hold")
    if scheme == "tel":
        number, semicolon, params = rest.partition(";")
        if not _PHONE.fullmatch(number):
            raise Unreadable("not a telephone number")
        return TelUri(number, _parse_params(params) if semicolon else {})
    return OtherUri(scheme, rest)


def _parse_sip(rest: str, secure: bool) -> SipUri:
    userinfo, at, hostpart = rest.partition("@")
    user = password = None
    if at:
        # The user may hold ; ? and / of its own (RFC 4475 3.1.1.9), so the @ is looked for first.
        name, colon, secret = userinfo.partition(":")
        if not _USER.fullmatch(name) or not _PASSWORD.fullmatch(secret):
            raise Unreadable("characters that no user part may hold")
        user, password = name, secret if colon else None
    else:
        hostpart = rest
    match = _HOST.match(hostpart)
    if match is None:
        raise Unreadable("no host")
    port = None
    if match[2] is not None:
        port = read_number(match[2], PORT_MAX)
    left = hostpart[match.end() :]
    params_text, question, headers_text = left.partition("?")
    if params_text and not params_text.startswith(";"):
        raise Unreadable("no host")
    params = _parse_params(params_text[1:]) if params_text else {}
    headers = _parse_headers(headers_text) if question else ()
    return SipUri(match[1], user, port, params, headers, secure, password)


def _parse_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        if not _PARAM.fullmatch(name) or (value and not _PARAM.fullmatch(value.replace("=", ""))):
            raise Unreadable("a parameter of the URI is not one")
        # None may come twice (RFC 3261 19.1.1); of two the first counts.
        params.setdefault(unescape(name).lower(), value if equals else None)
    return params


def _parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for piece in text.split("&"):
        name, equals, value = piece.partition("=")
        if not name or not equals or not _HEADER.fullmatch(name) or not _HEADER.fullmatch(value):
            raise Unreadable("a header of the URI is not one")
        headers.append((name, value))
    return tuple(headers)


def _comparable(text: str | None) -> str | None:
    """Escaped and plain are the same, except for what would be reserved (RFC 3261 19.1.4)."""
    if text is None or "%" not in text:
        return text
    return _ESCAPE.sub(_plain, text)


def _plain(run: re.Match[str]) -> str:
    octets = bytes.fromhex(run.group().replace("%", ""))
    return "".join(
        chr(octet)
        if chr(octet).isascii() and (chr(octet).isalnum() or chr(octet) in "-_.!~*'()")
        else f"%{octet:02X}"
        for octet in octets
    )


def _folded(text: str | None) -> str:
    return (_comparable(text) or "").lower()


def _same_params(mine: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> bool:
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if _folded(mine[name]) != _folded(theirs[name]):
                return False
        elif name in TOLD_BY_ABSENCE:
            return False
    return True


def _headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return sorted((_folded(name), _comparable(value) or "") for name, value in headers)
