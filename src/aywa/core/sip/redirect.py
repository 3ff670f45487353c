"""Where a 3xx answer sends a caller (RFC 3261 8.1.3.4, 21.3), read from its Contacts. It decides nothing: whether a call may go
there is for whoever pays for it to say.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from aywa.core.sip.fields import Address
from aywa.core.sip.message import Response
from aywa.core.sip.uri import SipUri, TelUri, Uri

# 305 asks for a proxy on the way, 380 for another kind of service: neither is another place for this call.
REDIRECTS = frozenset((300, 301, 302))
# Places that one call tries because it was sent there; more are a loop.
MOST_REDIRECTS = 5


def targets(response: Response, tried: Collection[str], *, secure: bool) -> tuple[str, ...]:
    """Whole URIs, the best first, without those that were tried. secure: the call was to go by TLS all the way, and goes nowhere
    else (RFC 3261 8.1.3.4)."""
    found: list[str] = []
    for contact in sorted(response.contacts, key=_liking):
        # An address that was read has a URI that can be.
        uri = _plain(contact.parsed_uri, secure=secure)
        if uri and uri not in found and uri not in tried:
            found.append(uri)
    return tuple(found[:MOST_REDIRECTS])


def _plain(uri: Uri, *, secure: bool) -> str:
    """The URI without the fields that it would put into our INVITE, whose author it is not (RFC 3261 19.1.5); empty for what
    cannot be called."""
    if isinstance(uri, TelUri):
        return "" if secure else str(uri)
    if not isinstance(uri, SipUri) or (secure and not uri.secure) or uri.password is not None:
        return ""
    if (uri.params.get("method") or "INVITE").upper() != "INVITE":
        return ""
    return str(replace(uri, headers=()))


def _liking(contact: Address) -> float:
    """The most liked first (RFC 3261 20.10); what is no number counts as if nothing were said."""
    text = contact.params.get("q") or "1"
    try:
        liking = float(text) if len(text) <= 5 else 1.0
    except ValueError:
        liking = 1.0
    return -liking if 0 <= liking <= 1 else -1.0
