"""What stands in place of a match: the value of JavaScript's `replace` (ECMA-262, GetSubstitution)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_REFERENCE = re.compile(r"\$(?:([$&`'])|(\d\d?)|<([^>]*)>)", re.ASCII)


def expand(
    value: str, text: str, at: tuple[int, int], groups: Sequence[str | None], names: Mapping[str, int]
) -> str:
    """The value for the match at that place of the text. groups: from 1 on; one that did not match is empty. names:
    of groups, and their numbers. What refers to nothing stands for itself."""

    def one(found: re.Match[str]) -> str:
        sign, number, name = found.groups()
        if sign:
            return {"$": "$", "&": text[slice(*at)], "`": text[: at[0]], "'": text[at[1] :]}[str(sign)]
        if name is not None:
            # Without named groups "$<" is nothing special.
            if not names:
                return found[0]
            return (groups[names[name] - 1] or "") if name in names else ""
        # "$12" is the twelfth group where there are as many, else the first and a 2.
        for digits in (number, number[:1]):
            if 0 < int(digits) <= len(groups):
                return (groups[int(digits) - 1] or "") + number[len(digits) :]
        return found[0]

    return _REFERENCE.sub(one, value) if "$" in value else value


def longest(value: str, text: str) -> int:
    """No expansion in this text has more characters."""
    return len(value) + value.count("$") * len(text)
