"""SIP messages as a peer reads and writes them, SDP for one audio stream, and digest answers.

Written from RFC 3261, 8866, 3264 and 7616 for the softphone alone: what shared the runtime's parser could not notice its
mistakes. Enough for one audio call; refuses whatever it cannot read. Bytes in, bytes out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_COMPACT = {
    "v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length",
    "c": "Content-Type", "e": "Content-Encoding", "k": "Supported", "s": "Subject", "r": "Refer-To",
    "b": "Referred-By", "x": "Session-Expires", "o": "Event", "u": "Allow-Events",
}  # fmt: skip
_LARGEST = 65_536
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


class NotSip(ValueError):
    """The bytes are no SIP message that this peer can read."""


@dataclass(slots=True)
class Message:
    """A request or a response."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        return int(self.start.split(" ", 2)[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def reason(self) -> str:
        """The phrase of a response."""
        return self.start.partition(" ")[2].partition(" ")[2] if self.status else ""

    @property
    def method(self) -> str:
        """Of a request, or of the request that a response answers."""
        return self.cseq[1] if self.status else self.start.split(" ", 1)[0]

    @property
    def uri(self) -> str:
        """Of a request."""
        return self.start.split(" ")[1]

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method."""
        number, _, method = self.get("CSeq").partition(" ")
        return int(number), method.strip()

    @property
    def branch(self) -> str:
        """Of the topmost Via: the transaction."""
        return parameter(self.get("Via"), "branch")

    def get(self, name: str) -> str:
        """The first header of the name; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        """Every value of the name, lists taken apart."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return [one for value in found for one in split_list(value)]

    def add(self, name: str, value: str) -> None:
        """Appends a header."""
        self.headers.append((name, value))

    def encode(self) -> bytes:
        """The bytes for the wire."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def parse(data: bytes) -> Message:
    """One message. Raises NotSip."""
    head, found, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not found:
        raise NotSip("no end of headers")
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    message = Message(lines[0])
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise NotSip(f"no header: {line[:40]!r}")
        name = name.strip()
        message.headers.append((_COMPACT.get(name.lower(), name), value.strip()))
    length = message.get("Content-Length")
    message.headers = [(name, value) for name, value in message.headers if name.lower() != "content-length"]
    message.body = body[: int(length)] if length.isdigit() else body
    try:
        _ = (message.status, message.cseq, message.uri)
    except (ValueError, IndexError) as error:
        raise NotSip(f"no message: {lines[0][:60]!r}") from error
    return message


class Framer:
    """Cuts a stream into messages by Content-Length (RFC 3261 18.3)."""

    def __init__(self) -> None:
        self._buffer = b""

    def push(self, data: bytes) -> Iterable[bytes]:
        """Whole messages. Raises NotSip when what comes is too large or has no length."""
        self._buffer = (self._buffer + data).lstrip(b"\r\n")
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", self._buffer[:end])
            if length is None:
                raise NotSip("no Content-Length on a stream")
            whole = end + 4 + int(length[1])
            if len(self._buffer) < whole:
                break
            yield self._buffer[:whole]
            self._buffer = self._buffer[whole:].lstrip(b"\r\n")
        if len(self._buffer) > _LARGEST:
            raise NotSip("a message without an end")


def split_list(value: str) -> list[str]:
    """A comma-separated header, its quoted and bracketed commas left alone."""
    return [one.strip() for one in re.findall(r'(?:[^,"<]|"(?:\\.|[^"\\])*"|<[^>]*>)+', value) if one.strip()]


def address(value: str) -> str:
    """The URI of a name-addr or addr-spec."""
    bracketed = re.search(r"<([^>]*)>", value)
    return bracketed[1] if bracketed else value.partition(";")[0].strip()


def parameter(value: str, name: str) -> str:
    """A parameter behind an address; empty when it is not there."""
    behind = value.rpartition(">")[2] if ">" in value else value
    found = re.search(rf";\s*{re.escape(name)}\s*=\s*(\"[^\"]*\"|[^;,\s]+)", behind, re.IGNORECASE)
    return found[1].strip('"') if found else ""


def host_port(uri: str) -> tuple[str, int | None, Mapping[str, str]]:
    """Host, port and parameters of a SIP URI."""
    rest = re.sub(r"^sips?:", "", uri, flags=re.IGNORECASE).partition("?")[0]
    place, *options = rest.rpartition("@")[2].split(";")
    found = re.fullmatch(r"(\[[^\]]+\]|[^:]*)(?::(\d+))?", place.strip())
    if found is None:
        raise NotSip(f"no host in {uri[:60]!r}")
    pairs = (option.partition("=")[::2] for option in options)
    return (
        found[1].strip("[]"),
        int(found[2]) if found[2] else None,
        {name.lower(): value for name, value in pairs},
    )


