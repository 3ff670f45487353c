"""The last look at what would be written: are secrets in it? It decodes what it reads and looks for secrets as they are, where
the redaction looked for their forms: what one of them overlooks, the other finds. Refuses to mend anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from aywa.core.support.forms import ANYWHERE
from aywa.core.support.needles import Needles
from aywa.core.support.patterns import sightings

ROUNDS = 2
"""How often what was decoded is decoded again."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-]{6,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){4,}[0-9a-fA-F]?")
_ESCAPE = re.compile(rb'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_ESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that must not be in a file. It never tells what."""

    file: str
    what: str


def leaks(files: Mapping[str, str], secrets: Iterable[str]) -> list[Leak]:
    """Every file that holds a secret, or what looks like one."""
    data = [secret.encode("utf-8", "replace") for secret in secrets]
    long = Needles(one for one in data if len(one) >= ANYWHERE)
    short = [
        re.compile(rb"(?<![A-Za-z0-9])" + re.escape(one) + rb"(?![A-Za-z0-9])")
        for one in data
        if len(one) < ANYWHERE
    ]
    found: list[Leak] = []
    for name, text in files.items():
        content = text.encode("utf-8", "replace")
        views = b"\n".join(_views(content))
        if long.spans([views]) or any(one.search(content) for one in short):
            found.append(Leak(name, "a secret of this runtime"))
        kinds = {sighting.kind for each in _strings(text) for sighting in sightings(each)}
        found += [Leak(name, f"what looks like a secret ({kind})") for kind in sorted(kinds)]
    return found


def _strings(text: str) -> set[str]:
    """Of a JSON document; of anything else its lines."""
    try:
        waiting = [json.loads(text)]
    except ValueError:
        return set(text.splitlines())
    found: set[str] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            found.add(one)
    return found


def _views(content: bytes) -> Iterator[bytes]:
    """The content as it is, and as it was before somebody encoded it, or parts of it."""
    yield content
    level = [content]
    for _ in range(ROUNDS):
        level = [view for one in level for view in _decoded(one)]
        yield from level


def _decoded(content: bytes) -> list[bytes]:
    views = [b"\n".join(_base64(content)), b"\n".join(_hex(content))]
    if b"\\" in content:
        views.append(_ESCAPE.sub(_unescaped, content))
    if b"%" in content:
        views.append(unquote_to_bytes(content))
        if b"+" in content:
            views.append(unquote_to_bytes(content.replace(b"+", b" ")))
    return [view for view in views if view.strip()]


def _unescaped(match: re.Match[bytes]) -> bytes:
    code, letter = match.groups()
    if code is not None:
        return chr(int(code, 16)).encode("utf-8", "replace")
    return _ESCAPED.get(letter, letter)


def _base64(content: bytes) -> Iterator[bytes]:
    for match in _BASE64.finditer(content):
        run = match.group().rstrip(b"=").translate(_URL_SAFE)
        for start in range(4):
            part = run[start:]
            part = part[: len(part) - (len(part) % 4 == 1)]
            yield base64.b64decode(part + b"=" * (-len(part) % 4))


def _hex(content: bytes) -> Iterator[bytes]:
    for match in _HEX.finditer(content):
        for start in range(2):
            part = match.group()[start:]
            yield binascii.unhexlify(part[: len(part) // 2 * 2])
