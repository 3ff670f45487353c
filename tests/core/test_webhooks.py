from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.webhooks import (
    DEFAULT_SCHEDULE,
    FINAL,
    KEY_MAX_CHARACTERS,
    OURS,
    RETRY_AFTER_MAX_S,
    BackoffPlan,
    Cause,
    Delivery,
    Endpoint,
    Next,
    Outcome,
    Policy,
    Progress,
    Schedule,
    State,
    after,
    backoff_plan,
    endpoint_key,
    endpoint_of,
)

ONE, TWO = Endpoint("https://one.example/"), Endpoint("https://two.example/")
PLANNED = Endpoint("https://plan.example/", backoff=BackoffPlan(2, 3.0, True, frozenset((404,))))
BROKEN = Outcome(Cause.UNREACHABLE)
MIDDLE = 0.5
"""A chance by which nothing is early or late."""


def answer(status: int, retry_after_s: float | None = None) -> Outcome:
    return Outcome(Cause.ANSWERED, status, retry_after_s)


def follow(levels: tuple[Endpoint, ...], outcomes: list[Outcome]) -> list[Next]:
    progress, found = Progress(), []
    for outcome in outcomes:
        found.append(after(levels, progress, outcome, MIDDLE))
        progress = found[-1].progress
    return found


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_what_was_accepted_is_delivered(status: int) -> None:
    assert after((ONE,), Progress(), answer(status), MIDDLE) == Next(State.DELIVERED, Progress())


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 409, 422, 429, 499])
def test_without_a_plan_200_to_499_are_final(status: int) -> None:
    assert after((ONE,), Progress(), answer(status), MIDDLE).state is State.FAILED


@pytest.mark.parametrize(
    "outcome",
    [BROKEN, Outcome(Cause.TIMED_OUT), Outcome(Cause.CUT_SHORT), answer(500), answer(503), answer(599)],
)
def test_without_a_plan_the_rest_follows_our_schedule(outcome: Outcome) -> None:
    found = follow((ONE,), [outcome] * 11)
    waits = [each.wait_s for each in found[:-1]]
    assert waits == [5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600, 21600]
    assert [each.state for each in found] == [State.WAITING] * 10 + [State.FAILED]


@given(st.integers(0, 200), st.floats(0, 1))
def test_a_wait_is_off_by_its_jitter_at_most(retry: int, chance: float) -> None:
    schedule = Schedule()
    plain = schedule.wait_s(retry, MIDDLE)
    wait = schedule.wait_s(retry, chance)
    assert 0.8 * plain - 1e-6 <= wait <= 1.2 * plain + 1e-6
    assert wait <= 1.2 * schedule.most_s
    assert schedule.wait_s(retry, 0.0) < schedule.wait_s(retry, 1.0)


def test_a_429_comes_back_when_the_server_says_and_stays_with_it() -> None:
    found = follow((ONE, TWO), [answer(429, 7.0), answer(429, 1e9), answer(200)])
    assert [(each.state, each.wait_s, each.progress.level) for each in found] == [
        (State.WAITING, 7.0, 0),
        (State.WAITING, RETRY_AFTER_MAX_S, 0),
        (State.DELIVERED, 0.0, 0),
    ]
    # Without a word of when it is an answer like others.
    assert after((ONE, TWO), Progress(), answer(429), MIDDLE).progress.level == 1


def test_a_server_that_always_says_429_is_given_up() -> None:
    found = follow((ONE,), [answer(429, 1.0)] * 11)
    assert [each.state for each in found] == [State.WAITING] * 10 + [State.FAILED]


def test_a_503_may_ask_for_more_time_than_the_schedule_gives() -> None:
    assert after((ONE,), Progress(), answer(503, 60.0), MIDDLE).wait_s == 60.0
    assert after((ONE,), Progress(), answer(503, 1.0), MIDDLE).wait_s == 5.0


