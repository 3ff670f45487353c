"""Asks a call's models about the call when it is over (contract 13.1): each question within its time, all of them side by side.

Never raises: what could not be answered is told with its reason. An answer that is not what was asked for is asked for once more,
with what is wrong about it. Refuses to hold anybody up for longer than LONGEST_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from aywa.call.replies import ReplyRoutes
from aywa.call.template import render_text
from aywa.core.analysis import (
    ANSWER_CHARACTERS,
    AnalysisPlan,
    BadAnswer,
    Facts,
    Question,
    analysis_of,
    places,
    read_answer,
)
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmRequest, TextDelta

LONGEST_S = 65.0
"""For a whole analysis: an end-of-call report waits for it."""
ANSWER_TOKENS = 2000
ATTEMPTS = 2
TOO_FEW = "too_few_messages"
NO_MODEL = "no_model"


@dataclass(slots=True)
class _Asked:
    """A question, and what came of it. code: why there is no answer."""

    question: Question
    answer: Any = None
    code: str = "deadline"
    took_s: float = 0.0
    usage: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def step(self) -> dict[str, Any]:
        """For the record."""
        told = {"kind": self.question.name, "ms": round(self.took_s * 1000)}
        told |= {"status": "failed", "code": self.code} if self.code else {"status": "done"}
        return told | ({"problems": self.problems} if self.problems else {})


def skipped(code: str) -> dict[str, Any]:
    """The record of an analysis that was due and not made."""
    return {"analysis": {}, "steps": [], "usage": [], "skipped": code}


class Analyst:
    """gate: how many questions are asked at once, where a model that runs here has other calls to serve."""

    def __init__(self, routes: ReplyRoutes, gate: asyncio.Semaphore | None = None) -> None:
        self._routes = routes
        self._gate = gate or asyncio.Semaphore(8)
        self._models = routes.models.at_leisure(ANSWER_TOKENS, LONGEST_S)

    async def analyse(self, plan: AnalysisPlan, facts: Facts) -> dict[str, Any]:
        """The data of AnalysisCompleted: analysis (contract 13.1), what each step took, and what the models used."""
        asked = [_Asked(question) for question in plan.questions]
        working = [asyncio.ensure_future(self._answer(each, facts)) for each in asked]
        try:
            if working:
                _ = await asyncio.wait(working, timeout=LONGEST_S)
        finally:
            for task in working:
                task.cancel()
            _ = await asyncio.gather(*working, return_exceptions=True)
        return {
            "analysis": analysis_of([(each.question, each.answer) for each in asked if not each.code]),
            "steps": [each.step for each in asked],
            "usage": [usage for each in asked for usage in each.usage],
        }

    async def _answer(self, asked: _Asked, facts: Facts) -> None:
        async with self._gate:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            try:
                async with asyncio.timeout(asked.question.timeout_s):
                    await self._converse(asked, facts)
            except TimeoutError:
                asked.code = "deadline"
            except ProviderError as error:
                asked.code = error.code
            except BadAnswer as bad:
                asked.code = bad.code
            except Exception as error:  # noqa: BLE001 - one step may fail in any way, and the others go on
                asked.code = error.__class__.__name__
            finally:
                asked.took_s = loop.time() - began_s

    async def _converse(self, asked: _Asked, facts: Facts) -> None:
        question = asked.question
        messages = await asyncio.to_thread(_rendered, question, facts, asked.problems)
        for attempt in range(ATTEMPTS):
            text = await self._ask(asked, messages)
            try:
                asked.answer = read_answer(question, text)
            except BadAnswer as bad:
                if attempt == ATTEMPTS - 1:
                    raise
                mend = "\n".join(("That answer cannot be used:", *bad.problems, "Answer anew."))
                messages = (*messages, ChatMessage("assistant", text), ChatMessage("user", mend))
            else:
                asked.code = ""
                return

    async def _ask(self, asked: _Asked, messages: Sequence[ChatMessage]) -> str:
        request = replace(self._about, messages=tuple(messages))
        answering = self._models.ask(request)
        pieces: list[str] = []
        length = 0
        try:
            async with aclosing(answering.deltas()) as deltas:
                async for delta in deltas:
                    if isinstance(delta, TextDelta):
                        pieces.append(delta.text)
                        length += len(delta.text)
                        if length > ANSWER_CHARACTERS:
                            break
                    elif isinstance(delta, Finished):
                        route = "" if answering.route is None else answering.route.name
                        asked.usage.append(_usage(asked.question, route, delta))
        finally:
            await answering.close()
        return "".join(pieces)

    @property
    def _about(self) -> LlmRequest:
        return replace(self._routes.about, tools=(), max_tokens=ANSWER_TOKENS)


def _rendered(question: Question, facts: Facts, problems: list[str]) -> tuple[ChatMessage, ...]:
    """Blocks: a customer's template may take its time."""
    values: Mapping[str, Any] = places(question, facts)
    return tuple(
        ChatMessage(m["role"], render_text(m["content"], values, problems, f"messages[{i}]"))
        for i, m in enumerate(question.messages)
    )


def _usage(question: Question, route: str, finished: Finished) -> dict[str, Any]:
    return {
        "kind": question.step.value,
        "route": route,
        "prompt_tokens": finished.prompt_tokens,
        "cached_tokens": finished.cached_tokens,
        "completion_tokens": finished.completion_tokens,
    }
