from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.route_health import (
    BREAK_AFTER,
    LEAST,
    OPEN_MAX_S,
    OPEN_S,
    RATE_LIMITED_MAX_S,
    RATE_LIMITED_S,
    REFUSED_S,
    Circuit,
    Failure,
    RouteHealth,
)

BROKEN = Failure("unavailable")


def fail(route: RouteHealth, now: float, failure: Failure = BROKEN, times: int = 1) -> None:
    for _ in range(times):
        route.begin(now)
        route.end(failure, now)


def test_a_route_that_failed_often_in_a_row_is_left_alone_and_probed_once() -> None:
    route = RouteHealth("voice")
    fail(route, 1.0, times=BREAK_AFTER - 1)
    assert route.refuses(1.0) == ""
    fail(route, 1.0)
    assert route.refuses(1.0 + OPEN_S - 0.01) == "unavailable"
    assert route.status(1.0).circuit == Circuit.OPEN
    assert route.status(1.0 + OPEN_S).circuit == Circuit.HALF_OPEN
    assert route.refuses(1.0 + OPEN_S) == ""
    route.begin(1.0 + OPEN_S)
    assert route.refuses(1.0 + OPEN_S) == "probing"
    route.answered(0.1, 6.2)
    assert route.refuses(6.2) == ""
    assert route.status(6.2).circuit == Circuit.CLOSED
    assert route.status(6.2).since_s == 6.2


def test_a_probe_that_fails_doubles_the_time_up_to_the_longest() -> None:
    route = RouteHealth("voice")
    fail(route, 0.0, times=BREAK_AFTER)
    now, waited = 0.0, OPEN_S
    for _ in range(6):
        now += waited
        assert route.refuses(now - 0.01)
        assert not route.refuses(now)
        fail(route, now)
        waited = min(2 * waited, OPEN_MAX_S)
    assert waited == OPEN_MAX_S


def test_many_that_fail_together_open_the_circuit_once() -> None:
    route = RouteHealth("voice")
    for _ in range(50):
        route.begin(0.0)
    for _ in range(50):
        route.end(BROKEN, 1.0)
    assert route.refuses(1.0 + OPEN_S - 0.01)
    assert not route.refuses(1.0 + OPEN_S)


def test_a_probe_that_nobody_wanted_any_more_says_nothing() -> None:
    route = RouteHealth("voice")
    fail(route, 0.0, times=BREAK_AFTER)
    route.begin(OPEN_S)
    route.end(None, OPEN_S)
    assert route.refuses(OPEN_S) == ""
    assert route.status(OPEN_S).circuit == Circuit.HALF_OPEN


def test_success_begins_the_count_afresh() -> None:
    route = RouteHealth("voice")
    for _ in range(5):
        fail(route, 0.0, times=BREAK_AFTER - 1)
        route.begin(0.0)
        route.answered(0.2, 0.0)
        route.end(None, 0.0)
    assert route.refuses(0.0) == ""
    assert route.failures == 5 * (BREAK_AFTER - 1)


def test_what_a_person_must_mend_is_not_tried_on_every_call() -> None:
    route = RouteHealth("voice")
    fail(route, 0.0, Failure("unauthorized", mendable=False))
    assert route.refuses(REFUSED_S - 0.1) == "unauthorized"
    assert route.refuses(REFUSED_S) == ""


@pytest.mark.parametrize(
    ("said_s", "kept_s"), [(None, RATE_LIMITED_S), (7.0, 7.0), (-1.0, 0.0), (9e9, RATE_LIMITED_MAX_S)]
)
def test_too_often_is_respected_and_is_no_failure_of_the_route(said_s: float | None, kept_s: float) -> None:
    route = RouteHealth("voice")
    fail(route, 0.0, Failure("rate_limited", retry_after_s=said_s), times=BREAK_AFTER)
    assert route.status(0.0).circuit == Circuit.CLOSED
    if kept_s:
        assert route.refuses(kept_s - 0.01) == "rate_limited"
    assert route.refuses(kept_s) == ""


def test_no_more_at_once_than_the_limit() -> None:
    route = RouteHealth("voice", limit=2)
    route.begin(0.0)
    assert route.refuses(0.0) == ""
    route.begin(0.0)
    assert route.refuses(0.0) == "busy"
    route.end(None, 0.0)
    assert route.refuses(0.0) == ""


def test_the_first_answers_are_told_when_there_are_enough() -> None:
    route = RouteHealth("voice")
    for number in range(LEAST):
        assert route.first_s(0.95) is None
        route.answered(number / 10, 0.0)
    assert route.first_s(0.95) == 1.9
    assert route.first_s(0.5) == 1.0
    assert route.first_s(1.0) == 1.9


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "answered", "well", "broken", "refused", "limited"]), st.floats(0, 20)
        ),
        max_size=60,
    )
)
def test_whatever_happens_a_route_is_asked_again_some_day(steps: list[tuple[str, float]]) -> None:
    route = RouteHealth("voice")
    now, running = 0.0, 0
    for step, wait_s in steps:
        now += wait_s
        match step:
            case "begin":
                route.begin(now)
                running += 1
            case "answered":
                route.answered(wait_s, now)
            case _ if running:
                failures = {
                    "broken": BROKEN, "refused": Failure("unauthorized", mendable=False),
                    "limited": Failure("rate_limited", retry_after_s=wait_s),
                }  # fmt: skip
                route.end(failures.get(step), now)
                running -= 1
            case _:
                pass
        assert route.active == running
    for _ in range(running):
        route.end(None, now)
    assert route.active == 0
    assert route.refuses(now + max(OPEN_MAX_S, REFUSED_S, RATE_LIMITED_MAX_S)) == ""


def test_a_wait_that_was_given_up_counts_as_long_as_it_was() -> None:
    route = RouteHealth("model")
    for _ in range(LEAST):
        route.waited(0.7)
    assert route.first_s(0.95) == 0.7


def test_what_was_wrong_with_the_request_says_nothing_of_the_route() -> None:
    route = RouteHealth("model")
    fail(route, 0.0, Failure("bad_request", mendable=False), times=BREAK_AFTER)
    assert route.refuses(0.0) == ""
    assert (route.failures, route.last_code) == (BREAK_AFTER, "bad_request")


def test_a_route_that_always_breaks_in_the_middle_is_left_alone_too() -> None:
    route = RouteHealth("model")
    for _ in range(BREAK_AFTER):
        route.begin(0.0)
        route.answered(0.1, 0.0)
        route.end(BROKEN, 0.0)
    assert route.refuses(0.0) == "unavailable"


def test_a_request_that_nobody_wanted_any_more_does_not_mend_a_row_of_failures() -> None:
    route = RouteHealth("model")
    fail(route, 0.0, times=BREAK_AFTER - 1)
    route.begin(0.0)
    route.end(None, 0.0, answered=False)
    fail(route, 0.0)
    assert route.refuses(0.0) == "unavailable"
