"""/analytics: sums, averages and counts over an organisation's calls, in groups and in steps of time (contract 14.5).

`duration` is in minutes. The table `subscription` is the hosted platform's billing: it has no rows here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from aywa.core.sums import COLUMNS, GROUPS, OPERATIONS, STEPS, Gathering, Sum, SumsQuery, minutes_between
from aywa.ports.analytics import CallSums
from aywa.ports.store import CallDocuments, JsonObject, Span
from aywa.service.clock import Clock, iso, now_ms, parse_iso
from aywa.service.errors import Rejected
from aywa.service.rules import Also, Choice, ListOf, Obj, Problems, Text, check

CALLS_MAX = 200_000
"""Calls that one query looks at in the store, the oldest of its time first."""

QUERIES_MAX = 20
DAYS = 7
"""How far back a query looks that does not say."""

_DURATION = ("startedAt", "endedAt")
_TIMED = frozenset(("duration", "minutesUsed"))


def _check_date(value: Any, path: str, problems: Problems) -> None:
    try:
        _ = _moment(value)
    except (ValueError, OverflowError):
        problems.add(path, "must be a valid ISO 8601 date string", value)


def _check_zone(value: Any, path: str, problems: Problems) -> None:
    if _zone(value) is None:
        problems.add(path, "must be the name of a time zone, such as Europe/Berlin", value)


class _Date(Also):
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


_MOMENT = _Date(Text(40), _check_date)
_RANGE = Obj(
    {
        "start": _MOMENT,
        "end": _MOMENT,
        "step": Choice(STEPS),
        "timezone": Also(Text(64), _check_zone, "^(UTC|Europe/Berlin|America/New_York)$"),
    }
)
_OPERATION = Obj(
    {"operation": Choice(OPERATIONS), "column": Choice(tuple(COLUMNS)), "alias": Text(100)},
    ("operation", "column"),
)
_QUERY = Obj(
    {
        "name": Text(200),
        "table": Choice(("call", "subscription")),
        "operations": ListOf(_OPERATION, QUERIES_MAX),
        "groupBy": ListOf(Choice(GROUPS), len(GROUPS)),
        "groupByVariableValue": ListOf(Obj({"key": Text(100, 1)}, ("key",)), 10),
        "timeRange": _RANGE,
    },
    ("name", "table", "operations"),
)
ANALYTICS = Obj(
    {"queries": ListOf(_QUERY, QUERIES_MAX)},
    ("queries",),
    example={
        "queries": [
            {
                "name": "calls a day",
                "table": "call",
                "operations": [{"operation": "count", "column": "id"}],
                "timeRange": {"step": "day"},
            }
        ]
    },
)


class Analytics:
    """The use-case. sums: who answers, the store or a database for analytics."""

    def __init__(self, sums: CallSums, clock: Clock = now_ms) -> None:
        self._sums = sums
        self._clock = clock

    async def run(self, org_id: str, body: Any) -> list[JsonObject]:
        """An answer to each query. Raises Rejected, StoreUnavailable."""
        if problems := check(ANALYTICS, body):
            raise Rejected(problems)
        return [await self._answer(org_id, query) for query in body["queries"]]

    async def _answer(self, org_id: str, query: Mapping[str, Any]) -> JsonObject:
        given = query.get("timeRange") or {}
        asked = self._asked(org_id, query, given)
        result = list(await self._sums.sums(asked)) if query["table"] == "call" else []
        told = {"start": iso(asked.start_ms), "end": iso(asked.end_ms)}
        named = {"timezone": given.get("timezone") or "UTC"} | ({"step": asked.step} if asked.step else {})
        return {"name": query["name"], "timeRange": told | named, "result": result}

    def _asked(self, org_id: str, query: Mapping[str, Any], given: Mapping[str, Any]) -> SumsQuery:
        end, start = given.get("end"), given.get("start")
        end_ms = self._clock() if end is None else math.floor(_moment(end))
        start_ms = end_ms - DAYS * 24 * 3600 * 1000 if start is None else math.ceil(_moment(start))
        return SumsQuery(
            org_id,
            max(start_ms, 0),
            max(end_ms, 0),
            _zone(given.get("timezone")) or UTC,
            tuple(Sum(each["operation"], each["column"], _alias(each)) for each in query["operations"]),
            tuple(query.get("groupBy") or ()),
            tuple(each["key"] for each in query.get("groupByVariableValue") or ()),
            given.get("step"),
        )


class StoredSums:
    """The sums as the store's own documents have them."""

    def __init__(self, calls: CallDocuments) -> None:
        self._calls = calls

    async def sums(self, query: SumsQuery) -> Sequence[JsonObject]:
        """As the port says."""
        # A variable's name may hold a dot: the bag is read whole.
        paths = [*query.groups, *_DURATION, "id", "artifact.variableValues"]
        paths += [COLUMNS[column] for column in query.columns if column not in _TIMED]
        within = Span(ge=query.start_ms, le=query.end_ms)
        rows = await self._calls.figures(query.org_id, within, paths, CALLS_MAX)
        return await asyncio.to_thread(_gathered, rows, query)


def _gathered(rows: Sequence[tuple[int, Sequence[Any]]], query: SumsQuery) -> list[JsonObject]:
    gathering = Gathering(query)
    said = [column for column in query.columns if column not in _TIMED]
    timed = [column for column in query.columns if column in _TIMED]
    for created_ms, values in rows:
        groups, rest = values[: len(query.groups)], values[len(query.groups) :]
        started, ended, call_id, bag = rest[:4]
        variables = bag if isinstance(bag, dict) else {}
        figures = dict(zip(said, rest[4:], strict=True))
        if timed:
            figures |= dict.fromkeys(timed, minutes_between(started, ended))
        key = [*groups, *(variables.get(name) for name in query.variables)]
        gathering.take(created_ms, str(call_id), key, figures)
    return gathering.rows()


def _alias(operation: Mapping[str, Any]) -> str:
    return operation.get("alias") or f"{operation['operation']}{operation['column']}"


def _moment(text: Any) -> float:
    """Unix milliseconds of a date that can be told again."""
    ms = parse_iso(text)
    _ = iso(max(math.floor(ms), 0))
    return ms


def _zone(name: Any) -> tzinfo | None:
    if name is None or name == "":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        return None
