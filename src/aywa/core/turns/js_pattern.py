"""A JavaScript regular expression (ECMA-262, without the u and v flags), written as the package `regex` reads it.

Customers' rules are JavaScript (contract 9.1), and the two differ in many small ways: `$` and a line end at the end, what
\\d, \\w, \\s and \\b take in, references to groups that did not match, escapes that mean the letter itself. What JavaScript
refuses is refused, with its position; so is what would grow without bound when it is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aywa.core.settings import Pattern

LENGTH_MAX = 2000
DEPTH_MAX = 30
GROUPS_MAX = 99
# In parts after all counted repeats are written out, which is what the package does.
SIZE_MAX = 5000

_DIGIT = ((0x30, 0x39),)
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_LINE_END = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_LAST = 0x10FFFF
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)

Ranges = tuple[tuple[int, int], ...]


class PatternError(ValueError):
    """The expression cannot be used. position: counted in characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at position {position}")
        self.position = position


def translate(pattern: Pattern) -> str:
    """For regex.compile(..., regex.VERSION0). Raises PatternError."""
    text = _Reader(pattern.source, multi_line=pattern.multi_line).whole()
    if pattern.whole_word:
        text = f"{_EDGE}(?:{text}){_EDGE}"
    return f"(?i:{text})" if pattern.ignore_case else text


def group_names(pattern: Pattern) -> Mapping[str, int]:
    """The numbers of the groups that have names: in the translated expression they have none. Raises PatternError."""
    return _Reader(pattern.source, multi_line=pattern.multi_line).names()


def _other_than(ranges: Ranges) -> Ranges:
    """Of ranges that neither begin with the first character nor end with the last."""
    begins = (0, *(last + 1 for _, last in ranges))
    ends = (*(first - 1 for first, _ in ranges), _LAST)
    return tuple(zip(begins, ends, strict=True))


_SETS: dict[str, Ranges] = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_SETS |= {name.upper(): _other_than(ranges) for name, ranges in _SETS.items()}


def _character(code: int) -> str:
    return f"\\U{code:08x}"


def _set(ranges: Ranges) -> str:
    return "".join(_character(a) if a == b else f"{_character(a)}-{_character(b)}" for a, b in ranges)


_A_WORD = f"[{_set(_WORD)}]"
_EDGE = f"(?:(?<={_A_WORD})(?!{_A_WORD})|(?<!{_A_WORD})(?={_A_WORD}))"
_NO_EDGE = f"(?:(?<={_A_WORD})(?={_A_WORD})|(?<!{_A_WORD})(?!{_A_WORD}))"
_ANY = f"[^{_set(_LINE_END)}]"
_LINE_BEGINS = f"(?:(?<=[{_set(_LINE_END)}])|\\A)"
_LINE_ENDS = f"(?:(?=[{_set(_LINE_END)}])|\\Z)"
_NOTHING, _ANYTHING = "(?!)", "(?s:.)"


