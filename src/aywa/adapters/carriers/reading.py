"""What a vendor's request says: forms, queries and JSON, whatever was sent; out comes short text of one line, or nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from aywa.ports.carriers import CarrierRequest, Outcome

FIELDS_MAX = 200
TEXT_MAX = 500
ADDRESS_MAX = 200
NATIONAL_MAX = 6
"""So few digits are a service's number, and no country's."""
_NOTHING: Mapping[str, Any] = {}


def form(request: CarrierRequest) -> Mapping[str, Sequence[str]]:
    """The fields of a form that was posted; none when it was none."""
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        text = request.body.decode("utf-8", "replace")
        return parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return {}


def json_object(request: CarrierRequest) -> Mapping[str, Any]:
    """The body as one JSON object; an empty one when it is none."""
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict) else _NOTHING


def inner(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object under the name; an empty one when there is none."""
    value = found.get(name)
    return value if isinstance(value, dict) else _NOTHING


def given(request: CarrierRequest) -> Mapping[str, str]:
    """Every field's first value: of the form or the JSON object, then of the address."""
    found = {name: text(next(iter(values), "")) for name, values in request.query.items()}
    found |= {
        name: text(value) for name, value in json_object(request).items() if not isinstance(value, dict)
    }
    return found | {name: text(next(iter(values), "")) for name, values in form(request).items()}


def text(value: Any) -> str:
    """A text, or a number as one; empty for anything else. Cut, and without what does not belong in one line."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, int) and value.bit_length() > TEXT_MAX:
        return ""
    cut = str(value)[:TEXT_MAX]
    return "".join(each for each in cut if each.isprintable() and not "\ud800" <= each <= "\udfff")


def address(value: str) -> str:
    """A number or a SIP address as it may stand in a call's record."""
    return value.strip()[:ADDRESS_MAX]


def international(value: str) -> str:
    """A number of a vendor that writes those of the whole world (E.164) without their plus."""
    number = address(value)
    is_whole = number.isascii() and number.isdigit() and len(number) > NATIONAL_MAX and number[0] != "0"
    return f"+{number}" if is_whole else number


def basic(user: str, password: str) -> dict[str, str]:
    """Who asks, as RFC 7617 has it."""
    both = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {both}"}


_SIP_OUTCOMES = {
    "404": Outcome.UNALLOCATED,
    "410": Outcome.UNALLOCATED,
    "484": Outcome.UNALLOCATED,
    "604": Outcome.UNALLOCATED,
    "486": Outcome.BUSY,
    "600": Outcome.BUSY,
    "408": Outcome.NO_ANSWER,
    "480": Outcome.NO_ANSWER,
    "487": Outcome.CANCELLED,
    "603": Outcome.REJECTED,
}


def of_sip(status: str, otherwise: Outcome) -> Outcome:
    """What the SIP status says that a vendor tells beside its own word (RFC 3261 21)."""
    return _SIP_OUTCOMES.get(status, otherwise)
