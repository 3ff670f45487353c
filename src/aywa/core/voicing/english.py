"""What stands for more than its letters, as an English speaker says it: money, dates, times, units, telephone numbers ...

One table of readings: the contract's name of the formatter, where it reads something, and what is said. Where two read the
same place the earlier one counts; what none of them knows stays as it is written. What each is for, and the contract's own
examples: docs.vapi.ai, "Voice formatting plan".
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from aywa.core.voicing import numbers

Found = re.Match[str]
# A place that was found, and the number from which on digits are read one by one; None: our default.
Speak = Callable[[Found, float | None], str | None]

DEFAULT_CUTOFF = 2025
_LAST_YEAR = 2099
# A longer number is read digit by digit.
_MOST_DIGITS = 15

_LEFT = r"(?<![\w@#$€£¥₹])(?<!\d[.,:/-])(?<![^\W\d_][.-])"
_RIGHT = r"(?![\w°%])(?![.,:/-]\d)"
_MINUS = r"(?:(?<![\w)])[-\u2212](?=\d))"
_WHOLE = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_TO = r"\s?[-\u2013]\s?"


@dataclass(frozen=True, slots=True)
class Reading:
    """formatter: the contract's name. needs: a text without any of these characters has nothing to read; digits: nor one
    without a digit."""

    formatter: str
    pattern: re.Pattern[str]
    speak: Speak
    needs: frozenset[str] = frozenset()
    digits: bool = True


def _amount(whole: str | None, fraction: str | None, sign: str | None = None) -> str | None:
    """2.5: two point five. None where it is too long to be an amount."""
    whole, fraction = whole or "", fraction or ""
    if len(whole.replace(",", "")) > _MOST_DIGITS or len(fraction) > _MOST_DIGITS:
        return None
    return " ".join([*(["minus"] if sign else []), *numbers.decimal(whole, fraction)])


def digits(text: str) -> str:
    """Digit by digit, in groups where the text has groups: "1 2 3, 4 5 6"."""
    return ", ".join(" ".join(group) for group in re.findall(r"\d+", text))


# --- money -----------------------------------------------------------------------------------------------------

_COINS = {
    "$": ("dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
    "¥": ("yen", ""),
    "₹": ("rupee", ""),
}
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_SCALES = {
    "k": "thousand", "m": "million", "b": "billion", "mn": "million", "bn": "billion",
}  # fmt: skip
_PER = {"mo": "month", "yr": "year", "hr": "hour", "min": "minute", "wk": "week"}
_SCALE = r"(?P<scale>\s(?:hundred|thousand|million|billion|trillion)\b|\s?(?:bn|mn)\b|[KkMmB]\b)?"
_EACH = r"(?P<each>\s?/\s?(?:month|mo|year|yr|hour|hr|day|week|wk|person|night|kg|lb|unit|user|seat|minute|min)\b)?"
_SUM = rf"(?P<whole>{_WHOLE})(?:\.(?P<cents>\d+))?"
_SUM_2 = rf"(?P<whole_2>{_WHOLE})(?:\.(?P<cents_2>\d+))?"
_MONEY = re.compile(
    r"(?P<sign>(?<![\w)])[-\u2212])?(?<![\w$€£])"
    rf"(?P<land>US|CA|AU|NZ)?(?P<coin>[$€£¥₹])\s?(?P<sign_2>[-\u2212])?{_SUM}"
    rf"(?:{_TO}(?P=coin)?{_SUM_2})?{_SCALE}{_EACH}{_RIGHT}"
)
_MONEY_CODE = re.compile(
    rf"{_LEFT}(?:(?P<code>USD|EUR|GBP|JPY|INR)\s?)(?P<sign>[-\u2212])?{_SUM}{_SCALE}{_EACH}{_RIGHT}"
)
_MONEY_AFTER = re.compile(
    rf"(?P<sign>{_MINUS})?{_LEFT}{_SUM}{_SCALE}\s?(?P<coin>[$€£¥₹]|(?:USD|EUR|GBP|JPY|INR)\b){_EACH}(?!\w)"
)


def _money(found: Found, cutoff: float | None) -> str | None:
    parts = found.groupdict()
    coin = parts.get("coin") or parts["code"]
    coin = _CODES.get(coin, coin)
    scale = (parts["scale"] or "").strip().lower()
    scale = _SCALES.get(scale, scale)
    land = f"{parts['land']} " if parts.get("land") else ""
    first = _sum(parts["whole"], parts["cents"], coin, land, scale)
    if first is None:
        return None
    if parts.get("whole_2"):
        second = _sum(parts["whole_2"], parts["cents_2"], coin, land, scale)
        if second is None:
            return None
        both_plain = not parts["cents"] and not parts["cents_2"]
        plain = _amount(parts["whole"], None)
        first = f"{plain if both_plain else first} to {second}"
    if parts.get("sign") or parts.get("sign_2"):
        first = f"minus {first}"
    each = (parts["each"] or "").strip(" /")
    return f"{first} per {_PER.get(each, each)}" if each else first


def _sum(whole: str, cents: str | None, coin: str, land: str, scale: str) -> str | None:
    name, small = _COINS[coin]
    if scale or not small or not cents or len(cents) != 2:
        said = _amount(whole, cents)
        one = "1" if whole == "1" and not cents and not scale else "2"
        return said and f"{said} {scale + ' ' if scale else ''}{land}{numbers.plural(name, one)}"
    said = _amount(whole, None)
    if said is None:
        return None
    main = f"{said} {land}{numbers.plural(name, whole)}"
    if cents == "00":
        return main
    many = "pence" if small == "penny" else f"{small}s"
    rest = f"{' '.join(numbers.cardinal(int(cents)))} {small if cents == '01' else many}"
    return rest if not whole.strip("0") else f"{main} and {rest}"


# --- addresses -------------------------------------------------------------------------------------------------

_EMAIL = re.compile(r"(?<![\w@.+-])(?:mailto:)?([\w.+%-]+@(?:[\w-]+\.)+[A-Za-z]{2,})(?![\w@])")
_URL = re.compile(
    r"(?<![\w@.-])(?:https?://|(?=www\.)|(?=(?:[a-z0-9-]+\.)+(?:com|org|net|io|ai|dev|app|gov|edu|info|biz|uk|de|eu)\b))"
    r"((?:[\w-]+\.)+[a-z]{2,}(?::\d+)?(?:[/?#][^\s<>\"'\u201d]*)?|localhost[^\s<>\"']*)(?<![.,;:!?)\]])(?![@\w])",
    re.IGNORECASE,
)
_ADDRESS_PIECE = re.compile(r"\d+|[^\W\d_]+|.")
_ADDRESS_SIGNS = {
    ".": "dot", "@": "at", "_": "underscore", "-": "dash", "+": "plus", "/": "slash", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "%": "percent", ":": "colon", "~": "tilde", "www": "W W W",
}  # fmt: skip


def _address(found: Found, cutoff: float | None) -> str:
    text = found[1].rstrip("/")
    pieces = _ADDRESS_PIECE.findall(text)
    return " ".join(" ".join(p) if p.isdecimal() else _ADDRESS_SIGNS.get(p.lower(), p) for p in pieces)


# --- dates and times -------------------------------------------------------------------------------------------

_MONTHS = "January February March April May June July August September October November December".split()
_SHORT_MONTHS = {month[:3].lower(): month for month in _MONTHS}
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
_DATE_YEAR_FIRST = re.compile(
    rf"{_LEFT}(\d{{4}})([-/. ])(\d{{1,2}})\2(\d{{1,2}})"
    r"(?:T(\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?|(?!\w))(?![.,:/-]\d)"
)
_DATE_YEAR_LAST = re.compile(
    rf"{_LEFT}(\d{{1,2}})(?:([-/.])(\d{{1,2}})\2(\d{{4}})|(/)(\d{{1,2}})/(\d\d)){_RIGHT}"
)
_MONTH_DAY = re.compile(
    rf"\b({_MONTH})\s+(\d{{1,2}})(st|nd|rd|th)?(?:[-\u2013](\d{{1,2}})(?:st|nd|rd|th)?)?(?:(,?)\s+(\d{{4}}))?(?!\w)(?![.,:/]\d|\s?%|\s?[ap]\.?m\b)"
)
_DAY_MONTH = re.compile(rf"{_LEFT}(\d{{1,2}})(?:st|nd|rd|th)?\s+(of\s+)?({_MONTH})(?:,?\s+(\d{{4}}))?(?!\w)")
_MONTH_YEAR = re.compile(rf"\b({_MONTH})(,?)\s+(\d{{4}}){_RIGHT}")


def _month(written: str) -> str:
    return _SHORT_MONTHS[written[:3].lower()]


def _date(year: int, month: int, day: int) -> str | None:
    try:
        date = dt.date(year, month, day)
    except ValueError:
        return None
    return f"{_DAYS[date.weekday()]}, {_MONTHS[month - 1]} {day}, {year}"


_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def _date_year_first(found: Found, cutoff: float | None) -> str | None:
    date = _date(int(found[1]), int(found[3]), int(found[4]))
    if date is None or not found[5]:
        return date
    time = _clock(found[5], found[6], "")
    return time and f"{date} at {time}"


def _date_year_last(found: Found, cutoff: float | None) -> str | None:
    """Month first, as in the United States, unless only the other way makes a date, or it has stops."""
    first, second = int(found[1]), int(found[3] or found[6])
    year = int(found[4] or f"20{found[7]}")
    # A year of two digits is nearer to us than a century away.
    year -= 100 if found[7] and year > 2068 else 0
    ways = [(first, second), (second, first)]
    if found[2] == ".":
        ways.reverse()
    return next((date for month, day in ways if (date := _date(year, month, day))), None)


def _month_day(found: Found, cutoff: float | None) -> str:
    days = [" ".join(numbers.ordinal(int(day))) if found[3] else day for day in found.group(2, 4) if day]
    return f"{_month(found[1])} {' to '.join(days)}" + (f"{found[5]} {found[6]}" if found[6] else "")


def _day_month(found: Found, cutoff: float | None) -> str:
    year = f" {found[4]}" if found[4] else ""
    return f"{' '.join(numbers.ordinal(int(found[1])))} of {_month(found[3])}{year}"


def _month_year(found: Found, cutoff: float | None) -> str:
    return f"{_month(found[1])}{found[2]} {found[3]}"


_HALF = r"(?:(?:[AaPp])\.\s?[Mm]\.|[AaPp]\.?[Mm]\b)"
_TIME_RANGE = re.compile(
    rf"{_LEFT}(\d{{1,2}})(?::([0-5]\d))?\s?({_HALF})?{_TO}(\d{{1,2}})(?::([0-5]\d))?\s?({_HALF})(?!\w)"
)
_CLOCK_RANGE = re.compile(rf"{_LEFT}(\d{{1,2}}):([0-5]\d){_TO}(\d{{1,2}}):([0-5]\d){_RIGHT}(?!\s?{_HALF})")
_TIME_HALF = re.compile(rf"{_LEFT}(\d{{1,2}})(?:[:.]([0-5]\d))?\s?({_HALF})(?!\w)")
_TIME = re.compile(rf"{_LEFT}(\d{{1,2}}):([0-5]\d){_RIGHT}")


def _clock(hour: str, minute: str | None, half: str | None) -> str | None:
    """24 hours with its half of the day; 12 hours with what is written."""
    hours, minutes = int(hour), int(minute or 0)
    said = "" if not minutes else f" oh {minutes}" if minutes < 10 else f" {minutes}"
    if half:
        return f"{hours}{said} {half[0].upper()}M" if 0 < hours <= 12 else None
    if hours > 23:
        return None
    if hours > 12 or hour[0] == "0":
        return f"{(hours - 1) % 12 + 1}{said} {'PM' if hours > 11 else 'AM'}"
    return f"{hours}{said}" if minutes else f"{hours} o'clock"


def _stop(found: Found, half: str) -> str:
    """The stop of "p.m." at the end is the sentence's too."""
    ends = not found.string[found.end() :].strip(" \"')\u201d")
    return "." if half.endswith(".") and ends else ""


