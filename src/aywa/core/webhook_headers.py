"""What of a request's and an answer's headers may be kept and shown. Of ours only those whose meaning is known and harmless: a
customer's own may be anything. Of an answer all but those that look like secrets. Refuses to keep much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

REDACTED: Final = "[redacted]"
HEADERS_MAX: Final = 64
VALUE_MAX: Final = 512
SECRET_LEAST: Final = 4
"""What is shorter is no secret, and would be found in every other word."""

_HARMLESS: Final = frozenset(
    "accept accept-encoding content-type content-length host user-agent webhook-id webhook-timestamp webhook-signature"
    " x-signature x-timestamp x-call-id x-request-id traceparent".split()
)
_SECRET_WORDS: Final = (
    "auth",
    "cookie",
    "key",
    "password",
    "passwd",
    "secret",
    "session",
    "token",
    "credential",
    "jwt",
)


def shown_request(headers: Mapping[str, str]) -> dict[str, str]:
    """What went out, without what may be secret."""
    return _bounded(
        (name, value if name.lower() in _HARMLESS else REDACTED) for name, value in headers.items()
    )


def shown_answer(headers: Iterable[tuple[str, str]], secrets: Iterable[str]) -> dict[str, str]:
    """What came back, without cookies and the like, and without our secrets. Of one that came twice the last is kept."""
    known = tuple(secrets)
    return _bounded(
        (name, REDACTED if is_secret_header(name) else without(value, known)) for name, value in headers
    )


def is_secret_header(name: str) -> bool:
    """By its name."""
    lower = name.lower()
    return any(word in lower for word in _SECRET_WORDS)


def secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The values that must not be shown, and what stands behind their scheme ("Bearer ..."), the longest first."""
    found: set[str] = set()
    for name, value in headers.items():
        if name.lower() not in _HARMLESS:
            found |= {value, value.rpartition(" ")[2]}
    return tuple(sorted((one for one in found if len(one) >= SECRET_LEAST), key=len, reverse=True))


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with none of them in it."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text


def _bounded(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in headers:
        if len(kept) == HEADERS_MAX:
            break
        kept[name[:VALUE_MAX]] = value if len(value) <= VALUE_MAX else value[:VALUE_MAX] + "…"
    return kept
