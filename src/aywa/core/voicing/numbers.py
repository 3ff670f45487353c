"""Numbers in English words. Words only: what a number means (a year, a room, an amount) is decided elsewhere."""

from __future__ import annotations

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = (
    (10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"),
)  # fmt: skip
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def cardinal(value: int) -> list[str]:
    """5042: five thousand forty two. Not below 0."""
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        tens, ones = divmod(value, 10)
        return [_TENS[tens - 2], *([_ONES[ones]] if ones else [])]
    scale, name = next((s, n) for s, n in _SCALES if value >= s)
    high, low = divmod(value, scale)
    return [*cardinal(high), name, *(cardinal(low) if low else [])]


def ordinal(value: int) -> list[str]:
    """22: twenty second."""
    *head, last = cardinal(value)
    if last in _ORDINALS:
        return [*head, _ORDINALS[last]]
    return [*head, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"]


def year(value: int) -> list[str]:
    """1985: nineteen eighty five; 2005: two thousand five. From 1000 to 9999, by its two halves."""
    high, low = divmod(value, 100)
    if value % 1000 < 10:
        return cardinal(value)
    return [*cardinal(high), *pair(low)]


def pair(low: int) -> list[str]:
    """The last two digits of a number that is read by its halves: oh five, thirty, hundred."""
    if low == 0:
        return ["hundred"]
    return ["oh", _ONES[low]] if low < 10 else cardinal(low)


def decimal(whole: str, fraction: str) -> list[str]:
    """2.50: two point five zero. The whole part may be empty, and may have commas."""
    head = cardinal(int(whole.replace(",", ""))) if whole else []
    return [*head, *(["point", *(_ONES[int(digit)] for digit in fraction)] if fraction else [])]


def plural(name: str, value: str) -> str:
    """ "pound" with "2" is pounds; only 1 is one. "foot" is irregular; a name of several words bends its first."""
    if value == "1":
        return name
    first, space, rest = name.partition(" ")
    if first in ("square", "cubic"):
        return f"{first} {plural(rest, value)}"
    if first in ("hertz", "kilohertz", "megahertz", "gigahertz", "yen", "percent"):
        return name
    bent = {"foot": "feet", "inch": "inches"}.get(first, f"{first}s")
    return bent + space + rest
