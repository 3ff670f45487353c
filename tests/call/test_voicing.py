"""Customers' replacements on a call's clauses: what they change, and that none holds up or breaks a clause."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from aywa.call.rules import RuleThreads
from aywa.call.voicing import MATCHES_MAX, REPLACE_S, TRIES_MAX, Voicing
from aywa.core.settings import REPLACEMENT_MAX, ChunkPlan, FormatPlan, Pattern, Replacement, read_settings

# Goes back and forth over every way to cut the text.
ENDLESS = Pattern("(a|aa)+$")
LONG = "a" * 60 + "! $5"


@pytest.fixture
def threads() -> Iterator[RuleThreads]:
    made = RuleThreads()
    yield made
    made.close()


def voicing(threads: RuleThreads | None, *given: tuple[Pattern, str], enabled: bool = True) -> Voicing:
    replacements = tuple(Replacement(value, pattern=pattern, everywhere=True) for pattern, value in given)
    return Voicing(ChunkPlan(format=FormatPlan(enabled=enabled, replacements=replacements)), "en", threads)


async def spoken(call: Voicing, text: str) -> str:
    return (await call.voice(text)).spoken


async def test_without_expressions_nothing_goes_to_a_thread() -> None:
    before = threading.active_count()
    assert await spoken(Voicing(), "It is $5.") == "It is five dollars."
    assert await spoken(Voicing(language="de"), "Es sind $5.") == "Es sind $5."
    assert threading.active_count() == before


async def test_figures_are_read_in_the_language_that_is_spoken() -> None:
    for document, said in (
        ({}, "It is five dollars."),
        ({"voice": {"language": "en-GB"}}, "It is five dollars."),
        ({"voice": {"language": "de"}}, "It is $5."),
        ({"transcriber": {"language": "de"}}, "It is $5."),
    ):
        assert await spoken(Voicing.of(read_settings(document)), "It is $5.") == said


async def test_a_call_has_the_plan_of_its_assistant(threads: RuleThreads) -> None:
    plan = {"formatPlan": {"replacements": [{"type": "regex", "regex": "a+", "value": "b"}]}}
    call = Voicing.of(read_settings({"voice": {"chunkPlan": plan}}), threads)
    assert await spoken(call, "aaa") == "b"


async def test_expressions_replace_what_they_match(threads: RuleThreads) -> None:
    call = voicing(
        threads,
        (Pattern(r"(\d{3})-(\d{4})"), "$2 then $1"),
        (Pattern("()(?<first>CO)LOU?R", ignore_case=True), "$<first>"),
        (Pattern("five"), "5"),
    )
    assert await spoken(call, "Colour 555-1234 for $5, color") == "Co 1234 then 555 for 5 dollars, co"
    assert call.problems == []
    assert (await call.voice("Colour")).written == "Colour"


async def test_without_threads_or_formatting_they_are_not_tried(threads: RuleThreads) -> None:
    some = (Pattern("a"), "b")
    assert await spoken(voicing(None, some), "a $5") == "a five dollars"
    assert await spoken(voicing(threads, some, enabled=False), "a $5") == "a $5"


async def test_one_that_takes_too_long_is_left_out_and_told_once(threads: RuleThreads) -> None:
    call = voicing(threads, (ENDLESS, "x"), (Pattern("!"), " so"))
    for _ in range(TRIES_MAX + 1):
        assert await spoken(call, LONG) == "a" * 60 + " so five dollars"
    assert call.problems == [
        f"formatPlan.replacements[0] was given up after {1000 * REPLACE_S:.0f} ms: its expression goes back and forth too much"
    ]
    # It would match now.
    assert await spoken(call, "aa") == "aa"


async def test_all_together_have_a_limit(threads: RuleThreads) -> None:
    call = voicing(threads, *[(Pattern(f"(a|aa)+{n}"), "x") for n in range(20)], (Pattern("!"), "?"))
    assert await spoken(call, LONG) == "a" * 60 + "! five dollars"
    assert len(call.problems) == 2


async def test_one_that_cannot_be_read_is_left_out_and_told(threads: RuleThreads) -> None:
    call = voicing(threads, (Pattern("a(b"), "x"), (Pattern("a"), "c"))
    told: list[str] = []
    call.tell = told.append
    assert await spoken(call, "a") == "c"
    [problem] = call.problems
    assert problem.startswith("formatPlan.replacements[0] cannot be used: the group is not closed")
    assert told == [problem]


async def test_what_would_grow_without_bound_is_left_out(threads: RuleThreads) -> None:
    call = voicing(threads, (Pattern(".+"), "$&" * (REPLACEMENT_MAX // 2)))
    assert await spoken(call, "a" * 100) == "a" * 100
    assert call.problems == [
        "formatPlan.replacements[0] was left out: it would speak more than 20000 characters"
    ]
    many = voicing(threads, (Pattern("a"), "b"))
    assert await spoken(many, "a" * 300) == "b" * MATCHES_MAX + "a" * (300 - MATCHES_MAX)
    # Each is short, all together are not.
    assert len(await spoken(voicing(threads, (Pattern("a"), "b" * 900)), "a" * 100)) < 20_100


async def test_matches_of_nothing_are_no_matches(threads: RuleThreads) -> None:
    assert await spoken(voicing(threads, (Pattern("x*"), "y")), "axb") == "ayb"


async def test_when_too_many_wait_the_clause_is_spoken_without_them() -> None:
    full = RuleThreads(waiting_max=0)
    call = voicing(full, (Pattern("a"), "b"))
    assert await spoken(call, "a $5") == "a five dollars"
    assert call.problems == ["formatPlan.replacements were not tried: too many calls wait for theirs"]
    full.close()
