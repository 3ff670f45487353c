"""How a secret may be written: as it is, in JSON, in a URL, in base64 (RFC 4648, wherever it lies in what was encoded), in hex.
Refuses to look for anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

LEAST = 4
"""What is shorter is no secret, and stands in every other word."""
ANYWHERE = 8
"""A form of at least so many bytes is looked for inside of words as well; a shorter one between others only."""
LINE_LEAST = 16
"""Of a secret of several lines each of at least so many characters is one as well."""


def secrets_in(values: Iterable[str]) -> frozenset[str]:
    """The values that are secrets: without the space around them, and of several lines each by itself as well."""
    found: set[str] = set()
    for value in values:
        text = value.strip()
        if len(text.encode("utf-8", "replace")) >= LEAST:
            found.add(text)
        lines = text.splitlines()
        if len(lines) > 1:
            # The first and the last line of a PEM file say what it is.
            found |= {line.strip() for line in lines if len(line) >= LINE_LEAST and not line.startswith("--")}
    return frozenset(found)


def forms(secret: str) -> frozenset[bytes]:
    """All of them, in UTF-8."""
    found = {form for form in _written(secret) if len(form) >= LEAST}
    data = secret.encode("utf-8", "replace")
    found |= {form for form in _encoded(data) if len(form) >= ANYWHERE}
    return frozenset(found)


def _written(secret: str) -> Iterator[bytes]:
    texts = {secret, quote(secret, errors="replace"), quote(secret, safe="", errors="replace")}
    texts.add(quote_plus(secret, errors="replace"))
    texts |= {_lower_escapes(text) for text in tuple(texts)}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # Some writers escape the slash as well.
    texts |= {text.replace("/", "\\/") for text in tuple(texts)}
    # JSON inside of JSON: a body as text.
    texts |= {json.dumps(text)[1:-1] for text in tuple(texts)}
    return (text.encode("utf-8", "replace") for text in texts)


def _lower_escapes(text: str) -> str:
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _encoded(data: bytes) -> Iterator[bytes]:
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for before in range(3):
        # Of the characters at the ends some bits belong to what stands beside.
        text = base64.b64encode(bytes(before) + data)
        if not before:
            yield text
        start = (0, 2, 3)[before]
        end = (before + len(data)) * 8 // 6
        yield text[start:end]
        yield text[start:end].translate(bytes.maketrans(b"+/", b"-_"))
        # As JSON, URLs write it.
        yield text[start:end].replace(b"/", b"\\/")
        yield quote(text[start:end], safe="").encode()
