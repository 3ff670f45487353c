"""Customers' rules in their threads: which one matches, and that none holds up a call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from aywa.call.rules import LATE_MAX, TRIES_MAX, CallRules, Matched, RuleThreads
from aywa.core.settings import EndpointingRule, Pattern

# Goes back and forth over every way to cut the text.
ENDLESS = Pattern("(a|aa)+$")
LONG = "a" * 60 + "!"


@pytest.fixture
def threads() -> Iterator[RuleThreads]:
    made = RuleThreads()
    yield made
    made.close()


async def test_the_first_rule_that_matches_wins(threads: RuleThreads) -> None:
    rules = [
        EndpointingRule(1.0, said=Pattern("order")),
        EndpointingRule(2.0, said=Pattern("NUMBER", ignore_case=True)),
        EndpointingRule(3.0, said=Pattern("number")),
        EndpointingRule(4.0, heard=Pattern("your name")),
        EndpointingRule(5.0, said=Pattern("^it"), heard=Pattern("spell")),
    ]
    call = CallRules(rules, threads)
    assert await call.match("my number is", "") == Matched(1, 2.0)
    assert await call.match("Bob", "What is your name?") == Matched(3, 4.0)
    assert await call.match("it is b o b", "Please spell it.") == Matched(4, 5.0)
    assert await call.match("it is b o b", "Go on.") == Matched()
    assert await CallRules([], threads).match("anything", "") == Matched()


async def test_a_rule_that_takes_too_long_does_not_match_and_is_told_once(threads: RuleThreads) -> None:
    call = CallRules([EndpointingRule(1.0, said=ENDLESS), EndpointingRule(2.0, said=Pattern("!"))], threads)
    first = await call.match(LONG, "")
    assert (first.index, first.wait_s) == (1, 2.0)
    [problem] = first.problems
    assert problem.startswith("customEndpointingRules[0] was given up after 50 ms")
    assert await call.match(LONG + "!", "") == Matched(1, 2.0)


async def test_a_rule_that_is_late_again_and_again_is_left_out(threads: RuleThreads) -> None:
    call = CallRules([EndpointingRule(1.0, said=ENDLESS)], threads)
    for _ in range(TRIES_MAX):
        await call.match(LONG, "")
    # It would match now.
    assert await call.match("aa", "") == Matched()


async def test_all_rules_together_have_a_limit(threads: RuleThreads) -> None:
    rules = [EndpointingRule(1.0, said=Pattern(f"(a|aa)+{n}")) for n in range(12)]
    call = CallRules(rules, threads)
    matched = await call.match(LONG, "")
    assert matched.index is None
    assert matched.problems[-1] == f"customEndpointingRules[{LATE_MAX}] and those after it: no time was left"
    assert len(matched.problems) == LATE_MAX + 1


@pytest.mark.parametrize("source", [ENDLESS.source, "(a+)+$", "(?=(a+)+b)", "(a*)*c$"])
async def test_the_loop_goes_on_while_a_rule_does_not(threads: RuleThreads, source: str) -> None:
    """Four calls with a hopeless rule each: the loop that moves everybody's audio is woken on time."""
    late_s = [await lateness_s(threads, Pattern(source)) for _ in range(3)]
    # A loop that was held up would be late by a rule's 50 ms, or by all of them, every time; a busy machine now and then.
    assert min(late_s) < 0.04


async def lateness_s(threads: RuleThreads, pattern: Pattern) -> float:
    """How late the loop was woken, at worst, while four calls tried the pattern."""
    calls = [CallRules([EndpointingRule(1.0, said=pattern)], threads) for _ in range(4)]
    matching = asyncio.gather(*(call.match("a" * 10_000 + "!", "") for call in calls))
    worst_s, loop = 0.0, asyncio.get_running_loop()
    while not matching.done():
        due_s = loop.time() + 0.005
        await asyncio.sleep(0.005)
        worst_s = max(worst_s, loop.time() - due_s)
    assert [m.index for m in await matching] == [None] * 4
    return worst_s


async def test_an_expression_that_cannot_be_used_is_told_and_never_tried_again(threads: RuleThreads) -> None:
    call = CallRules([EndpointingRule(1.0, said=Pattern("("))], threads)
    first = await call.match("(", "")
    assert first.problems == (
        "customEndpointingRules[0] cannot be used: the group is not closed at position 0",
    )
    assert await call.match("((", "") == Matched()


async def test_a_very_long_text_is_looked_at_from_its_end(threads: RuleThreads) -> None:
    call = CallRules(
        [EndpointingRule(1.0, said=Pattern("^begin")), EndpointingRule(2.0, said=Pattern("end$"))], threads
    )
    assert await call.match("begin" + " and" * 5000 + " end", "") == Matched(1, 2.0)


async def test_when_too_many_wait_nothing_is_tried() -> None:
    threads = RuleThreads(threads=1, waiting_max=1)
    release = threading.Event()

    def hold() -> Matched:
        release.wait(5.0)
        return Matched(0, 1.0)

    held = asyncio.create_task(threads.run(hold))
    await asyncio.sleep(0)
    shed = await CallRules([EndpointingRule(1.0, said=Pattern("a"))], threads).match("a", "")
    release.set()
    assert shed == Matched(problems=("rules were not tried: 1 calls wait for theirs",))
    assert await held == Matched(0, 1.0)
    threads.close()


def test_threads_that_nobody_asked_for_are_not_made() -> None:
    RuleThreads().close()
