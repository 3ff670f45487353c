"""The Reason field (RFC 3326): why a call was ended, in somebody's own code."""

from __future__ import annotations

from aywa.core.sip.events import Reason
from aywa.core.sip.fields import parse_value
from aywa.core.sip.headers import Headers
from aywa.core.sip.uri import Unreadable, read_number

CAUSE_MAX = 999
TEXT_CHARS = 200
# RFC 3398 8.2.6.1 in reverse, for the causes that say more than "cleared": Q.850 beside the SIP status that they come with.
NORMAL = Reason("Q.850", 16, "Normal call clearing")


def read(headers: Headers) -> Reason | None:
    """The Reason that says most: Q.850 before SIP, and none where nothing can be read."""
    found: list[Reason] = []
    try:
        values = headers.get_list("reason")
    except Unreadable:
        return None
    for value in values[:8]:
        try:
            protocol, params = parse_value(value)
            cause = read_number(params.get("cause") or "", CAUSE_MAX)
        except Unreadable:
            continue
        name = "Q.850" if protocol == "q.850" else protocol.upper()
        found.append(Reason(name, cause, (params.get("text") or "")[:TEXT_CHARS]))
    return next((each for each in found if each.protocol == "Q.850"), found[0] if found else None)
