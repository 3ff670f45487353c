"""Session descriptions of audio calls (RFC 8866): reading and writing them, and nothing of what they mean for a call.

Lines and attributes that telephony does not need are kept as they came, so that a refused media line can be mirrored.
Every count is bounded; whatever cannot be read raises MalformedSdp.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite, read_inline

SIZE_LIMIT = 65_536
LINE_LIMIT = 1_000
MEDIA_LIMIT = 16
# Payload types are seven bits (RFC 3550 5.1).
FORMAT_LIMIT = 128
CRYPTO_LIMIT = 32
ADDRESS_CHARS = 255
# An o= line's numbers may be as large as an NTP timestamp, or anything else.
NUMBER_DIGITS = 20

# RFC 3551 6: what a payload type means where no rtpmap says it. G.722's clock is 8000 by an old mistake that stands (4.5.2).
STATIC = {
    0: ("PCMU", 8000),
    3: ("GSM", 8000),
    4: ("G723", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    13: ("CN", 8000),
    15: ("G728", 8000),
    18: ("G729", 8000),
}


class MalformedSdp(ValueError):
    """The session description cannot be read."""


class Direction(StrEnum):
    """Which way media flows, as seen by who wrote it (RFC 8866 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether its writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether its writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> Direction:
        """The same flow as the other side sees it."""
        return direction(sends=self.receives, receives=self.sends)


def direction(*, sends: bool, receives: bool) -> Direction:
    """The direction of who sends and receives so."""
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line: who wrote it, and which version of it this is (RFC 8866 5.2)."""

    username: str
    session_id: int
    version: int
    address: str


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type with its meaning. parameters: the fmtp line's text."""

    payload_type: int
    name: str
    clock_hz: int
    channels: int = 1
    parameters: str = ""

    @property
    def rtpmap(self) -> str:
        """The text after a=rtpmap:"""
        tail = f"/{self.channels}" if self.channels > 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_hz}{tail}"


@dataclass(frozen=True, slots=True)
class Crypto:
    """An a=crypto line with one key (RFC 4568 9.1). parameters: of the session, those with a minus may be ignored."""

    tag: int
    keys: SrtpKeys
    parameters: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text after a=crypto:"""
        return " ".join((str(self.tag), self.keys.suite.value, self.keys.inline, *self.parameters))


@dataclass(frozen=True, slots=True)
class Media:
    """One m= line and what belongs to it. address, direction: of the whole session where the media line has none.
    formats: as written; codecs: those of them that are known. rtcp: port, and address where it is another."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str = ""
    direction: Direction = Direction.SENDRECV
    codecs: tuple[Format, ...] = ()
    ptime_ms: int | None = None
    maxptime_ms: int | None = None
    rtcp: tuple[int, str] | None = None
    rtcp_mux: bool = False
    crypto: tuple[Crypto, ...] = ()

    @property
    def refused(self) -> MediaLine:
        """The same line with the port 0 (RFC 3264 6)."""
        return MediaLine(self.kind, 0, self.protocol, self.formats or ("0",))


@dataclass(frozen=True, slots=True)
class MediaLine:
    """A media line to be written, with its attributes in their order."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A session description that was read."""

    origin: Origin
    media: tuple[Media, ...]
    name: str = "-"


# --- writing -------------------------------------------------------------------------------------------------------


def encode(origin: Origin, address: str, media: tuple[MediaLine, ...], name: str = "-") -> bytes:
    """The session description as it goes out; address: where media is awaited."""
    lines = [
        "v=0",
        f"o={origin.username} {origin.session_id} {origin.version} {net(origin.address)}",
        f"s={name}",
        f"c={net(address)}",
        "t=0 0",
    ]
    for line in media:
        lines.append(f"m={line.kind} {line.port} {line.protocol} {' '.join(line.formats)}")
        lines += [f"a={attribute}" for attribute in line.attributes]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def net(address: str) -> str:
    """IN IP4 or IN IP6, and the address."""
    return f"IN IP{6 if ':' in address else 4} {address}"


# --- reading -------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Description:
    """Reads a session description; raises MalformedSdp."""
    lines = list(_lines(data))
    begins = [index for index, (letter, _) in enumerate(lines) if letter == "m"]
    if len(begins) > MEDIA_LIMIT:
        raise MalformedSdp("too many media lines")
    head = lines[: begins[0]] if begins else lines
    if not head or head[0] != ("v", "0"):
        raise MalformedSdp("does not begin with v=0")
    values = dict(head)
    origin = _origin(values.get("o", ""))
    session = _Section(head)
    ends = [*begins[1:], len(lines)]
    media = tuple(_media(lines[begin:end], session) for begin, end in zip(begins, ends, strict=False))
    return Description(origin, media, values.get("s", "-"))


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    if len(data) > SIZE_LIMIT:
        raise MalformedSdp("too long")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # RFC 8866 4.5: the charset of free text may be another, and nothing else is not ASCII.
        text = data.decode("latin-1")
    rows = text.replace("\r\n", "\n").split("\n")
    if len(rows) > LINE_LIMIT:
        raise MalformedSdp("too many lines")
    for row in rows:
        line = row.rstrip("\r\0 \t")
        if not line:
            continue
        if len(line) < 2 or line[1] != "=":
            raise MalformedSdp("a line without a type")
        yield line[0], line[2:].strip()


