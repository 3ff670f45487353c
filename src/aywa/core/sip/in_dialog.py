"""Requests that a customer has sent within the dialog of a call: what may stand in them. What makes the dialog is not his to
write."""

from __future__ import annotations

from collections.abc import Mapping

from aywa.core.sip.events import Fields
from aywa.core.sip.fields import TOKEN
from aywa.core.sip.headers import canonical

VERBS = ("INFO", "MESSAGE", "NOTIFY")
BODY_MAX_BYTES = 8_192
HEADERS_MAX = 32
HEADER_MAX = 1_024
"""Characters of one field's value."""
OWN = frozenset(
    """via from to call-id cseq contact route record-route path max-forwards content-length authorization proxy-authorization
    www-authenticate proxy-authenticate proxy-require require supported allow session-expires min-se rack rseq""".split()
)
"""The dialog's own, the way's and the account's."""


class Unsendable(ValueError):
    """It cannot leave like this; says why, for a person and for a model."""


def request_parts(
    verb: str, headers: Mapping[str, str], body: str, content_type: str
) -> tuple[Fields, bytes]:
    """Its own header fields, and its body. content_type: of a body whose headers do not say it. Raises Unsendable."""
    if verb not in VERBS:
        raise Unsendable(f"the verb is not one of {', '.join(VERBS)}")
    if len(headers) > HEADERS_MAX:
        raise Unsendable(f"it has more than {HEADERS_MAX} headers")
    named: dict[str, tuple[str, str]] = {}
    for name, value in headers.items():
        _check(name, value)
        if canonical(name) in named:
            raise Unsendable(f"it has the header {name[:64]} twice")
        named[canonical(name)] = (name, value)
    if verb == "NOTIFY":
        # RFC 6665 8.2.1: no NOTIFY is without either.
        if "event" not in named:
            raise Unsendable("a NOTIFY needs the header Event")
        named.setdefault("subscription-state", ("Subscription-State", "active"))
    # Half of a pair of surrogates has no bytes.
    data = body.encode("utf-8", "replace")
    if len(data) > BODY_MAX_BYTES:
        raise Unsendable(f"its body has more than {BODY_MAX_BYTES} bytes")
    if data:
        named.setdefault("content-type", ("Content-Type", content_type))
    return tuple(named.values()), data


def _check(name: str, value: str) -> None:
    if not TOKEN.fullmatch(name):
        raise Unsendable("the name of a header holds what no name can hold")
    if canonical(name) in OWN:
        raise Unsendable(f"the header {name} is the call's own")
    if len(value) > HEADER_MAX:
        raise Unsendable(f"the header {name[:64]} has more than {HEADER_MAX} characters")
    if any(ord(sign) < 32 or ord(sign) == 127 or 0xD800 <= ord(sign) < 0xE000 for sign in value):
        # A line end would begin another field.
        raise Unsendable(f"the header {name[:64]} holds a line end or the like")