def _time_range(found: Found, cutoff: float | None) -> str | None:
    last = _clock(found[4], found[5], found[6])
    first = _clock(found[1], found[2], found[3] or found[6])
    if first is None or last is None:
        return None
    # "2-4 PM": the half of the day is said once.
    first = first if found[3] else first[:-3]
    return f"{first} to {last}{_stop(found, found[6])}"


def _clock_range(found: Found, cutoff: float | None) -> str | None:
    # Of "9:00-17:00" both are of 24 hours.
    whole_day = any(hour[0] == "0" or int(hour) > 12 for hour in (found[1], found[3]))
    first, last = (
        _clock(f"{hour:0>2}" if whole_day else hour, minute, None)
        for hour, minute in (found.group(1, 2), found.group(3, 4))
    )
    return f"{first} to {last}" if first and last else None


def _time_half(found: Found, cutoff: float | None) -> str | None:
    time = _clock(found[1], found[2], found[3])
    return time and time + _stop(found, found[3])


def _time(found: Found, cutoff: float | None) -> str | None:
    return _clock(found[1], found[2], None)


# --- units -----------------------------------------------------------------------------------------------------

_DISTANCES = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "mi": "mile", "ft": "foot",
    "yd": "yard", "yds": "yard", "nm": "nanometer",
}  # fmt: skip
_UNITS = {
    "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce", "l": "liter",
    "L": "liter", "ml": "milliliter", "mL": "milliliter", "gal": "gallon", "mph": "mile per hour",
    "km/h": "kilometer per hour", "kph": "kilometer per hour", "m/s": "meter per second", "°C": "degree Celsius",
    "°F": "degree Fahrenheit", "°": "degree", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "Mbps": "megabit per second", "Gbps": "gigabit per second", "kWh": "kilowatt hour", "kW": "kilowatt", "W": "watt",
    "V": "volt", "mAh": "milliamp hour", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "sq ft": "square foot", "sqft": "square foot", "sq. ft.": "square foot", "ft²": "square foot",
    "sq m": "square meter", "m²": "square meter", "km²": "square kilometer", "m³": "cubic meter", "min": "minute",
    "mins": "minute", "hr": "hour", "hrs": "hour", "h": "hour", "sec": "second", "secs": "second", "ms": "millisecond",
}  # fmt: skip


