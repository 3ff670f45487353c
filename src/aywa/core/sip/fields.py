"""The values of header fields with a structure: addresses, Via, CSeq, parameters, lists (RFC 3261 20, 25.1).

Each reads one value and raises Unreadable when it is not one; str() writes it again. No field's meaning is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from aywa.core.sip.uri import PORT_MAX, Unreadable, Uri, bare_host, host_text, parse_uri, read_number

# A sequence number must be below this (RFC 3261 8.1.1.5).
CSEQ_MAX = 2**31 - 1
# Expires and delta-seconds at large (RFC 3261 20.19): what is more counts as this.
SECONDS_MAX = 2**32 - 1
# The mark of a branch that is unique by itself (RFC 3261 8.1.1.7).
MAGIC_COOKIE = "z9hG4bK"

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|<[^<>]*>|[^",<>]+|.', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
# Values are taken more widely than gen-value: base64 with its = comes unquoted from many a network.
_PARAM = re.compile(
    r"[ \t]*;[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)"
    r"(?:[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^ \t;,\"<>]*)))?[ \t]*",
    re.DOTALL,
)
_VIA = re.compile(
    r"([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.\-_]*)(?:[ \t]*:[ \t]*([0-9]+))?[ \t]*"
)
_CSEQ = re.compile(r"([0-9]+)[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)")
_SAFE_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~\[\]:]+")
_RETRY_AFTER = re.compile(r"([0-9]+)[ \t]*(?:[(;].*)?", re.DOTALL)


def split_list(value: str) -> list[str]:
    """The members of a list, parted by commas outside quotes and brackets. Empty ones are left out."""
    if "," not in value:
        return [value] if value else []
    members: list[str] = []
    current: list[str] = []
    # One at a time: after the first that is not closed nothing more is looked at, or it would cost the square of the length.
    for match in _PIECE.finditer(value):
        piece = match.group()
        if piece == ",":
            members.append("".join(current).strip(" \t"))
            current.clear()
        elif piece in ('"', "<", ">"):
            raise Unreadable("a quotation or a bracket is not closed")
        else:
            current.append(piece)
    members.append("".join(current).strip(" \t"))
    return [member for member in members if member]


def unquote(text: str) -> str:
    """The inside of a quotation as it is meant."""
    return _PAIR.sub(r"\1", text) if "\\" in text else text


def quote(text: str) -> str:
    """A quotation (RFC 3261 25.1). What would end the line becomes a space."""
    plain = text.replace("\r", " ").replace("\n", " ")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_params(text: str) -> dict[str, str | None]:
    """;name=value;name... with names in lower case and values unquoted. Of two the first counts."""
    params: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            raise Unreadable("a parameter is not one")
        quoted, plain = match[2], match[3]
        params.setdefault(match[1].lower(), unquote(quoted) if quoted is not None else plain)
        position = match.end()
    return params


def write_params(params: Mapping[str, str | None]) -> str:
    """The parameters with their semicolons; a value that is no token is quoted."""
    return "".join(
        f";{name}" if value is None else f";{name}={value if _SAFE_VALUE.fullmatch(value) else quote(value)}"
        for name, value in params.items()
    )


@dataclass(frozen=True, slots=True)
class Address:
    """A From, To, Contact, Route, Refer-To...: a URI with a name beside it and parameters of the field (RFC 3261 20.10)."""

    uri: str
    display: str = ""
    params: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    @property
    def parsed_uri(self) -> Uri:
        """Raises Unreadable."""
        return parse_uri(self.uri)

    def with_params(self, **changes: str | None) -> Address:
        """The same with these parameters besides."""
        return replace(self, params={**self.params, **changes})

    def with_tag(self, tag: str) -> Address:
        return self.with_params(tag=tag)

    def without_params(self) -> Address:
        return replace(self, params={})

    def __str__(self) -> str:
        # Always in brackets: without them the URI's parameters would become the field's (RFC 3261 20.10).
        name = f"{quote(self.display)} " if self.display else ""
        return f"{name}<{self.uri}>{write_params(self.params)}"


def parse_address(text: str) -> Address:
    """One address. Raises Unreadable. A name that should have been quoted is taken as it is (RFC 4475 3.1.2.16)."""
    text = text.strip(" \t")
    display = ""
    if text.startswith('"'):
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise Unreadable("a quotation is not closed")
        display = unquote(quoted[1])
        text = text[quoted.end() :]
        if not text.startswith("<"):
            raise Unreadable("a name stands without an address")
    name, bracket, rest = text.partition("<")
    if not bracket:
        # Without brackets every parameter belongs to the field, and neither ? nor , may stand (RFC 3261 20.10).
        uri, semicolon, params = text.partition(";")
        uri = uri.rstrip(" \t")
        if "?" in uri or "," in uri:
            raise Unreadable("the URI needs brackets")
        parse_uri(uri)
        return Address(uri, "", parse_params(semicolon + params))
    if '"' in name or ">" in name:
        raise Unreadable("a quotation is not closed")
    uri, closed, params = rest.partition(">")
    if not closed:
        raise Unreadable("a bracket is not closed")
    parse_uri(uri)
    return Address(uri, display or name.strip(" \t"), parse_params(params.rstrip(" \t")))


def parse_addresses(values: Iterable[str]) -> list[Address]:
    """All addresses of the fields of one name, in their order."""
    return [parse_address(member) for value in values for member in split_list(value)]


@dataclass(frozen=True, slots=True)
class Via:
    """One hop of the way back (RFC 3261 20.42)."""

    transport: str
    host: str
    port: int | None = None
    params: Mapping[str, str | None] = field(default_factory=dict)
    version: str = "2.0"

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def unique_branch(self) -> bool:
        """Whether the branch alone identifies a transaction; a bare cookie does not (RFC 4475 3.2.1)."""
        branch = self.branch
        # Compared without case: some senders change it, none uses it to tell two apart.
        return branch is not None and len(branch) > len(MAGIC_COOKIE) and branch[:7].lower() == "z9hg4bk"

    @property
    def sent_by(self) -> tuple[str, int | None]:
        """Host and port as they compare."""
        return bare_host(self.host), self.port

    def with_params(self, **changes: str | None) -> Via:
        """The same with these parameters besides."""
        return replace(self, params={**self.params, **changes})

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/{self.version}/{self.transport} {host_text(self.host)}{port}{write_params(self.params)}"


def parse_via(text: str) -> Via:
    """One hop. Raises Unreadable."""
    match = _VIA.match(text)
    if match is None or match[1].upper() != "SIP":
        raise Unreadable("a Via is not one")
    port = None if match[5] is None else read_number(match[5], PORT_MAX)
    return Via(match[3].upper(), match[4], port, parse_params(text[match.end() :]), match[2])


@dataclass(frozen=True, slots=True)
class CSeq:
    """A request's number in its dialog, and its method (RFC 3261 20.16)."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_cseq(text: str) -> CSeq:
    """Raises Unreadable."""
    match = _CSEQ.fullmatch(text)
    if match is None:
        raise Unreadable("a CSeq is not one")
    return CSeq(read_number(match[1], CSEQ_MAX), match[2])


def parse_value(text: str) -> tuple[str, dict[str, str | None]]:
    """A word with parameters, as in Content-Type, Event, Reason or Session-Expires; the word in lower case."""
    word, semicolon, params = text.partition(";")
    return word.strip(" \t").lower(), parse_params(semicolon + params)


def parse_seconds(text: str | None, otherwise: int) -> int:
    """Expires, Retry-After and the like, without a comment or parameters behind it (RFC 3261 20.19, 20.33). What cannot be
    read counts as the given default, what is too large as the largest."""
    match = _RETRY_AFTER.fullmatch((text or "").strip(" \t"))
    if match is None:
        return otherwise
    digits = match[1].lstrip("0") or "0"
    return SECONDS_MAX if len(digits) > 10 else min(int(digits), SECONDS_MAX)
