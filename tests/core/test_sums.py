"""Sums over calls: each operation, groups, steps of time; and figures that come in any order and in any portions."""

from __future__ import annotations

import math
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.sums import OPERATIONS, Gathering, Held, Sum, SumsQuery, minutes_between, moment_ms, step_begun

T = 1_773_576_000_000
"""2026-03-15T12:00:00Z."""
COLUMN = "cost"
SUMS = tuple(Sum(operation, COLUMN, operation) for operation in OPERATIONS)


def query(**more: Any) -> SumsQuery:
    values: dict[str, Any] = {"sums": SUMS} | more
    return SumsQuery("org", 0, 2 * T, values.pop("zone", UTC), **values)


def rows(asked: SumsQuery, *calls: tuple[int, list[Any], Any]) -> list[dict[str, Any]]:
    gathering = Gathering(asked)
    for index, (at_ms, key, value) in enumerate(calls):
        gathering.take(at_ms, f"c{index}", key, {COLUMN: value})
    return gathering.rows()


def test_each_operation_counts_what_it_should() -> None:
    told = rows(query(), (3, [], 0.5), (1, [], None), (2, [], 0.25), (4, [], "a lot"), (5, [], True))
    assert told == [
        {
            "sum": 0.75,
            "avg": 0.375,
            "count": 4,
            "min": 0.25,
            "max": 0.5,
            "history": [None, 0.25, 0.5, "a lot", True],
        }
    ]


def test_of_no_call_everything_is_nothing() -> None:
    nothing = {"sum": 0.0, "avg": 0, "count": 0, "min": 0, "max": 0, "history": []}
    assert rows(query()) == [nothing]
    assert rows(query(groups=("type",))) == []
    assert rows(query(step="day")) == []


def test_groups_and_variables_by_what_they_are_called() -> None:
    asked = query(groups=("type",), variables=("city",), sums=(Sum("count", COLUMN, "n"),))
    calls = [("b", 1), ("b", 1.0), ("b", True), ("a", None), ("a", {"x": 1}), ("a", {"x": 1})]
    told = rows(asked, *((T, list(key), 1.0) for key in calls))
    assert [(row["type"], row["city"], row["n"]) for row in told] == [
        ("a", None, 1),
        ("a", "{'x': 1}", 2),
        ("b", 1, 2),
        ("b", True, 1),
    ]


@pytest.mark.parametrize(
    ("step", "zone", "begun"),
    [
        ("second", "UTC", "2026-03-15T12:00:00+00:00"),
        ("minute", "UTC", "2026-03-15T12:00:00+00:00"),
        ("hour", "Asia/Kolkata", "2026-03-15T17:00:00+05:30"),
        ("day", "America/New_York", "2026-03-15T00:00:00-04:00"),
        ("week", "UTC", "2026-03-09T00:00:00+00:00"),
        ("month", "UTC", "2026-03-01T00:00:00+00:00"),
        ("quarter", "UTC", "2026-01-01T00:00:00+00:00"),
        ("year", "UTC", "2026-01-01T00:00:00+00:00"),
        ("decade", "UTC", "2020-01-01T00:00:00+00:00"),
        ("century", "UTC", "2000-01-01T00:00:00+00:00"),
        ("millennium", "UTC", "2000-01-01T00:00:00+00:00"),
    ],
)
def test_where_a_step_begins(step: str, zone: str, begun: str) -> None:
    assert step_begun(T + 999, step, ZoneInfo(zone)) == begun
    [row] = rows(query(step=step, zone=ZoneInfo(zone)), (T, [], 1.0), (T + 999, [], 2.0))
    assert (row["date"], row["count"]) == (begun, 2)


def test_minutes_between_dates() -> None:
    assert minutes_between("2026-03-15T12:00:00.000Z", "2026-03-15T12:01:30.000Z") == 1.5
    assert minutes_between("2026-03-15T12:00:00Z", "2026-03-15T11:00:00+00:00") == 0.0
    assert minutes_between("2026-03-15T12:00:00", "2026-03-15T14:00:00+02:00") == 0.0
    for wrong in (None, 5, "soon", ""):
        assert minutes_between(wrong, "2026-03-15T12:00:00Z") is None
        assert minutes_between("2026-03-15T12:00:00Z", wrong) is None
        assert moment_ms(wrong) is None
    assert moment_ms("2026-03-15T12:00:00.123Z") == T + 123


VALUES = st.one_of(
    st.none(), st.booleans(), st.text(max_size=2), st.integers(-5, 5), st.floats(-1e6, 1e6, allow_nan=False)
)
CALLS = st.lists(
    st.tuples(st.integers(0, 3).map(lambda n: T + n * 3_600_000), st.sampled_from("ab"), VALUES), max_size=20
)


@settings(deadline=None)
@given(calls=CALLS, cuts=st.lists(st.integers(0, 20), max_size=3), order=st.randoms(use_true_random=False))
def test_portions_that_somebody_else_gathered_come_to_the_same(
    calls: Any, cuts: list[int], order: Any
) -> None:
    asked = query(groups=("type",), step="hour")
    whole = rows(asked, *((at_ms, [kind], value) for at_ms, kind, value in calls))
    portions: dict[tuple[int, str, int], Held] = {}
    for index, (at_ms, kind, value) in enumerate(calls):
        portion = sum(index >= cut for cut in cuts)
        held = portions.setdefault((at_ms, kind, portion), Held())
        held.take(value)
        held.history.append((at_ms, f"c{index}", value))
    joined = Gathering(asked)
    shuffled = list(portions.items())
    order.shuffle(shuffled)
    for (at_ms, kind, _), held in shuffled:
        joined.join(at_ms, [kind], {COLUMN: held})
    for one, other in zip(whole, joined.rows(), strict=True):
        assert one.keys() == other.keys()
        # Calls of one moment are told in the order of their ids, which are text.
        for name in one.keys() - {"history"}:
            same = one[name] == other[name]
            assert same or math.isclose(one[name], other[name], abs_tol=2e-9)
        assert sorted(map(repr, one["history"])) == sorted(map(repr, other["history"]))