def _measure(names: dict[str, str]) -> tuple[re.Pattern[str], Speak]:
    any_name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    one = rf"({_WHOLE})?(?:\.(\d+))?"
    pattern = re.compile(
        rf"({_MINUS})?{_LEFT}(?=[\d.]){one}(?:{_TO}(?=\d){one})?\s?({any_name})(?![\w/°²³])(?!'\w)"
    )

    def speak(found: Found, cutoff: float | None) -> str | None:
        whole, fraction = found[2], found[3]
        said = _amount(whole, fraction, found[1])
        one = "1" if whole == "1" and not fraction else "2"
        if found[4]:
            second = _amount(found[4], found[5])
            said, one = (f"{said} to {second}" if said and second else None), "2"
        return f"{said} {numbers.plural(names[found[6]], one)}" if said else None

    return pattern, speak


_HEIGHT = re.compile(r"(?<![\w.,])(\d{1,2})(?:'|\u2032|\u2019)\s?(\d{1,2})(?:\"|\u2033|\u201d|'')(?!\w)")
_INCHES = re.compile(r"(?<![\w.,])(\d+)(?:\.(\d+))?(?:-inch\b|in\b(?!\s*-))(?!\w)")


def _height(found: Found, cutoff: float | None) -> str:
    feet, inches = (" ".join(numbers.cardinal(int(part))) for part in (found[1], found[2]))
    return f"{feet} {numbers.plural('foot', found[1])} {inches} {numbers.plural('inch', found[2])}"


