"""An event of FreeSWITCH, as text/event-plain or text/event-json has it (mod_event_socket; Event List).

A busy switch tells a hundred fields with each event, of which three are read: a plain one is searched, not taken apart, until
all of it is wanted. What is malformed has no such field; nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

ARRAY, ARRAY_MARK = "ARRAY::", "|:"
_END_OF_HEAD = b"\n\n"
_LENGTH = b"\nContent-Length: "
_BODY = "_body"


class Event:
    """One event. Names of fields as FreeSWITCH writes them; where one stands twice, the first counts."""

    __slots__ = ("_fields", "body", "head")

    def __init__(self, head: bytes = b"", fields: Mapping[str, str] | None = None, body: str = "") -> None:
        # With a line end before the first line, too: then each can be found by it.
        self.head = b"\n" + head
        self._fields = fields
        self.body = body

    def get(self, name: str, otherwise: str = "") -> str:
        """One field; `otherwise` without it."""
        if self._fields is not None:
            return self._fields.get(name, otherwise)
        key = b"\n%b: " % name.encode()
        at = self.head.find(key)
        if at < 0:
            return otherwise
        begin = at + len(key)
        end = self.head.find(b"\n", begin)
        return _text(self.head[begin : end if end >= 0 else None])

    def variable(self, name: str) -> str:
        """A variable of the channel; empty without it."""
        return self.get(f"variable_{name}")

    @property
    def fields(self) -> Mapping[str, str]:
        """All of them."""
        if self._fields is None:
            found: dict[str, str] = {}
            for line in self.head.split(b"\n"):
                name, mark, value = line.partition(b": ")
                if mark:
                    found.setdefault(name.decode("utf-8", "replace"), _text(value))
            self._fields = found
        return self._fields

    @property
    def name(self) -> str:
        """CHANNEL_ANSWER, DTMF ..."""
        return self.get("Event-Name")

    @property
    def uuid(self) -> str:
        """Whose event it is: the channel's; empty where it is no channel's."""
        return self.get("Unique-ID")

    def __repr__(self) -> str:
        # The rest may be of the caller.
        return f"Event({self.name!r}, {self.uuid!r})"


def plain_event(data: bytes) -> Event:
    """Lines of `Name: value`, the values URL-encoded; an empty line, and a body of Content-Length bytes, where there is one."""
    event = Event(data)
    # To look for the empty line itself takes longer than all the rest.
    at = event.head.find(_LENGTH)
    end = event.head.find(_END_OF_HEAD, at) if at >= 0 else -1
    if end >= 0:
        said = event.get("Content-Length")
        length = int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0
        begin = end + len(_END_OF_HEAD)
        event.body = event.head[begin : begin + length].decode("utf-8", "replace")
        event.head = event.head[:end]
    return event


def json_event(data: bytes) -> Event | None:
    """An object of texts, and of lists of them; `_body` is the body. None: it is not one."""
    try:
        given: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    body = given.pop(_BODY, "")
    if set(map(type, given.values())) - {str}:
        given = {name: value if isinstance(value, str) else _flat(value) for name, value in given.items()}
    return Event(fields=given, body=body if isinstance(body, str) else "")


def array(value: str) -> list[str]:
    """The texts of a field that may have several."""
    if value.startswith(ARRAY):
        return value[len(ARRAY) :].split(ARRAY_MARK)
    return [value] if value else []


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return ARRAY + ARRAY_MARK.join(each for each in value if isinstance(each, str))
    return str(value) if isinstance(value, int | float) else ""


def _text(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return unquote(text, errors="replace") if "%" in text else text
