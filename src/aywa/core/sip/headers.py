"""The header fields of a message: ordered, with names that compare without case and in their compact forms (RFC 3261 7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aywa.core.sip.fields import TOKEN, split_list

# RFC 3261 7.3.3 and the IANA registry.
COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
# What opens an account is not shown.
SECRET = frozenset(("authorization", "proxy-authorization"))


def canonical(name: str) -> str:
    """The long name in lower case."""
    lower = name.lower()
    return COMPACT.get(lower, lower)


def one_line(value: str) -> str:
    """The value without what would begin another field: nobody's words may write our headers."""
    if "\r" in value or "\n" in value:
        value = value.replace("\r", " ").replace("\n", " ")
    return value.strip(" \t")


class Headers:
    """Fields in their order. A name is written as it was given; a value never holds an end of line."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def read(cls, fields: list[tuple[str, str, str]]) -> Headers:
        """Of what a parser has checked: canonical name, name as written, value."""
        made = cls()
        made._fields = fields
        return made

    def get(self, name: str) -> str | None:
        """The first value of that name."""
        wanted = canonical(name)
        for key, _, value in self._fields:
            if key == wanted:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """The value of every field of that name, as it stands on its line."""
        wanted = canonical(name)
        return [value for key, _, value in self._fields if key == wanted]

    def get_list(self, name: str) -> list[str]:
        """The members of all fields of that name, parted at their commas. Raises Unreadable."""
        return [member for value in self.get_all(name) for member in split_list(value)]

    def tokens(self, name: str) -> set[str]:
        """The members of a list of words (Supported, Require, Allow) in lower case; what cannot be read is left out."""
        return {
            word.strip(" \t").lower()
            for value in self.get_all(name)
            for word in value.split(",")
            if TOKEN.fullmatch(word.strip(" \t"))
        }

    def add(self, name: str, value: str) -> None:
        """Behind all others. Raises ValueError when the name cannot be one."""
        self._fields.append(_field(name, value))

    def prepend(self, name: str, value: str) -> None:
        """Before the first field of that name, or before everything."""
        made = _field(name, value)
        place = next((place for place, (key, _, _) in enumerate(self._fields) if key == made[0]), 0)
        self._fields.insert(place, made)

    def set(self, name: str, value: str) -> None:
        """The one field of that name from now on, where the first one stood or behind all others."""
        made = _field(name, value)
        place = next((place for place, (key, _, _) in enumerate(self._fields) if key == made[0]), None)
        if place is None:
            self._fields.append(made)
            return
        self._fields[place] = made
        self._fields[place + 1 :] = [field for field in self._fields[place + 1 :] if field[0] != made[0]]

    def set_list(self, name: str, values: Iterable[str]) -> None:
        """A field for each value, where the first one stood or behind all others."""
        made = [_field(name, value) for value in values]
        wanted = canonical(name)
        place = next((place for place, (key, _, _) in enumerate(self._fields) if key == wanted), None)
        if place is None:
            place = len(self._fields)
        kept = [field for field in self._fields[place:] if field[0] != wanted]
        self._fields[place:] = made + kept

    def remove(self, name: str) -> None:
        """Every field of that name; none need be there."""
        wanted = canonical(name)
        self._fields = [field for field in self._fields if field[0] != wanted]

    def copy(self) -> Headers:
        return Headers.read(list(self._fields))

    def lines(self) -> list[str]:
        """As on the wire, without the ends of the lines and without Content-Length, which the message knows."""
        return [f"{name}: {value}" for key, name, value in self._fields if key != "content-length"]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Name as written, value."""
        return ((name, value) for _, name, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        """The same fields in the same order, however their names are written."""
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._fields] == [
            (key, value) for key, _, value in other._fields
        ]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [(name, "***" if key in SECRET else value) for key, name, value in self._fields]
        return f"Headers({shown!r})"


def _field(name: str, value: str) -> tuple[str, str, str]:
    if not TOKEN.fullmatch(name):
        raise ValueError("the name of a header field cannot hold such characters")
    return canonical(name), name, one_line(value)