def _inches(found: Found, cutoff: float | None) -> str | None:
    said = _amount(found[1], found[2])
    of_one = "-" in found[0] or (found[1] == "1" and not found[2])
    return said and f"{said} {'inch' if of_one else 'inches'}"


_PERCENT = re.compile(
    rf"({_MINUS})?{_LEFT}(?=[\d.])({_WHOLE})?(?:\.(\d+))?%?(?:{_TO}({_WHOLE})(?:\.(\d+))?)?\s?%(?!\w)"
)


def _percent(found: Found, cutoff: float | None) -> str | None:
    said = _amount(found[2], found[3], found[1])
    if found[4]:
        second = _amount(found[4], found[5])
        said = f"{said} to {second}" if said and second else None
    return said and f"{said} percent"


# --- telephone numbers and what else is read digit by digit ----------------------------------------------------

_DASH = r"[-.\u2011 ]"
_PHONE = re.compile(
    r"(?<![\w$€£¥₹.,/:-])(?<!\d )(?:"
    # International: +44 20 7946 0958; and North American ones, with or without the country.
    rf"\+\d{{1,3}}(?:{_DASH}?(?:\(\d{{1,4}}\)|\d{{2,5}})){{1,5}}"
    rf"|(?:1{_DASH})?(?:\(\d{{3}}\)\s?|\d{{3}}{_DASH})\d{{3}}{_DASH}\d{{4}}"
    rf"|\d{{3}}-\d{{4}}|0\d{{2,4}} \d{{3,4}} ?\d{{3,4}}"
    # Cards, social security numbers, postcodes of nine digits.
    r"|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4} \d{6} \d{5}|\d{3}-\d\d-\d{4}|\d{5}-\d{4}|\d{16}|\d{10}"
    r")(?![\w%°])(?![.,:/-]\d)"
)
_EXTENSION = re.compile(r"\b(ext)(?:ension)?\b\.?\s*(\d{2,6})(?!\w)", re.IGNORECASE)
_UNGROUPED = {10: (3, 3, 4), 16: (4, 4, 4, 4)}


