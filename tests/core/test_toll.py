from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core import toll
from aywa.core.toll import HOUR_S, TollGuard, TollRules, TollVerdict


def test_without_any_rule_nothing_is_placed() -> None:
    guard = TollGuard(TollRules(calls_per_hour=None))
    assert guard.judge("org", "+4930123", 0) is TollVerdict.NO_RULE
    assert guard.wait_s("org", 0) == 0


def test_a_list_alone_bounds_nothing_but_the_destination() -> None:
    guard = TollGuard(TollRules(("+49",), None))
    assert {guard.judge("org", "+4930123", 0) for _ in range(500)} == {TollVerdict.GRANTED}
    assert guard.judge("org", "+4830123", 0) is TollVerdict.NOT_LISTED
    assert guard.counted == {}


def test_a_limit_slides_and_is_each_organisation_s_own() -> None:
    guard = TollGuard(TollRules(calls_per_hour=2))
    assert guard.judge("one", "+1", 0) is TollVerdict.GRANTED
    assert guard.wait_s("one", 0) == 0
    assert guard.judge("one", "+1", 100) is TollVerdict.GRANTED
    assert guard.judge("one", "+1", HOUR_S - 1) is TollVerdict.TOO_MANY
    assert guard.wait_s("one", HOUR_S - 1) == 1
    assert guard.judge("two", "+1", HOUR_S - 1) is TollVerdict.GRANTED
    assert guard.judge("one", "+1", HOUR_S) is TollVerdict.GRANTED
    assert guard.judge("one", "+1", HOUR_S + 1) is TollVerdict.TOO_MANY
    assert guard.wait_s("nobody", 0) == 0


def test_what_is_not_listed_is_not_counted() -> None:
    guard = TollGuard(TollRules(("+49",), 1))
    assert guard.judge("org", "+4830", 0) is TollVerdict.NOT_LISTED
    assert guard.judge("org", "+4930", 0) is TollVerdict.GRANTED


def test_what_was_not_placed_after_all_is_not_counted() -> None:
    guard = TollGuard(TollRules(calls_per_hour=1))
    guard.take_back("org")
    for _ in range(3):
        assert guard.judge("org", "+4930", 0) is TollVerdict.GRANTED
        guard.take_back("org")
        guard.take_back("org")
    assert guard.counted == {"org": 0}


def test_a_limit_of_none_at_all() -> None:
    guard = TollGuard(TollRules(calls_per_hour=0))
    assert guard.judge("org", "+49", 0) is TollVerdict.TOO_MANY
    assert guard.wait_s("org", 0) == HOUR_S


def test_who_placed_nothing_for_an_hour_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toll, "ORGANISATIONS_MAX", 2)
    guard = TollGuard(TollRules(calls_per_hour=1))
    for moment, org_id in ((0, "a"), (10, "b"), (HOUR_S + 1, "c")):
        assert guard.judge(org_id, "+49", moment) is TollVerdict.GRANTED
    assert set(guard.counted) == {"b", "c"}
    assert guard.judge("b", "+49", HOUR_S + 2) is TollVerdict.TOO_MANY


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 5000)), max_size=60),
)
def test_in_no_hour_are_more_placed_than_allowed(most: int, wishes: list[tuple[str, float]]) -> None:
    guard = TollGuard(TollRules(calls_per_hour=most))
    now = 0.0
    granted: dict[str, list[float]] = {"a": [], "b": []}
    for org_id, step_s in wishes:
        now += step_s
        wait_s = guard.wait_s(org_id, now)
        if guard.judge(org_id, "+49", now) is TollVerdict.GRANTED:
            granted[org_id].append(now)
            assert wait_s == 0
    for times in granted.values():
        for first in times:
            assert sum(first <= each < first + HOUR_S for each in times) <= most
