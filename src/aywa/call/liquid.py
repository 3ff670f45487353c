"""Liquid as LiquidJS has it, on python-liquid: its date filter, its numbers, and limits on what one template may cost.

Refuses files and includes: a template is one text. Whatever is wrong with it leaves as BadTemplate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

from liquid import BoundTemplate, Environment, RenderContext
from liquid.exceptions import FilterArgumentError, ResourceLimitError
from liquid.filter import with_context
from liquid.output import LimitedStringIO
from liquid.undefined import is_undefined

TEMPLATE_CHARACTERS = 200_000
OUTPUT_BYTES = 400_000
# One value: a string's characters, or all that a list holds.
VALUE_CHARACTERS = 200_000
LIST_ITEMS = 2_000
# In the whole of one rendering: what filters are given and give, and the template's length for every turn of a loop.
WORK_CHARACTERS = 5_000_000
# Its pattern takes the square of the length.
STRIP_HTML_CHARACTERS = 10_000

_SAFE_INTEGER = 2**53
_DEFAULT_FORMAT = "%A, %B %-e, %Y at %-l:%M %P %z"
_FORMATS = ("%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%m/%d/%Y", "%Y/%m/%d", "%B %d, %Y %I:%M %p")
_DIRECTIVE = re.compile(r"%([-_0^#:]+)?(\d+)?[EO]?(.)", re.S)
_DATE_CHARACTERS = 64
_PAD_LIMIT = 100
# Blocks whose end the lexer looks for through the whole of the rest.
_UNREAD = tuple((re.compile(rf"\{{%-?\s*{n}\b"), re.compile(rf"\{{%-?\s*end{n}\b")) for n in ("raw", "doc"))


class BadTemplate(Exception):
    """The template cannot be read or rendered. `code` says in what way; the text itself is never quoted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def render(template: str, variables: Mapping[str, Any], now: datetime) -> str:
    """The template with the variables put in. now: what "now" means in it. Raises BadTemplate."""
    if len(template) > TEMPLATE_CHARACTERS:
        raise BadTemplate("TemplateTooLong")
    if any(_last(begin, template) > _last(end, template) for begin, end in _UNREAD):
        raise BadTemplate("UnclosedBlock")
    try:
        bound = _ENVIRONMENT.from_string(template)
        values = {name: _as_js(value) for name, value in variables.items()}
        context = _Context(bound, len(template), now, globals=values)
        out = LimitedStringIO(limit=OUTPUT_BYTES, newline="")
        bound.render_with_context(context, out)
        return out.getvalue()
    except Exception as error:  # a template may break in any way that its author finds
        raise BadTemplate(error.__class__.__name__) from error


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)


# --- limits ------------------------------------------------------------------------------------------------------


class _Context(RenderContext):
    """Counts what the rendering costs."""

    __slots__ = ("characters", "now", "work")

    def __init__(self, template: BoundTemplate, characters: int, now: datetime, **kwargs: Any) -> None:
        super().__init__(template, **kwargs)
        self.characters = characters
        self.now = now
        self.work = 0

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self._spend(length * self.characters)

    def _spend(self, characters: int) -> None:
        self.work += characters
        if self.work > WORK_CHARACTERS:
            raise ResourceLimitError("too much work", token=None)

    def filter(self, name: str, token: Any) -> Callable[..., object]:
        chosen = super().filter(name, token)

        def bounded(value: object, *args: object, **kwargs: object) -> object:
            self._spend(_checked(value) + sum(map(_checked, args)))
            if _would_be(name, value, args) > VALUE_CHARACTERS:
                raise ResourceLimitError("a value is too large", token=None)
            result = _as_js(chosen(value, *args, **kwargs))
            self._spend(_checked(result))
            return result

        return bounded


def _checked(value: object) -> int:
    """The value's size, deep. Raises ResourceLimitError."""
    size = _size(value)
    if size > VALUE_CHARACTERS:
        raise ResourceLimitError("a value is too large", token=None)
    return size


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value) + 1
    if isinstance(value, range):
        return VALUE_CHARACTERS + 1 if value.stop - value.start > LIST_ITEMS else len(value)
    if isinstance(value, list | tuple):
        return VALUE_CHARACTERS + 1 if len(value) > LIST_ITEMS else sum(map(_size, value)) + 1
    if isinstance(value, Mapping):
        return sum(map(_size, value.values())) + len(value)
    return 1


def _would_be(name: str, value: object, args: tuple[object, ...]) -> int:
    """How large the result of a filter that multiplies would be: to be known before it is made."""
    if name == "strip_html":
        return _size(value) * VALUE_CHARACTERS // STRIP_HTML_CHARACTERS
    if name in ("replace", "replace_first", "replace_last") and isinstance(value, str):
        old, new = (*map(str, args), "", "")[:2]
        return len(value) + (value.count(old) if old else len(value) + 1) * len(new)
    if name == "join" and isinstance(value, list | tuple | range):
        return _size(value) + len(value) * (len(str(args[0])) if args else 1)
    return 0


# --- numbers -----------------------------------------------------------------------------------------------------


