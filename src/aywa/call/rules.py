"""Tries customers' rules on what was said: in a thread of their own and within a limit, for no expression may hold up a call.

How a rule does is counted a call at a time; one that ran out of time too often is not tried again in that call.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import regex

from aywa.core.settings import EndpointingRule, Pattern
from aywa.core.turns.js_pattern import PatternError, translate

# By the processor's time, which is how the package counts: on a busy machine it takes longer by the clock.
RULE_S = 0.05
LATE_MAX = 4
TEXT_MAX = 10_000
WAITING_MAX = 32
TRIES_MAX = 3
THREADS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Matched:
    """index: of the first rule that matches; None where none does. problems: rules that could not be tried, and why; each
    is told once a call."""

    index: int | None = None
    wait_s: float | None = None
    problems: tuple[str, ...] = ()


class RuleThreads:
    """The threads in which all calls of the process try their rules. They are made on first use; `close` ends them."""

    def __init__(self, threads: int = THREADS, waiting_max: int = WAITING_MAX) -> None:
        self._threads = threads
        self._waiting_max = waiting_max
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[], Matched]) -> Matched:
        """What the work answers; that it was not tried when too many wait already."""
        matched = await self.offload(work)
        if matched is None:
            return Matched(problems=(f"rules were not tried: {self._waiting_max} calls wait for theirs",))
        return matched

    async def offload(self, work: Callable[[], T]) -> T | None:
        """What the work answers; None, and it was not tried, when too many wait already."""
        if self._waiting >= self._waiting_max:
            return None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "rules")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Waits for what is being tried, which is not long."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class CallRules:
    """The rules of one call."""

    rules: Sequence[EndpointingRule]
    threads: RuleThreads
    _compiled: dict[Pattern, regex.Pattern[str]] = field(default_factory=dict)
    _late: Counter[int] = field(default_factory=Counter)
    _told: set[str] = field(default_factory=set)

    async def match(self, said: str, heard: str) -> Matched:
        """The first rule that matches. Never raises."""
        said, heard = said[-TEXT_MAX:], heard[-TEXT_MAX:]
        matched = await self.threads.run(lambda: self._match(said, heard))
        news = tuple(problem for problem in matched.problems if problem not in self._told)
        self._told.update(news)
        return Matched(matched.index, matched.wait_s, news)

    def _match(self, said: str, heard: str) -> Matched:
        problems: list[str] = []
        late = 0
        for index, rule in enumerate(self.rules):
            if self._late[index] >= TRIES_MAX:
                continue
            if late >= LATE_MAX:
                problems.append(f"customEndpointingRules[{index}] and those after it: no time was left")
                break
            try:
                if self._holds(rule, said, heard):
                    return Matched(index, rule.wait_s, tuple(problems))
            except TimeoutError:
                late += 1
                self._late[index] += 1
                problems.append(
                    f"customEndpointingRules[{index}] was given up after {1000 * RULE_S:.0f} ms"
                    " and counts as not matching: its expression goes back and forth too much"
                )
            except (PatternError, regex.error, RecursionError, MemoryError) as error:
                self._late[index] = TRIES_MAX
                problems.append(f"customEndpointingRules[{index}] cannot be used: {error}")
        return Matched(problems=tuple(problems))

    def _holds(self, rule: EndpointingRule, said: str, heard: str) -> bool:
        pairs = ((rule.said, said), (rule.heard, heard))
        return all(self._found(p, text) for p, text in pairs if p is not None)

    def _found(self, pattern: Pattern, text: str) -> bool:
        compiled = self._compiled.get(pattern)
        if compiled is None:
            compiled = self._compiled[pattern] = regex.compile(translate(pattern), regex.VERSION0)
        # concurrent: the rest of the process goes on meanwhile.
        return compiled.search(text, timeout=RULE_S, concurrent=True) is not None