def test_the_next_server_is_asked_at_once_and_then_all_of_them_again() -> None:
    found = follow((ONE, TWO), [BROKEN, answer(500), answer(502), answer(200)])
    assert [(each.wait_s, each.progress.level, each.progress.rounds) for each in found] == [
        (0.0, 1, 0),
        (5.0, 0, 1),
        (0.0, 1, 1),
        (0.0, 1, 1),
    ]
    assert found[-1].state is State.DELIVERED


def test_a_server_that_answered_for_good_is_left_out_of_later_rounds() -> None:
    found = follow((ONE, TWO), [answer(400), BROKEN, BROKEN, answer(404)])
    assert [each.progress.level for each in found] == [1, 1, 1, 1]
    assert [each.wait_s for each in found] == [0.0, 5.0, 20.0, 0.0]
    assert found[-1].state is State.FAILED


def test_gone_disables_the_server_and_goes_on_with_the_next() -> None:
    first, second = follow((PLANNED, TWO), [answer(410), answer(410)])
    assert (first.state, first.disables, first.progress.level) == (State.WAITING, True, 1)
    assert (second.state, second.disables) == (State.FAILED, True)


def test_with_a_plan_every_answer_but_2xx_is_tried_again_as_it_says() -> None:
    found = follow((PLANNED, TWO), [answer(400), Outcome(Cause.TIMED_OUT), answer(500)])
    assert [(each.wait_s, each.progress.level) for each in found] == [(3.0, 0), (6.0, 0), (0.0, 1)]
    fixed = Endpoint("https://x.example/", backoff=BackoffPlan(3, 2.0))
    assert [each.wait_s for each in follow((fixed,), [BROKEN] * 3)] == [2.0] * 3
    assert follow((fixed,), [BROKEN] * 4)[-1].state is State.FAILED
    assert follow((fixed,), [answer(429, 9.0)])[0].wait_s == 9.0


def test_a_plans_excluded_codes_are_final() -> None:
    assert follow((PLANNED,), [answer(404)])[0].state is State.FAILED
    assert follow((PLANNED, TWO), [answer(404)])[0].progress == Progress(1, 0, 0, 0, 1)


def test_a_plan_that_is_used_up_is_not_begun_again_in_a_later_round() -> None:
    found = follow((PLANNED, TWO), [answer(500)] * 5)
    assert [each.progress.level for each in found] == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("cause", sorted(FINAL))
def test_what_another_try_would_not_change_is_final_also_with_a_plan(cause: Cause) -> None:
    assert after((ONE,), Progress(), Outcome(cause), MIDDLE).state is State.FAILED
    assert after((PLANNED, TWO), Progress(), Outcome(cause), MIDDLE).progress == Progress(1, 0, 0, 0, 1)


@pytest.mark.parametrize("cause", sorted(OURS))
@pytest.mark.parametrize("endpoint", [ONE, PLANNED])
def test_an_attempt_that_we_lost_is_made_again_at_the_same_server(cause: Cause, endpoint: Endpoint) -> None:
    found = follow((endpoint, TWO), [Outcome(cause)] * 11)
    assert [each.wait_s for each in found[:4]] == [0.0, 5.0, 20.0, 80.0]
    assert {(each.progress.level, each.progress.tries, each.progress.closed) for each in found} == {(0, 0, 0)}
    assert [each.state for each in found] == [State.WAITING] * 10 + [State.FAILED]


PLANS = st.builds(
    BackoffPlan,
    st.integers(0, 10),
    st.floats(0, 10),
    st.booleans(),
    st.frozensets(st.integers(100, 599), max_size=4),
)
ENDPOINTS = st.builds(
    Endpoint,
    st.sampled_from(["https://a.example/", "http://b.example:1/x?y"]),
    st.text(max_size=5),
    st.floats(1, 300),
    st.none() | PLANS,
)
OUTCOMES = st.builds(
    Outcome, st.sampled_from([cause for cause in Cause if cause is not Cause.SENDING]), st.none()
) | st.builds(Outcome, st.just(Cause.ANSWERED), st.integers(100, 599), st.none() | st.floats(0, 1e9))