def _as_js(value: Any) -> Any:
    """Numbers as JavaScript has them: 5.0 is 5, and integers past 2^53 are not exact."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _SAFE_INTEGER:
        return int(value)
    if isinstance(value, int) and abs(value) > _SAFE_INTEGER:
        return float(min(max(value, -(10**300)), 10**300))
    if isinstance(value, list | tuple):
        return [_as_js(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_js(item) for key, item in value.items()}
    return value


def _divided_by(value: Any, by: Any, integer: bool = False) -> Any:
    try:
        quotient = float(value) / float(by)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise FilterArgumentError("divided_by: not a number, or nothing", token=None) from error
    return quotient // 1 if integer else quotient


def _json(value: Any, space: Any = None) -> str:
    if is_undefined(value):
        return ""
    indent = min(space, 10) if isinstance(space, int) and space > 0 else None
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value, ensure_ascii=False, indent=indent, separators=separators, default=lambda other: str(other)
    )


# --- dates -------------------------------------------------------------------------------------------------------


@with_context
def _date(value: Any, form: Any = None, zone: Any = None, *, context: _Context) -> Any:
    """As LiquidJS has it: zone is a name, or minutes to be added to reach UTC. What is not a date stays as it is."""
    moment = _moment(value, context.now)
    if moment is None:
        return value
    try:
        local = moment.astimezone(_zone(zone))
    except (OverflowError, ValueError, OSError, KeyError) as error:
        raise FilterArgumentError("date: no such time zone", token=None) from error
    missing = form is None or is_undefined(form)
    return _DIRECTIVE.sub(lambda match: _directive(local, match), _DEFAULT_FORMAT if missing else str(form))


def _moment(value: Any, now: datetime) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str) and value in ("now", "today"):
        return now
    if isinstance(value, str) and len(value) <= _DATE_CHARACTERS:
        text = value.strip()
        return _instant(float(text)) if text.isdecimal() else _parsed(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _instant(value)
    return None


def _instant(epoch_s: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(epoch_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _parsed(text: str) -> datetime | None:
    moment: datetime | None = None
    for read in (datetime.fromisoformat, parsedate_to_datetime, *map(_reader, _FORMATS)):
        try:
            moment = read(text)
            break
        except (ValueError, TypeError, IndexError):
            continue
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _reader(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form).replace(tzinfo=UTC)


def _zone(zone: Any) -> tzinfo:
    if zone is None or is_undefined(zone):
        return UTC
    if isinstance(zone, int | float):
        return timezone(timedelta(minutes=-zone))
    return ZoneInfo(str(zone))


_PADDED = {"j": 3, "L": 3} | dict.fromkeys("deHIklmMSUW", 2)
_WITH_SPACES = frozenset("aAbBcehklpP")


def _directive(at: datetime, match: re.Match[str]) -> str:
    flags, width, conversion = match[1] or "", match[2], match[3]
    convert = _CONVERSIONS.get(conversion)
    if convert is None:
        return match[0]
    text = convert(at, int((width or "0")[:3]), ":" in flags)
    if "^" in flags:
        text = text.upper()
    elif "#" in flags:
        text = text.lower() if text.isupper() else text.upper()
    pad = int(width[:3]) if width else _PADDED.get(conversion, 0)
    filler = " " if "_" in flags or (conversion in _WITH_SPACES and "0" not in flags) else "0"
    return text.rjust(0 if "-" in flags else min(pad, _PAD_LIMIT), filler)


def _offset(at: datetime, colon: bool) -> str:
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{':' if colon else ''}{rest:02d}"


def _suffix(day: int) -> str:
    return "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _short_day(at: datetime) -> str:
    return f"{at.month}/{at.day}/{at.year}"


def _short_time(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at:%M:%S %p}"


def _plain(code: str) -> Callable[[datetime, int, bool], str]:
    return lambda at, width, colon: at.strftime(f"%{code}")


_CONVERSIONS: dict[str, Callable[[datetime, int, bool], str]] = {
    **{code: _plain(code) for code in "aAbBhpuwUWZ"},
    "c": lambda at, width, colon: f"{_short_day(at)}, {_short_time(at)}",
    "x": lambda at, width, colon: _short_day(at),
    "X": lambda at, width, colon: _short_time(at),
    "C": lambda at, width, colon: str(at.year // 100),
    "d": lambda at, width, colon: str(at.day),
    "e": lambda at, width, colon: str(at.day),
    "H": lambda at, width, colon: str(at.hour),
    "k": lambda at, width, colon: str(at.hour),
    "I": lambda at, width, colon: str(at.hour % 12 or 12),
    "l": lambda at, width, colon: str(at.hour % 12 or 12),
    "j": lambda at, width, colon: str(at.timetuple().tm_yday),
    "L": lambda at, width, colon: str(at.microsecond // 1000),
    "N": lambda at, width, colon: f"{at.microsecond * 1000:09d}"[: width or 9],
    "m": lambda at, width, colon: str(at.month),
    "M": lambda at, width, colon: str(at.minute),
    "P": lambda at, width, colon: at.strftime("%p").lower(),
    "q": lambda at, width, colon: _suffix(at.day),
    "s": lambda at, width, colon: str(round(at.timestamp())),
    "S": lambda at, width, colon: str(at.second),
    "y": lambda at, width, colon: f"{at.year % 100:02d}",
    "Y": lambda at, width, colon: str(at.year),
    "z": lambda at, width, colon: _offset(at, colon),
    "t": lambda at, width, colon: "\t",
    "n": lambda at, width, colon: "\n",
    "%": lambda at, width, colon: "%",
}


class _LimitedEnvironment(Environment):
    """Captures have buffers of their own, and blocks that are kept in variables a size."""

    output_stream_limit = OUTPUT_BYTES
    local_namespace_limit = 10 * VALUE_CHARACTERS


def _environment() -> Environment:
    environment = _LimitedEnvironment(strict_filters=False)
    environment.add_filter("date", _date)
    environment.add_filter("divided_by", _divided_by)
    environment.add_filter("json", _json)
    environment.add_filter("jsonify", _json)
    return environment


_ENVIRONMENT = _environment()
