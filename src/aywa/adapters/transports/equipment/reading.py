"""What codecs read a far side's messages with: whatever it sent, something harmless comes out, of bounded size.

Text is cut at TEXT_MOST, parameters at PARAMETERS_MOST, and what is not of the kind that was asked for is left out.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from aywa.adapters.transports.equipment.codec import PARAMETERS_MOST, TEXT_MOST, Message
from aywa.adapters.wire.json_text import read_json

_DIGITS_MOST = 18
_NUMBER_MOST = 10**_DIGITS_MOST
KEYS = frozenset("0123456789*#ABCD")
_NOTHING: Mapping[str, Any] = {}


def json_object(message: Message) -> dict[str, Any] | None:
    """The message as one JSON object; None when it is none."""
    try:
        found = read_json(message)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def inner(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object under the name; an empty one when there is none."""
    value = found.get(name)
    return value if isinstance(value, dict) else _NOTHING


def text(value: Any) -> str:
    """A text, or a number as one; empty for anything else. Without what does not belong in one line."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if isinstance(value, int) and value.bit_length() > 4 * TEXT_MOST:
        return ""
    cut = str(value)[:TEXT_MOST]
    return cut if cut.isprintable() else "".join(each for each in cut if each.isprintable())


def number(value: Any) -> int | None:
    """A whole number of at least 0, also where it was written as a text."""
    if type(value) is str:
        return int(value) if len(value) <= _DIGITS_MOST and value.isascii() and value.isdigit() else None
    return value if type(value) is int and 0 <= value < _NUMBER_MOST else None


def parameters(found: Mapping[str, Any]) -> dict[str, str]:
    """Whoever sent it chose these names and values: texts only, not too many."""
    kept: dict[str, str] = {}
    for name, value in found.items():
        if len(kept) >= PARAMETERS_MOST:
            break
        if isinstance(value, (str, int, float)) and name:
            kept[text(name)] = text(str(value) if isinstance(value, bool) else value)
    return kept


def base64_bytes(value: Any) -> bytes | None:
    """What was written in base64; None when it was not."""
    if not isinstance(value, str):
        return None
    try:
        return binascii.a2b_base64(value)
    except ValueError:
        return None


def key(value: Any) -> str | None:
    """A key of a telephone; None for anything else."""
    pressed = text(value).upper()
    return pressed if pressed in KEYS else None


def party(value: Any) -> str:
    """A number or an address. Whoever wrote a plus into a query as it is meant no space."""
    said = text(value)
    number_ = said.strip()
    return f"+{number_}" if said.startswith(" ") and number_.isdigit() else number_
