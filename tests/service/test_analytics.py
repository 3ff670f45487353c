"""Sums over calls: groups, steps of time in a zone, what a call does not say; and what is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.store import Document, NewCall, Organisation, Store
from aywa.service.analytics import Analytics, StoredSums
from aywa.service.clock import iso, parse_iso
from aywa.service.errors import Rejected

NOW = round(parse_iso("2026-03-15T12:00:00Z"))
HOUR = 3600 * 1000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    for name in ("org", "other"):
        await opened.organisations.insert(Organisation(name, name, 1))
    yield opened
    await opened.close()


async def _call(store: Store, name: str, at_ms: int, org: str = "org", **body: Any) -> None:
    text = json.dumps({"id": name, "type": "webCall", "status": "ended", **body})
    document = Document(name, org, at_ms, at_ms, text)
    await store.calls.insert(NewCall(document, "webCall", "ended"), 0)


async def _ask(store: Store, **query: Any) -> list[dict[str, Any]]:
    asked = {"name": "q", "table": "call", "operations": [{"operation": "count", "column": "id"}]} | query
    answered = await Analytics(StoredSums(store.calls), lambda: NOW).run("org", {"queries": [asked]})
    result: list[dict[str, Any]] = answered[0]["result"]
    return result


def _lasting(minutes: float) -> dict[str, Any]:
    return {"startedAt": iso(NOW), "endedAt": iso(NOW + round(minutes * 60_000))}


async def test_each_operation(store: Store) -> None:
    for index, minutes in enumerate((1.0, 2.0, 6.0)):
        await _call(store, f"c{index}", NOW - index, cost=minutes / 10, **_lasting(minutes))
    await _call(store, "never began", NOW - 10)
    operations = [{"operation": name, "column": "duration"} for name in ("sum", "avg", "count", "min", "max")]
    operations.append({"operation": "sum", "column": "cost", "alias": "dollars"})
    operations.append({"operation": "history", "column": "cost"})
    assert await _ask(store, operations=operations) == [
        {
            "sumduration": 9.0,
            "avgduration": 3.0,
            "countduration": 3,
            "minduration": 1.0,
            "maxduration": 6.0,
            "dollars": 0.9,
            "historycost": [None, 0.6, 0.2, 0.1],
        }
    ]


async def test_groups_and_variables(store: Store) -> None:
    await _call(store, "1", NOW, endedReason="a", artifact={"variableValues": {"city.name": "Bonn"}})
    await _call(store, "2", NOW, endedReason="a", artifact={"variableValues": {"city.name": "Kiel"}})
    await _call(store, "3", NOW, analysis={"successEvaluation": "true"})
    assert await _ask(store, groupBy=["endedReason"]) == [
        {"endedReason": None, "countid": 1},
        {"endedReason": "a", "countid": 2},
    ]
    assert await _ask(store, groupBy=["analysis.successEvaluation"]) == [
        {"analysis.successEvaluation": None, "countid": 2},
        {"analysis.successEvaluation": "true", "countid": 1},
    ]
    by_city = await _ask(store, groupByVariableValue=[{"key": "city.name"}])
    assert {row["city.name"]: row["countid"] for row in by_city} == {"Bonn": 1, "Kiel": 1, None: 1}


@pytest.mark.parametrize(
    ("step", "zone", "dates"),
    [
        ("hour", "UTC", ["2026-03-14T23:00:00+00:00", "2026-03-15T12:00:00+00:00"]),
        ("day", "UTC", ["2026-03-14T00:00:00+00:00", "2026-03-15T00:00:00+00:00"]),
        ("day", "Europe/Berlin", ["2026-03-15T00:00:00+01:00"]),
        ("week", "UTC", ["2026-03-09T00:00:00+00:00"]),
        ("quarter", "UTC", ["2026-01-01T00:00:00+00:00"]),
        ("year", "UTC", ["2026-01-01T00:00:00+00:00"]),
        ("decade", "UTC", ["2020-01-01T00:00:00+00:00"]),
        ("millennium", "UTC", ["2000-01-01T00:00:00+00:00"]),
    ],
)
async def test_steps_begin_where_the_zone_s_calendar_says(
    store: Store, step: str, zone: str, dates: list[str]
) -> None:
    await _call(store, "1", NOW)
    await _call(store, "2", round(parse_iso("2026-03-14T23:30:00Z")))
    rows = await _ask(store, timeRange={"step": step, "timezone": zone})
    assert [row["date"] for row in rows] == dates
    assert sum(row["countid"] for row in rows) == 2


async def test_only_the_time_and_the_organisation_that_were_asked_for(store: Store) -> None:
    await _call(store, "old", NOW - 8 * 24 * HOUR)
    await _call(store, "theirs", NOW, org="other")
    await _call(store, "mine", NOW - HOUR)
    assert await _ask(store) == [{"countid": 1}]
    assert await _ask(store, timeRange={"start": "2026-01-01", "end": iso(NOW)}) == [{"countid": 2}]
    assert await _ask(store, timeRange={"end": iso(NOW - 2 * HOUR)}) == [{"countid": 0}]
    assert await _ask(store, table="subscription") == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"table": "lamp"}, "queries[0].table must be one of"),
        (
            {"operations": [{"operation": "sum", "column": "x"}]},
            "queries[0].operations[0].column must be one of",
        ),
        ({"groupBy": ["x"]}, "queries[0].groupBy[0] must be one of"),
        ({"timeRange": {"start": "soon"}}, "queries[0].timeRange.start must be a valid ISO 8601 date"),
        (
            {"timeRange": {"timezone": "Mars/Base"}},
            "queries[0].timeRange.timezone must be the name of a time zone",
        ),
        ({"timeRange": {"timezone": "../../etc/passwd"}}, "queries[0].timeRange.timezone must be the name"),
    ],
)
async def test_what_cannot_be_asked_is_said(store: Store, query: dict[str, Any], said: str) -> None:
    with pytest.raises(Rejected) as refused:
        await _ask(store, **query)
    assert any(problem.startswith(said) for problem in refused.value.problems), refused.value.problems