class _Reader:
    """Descends: alternatives, terms, atoms. Every method answers the written text and its size."""

    def __init__(self, source: str, *, multi_line: bool) -> None:
        self._source = source
        self._multi_line = multi_line
        self._at = 0
        self._depth = 0
        self._opened: list[int] = []
        self._groups = 0
        self._total, self._names = 0, dict[str, int]()

    def whole(self) -> str:
        if len(self._source) > LENGTH_MAX:
            raise PatternError(f"it is longer than {LENGTH_MAX} characters", LENGTH_MAX)
        self._count_groups()
        text, _ = self._alternatives()
        if self._at < len(self._source):
            raise self._error("a closing parenthesis without an opening one")
        return text

    def names(self) -> Mapping[str, int]:
        self._count_groups()
        return self._names

    # --- what is ahead ---------------------------------------------------------------------------------------------

    def _error(self, message: str, at: int | None = None) -> PatternError:
        return PatternError(message, self._at if at is None else at)

    def _next(self) -> str:
        return self._source[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        if not self._source.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _count_groups(self) -> None:
        """A reference may stand before its group."""
        in_set, at = False, 0
        while at < len(self._source):
            character = self._source[at]
            if character == "\\":
                at += 1
            elif in_set:
                in_set = character != "]"
            elif character == "[":
                in_set = True
            elif character == "(" and self._captures(at):
                self._total += 1
            at += 1
        if self._total > GROUPS_MAX:
            raise self._error(f"it has more than {GROUPS_MAX} groups", len(self._source))

    def _captures(self, at: int) -> bool:
        if not self._source.startswith("(?", at):
            return True
        if not self._source.startswith("(?<", at) or self._source[at + 3 : at + 4] in ("=", "!"):
            return False
        name = _NAME.match(self._source, at + 3)
        if name is None or not self._source.startswith(">", name.end()):
            raise self._error("a group's name is not closed with > or holds other signs", at)
        if name[0] in self._names:
            raise self._error(f"a second group is named {name[0]}", at)
        self._names[name[0]] = self._total + 1
        return True

    # --- terms -----------------------------------------------------------------------------------------------------

    def _alternatives(self) -> tuple[str, int]:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._error(f"it is nested more than {DEPTH_MAX} deep")
        text, size = self._terms()
        while self._take("|"):
            more, its_size = self._terms()
            text, size = f"{text}|{more}", size + its_size
        if size > SIZE_MAX:
            raise self._error(f"with its repeats written out it has more than {SIZE_MAX} parts")
        self._depth -= 1
        return text, size

    def _terms(self) -> tuple[str, int]:
        texts: list[str] = []
        total = 0
        while self._next() not in ("", "|", ")"):
            text, size, repeatable = self._atom()
            text, size = self._repeated(text, size, repeatable)
            texts.append(text)
            total += size
        return "".join(texts), total

    def _repeated(self, text: str, size: int, repeatable: bool) -> tuple[str, int]:
        begin = self._at
        count = _COUNT.match(self._source, begin)
        if count is not None:
            least = int(count[1][:6])
            most = least if count[2] is None else int(count[3][:6]) if count[3] else None
            self._at = count.end()
            written = count[0]
            if most is not None and most < least:
                raise self._error("a repeat's numbers are out of order", begin)
            size *= max(least, most or 0, 1)
        elif (sign := self._next()) in ("*", "+", "?") and sign:
            self._at += 1
            written = sign
        else:
            return text, size
        if not repeatable:
            raise self._error("there is nothing to repeat", begin)
        if self._take("?"):
            written += "?"
        if self._next() in ("*", "+", "?") and self._next():
            raise self._error("there is nothing to repeat")
        # Around it, lest two repeats or an empty text meet.
        return f"(?:{text}){written}", size + 1

    def _atom(self) -> tuple[str, int, bool]:
        """And whether it can be repeated."""
        begin = self._at
        character = self._next()
        self._at += 1
        match character:
            case "^":
                return (_LINE_BEGINS if self._multi_line else r"\A"), 1, False
            case "$":
                return (_LINE_ENDS if self._multi_line else r"\Z"), 1, False
            case "(":
                return self._group(begin)
            case "[":
                return self._class(begin), 1, True
            case ".":
                return _ANY, 1, True
            case "\\":
                return self._escape(begin)
            case "*" | "+" | "?":
                raise self._error("there is nothing to repeat", begin)
            case "{" if _COUNT.match(self._source, begin):
                raise self._error("there is nothing to repeat", begin)
            case _:
                return _character(ord(character)), 1, True

    def _group(self, begin: int) -> tuple[str, int, bool]:
        for opening, repeatable in (("?:", True), ("?=", True), ("?!", True), ("?<=", False), ("?<!", False)):
            if self._take(opening):
                text, size = self._inside(begin)
                return f"({opening}{text})", size + 1, repeatable
        if self._take("?"):
            if not self._take("<"):
                raise self._error("the group is of no kind that JavaScript knows", begin)
            name = _NAME.match(self._source, self._at)
            assert name is not None  # _captures has looked
            self._at = name.end() + 1
        self._groups += 1
        self._opened.append(self._groups)
        text, size = self._inside(begin)
        self._opened.pop()
        return f"({text})", size + 1, True

    def _inside(self, begin: int) -> tuple[str, int]:
        inside = self._alternatives()
        if not self._take(")"):
            raise self._error("the group is not closed", begin)
        return inside

    # --- escapes ---------------------------------------------------------------------------------------------------

    def _escape(self, begin: int) -> tuple[str, int, bool]:
        character = self._next()
        if character == "b" or character == "B":
            self._at += 1
            return (_EDGE if character == "b" else _NO_EDGE), 1, False
        if character == "k" and self._names:
            self._at += 1
            return self._by_name(begin), 1, True
        if character and character in "123456789":
            return self._by_number(begin), 1, True
        found = self._one(begin)
        return (_character(found) if isinstance(found, int) else f"[{_set(found)}]"), 1, True

    def _by_name(self, begin: int) -> str:
        name = _NAME.match(self._source, self._at + 1) if self._next() == "<" else None
        if name is None or not self._source.startswith(">", name.end()):
            raise self._error(r"\k is not followed by a name in < >", begin)
        if name[0] not in self._names:
            raise self._error(f"there is no group named {name[0]}", begin)
        self._at = name.end() + 1
        return self._reference(self._names[name[0]])

    def _by_number(self, begin: int) -> str:
        digits = re.compile(r"\d+", re.ASCII).match(self._source, self._at)
        assert digits is not None
        if len(digits[0]) > 2 or int(digits[0]) > self._total:
            raise self._error(f"there is no group {digits[0]}", begin)
        self._at = digits.end()
        return self._reference(int(digits[0]))

    def _reference(self, group: int) -> str:
        # To a group that has not matched yet, JavaScript finds the empty text.
        return "(?:)" if group in self._opened else f"(?({group})\\{group})"

    def _one(self, begin: int) -> int | Ranges:
        """What stands behind a backslash, in a set or outside: a character, or several."""
        character = self._next()
        if not character:
            raise self._error("nothing follows the backslash", begin)
        self._at += 1
        if character in _SETS:
            return _SETS[character]
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "0" and not (self._next() and self._next() in "0123456789"):
            return 0
        if character in "0123456789":
            raise self._error("an octal escape: write \\x and two digits", begin)
        if (character in "pP" and self._next() == "{") or self._source.startswith("u{", begin + 1):
            raise self._error(f"\\{character}{{...}} needs the u flag, which rules do not have", begin)
        if character == "c" and self._next().isascii() and self._next().isalpha():
            self._at += 1
            return ord(self._source[self._at - 1]) % 32
        if character in "xu":
            digits = self._source[self._at : self._at + (2 if character == "x" else 4)]
            if len(digits) == (2 if character == "x" else 4) and re.fullmatch("[0-9A-Fa-f]+", digits):
                self._at += len(digits)
                return self._joined(int(digits, 16))
        # Any other is the character itself.
        return ord("\\") if character == "c" and self._back() else ord(character)

    def _joined(self, code: int) -> int:
        """JavaScript writes what lies past FFFF as two halves."""
        low = re.compile(r"\\u([dD][c-fC-F][0-9A-Fa-f]{2})").match(self._source, self._at)
        if low is None or not 0xD800 <= code < 0xDC00:
            return code
        self._at = low.end()
        return 0x10000 + (code - 0xD800) * 0x400 + int(low[1], 16) - 0xDC00

    def _back(self) -> bool:
        """A c that names no control is a backslash and a c."""
        self._at -= 1
        return True

    # --- sets ------------------------------------------------------------------------------------------------------

    def _class(self, begin: int) -> str:
        negated = self._take("^")
        members: list[tuple[int, int]] = []
        while not self._take("]"):
            first = self._member(begin)
            if self._next() == "-" and self._source[self._at + 1 : self._at + 2] not in ("]", ""):
                dash = self._at
                self._at += 1
                last = self._member(begin)
                if isinstance(first, int) and isinstance(last, int):
                    if last < first:
                        raise self._error("a range is out of order", dash)
                    members.append((first, last))
                    continue
                # With a set at one of its ends, the dash is only a dash.
                members += [*_ranges(first), (0x2D, 0x2D), *_ranges(last)]
                continue
            members += _ranges(first)
        if not members:
            return _ANYTHING if negated else _NOTHING
        return f"[{'^' if negated else ''}{_set(tuple(members))}]"

    def _member(self, begin: int) -> int | Ranges:
        at = self._at
        character = self._next()
        if not character:
            raise self._error("the set is not closed", begin)
        self._at += 1
        if character != "\\":
            return ord(character)
        if self._take("b"):
            return 0x08
        if self._take("-"):
            return 0x2D
        return self._one(at)


def _ranges(member: int | Ranges) -> list[tuple[int, int]]:
    return [(member, member)] if isinstance(member, int) else list(member)