class _Section:
    """The lines before the first m=, or those of one media line."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        connections = [value for letter, value in lines if letter == "c"]
        # A list of several is for multicast; the first one is as good as any.
        self.address = _address(connections[0]) if connections else ""
        attributes = [value.partition(":") for letter, value in lines if letter == "a"]
        self.attributes = [(name.strip().lower(), value.strip()) for name, _, value in attributes]
        found = [Direction(name) for name, _ in self.attributes if name in Direction.__members__.values()]
        self.direction = found[-1] if found else None

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.attributes if each == name]

    def number(self, name: str) -> int | None:
        values = self.all(name)
        # ptime:20.0 is sent by some; RFC 8866 6.4 has whole milliseconds.
        text = values[0].partition(".")[0].strip() if values else ""
        return number(text, 10_000) if text.isascii() and text.isdigit() else None


def number(text: str, limit: int) -> int:
    """A decimal number of at most limit; raises MalformedSdp."""
    if not (text.isascii() and text.isdigit()) or len(text) > NUMBER_DIGITS or int(text) > limit:
        raise MalformedSdp("not a number that may stand there")
    return int(text)


def _origin(text: str) -> Origin:
    parts = text.split()
    if len(parts) != 6:
        raise MalformedSdp("the o= line needs six fields")
    username, session_id, version, _, _, address = parts
    limit = 10**NUMBER_DIGITS
    return Origin(username, number(session_id, limit), number(version, limit), address[:ADDRESS_CHARS])


def _address(text: str) -> str:
    parts = text.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or len(parts[2]) > ADDRESS_CHARS:
        raise MalformedSdp("a c= line that is not IN IP4 or IP6")
    # A time to live and a count may follow (RFC 8866 5.7).
    return parts[2].partition("/")[0]


def is_address(text: str) -> bool:
    """Whether it is an IP address, and not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _media(lines: list[tuple[str, str]], session: _Section) -> Media:
    parts = lines[0][1].split()
    if len(parts) < 4 or len(parts) > FORMAT_LIMIT + 3:
        raise MalformedSdp("an m= line needs kind, port, protocol and formats")
    section = _Section(lines[1:])
    port = number(parts[1].partition("/")[0], 65_535)
    formats = tuple(parts[3:])
    return Media(
        kind=parts[0].lower(),
        port=port,
        protocol=parts[2].upper(),
        formats=formats,
        address=section.address or session.address,
        direction=section.direction or session.direction or Direction.SENDRECV,
        codecs=tuple(_codecs(formats, section)),
        ptime_ms=section.number("ptime") or None,
        maxptime_ms=section.number("maxptime") or None,
        rtcp=_rtcp(section),
        rtcp_mux=bool(section.all("rtcp-mux")),
        crypto=tuple(_cryptos(section)),
    )


def _codecs(formats: tuple[str, ...], section: _Section) -> Iterator[Format]:
    maps = dict(_by_format(section.all("rtpmap")))
    parameters = dict(_by_format(section.all("fmtp")))
    seen: set[int] = set()
    for each in formats:
        if not (each.isascii() and each.isdigit()) or len(each) > 3:
            continue
        payload_type = int(each)
        if payload_type >= FORMAT_LIMIT or payload_type in seen:
            continue
        seen.add(payload_type)
        known = _rtpmap(payload_type, maps.get(each, ""), parameters.get(each, ""))
        if known is not None:
            yield known


def _by_format(values: list[str]) -> Iterator[tuple[str, str]]:
    # The first of several wins.
    for value in reversed(values):
        name, _, text = value.partition(" ")
        yield name, text.strip()


def _rtpmap(payload_type: int, text: str, parameters: str) -> Format | None:
    if not text:
        known = STATIC.get(payload_type)
        return Format(payload_type, known[0], known[1], 1, parameters) if known else None
    name, _, rest = text.partition("/")
    clock, _, channels = rest.partition("/")
    if not name or not (clock.isascii() and clock.isdigit()) or len(clock) > 6 or int(clock) == 0:
        return None
    # Encoding parameters mean channels in audio, one where there are none (RFC 8866 6.6).
    many = int(channels) if channels.isascii() and channels.isdigit() and len(channels) < 3 else 1
    return Format(payload_type, name, int(clock), max(many, 1), parameters)


def _rtcp(section: _Section) -> tuple[int, str] | None:
    """RFC 3605: the port, and the address where it is not that of the media."""
    for value in section.all("rtcp"):
        parts = value.split()
        if (
            parts
            and parts[0].isascii()
            and parts[0].isdigit()
            and len(parts[0]) <= 5
            and int(parts[0]) <= 65_535
        ):
            return int(parts[0]), (parts[3] if len(parts) == 4 else "")
    return None


def _cryptos(section: _Section) -> Iterator[Crypto]:
    """Lines that cannot be used are left out: the others may do (RFC 4568 5.1.2)."""
    for value in section.all("crypto")[:CRYPTO_LIMIT]:
        parts = value.split()
        # The tag has at most nine digits (RFC 4568 9.1).
        if len(parts) < 3 or not (parts[0].isascii() and parts[0].isdigit()) or len(parts[0]) > 9:
            continue
        try:
            keys = read_inline(SrtpSuite(parts[1].upper()), parts[2])
        except ValueError:
            continue
        yield Crypto(int(parts[0]), keys, tuple(parts[3:]))