def phone(found: Found, cutoff: float | None) -> str:
    """In its groups, with a pause between two."""
    text = found[0]
    if text.isdecimal():
        text = " ".join(text[a:b] for a, b in pairwise(accumulate(_UNGROUPED[len(text)], initial=0)))
    return ("plus " if text[0] == "+" else "") + digits(text)


PHONE = Reading("phoneNumber", _PHONE, phone)


def _extension(found: Found, cutoff: float | None) -> str:
    return f"extension {digits(found[2])}"


_CODE = re.compile(
    r"\b(?:dial|call|text|zip(?: code)?"
    r"|postcode|code|pin|passcode|account|confirmation|reference|tracking|order|ticket|policy|ID|ending in"
    r"|last four(?: digits)?)(?: number| no\.?| ID| code)?(?: is| are| of)?:?\s+#?\s?(\d{3,})(?!\w)(?![.,:/-]\d|\s?%)",
    re.IGNORECASE,
)
_POSTCODE = re.compile(
    r"(?<![\w-])([A-Z]{1,2}\d[A-Z\d]?) (\d[A-Z]{2})(?!\w)|(?<![\w-])([A-Z]\d[A-Z]) (\d[A-Z]\d)(?!\w)"
)
_MIXED_CODE = re.compile(
    r"(?<![\w-])(?=[A-Z-]*\d)(?=[\d-]*[A-Z])(?![A-Z]{2,}-?\d{1,2}(?![\w-]))[A-Z\d]+(?:-[A-Z\d]+)*(?![\w-]|[.:/]\w)"
)
_ROOM = re.compile(
    r"\b((?:room|suite|apartment|apt\.?|flight|highway|route|interstate|bus)\s+#?)(\d{3,4})(?!\w)(?![.,:/-]\d)",
    re.IGNORECASE,
)


def _code(found: Found, cutoff: float | None) -> str:
    return found.string[found.start() : found.start(1)].rstrip("# ") + " " + " ".join(found[1])


def _postcode(found: Found, cutoff: float | None) -> str:
    return ", ".join(" ".join(part) for part in found.groups() if part)


def _mixed_code(found: Found, cutoff: float | None) -> str | None:
    bare = found[0].replace("-", "")
    return ", ".join(" ".join(part) for part in found[0].split("-")) if len(bare) >= 5 else None


def _room(found: Found, cutoff: float | None) -> str | None:
    high, low = divmod(int(found[2]), 100)
    if found[2][0] == "0":
        return found[1] + " ".join(found[2])
    return found[1].rstrip("#") + " ".join([*numbers.cardinal(high), *numbers.pair(low)])


# --- numbers ---------------------------------------------------------------------------------------------------

_NO = re.compile(r"(?:\b[Nn]os?\.\s?|\u2116\s?|(?<![\w&])#\s?)(\d+)(?!\w)(?![.,:/-]\d)")
_ORDINAL = re.compile(r"(?<![\w.,$€£-])(\d{1,3}(?:,\d{3})+|\d{1,9})(?:st|nd|rd|th)\b", re.IGNORECASE)
_VERSION = re.compile(r"(?<![\w.,])([vV])?(\d{1,5})((?:\.\d{1,5})+)(?!\w)(?![.,:/-]\d)")
_FRACTION = re.compile(rf"{_LEFT}(?:(\d+)\s)?(\d)/(\d{{1,2}}){_RIGHT}")
_GLYPHS = {"½": "one half", "¼": "one quarter", "¾": "three quarters", "⅓": "one third", "⅔": "two thirds"}
_GLYPH = re.compile(r"(?<![\w.,])(\d+)?\s?([½¼¾⅓⅔])(?!\w)")
_DECADE = re.compile(r"(?<![\w.,$€£])(?:(\d\d)|')?(\d0)'?s(?!\w)")
_RANGE = re.compile(rf"{_LEFT}(\d{{1,6}})(\.\d+)?[-\u2013](\d{{1,6}})(\.\d+)?{_RIGHT}(?!-)")
_RATIO = re.compile(rf"{_LEFT}(\d{{1,3}})(:|\s?[x\u00d7]\s?)([1-9]\d{{0,2}}){_RIGHT}")
_ALWAYS = re.compile(rf"{_LEFT}(?:24/7|50/50){_RIGHT}")
_SIGN = re.compile(r"(?<=\d)\s?([*\u00d7+=])\s?(?=\d)")
_SIGNS = {"*": "times", "\u00d7": "times", "+": "plus", "=": "equals"}
_BIG = re.compile(
    rf"({_MINUS})?{_LEFT}({_WHOLE})(?:\.(\d+))?(?:([KkM])\b|(?=\s(?:million|billion|trillion|thousand|hundred)\b))"
)
_YEAR = re.compile(
    r"\b((?:in|since|by|until|till|of|from|before|after|year|years|through|during|for|to|early|late|mid|spring|summer|fall"
    r"|autumn|winter|class of|until|end of)\s+)(1[1-9]\d\d|20\d\d)(?![\w%°])(?![.,:/-]\d)(?!\s(?:people|dollars|euros|pounds))",
    re.IGNORECASE,
)
_NUMBER = re.compile(rf"({_MINUS})?{_LEFT}(?=[\d.])({_WHOLE})?(?:\.(\d+))?{_RIGHT}")

