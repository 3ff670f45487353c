"""The price table: the one that ships, and the operator's file over it. Refuses a file that says something it cannot mean."""

from __future__ import annotations

import datetime as dt
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aywa.boot.errors import CannotStart
from aywa.core.cost import (
    BYTE,
    CACHED,
    CHARACTER,
    COMPLETION,
    LLM,
    PROMPT,
    SECOND,
    STORAGE,
    STT,
    TRANSPORT,
    TTS,
    Price,
    Prices,
)

SETTING = "RUNTIME_PRICES"
SHIPPED = Path(__file__).parent / "prices.toml"
UNITS: Mapping[str, tuple[str, str, float]] = {
    "1M prompt tokens": (LLM, PROMPT, 1e6),
    "1M cached tokens": (LLM, CACHED, 1e6),
    "1M completion tokens": (LLM, COMPLETION, 1e6),
    "1K characters": (TTS, CHARACTER, 1e3),
    "1M characters": (TTS, CHARACTER, 1e6),
    "minute of speech": (TTS, SECOND, 60.0),
    "minute of audio": (STT, SECOND, 60.0),
    "transport minute": (TRANSPORT, SECOND, 60.0),
    "GB stored": (STORAGE, BYTE, 1e9),
}
"""Unit of the file -> kind of work, unit that is counted, how many of those."""

_FIELDS = frozenset(("provider", "model", "usd", "source", "date", "note"))
_ENTRY = re.compile(r"^[ \t]*\[\[\s*price\s*\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One price. usd: for one unit as it is written. own: of the operator's file."""

    provider: str
    model: str
    unit: str
    usd: float
    source: str
    date: str
    own: bool = False
    note: str = ""

    @property
    def price(self) -> Price:
        """For one of what is counted."""
        kind, unit, count = UNITS[self.unit]
        return Price(kind, self.provider, self.model, unit, self.usd / count)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """rows: all that count, in the order of provider and model."""

    rows: tuple[PriceRow, ...]

    @property
    def prices(self) -> Prices:
        """To be asked."""
        return Prices(row.price for row in self.rows)


def load_prices(environment: Mapping[str, str] = os.environ) -> PriceTable:
    """The table that counts. Raises CannotStart: a file that cannot be read, and where in it."""
    rows = {_place(row): row for row in read_prices(SHIPPED, own=False)}
    own = environment.get(SETTING, "").strip()
    if own:
        mine = list(read_prices(Path(own).expanduser(), own=True))
        # Who names a price of a kind of work names all of it: a vendor's price per minute must not stay beside one per character.
        kinds = {(row.price.kind, row.provider, row.model) for row in mine}
        rows = {place: row for place, row in rows.items() if place[:3] not in kinds}
        rows |= {_place(row): row for row in mine}
    return PriceTable(tuple(sorted(rows.values(), key=lambda row: (row.provider, row.model, _order(row)))))


def read_prices(path: Path, *, own: bool) -> Iterable[PriceRow]:
    """A file's prices. Raises CannotStart."""
    where = f"{SETTING} ({path})" if own else str(path)
    try:
        text = path.read_bytes().decode("utf-8")
        content = _parsed(text)
    except OSError as error:
        raise CannotStart(f"{where} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotStart(f"{where} is not UTF-8") from None
    except ValueError as error:
        raise CannotStart(f"{where} is not TOML: {error}") from None
    entries = content.get("price", [])
    unknown = [name for name in content if name != "price"]
    if unknown or not isinstance(entries, list):
        raise CannotStart(f"{where} must hold nothing but [[price]] entries: {', '.join(unknown) or 'price'}")
    lines = [text.count("\n", 0, found.start()) + 1 for found in _ENTRY.finditer(text)]
    rows: dict[tuple[str, str, str, str], PriceRow] = {}
    for number, entry in enumerate(entries):
        line = lines[number] if number < len(lines) else 1
        for row in _rows(entry, own, f"{where}, line {line}"):
            if _place(row) in rows:
                raise CannotStart(
                    f"{where}, line {line}: {row.provider} {row.model} has a price for this already: {row.unit}"
                )
            rows[_place(row)] = row
    return rows.values()


def _parsed(text: str) -> dict[str, Any]:
    """Raises ValueError: why, and in which line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        end = f"at line {text.count(chr(10)) + 1}, the end"
        raise ValueError(str(error).replace("at end of document", end)) from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _rows(entry: Any, own: bool, where: str) -> Iterator[PriceRow]:
    problem = _problem(entry)
    if problem is not None:
        raise CannotStart(f"{where}: {problem}")
    for unit, usd in entry["usd"].items():
        yield PriceRow(
            entry["provider"],
            entry["model"],
            unit,
            float(usd),
            entry.get("source", ""),
            str(entry.get("date", "")),
            own,
            entry.get("note", ""),
        )


def _problem(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "price must be a table: write [[price]]"
    if unknown := sorted(set(entry) - _FIELDS):
        return f"{unknown[0]} is not known here: {', '.join(sorted(_FIELDS))}"
    for name in ("provider", "model"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            return f"{name} must be a text"
    for name in ("source", "note"):
        if not isinstance(entry.get(name, ""), str):
            return f"{name} must be a text"
    if not isinstance(entry.get("date", dt.date.min), dt.date):
        return "date must be a date without quotes: 2026-01-31"
    usd = entry.get("usd")
    if not isinstance(usd, dict) or not usd:
        return 'usd must be a table of unit and price: { "1K characters" = 0.05 }'
    for unit, price in usd.items():
        if unit not in UNITS:
            return f"{unit!r} is not a unit: {', '.join(UNITS)}"
        # A nan is no number either: it compares with nothing.
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < 1e6:
            return f"the price of {unit} must be a number of dollars, 0 or more"
    return None


def _place(row: PriceRow) -> tuple[str, str, str, str]:
    kind, unit, _ = UNITS[row.unit]
    return kind, row.provider, row.model, unit


def _order(row: PriceRow) -> int:
    return list(UNITS).index(row.unit)
