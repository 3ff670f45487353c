"""How long a written word takes to say: "$4.50" is four words, "ID" two, "www" nine syllables.

Good for proportions inside one clause, not for absolute times: a voice has its own speed. The readings are English ones;
in other languages in Latin letters words still count by their sounds, elsewhere by their letters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from aywa.core.voicing.numbers import cardinal

# Seconds of a sound, as voices of medium speed make it inside a phrase: fitted to the words of three synthesisers.
_SOUNDS = (
    (re.compile(r"tion|sion"), 0.225),
    (re.compile(r"igh|eigh|augh|ough"), 0.125),
    (re.compile(r"ee|ea|oo|ai|ay|oa|ow|ou|oy|oi|au|aw|ie|ei|ey|ue|ui|eu|ew"), 0.075),
    (re.compile(r"[aeiou]r(?![aeiou])"), 0.09),
    (re.compile(r"sch|tch|ch|sh"), 0.07),
    (re.compile(r"th|ph|ng|ck|qu|wh|gh|kn|wr|dge|([bcdfgklmnprstvz])\1"), 0.05),
    (re.compile(r"[aeiouy]"), 0.06),
    (re.compile(r"x"), 0.135),
    (re.compile(r"[sfz]"), 0.085),
    (re.compile(r"[ptkcqbdgj]"), 0.06),
    (re.compile(r"[mnv]"), 0.07),
    (re.compile(r"[lrwh]"), 0.045),
)
_OTHER_LETTER_S = 0.07
_IDEOGRAPH_S = 0.2
_IDEOGRAPHS_FROM = 0x2E80
_WORD_S = 0.04
_MOST_LETTERS = 60
"""Are measured; a longer word, which nobody says, is as much longer."""
_LEAST_S = 0.01
_MUTE_E = re.compile(r"(?<=[aeiouy][bcdfgklmnprstvz])e(?=s?$)|(?<=[aeiouy]th)e$")
# Said in passing: each sound is shorter by this.
_LIGHT_SOUND_S = -0.025
_LIGHT = frozenset(
    "a an the of to in on at is it and or for as by be was are from with that this your you we i if not can will have has"
    " our my so but do".split()
)

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_MOST_DIGITS = 6
"""A longer number without commas is read digit by digit."""
_MOST_SPELLED = 40
_YEARS = range(1100, 2100)

_READ_AS = {
    "dr": "doctor", "mr": "mister", "mrs": "missis", "ms": "miz", "prof": "professor", "st": "street", "ave": "avenue",
    "rd": "road", "blvd": "boulevard", "apt": "apartment", "dept": "department", "vs": "versus", "etc": "et cetera",
    "jr": "junior", "sr": "senior", "approx": "approximately", "kg": "kilograms", "km": "kilometers",
    "cm": "centimeters", "mm": "millimeters", "gb": "gigabytes", "mb": "megabytes", "eg": "ee gee", "ie": "eye ee",
    "am": "ay em", "pm": "pee em",
}  # fmt: skip
"""Abbreviations, without their stops. What is a word of its own too ("am", "no") needs its stops to count."""
_NEEDS_STOPS = frozenset(("am", "ie", "eg"))
_UNITS = frozenset(("am", "pm", "kg", "km", "cm", "mm", "gb", "mb"))
_LETTERS = {
    "a": "ay", "e": "ee", "f": "ef", "h": "aitch", "i": "eye", "l": "el", "m": "em", "n": "en", "o": "oh", "q": "cue",
    "r": "ar", "s": "es", "u": "you", "w": "double you", "x": "ex", "y": "why",
}  # fmt: skip
_MONEY = {"$": "dollars", "€": "euros", "£": "pounds"}
_SIGNS = {
    "%": "percent", "&": "and", "@": "at", "+": "plus", "=": "equals", "°": "degrees", "#": "number", "/": "slash",
}  # fmt: skip
_ORDINALS = frozenset(("st", "nd", "rd", "th"))
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
_ADDRESS = re.compile(r"@|www|\w\.\w+/", re.I)
_PIECE = re.compile(r"\d[\d,]*|[^\W\d_]+|[^\w\s]")
_MOST_PIECES = 60
_AROUND = "\"'()[]{}\u201c\u201d\u2018\u2019\u00ab\u00bb"
_STOPS = ".,;:!?\u2026"


@lru_cache(maxsize=4096)
def spoken_s(written: str) -> float:
    """About how long the word takes to say, in seconds at medium speed; never 0."""
    return max(_LEAST_S, sum(_word_s(word) for word in spoken(written)))


def is_abbreviation(written: str) -> bool:
    """Whether the stop at its end belongs to the word and not to the sentence."""
    bare = written.strip(_AROUND)
    return bare.endswith(".") and bare.lower().replace(".", "") in _READ_AS


def spoken(written: str) -> list[str]:
    """The words that a written one is read as; none for a dash."""
    bare = written.strip(_AROUND).rstrip(_STOPS)
    plain = bare.lower().replace(".", "")
    if plain in _READ_AS and not bare.isupper() and (plain not in _NEEDS_STOPS or "." in bare):
        return _READ_AS[plain].split()
    clock = _CLOCK.fullmatch(bare)
    if clock is not None:
        minutes = int(clock[2])
        return [*cardinal(int(clock[1])), *(cardinal(minutes) if minutes else ["oh", "clock"])]
    pieces = ["", *_PIECE.findall(bare)[:_MOST_PIECES], ""]
    dot = ["dot"] if _ADDRESS.search(bare) else ["point"]
    words: list[str] = []
    unit: list[str] = []
    for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if piece[0].isdecimal():
            words += _digits(piece, before, after)
        elif piece in _MONEY:
            unit.append(_MONEY[piece])
        elif piece == ".":
            # Of a price the part behind the point is cents.
            words += dot if dot == ["dot"] or (before.isdecimal() and after.isdecimal() and not unit) else []
        elif piece in _SIGNS:
            words.append(_SIGNS[piece])
        elif piece.isalpha():
            words += _letters(piece, before)
    return words + unit


def _digits(piece: str, before: str, after: str) -> list[str]:
    digits = piece.replace(",", "")
    if before == "." and digits == "00":
        return []
    one_by_one = digits[0] == "0" or "-" in (before, after) or (before == "." and len(digits) != 2)
    if one_by_one or (len(digits) > _MOST_DIGITS and "," not in piece) or len(digits) > 15:
        return [_ONES[int(digit)] for digit in digits[:_MOST_SPELLED]]
    value = int(digits)
    high, low = divmod(value, 100)
    if "," not in piece and value in _YEARS and value % 1000 >= 10:
        return cardinal(high) + (cardinal(low) if low else ["hundred"])
    return cardinal(value)


def _letters(piece: str, before: str) -> list[str]:
    lower = piece.lower()
    behind_digits = before[:1].isdecimal()
    if behind_digits and lower in _ORDINALS:
        return ["th"] if lower == "th" else []
    if behind_digits and lower in _UNITS:
        return _READ_AS[lower].split()
    if before in ("'", "\u2019") or not piece.isascii():
        return [lower]
    short = piece.isupper() and len(piece) < 4 and piece not in ("A", "I")
    if short or (len(piece) > 1 and not any(letter in "aeiouy" for letter in lower)):
        return [word for letter in lower for word in _LETTERS.get(letter, letter + "ee").split()]
    return [lower]


@lru_cache(maxsize=4096)
def _word_s(word: str) -> float:
    rest = "".join(letter for letter in unicodedata.normalize("NFKD", word) if letter.isalnum())
    rest = _MUTE_E.sub("", rest)
    if len(rest) > _MOST_LETTERS:
        return _word_s(rest[:_MOST_LETTERS]) * len(rest) / _MOST_LETTERS
    light_s = _LIGHT_SOUND_S if word in _LIGHT else 0.0
    at, length_s = 0, _WORD_S
    while at < len(rest):
        for pattern, sound_s in _SOUNDS:
            match = pattern.match(rest, at)
            if match is not None:
                at, length_s = match.end(), length_s + sound_s + light_s
                break
        else:
            length_s += _IDEOGRAPH_S if ord(rest[at]) >= _IDEOGRAPHS_FROM else _OTHER_LETTER_S
            at += 1
    return length_s