_PARTS = {
    2: ("half", "halves"), 3: ("third", "thirds"), 4: ("quarter", "quarters"), 5: ("fifth", "fifths"),
    8: ("eighth", "eighths"), 10: ("tenth", "tenths"), 16: ("sixteenth", "sixteenths"),
}  # fmt: skip


def _no(found: Found, cutoff: float | None) -> str:
    many = "numbers" if found[0][:3].lower() == "nos" else "number"
    return f"{many} {_integer(found[1], cutoff)}"


def _ordinal(found: Found, cutoff: float | None) -> str:
    return " ".join(numbers.ordinal(int(found[1].replace(",", ""))))


def _version(found: Found, cutoff: float | None) -> str | None:
    """v2.0, 3.11.2, and addresses of machines."""
    parts = [found[2], *found[3][1:].split(".")]
    if not found[1] and len(parts) == 2:
        return None
    if len(parts) == 4 and not found[1]:
        return " dot ".join(" ".join(part) for part in parts)
    said = " point ".join(" ".join(numbers.cardinal(int(part))) for part in parts)
    return f"version {said}" if found[1] else said


def _fraction(found: Found, cutoff: float | None) -> str | None:
    top, bottom = int(found[2]), int(found[3])
    if bottom not in _PARTS or not 0 < top < bottom or len(found[1] or "") > _MOST_DIGITS:
        return None
    said = f"{' '.join(numbers.cardinal(top))} {_PARTS[bottom][top > 1]}"
    if not found[1]:
        return said
    said = f"a {_PARTS[bottom][0]}" if top == 1 else said
    return f"{' '.join(numbers.cardinal(int(found[1])))} and {said}"


def _glyph(found: Found, cutoff: float | None) -> str | None:
    part = _GLYPHS[found[2]]
    if not found[1]:
        return part
    whole = _amount(found[1], None)
    return whole and f"{whole} and {part.replace('one ', 'a ')}"


def _decade(found: Found, cutoff: float | None) -> str:
    tens = "hundred" if found[2] == "00" else " ".join(numbers.cardinal(int(found[2])))
    many = f"{tens}s" if tens == "hundred" else "tens" if tens == "ten" else f"{tens[:-1]}ies"
    if found[1] == "20" and tens == "hundred":
        return "two thousands"
    return f"{' '.join(numbers.cardinal(int(found[1])))} {many}" if found[1] else many


def _range(found: Found, cutoff: float | None) -> str:
    first, second = (
        f"{_integer(found[n], cutoff)}{' point ' + _each(found[n + 1][1:]) if found[n + 1] else ''}"
        for n in (1, 3)
    )
    return f"{first} to {second}"


def _each(text: str) -> str:
    return " ".join(numbers.decimal("", text)[1:])


def _ratio(found: Found, cutoff: float | None) -> str:
    link = "to" if found[2] == ":" else "by"
    return f"{_integer(found[1], cutoff)} {link} {_integer(found[3], cutoff)}"


def _always(found: Found, cutoff: float | None) -> str:
    return "twenty four seven" if found[0] == "24/7" else "fifty fifty"


def _sign(found: Found, cutoff: float | None) -> str:
    return f" {_SIGNS[found[1]]} "


