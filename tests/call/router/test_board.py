"""How routes fare, for all calls: each by its name and its adapter, told by its name, and never more of them than agreed."""

from __future__ import annotations

import pytest

from aywa.call.router import board as module
from aywa.call.router.board import HealthBoard, failure_of
from aywa.core.metrics.requests import ProviderRequest
from aywa.core.route_health import BREAK_AFTER, LEAST, Circuit, Failure
from aywa.ports.errors import Fault, ProviderError
from aywa.testing.scripted_providers import broken

pytestmark = pytest.mark.virtual_time


async def test_the_same_name_and_adapter_is_the_same_route() -> None:
    board, one, other = HealthBoard(), object(), object()
    assert board.of("a", one) is board.of("a", one)
    assert len({id(board.of(name, each)) for name in "ab" for each in (one, other)}) == 4


async def test_what_is_wrong_with_one_key_is_told_of_the_name_and_closes_only_its_own_route() -> None:
    board, theirs, ours = HealthBoard(), object(), object()
    for adapter in (theirs, ours):
        board.of("gpt", adapter).begin(0.0)
    board.of("gpt", theirs).end(Failure("unauthorized", mendable=False), 0.0)
    assert board.of("gpt", theirs).refuses(0.0) == "unauthorized"
    assert board.of("gpt", ours).refuses(0.0) == ""
    [status] = board.statuses()
    assert (status.name, status.circuit, status.last_code) == ("gpt", Circuit.OPEN, "unauthorized")
    assert (status.active, status.requests, status.failures, status.first_p50_s) == (1, 2, 1, None)


async def test_statuses_are_by_name_and_tell_the_slowest() -> None:
    board = HealthBoard()
    for name, adapter, first_s in (("b", 1, 0.1), ("a", 2, 0.2), ("b", 3, 0.3)):
        for _ in range(LEAST):
            board.of(name, adapter).answered(first_s, 0.0)
    assert [(s.name, s.first_p50_s, s.first_p95_s) for s in board.statuses()] == [
        ("a", 0.2, 0.2),
        ("b", 0.3, 0.3),
    ]


async def test_an_adapter_that_is_known_is_kept_so_that_no_other_gets_its_number() -> None:
    board = HealthBoard()
    for _ in range(50):
        adapter = object()
        health = board.of("a", adapter)
        assert health.failures == 0
        health.begin(0.0)
        health.end(Failure("unauthorized", mendable=False), 0.0)
        del adapter


async def test_the_one_that_was_asked_the_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROUTES", 3)
    board, adapter = HealthBoard(), object()
    first = board.of("0", adapter)
    for name in "12":
        _ = board.of(name, adapter)
    assert board.of("0", adapter) is first
    _ = board.of("3", adapter)
    assert [status.name for status in board.statuses()] == ["0", "2", "3"]


async def test_limits_are_by_name() -> None:
    board = HealthBoard({"a": 1})
    for name in "ab":
        board.of(name, board).begin(0.0)
    assert (board.of("a", board).refuses(0.0), board.of("b", board).refuses(0.0)) == ("busy", "")


async def test_a_route_recovers_on_the_board() -> None:
    board = HealthBoard()
    health = board.of("a", board)
    for _ in range(BREAK_AFTER):
        health.begin(0.0)
        health.end(Failure("unavailable"), 0.0)
    assert board.statuses()[0].circuit == Circuit.OPEN
    health.begin(6.0)
    health.answered(0.1, 6.0)
    health.end(None, 6.0)
    assert board.statuses()[0].circuit == Circuit.CLOSED


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (broken("a", "quota", retryable=False), Failure("quota", False)),
        (
            ProviderError("a", "rate_limited", "x", fault=Fault.CONFIG, retryable=True, retry_after_s=7.0),
            Failure("rate_limited", True, 7.0),
        ),
        (TimeoutError(), Failure("deadline")),
        (KeyError("sk-secret"), Failure("KeyError")),
    ],
)
async def test_what_is_made_of_an_error(error: BaseException, failure: Failure) -> None:
    assert failure_of(error) == failure


async def test_an_organisation_is_shown_what_its_own_calls_asked() -> None:
    board, adapter = HealthBoard(), object()
    for org_id, name in (
        ("one", "voice/its-own"),
        ("two", "voice/another"),
        ("one", "model"),
        ("two", "model"),
    ):
        health = board.for_org(org_id).of(name, adapter)
        health.begin(0.0)
    assert [(s.name, s.active) for s in board.statuses("one")] == [("model", 2), ("voice/its-own", 1)]
    assert [s.name for s in board.statuses("two")] == ["model", "voice/another"]
    assert board.statuses("three") == []
    assert len(board.statuses()) == 3


async def test_a_watch_is_told_of_each_request_of_its_call_and_the_board_itself_tells_nobody() -> None:
    board = HealthBoard()
    told: list[ProviderRequest] = []
    watched = board.for_org("org", told.append)
    watched.over("llm", "gpt")(1.0, 3.0, 0.5, "")
    watched.over("tts", "voice")(1.0, 2.0, None, "deadline")
    board.over("llm", "gpt")(1.0, 3.0, 0.5, "")
    board.for_org("org").over("llm", "gpt")(1.0, 3.0, 0.5, "")
    assert told == [
        ProviderRequest("llm", "gpt", 1.0, 3.0, 0.5),
        ProviderRequest("tts", "voice", 1.0, 2.0, None, "deadline"),
    ]
    assert [request.outcome for request in told] == ["answered", "failed"]