def complete_uri(text: str) -> str:
    """A SIP URI as people write it, `demo@host` or `host:port`, with its scheme. Raises NotSip."""
    if re.match(r"sips?:", text, re.IGNORECASE):
        return text
    place = text.rpartition("@")[2]
    host = re.fullmatch(r"(?:\[[^\]]+\]|[\w.-]+)(?::\d+)?(?:;.*)?", place)
    # A colon before the user is a scheme of something else; one behind the host is a port.
    if host is None or ":" in text[: len(text) - len(place)] or re.fullmatch(r"tel:.*", text, re.IGNORECASE):
        raise NotSip("it is no SIP address")
    return f"sip:{text}"


def bracketed(host: str) -> str:
    """A host as it stands in a URI or a Via."""
    return f"[{host}]" if ":" in host else host


def quoted_parameters(value: str) -> dict[str, str]:
    """name=value pairs of a challenge."""
    pairs = re.findall(r'(\w+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^,\s]+))', value)
    return {name.lower(): quoted or plain for name, quoted, plain in pairs}


def digest_answer(
    challenge: str, method: str, uri: str, user: str, password: str, cnonce: str, count: int = 1
) -> str:
    """The Authorization value for a challenge (RFC 7616 3.4). Raises NotSip for an algorithm that is not known."""
    asked = quoted_parameters(challenge)
    algorithm = asked.get("algorithm", "MD5")
    if algorithm.upper() not in _ALGORITHMS:
        raise NotSip(f"digest algorithm {algorithm}")
    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")

    def hashed(text: str) -> str:
        return hashlib.new(_ALGORITHMS[algorithm.upper()], text.encode()).hexdigest()

    secret, act = hashed(f"{user}:{realm}:{password}"), hashed(f"{method}:{uri}")
    parts = [f'username="{user}"', f'realm="{realm}"', f'nonce="{nonce}"', f'uri="{uri}"']
    parts.append(f"algorithm={algorithm}")
    if "auth" in [one.strip() for one in asked.get("qop", "").split(",")]:
        answer = hashed(f"{secret}:{nonce}:{count:08x}:{cnonce}:auth:{act}")
        parts += [f'response="{answer}"', "qop=auth", f"nc={count:08x}", f'cnonce="{cnonce}"']
    else:
        parts.append(f'response="{hashed(f"{secret}:{nonce}:{act}")}"')
    if "opaque" in asked:
        parts.append(f'opaque="{asked["opaque"]}"')
    return "Digest " + ", ".join(parts)


# --- SDP --------------------------------------------------------------------------------------------------------

PCMU, PCMA, KEYS = 0, 8, 101
NAMES = {PCMU: "PCMU", PCMA: "PCMA"}


@dataclass(frozen=True, slots=True)
class Audio:
    """What the far side's SDP says of its audio. payload: of the first codec that both know. keys: of telephone-event."""

    host: str
    port: int
    payload: int
    keys: int | None
    direction: str

    @property
    def sends(self) -> bool:
        """The far side means to send."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def listens(self) -> bool:
        """The far side wants to hear."""
        return self.direction in ("sendrecv", "recvonly")


def write_sdp(
    host: str, port: int, payloads: Iterable[int], version: int, direction: str, keys: int | None = KEYS
) -> bytes:
    """One audio stream of G.711 and telephone events."""
    known = list(payloads)
    kind = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0", f"o=softphone 1 {version} IN {kind} {host}", "s=-", f"c=IN {kind} {host}", "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, [*known, *([] if keys is None else [keys])]))}",
        *(f"a=rtpmap:{payload} {NAMES[payload]}/8000" for payload in known),
        *([] if keys is None else [f"a=rtpmap:{keys} telephone-event/8000", f"a=fmtp:{keys} 0-15"]),
        "a=ptime:20", f"a={direction}",
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()


def read_sdp(body: bytes, payloads: Iterable[int]) -> Audio:
    """The far side's first audio stream. Raises NotSip when there is none that can be used."""
    host, port, offered, keys, direction = "", 0, [], None, "sendrecv"
    in_audio = seen = False
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith("m="):
            in_audio = line.startswith("m=audio ") and not seen
            seen = seen or in_audio
            if in_audio:
                _, number, _, *formats = line.split()
                port, offered = int(number), [int(one) for one in formats if one.isdigit()]
        elif line.startswith("c=") and (in_audio or not seen):
            host = line.split()[-1].partition("/")[0]
        elif in_audio or not seen:
            if line[2:] in ("sendrecv", "sendonly", "recvonly", "inactive"):
                direction = line[2:]
            elif found := re.match(r"a=rtpmap:(\d+) telephone-event/8000", line, re.IGNORECASE):
                keys = int(found[1])
    common = [payload for payload in offered if payload in set(payloads)]
    if not seen or not common:
        raise NotSip("no audio stream with a codec that both know")
    return Audio(host, port, common[0], keys, direction)
