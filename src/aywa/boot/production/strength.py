"""Whether a secret was made by chance, and where an address leads, judged by their looks alone. Refuses to ask anybody."""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import SplitResult, unquote, urlsplit

from aywa.core.outbound import why_internal

KEY_CHARACTERS_MIN = 24
PASSWORD_CHARACTERS_MIN = 12
DISTINCT_MIN = 8
"""Of a text of KEY_CHARACTERS_MIN random characters (even of hex ones), fewer distinct ones come about once in a million."""

# What documents, images and lists of default passwords use; whole, or as a word of it.
_EXAMPLES = (
    "changeme|change[-_]?me[-_]?now|change[-_]?me|change[-_]?this|replace[-_]?me|replaceme|your[-_]\\w+|example|placeholder"
    "|password\\d*|passw0rd|passwd|secret\\d*|mysecret|default|dummy|todo|fixme|insert|xxx+|test|testing|demo|sample"
    "|admin\\d*|administrator|root|guest|letmein|qwerty\\w*|welcome\\d*|abc123|123456\\d*"
    "|minioadmin|minio123|cluecon|postgres|redis|valkey|clickhouse|aywa|foobared|insecure|not[-_]?secure"
)
_EXAMPLE = re.compile(rf"(?:^|[^a-z0-9])(?:{_EXAMPLES})(?:$|[^a-z0-9])")
_PREFIXES = ("aywa_", "whsec_", "sk-", "sk_")
_INTERNAL_NAMES = (
    ".internal",
    ".local",
    ".lan",
    ".svc",
    ".cluster.local",
    ".intranet",
    ".home.arpa",
    ".corp",
    ".private",
)
_EXAMPLE_HOST = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|invalid|test)$")


def weakness(secret: str, characters_min: int) -> tuple[str, str] | None:
    """The code and what is told of a secret that could be guessed; None for one that looks random. Nothing of it is told."""
    bare = secret
    for prefix in _PREFIXES:
        bare = bare.removeprefix(prefix)
    if _EXAMPLE.search(bare.lower()) or bare.startswith("<") or "${" in bare:
        return "secret.example", "is an example's, or one that everybody has"
    if len(bare) < characters_min:
        return "secret.short", f"has {len(bare)} characters; {characters_min} random ones are the least"
    if _is_simple(bare.encode("utf-8", "replace"), DISTINCT_MIN):
        return "secret.simple", "repeats itself, or counts"
    return None


def key_weakness(key: bytes) -> str:
    """What is wrong with the 32 bytes of a key that seals; empty for one that looks random."""
    if all(32 <= byte < 127 for byte in key):
        return "is a text in base64, and no random bytes"
    # Of 32 random bytes fewer than 20 distinct ones come once in 10^11.
    return "repeats itself, or counts" if _is_simple(key, 20) else ""


def _is_simple(text: bytes, distinct_min: int) -> bool:
    steps = {(after - before) % 256 for before, after in pairwise(text)}
    return len(set(text)) < distinct_min or len(steps) <= 3 or (text + text).find(text, 1) < len(text)


def signing_bytes(secret: str) -> bytes | None:
    """The key behind `whsec_`; None where it is no base64. A text without that is a key as it stands."""
    if not secret.startswith("whsec_"):
        return secret.encode("utf-8", "replace")
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return None


def parts_of(url: str) -> SplitResult | None:
    """The address in parts; None for what is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme and parts.hostname and url.isascii() and url.isprintable() else None


def password_of(url: str) -> str:
    """The password in an address, as the server is told it."""
    parts = parts_of(url)
    return unquote(parts.password or "") if parts is not None else ""


def is_localhost(host: str) -> bool:
    """Only this machine is called that."""
    if host in ("localhost", "::", "0.0.0.0") or host.endswith(".localhost"):  # noqa: S104 - recognised, not bound
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """An address, or a name, that no other network knows."""
    try:
        _ = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_INTERNAL_NAMES)
    return bool(why_internal(host))


def is_example(host: str) -> bool:
    """A name that stands for others in documents (RFC 2606)."""
    return bool(_EXAMPLE_HOST.search(host))


def is_near(host: str) -> bool:
    """This machine, or its own network: there a connection may be in the clear."""
    return is_localhost(host) or is_private(host)
