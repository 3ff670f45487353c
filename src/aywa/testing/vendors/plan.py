"""What a simulated vendor is to do with its next request: how fast, with what words, and where it breaks."""

from __future__ import annotations

import asyncio
import math
import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any


class Break(StrEnum):
    """How it breaks: an error answer; silence with the connection open; the connection reset; a web page with status 200;
    something that is not the format; a piece without an end; pieces at `rate` a second; bytes that are not UTF-8."""

    REFUSE = "refuse"
    STALL = "stall"
    CUT = "cut"
    HTML = "html"
    GARBAGE = "garbage"
    ENDLESS = "endless"
    SLOW = "slow"
    NON_UTF8 = "non-utf8"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where and how it breaks. after: None is before the head of the answer (or in place of the handshake), 0 before the
    first piece (token, chunk of audio, message), n after so many pieces. status, code: of a refusal; code is the vendor's
    own, such as insufficient_quota, and empty for the one that goes with the status."""

    kind: Break
    after: int | None = None
    status: int = 500
    code: str = ""
    retry_after_s: float | None = None
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asks for. arguments: JSON."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Plan:
    """first_s: to the first piece. per_s: tokens a second, 0 at once. realtime: audio's speed, as times real time, 0 at
    once. jitter: each delay is off by up to this share. text: what a model answers or a recogniser hears; None: whatever
    the vendor's simulator says by itself. tool_calls: instead of, or after, the text. cached_tokens: of the prompt."""

    first_s: float = 0.0
    per_s: float = 0.0
    realtime: float = 0.0
    jitter: float = 0.0
    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    cached_tokens: int = 0
    trouble: Trouble | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Plan:
        """The fields' names in snake case; trouble and tool_calls are objects. Raises ValueError naming the field."""
        if unknown := set(body) - {one.name for one in fields(cls)}:
            raise ValueError(f"no such field of a plan: {', '.join(sorted(unknown))}")
        for name in ("first_s", "per_s", "realtime", "jitter", "cached_tokens"):
            number = body.get(name, 0)
            if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number < math.inf:
                raise ValueError(f"{name} is no number from 0 on")
        try:
            values = dict(body)
            if (trouble := values.get("trouble")) is not None:
                values["trouble"] = Trouble(**{**trouble, "kind": Break(trouble["kind"])})
            values["tool_calls"] = tuple(ToolCall(**call) for call in values.get("tool_calls") or ())
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a plan: {error}") from error


Words = Callable[[Mapping[str, Any]], str]
"""The answer's text, given the request's body."""


class Plans:
    """Which plan is whose turn. Routes are named vendor.what: openai.chat, anthropic.messages, deepgram.listen."""

    def __init__(
        self, default: Plan | None = None, routes: Mapping[str, Plan] | None = None, seed: int = 0
    ) -> None:
        self._default = default or Plan()
        self._routes = dict(routes or {})
        self._next: defaultdict[str, deque[Plan]] = defaultdict(deque)
        self._words: dict[str, Words] = {}
        self.chance = random.Random(seed)

    def set(self, route: str, plan: Plan) -> None:
        """From now on, for every request that has no plan of its own."""
        self._routes[route] = plan

    def next(self, route: str, *plans: Plan) -> None:
        """For the next requests, one each."""
        self._next[route].extend(plans)

    def change(self, route: str, **changes: Any) -> None:
        """As `set`, with these fields of the current plan changed."""
        self._routes[route] = replace(self.of(route), **changes)

    def answer(self, route: str, words: Words) -> None:
        """What a model says, where the plan has no text."""
        self._words[route] = words

    def of(self, route: str) -> Plan:
        """The standing plan."""
        return self._routes.get(route, self._default)

    def take(self, route: str) -> Plan:
        """The plan of the request that is there now."""
        waiting = self._next[route]
        return waiting.popleft() if waiting else self.of(route)

    def text(self, route: str, plan: Plan, body: Mapping[str, Any], otherwise: str) -> str:
        """What is to be said."""
        if plan.text is not None:
            return plan.text
        words = self._words.get(route)
        return otherwise if words is None else words(body)

    def forget(self) -> None:
        """Drops the plans of next requests."""
        self._next.clear()


class Pace:
    """When each piece is due, on the loop's clock, without drift."""

    def __init__(self, plan: Plan, chance: random.Random) -> None:
        self._plan = plan
        self._chance = chance
        self._due = asyncio.get_running_loop().time() + self._jittered(plan.first_s)

    async def wait(self) -> None:
        """Until the next piece is due."""
        wait_s = self._due - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def passed(self, seconds: float) -> None:
        """The next piece is due so much later than this one: 1/rate for a token, its length for audio."""
        self._due += self._jittered(seconds)

    def restart(self) -> None:
        """Due from now, after first_s again: the next request on the same connection."""
        self._due = asyncio.get_running_loop().time() + self._jittered(self._plan.first_s)

    def _jittered(self, seconds: float) -> float:
        jitter = self._plan.jitter
        return seconds * (1 + self._chance.uniform(-jitter, jitter)) if jitter else seconds


def tokens(text: str) -> Sequence[str]:
    """The text in pieces of the size of a model's: a word and the space before it."""
    pieces: list[str] = []
    for word in text.split(" "):
        pieces.append(f" {word}" if pieces else word)
    return [piece for piece in pieces if piece]