def _big(found: Found, cutoff: float | None) -> str | None:
    said = _amount(found[2], found[3], found[1])
    return said and said + (f" {_SCALES[found[4].lower()]}" if found[4] else "")


def _year(found: Found, cutoff: float | None) -> str | None:
    value = int(found[2])
    if value > (_LAST_YEAR if cutoff is None else cutoff):
        return None
    return found[1] + " ".join(numbers.year(value))


def _number(found: Found, cutoff: float | None) -> str | None:
    sign, whole, fraction = found[1], found[2], found[3]
    if not whole or fraction or "," in whole:
        return _amount(whole, fraction, sign) if whole or fraction else None
    said = _integer(whole, cutoff)
    return f"minus {said}" if sign else said


def _integer(written: str, cutoff: float | None) -> str:
    """Without commas: what is longer than the cutoff, or begins with 0, is no amount and read digit by digit."""
    if len(written) > _MOST_DIGITS or (written[0] == "0" and len(written) > 1):
        return " ".join(written)
    value = int(written)
    # Nobody numbers things in whole thousands.
    amount = cutoff is None and value % 1000 == 0 and value < 1_000_000
    if value > (DEFAULT_CUTOFF if cutoff is None else cutoff) and not amount:
        return " ".join(written)
    if 1100 <= value <= _LAST_YEAR and value % 1000:
        return " ".join(numbers.year(value))
    return " ".join(numbers.cardinal(value))


# --- letters ---------------------------------------------------------------------------------------------------

_CAPITALS = re.compile(r"(?<![\w&.'@-])[A-Z]{2,6}(?:&[A-Z]+)?(s)?(?![\w&@])(?!-?\d)(?!\.\w)")
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
# Read as words. Others with a vowel may be words, or somebody shouting, and are left to the voice.
_SAID = frozenset(
    "NASA NATO UNESCO UNICEF COVID AIDS FIFA OPEC NAFTA RADAR LASER SCUBA GIF JPEG RAM SIM PIN ZIP WIFI OSHA FEMA IKEA"
    " ASAP SWAT YOLO".split()
)
_SPELLED = frozenset(
    "AI API APIs USA US UK EU UN UAE FBI CIA IBM ATM UPS USPS AAA IRS ID IDs IT HR CEO CFO CTO COO SUV EMT ER ICU IV"
    " MRI IUD OTC EKG ECG FAQ FAQs URL URLs USB IP ISP IOS UI UX PDF HTML AC DOB ETA EST EDT CET UTC AM FM ESPN NBA"
    " IOU EV EVs LED LEDs IPO GDPR HIPAA".split()
) - {"AM", "HIPAA", "US", "IT"}
_NOT_SPELLED = frozenset(
    ("AM", "PM", "MR", "MRS", "MS", "DR", "ST", "RD", "JR", "SR", "HMM", "SHH", "PSST", "OK")
)
_WORDS = {
    "dr": "Doctor", "mr": "Mister", "mrs": "Missis", "ms": "Miz", "prof": "Professor", "ave": "Avenue",
    "blvd": "Boulevard", "apt": "apartment", "dept": "department", "vs": "versus", "etc": "et cetera",
    "approx": "approximately", "jr": "Junior", "sr": "Senior", "e.g": "for example", "i.e": "that is", "inc": "Incorporated",
    "ltd": "Limited", "corp": "Corporation", "gov": "Governor", "sgt": "Sergeant", "capt": "Captain", "lt": "Lieutenant",
}  # fmt: skip
_SHORT = re.compile(
    r"(?<![\w.@])(Dr|Mr|Mrs|Ms|Prof|Ave|Blvd|Apt|apt|dept|Dept|vs|etc|approx|Approx|Jr|Sr|e\.g|i\.e|Inc|Ltd|Corp|Gov|Sgt|Capt"
    r"|Lt)\.(?!\w)"
)
_SAINT = re.compile(r"(?<![\w.@])(St|Rd)\.(?!\w)")
_DOTTED = re.compile(r"(?<![\w.@])(?:[A-Z]\.){2,}(?![\w@])")


def _capitals(found: Found, cutoff: float | None) -> str | None:
    word = found[0]
    bare = word[:-1] if found[1] else word
    if word in _NOT_SPELLED or _ROMAN.fullmatch(word):
        return None
    if "&" in word:
        return " and ".join(" ".join(part) for part in word.split("&"))
    if bare in _SAID:
        return word.lower()
    if bare in _SPELLED or not any(letter in "AEIOUY" for letter in bare):
        return " ".join(bare) + ("s" if found[1] else "")
    return None