@given(st.lists(ENDPOINTS, min_size=1, max_size=4), st.data())
def test_every_delivery_comes_to_an_end_and_never_asks_whom_it_was_done_with(
    levels: list[Endpoint], data: st.DataObject
) -> None:
    schedule = Schedule(retries=3)
    progress, asked, closed = Progress(), {0}, 0
    for step in range(400):
        outcome = data.draw(OUTCOMES)
        found = after(levels, progress, outcome, data.draw(st.floats(0, 1)), schedule)
        assert found.progress.closed & closed == closed
        assert found.disables == (outcome.status == 410)
        assert 0 <= found.wait_s <= max(RETRY_AFTER_MAX_S, 5120.0, schedule.most_s * 1.2)
        if found.state is not State.WAITING:
            assert outcome.accepted == (found.state is State.DELIVERED)
            if not outcome.accepted and outcome.cause not in OURS:
                # Nobody was left out.
                assert asked == set(range(len(levels)))
            return
        progress, closed = found.progress, found.progress.closed
        assert not closed >> progress.level & 1
        asked.add(progress.level)
        assert step < 399


@given(ENDPOINTS)
def test_an_endpoint_is_read_back_as_it_was_written(endpoint: Endpoint) -> None:
    assert endpoint_of(json.loads(json.dumps(endpoint.document()))) == endpoint


def test_only_fallback_asks_more_than_the_first() -> None:
    made = Delivery("a", "org", "hang", "{}", (ONE, TWO), 1)
    assert made.levels == (ONE, TWO)
    assert Delivery("a", "org", "hang", "{}", (ONE, TWO), 1, policy=Policy.PRECEDENCE).levels == (ONE,)
    assert "body" not in repr(made)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://A.Example/x?call=1#f", "https://a.example:443/x"),
        ("http://a.example", "http://a.example:80/"),
        ("http://u:p@a.example:8080/x", "http://a.example:8080/x"),
        ("http://[::1]:90/x", "http://[::1]:90/x"),
        ("http://a.example:99999/", "http://a.example:99999/"),
        ("http://[bad", "http://[bad"),
        ("", "://:80/"),
    ],
)
def test_a_servers_key_is_its_address_without_what_changes(url: str, key: str) -> None:
    assert endpoint_key(url) == key


def test_a_key_is_not_longer_than_an_index_likes() -> None:
    assert len(endpoint_key("http://a.example/" + "x" * 9000)) == KEY_MAX_CHARACTERS


@pytest.mark.parametrize(
    ("document", "plan"),
    [
        (None, None),
        ("fixed", None),
        ({}, BackoffPlan(0, 0.0)),
        (
            {
                "type": "exponential",
                "maxRetries": 3,
                "baseDelaySeconds": 1.5,
                "excludedStatusCodes": [400, "x", 404],
            },
            BackoffPlan(3, 1.5, True, frozenset((400, 404))),
        ),
        ({"maxRetries": 99, "baseDelaySeconds": -1, "excludedStatusCodes": "x"}, BackoffPlan(10, 0.0)),
        ({"maxRetries": True, "baseDelaySeconds": math.nan}, BackoffPlan(0, 0.0)),
        ({"maxRetries": "3", "baseDelaySeconds": math.inf}, BackoffPlan(0, 0.0)),
    ],
)
def test_a_customers_plan_is_read_within_its_limits(document: object, plan: BackoffPlan | None) -> None:
    assert backoff_plan(document) == plan


def test_the_default_schedule_goes_on_for_more_than_a_day() -> None:
    waits = sum(DEFAULT_SCHEDULE.wait_s(retry, MIDDLE) for retry in range(DEFAULT_SCHEDULE.retries))
    assert waits > 24 * 3600