def _short(found: Found, cutoff: float | None) -> str:
    said = _WORDS[found[1].lower()]
    ends = not found.string[found.end() :].strip(" \"')\u201d")
    return said + ("." if ends else "")


def _saint(found: Found, cutoff: float | None) -> str:
    after = found.string[found.end() :].lstrip()
    if found[1] == "St" and after[:1].isupper():
        before = found.string[: found.start()].rstrip()
        # "12 Main St. Springfield" is a street; a saint has no name before his title.
        if not re.search(r"\d+\s+\S+$", before):
            return "Saint"
    said = "Street" if found[1] == "St" else "Road"
    return said + ("." if not after.strip("\"')\u201d") else "")


def _dotted(found: Found, cutoff: float | None) -> str:
    ends = not found.string[found.end() :].strip(" \"')\u201d")
    return " ".join(found[0].replace(".", "")) + ("." if ends else "")


_CAPITAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
READINGS = (
    Reading("dollarAmount", _MONEY, _money, frozenset("".join(_COINS))),
    Reading("dollarAmount", _MONEY_AFTER, _money, frozenset("$€£¥₹DRPY")),
    Reading("dollarAmount", _MONEY_CODE, _money, frozenset("DRPY")),
    Reading("email", _EMAIL, _address, frozenset("@"), digits=False),
    Reading("email", _URL, _address, frozenset("./"), digits=False),
    Reading("date", _DATE_YEAR_FIRST, _date_year_first, frozenset("-/. ")),
    Reading("date", _DATE_YEAR_LAST, _date_year_last, frozenset("-/.")),
    Reading("date", _MONTH_DAY, _month_day, frozenset("JFMASOND")),
    Reading("date", _DAY_MONTH, _day_month, frozenset("JFMASOND")),
    Reading("date", _MONTH_YEAR, _month_year, frozenset("JFMASOND")),
    Reading("time", _TIME_RANGE, _time_range, frozenset("-\u2013")),
    Reading("time", _CLOCK_RANGE, _clock_range, frozenset(":")),
    Reading("time", _TIME_HALF, _time_half, frozenset("mM")),
    Reading("time", _TIME, _time, frozenset(":")),
    Reading("distance", _HEIGHT, _height, frozenset("'\u2032\u2019")),
    Reading("distance", _INCHES, _inches, frozenset("i")),
    Reading("distance", *_measure(_DISTANCES)),
    Reading("unit", *_measure(_UNITS)),
    Reading("percentage", _PERCENT, _percent, frozenset("%")),
    PHONE,
    Reading("phoneNumber", _EXTENSION, _extension, frozenset("xX")),
    Reading("number", _CODE, _code, frozenset("oOiIcCeE")),
    Reading("number", _ROOM, _room, frozenset("mtuMTU")),
    Reading("number", _NO, _no, frozenset("oO#\u2116")),
    Reading("number", _POSTCODE, _postcode, frozenset(_CAPITAL)),
    Reading("number", _MIXED_CODE, _mixed_code, frozenset(_CAPITAL)),
    Reading("number", _ORDINAL, _ordinal, frozenset("thdTHD")),
    Reading("number", _VERSION, _version, frozenset(".")),
    Reading("number", _ALWAYS, _always, frozenset("/")),
    Reading("number", _FRACTION, _fraction, frozenset("/")),
    Reading("number", _GLYPH, _glyph, frozenset("".join(_GLYPHS)), digits=False),
    Reading("number", _DECADE, _decade, frozenset("s")),
    Reading("number", _RANGE, _range, frozenset("-\u2013")),
    Reading("number", _RATIO, _ratio, frozenset(":x\u00d7")),
    Reading("number", _BIG, _big, frozenset("KkMn")),
    Reading("number", _YEAR, _year, frozenset("ieyloaruhIEYLOARUH")),
    Reading("number", _NUMBER, _number),
    Reading("number", _SIGN, _sign, frozenset(_SIGNS), digits=False),
    Reading("acronym", _SHORT, _short, frozenset("."), digits=False),
    Reading("acronym", _SAINT, _saint, frozenset("."), digits=False),
    Reading("acronym", _DOTTED, _dotted, frozenset("."), digits=False),
    Reading("acronym", _CAPITALS, _capitals, frozenset(_CAPITAL), digits=False),
)
