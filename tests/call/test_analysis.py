"""Questions about a call that is over, to scripted models: answers, mends, time limits, and failures that stay where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from aywa.call.analysis import ANSWER_TOKENS, LONGEST_S, Analyst
from aywa.call.replies import ReplyRoutes
from aywa.call.router.models import ModelRoute
from aywa.core.analysis import AnalysisPlan, Facts, read_analysis_plan
from aywa.ports.llm import LlmRequest
from aywa.ports.tts import TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts, broken

pytestmark = pytest.mark.virtual_time

SCHEMA = {"type": "object", "properties": {"guests": {"type": "integer"}}, "required": ["guests"]}
FACTS = Facts(transcript="User: a table for two", variables={"company": "Lakeside"})


def plan_of(**plan: Any) -> AnalysisPlan:
    return read_analysis_plan({"analysisPlan": plan}, by_default=False)


def answering(reply: Callable[[LlmRequest], str], **more: Any) -> ScriptedLlm:
    return ScriptedLlm(reply, **more)


def analyst(llm: ScriptedLlm, *others: ScriptedLlm) -> Analyst:
    more = tuple(ModelRoute(other) for other in others)
    return Analyst(ReplyRoutes(llm, ScriptedTts(), TtsOptions(8000), more_models=more))


async def test_each_question_has_its_answer_and_its_usage() -> None:
    def reply(request: LlmRequest) -> str:
        first = request.messages[0].content
        if "JSON" in first:
            return '{"guests": 2}'
        return "true" if "judge" in first else "A table for two."

    llm = answering(reply)
    plan = plan_of(summaryPlan={"enabled": True}, structuredDataPlan={"schema": SCHEMA}, successEvaluationPlan={
        "enabled": True
    })  # fmt: skip
    made = await analyst(llm).analyse(plan, FACTS)
    assert made["analysis"] == {
        "summary": "A table for two.",
        "structuredData": {"guests": 2},
        "successEvaluation": "true",
    }
    assert [(step["kind"], step["status"]) for step in made["steps"]] == [
        ("summary", "done"), ("structuredData", "done"), ("successEvaluation", "done"),
    ]  # fmt: skip
    assert [(each["kind"], each["route"]) for each in made["usage"]] == [
        (kind, "scripted-llm") for kind in ("summary", "structuredData", "successEvaluation")
    ]
    assert made["usage"][0]["completion_tokens"] > 0
    for request in llm.requests:
        assert request.messages[-1].content.endswith("User: a table for two")
        assert (request.temperature, request.max_tokens, request.tools) == (0.0, ANSWER_TOKENS, ())


async def test_an_assistant_s_own_words_are_rendered_and_what_was_said_never_is() -> None:
    llm = answering(lambda request: "fine")
    own = [{"role": "system", "content": "For {{company}}: {{transcript}}"}]
    facts = replace(FACTS, transcript="User: {{company}} {% raw %}")
    _ = await analyst(llm).analyse(plan_of(summaryPlan={"messages": own}), facts)
    assert llm.requests[0].messages[0].content == "For Lakeside: User: {{company}} {% raw %}"


async def test_a_template_that_cannot_be_read_is_named_and_asked_as_it_stands() -> None:
    llm = answering(lambda request: "fine")
    own = [{"role": "system", "content": "{{ transcript | nothing: }} {% if"}]
    made = await analyst(llm).analyse(plan_of(summaryPlan={"messages": own}), FACTS)
    [step] = made["steps"]
    assert step["status"] == "done"
    assert step["problems"][0].startswith("messages[0]: ")


async def test_an_answer_that_does_not_fit_is_asked_for_once_more() -> None:
    answers = iter(['{"guests": "two"}', '{"guests": 2}'])
    llm = answering(lambda request: next(answers))
    made = await analyst(llm).analyse(plan_of(structuredDataPlan={"schema": SCHEMA}), FACTS)
    assert made["analysis"] == {"structuredData": {"guests": 2}}
    told = llm.requests[1].messages[-1].content
    assert "$.guests must be of type integer" in told
    assert len(made["usage"]) == 2


async def test_an_answer_that_never_fits_is_not_kept() -> None:
    llm = answering(lambda request: "no idea")
    plan = plan_of(structuredDataPlan={"schema": SCHEMA}, summaryPlan={"enabled": True})
    made = await analyst(llm).analyse(plan, FACTS)
    assert made["analysis"] == {"summary": "no idea"}
    failed = made["steps"][1]
    assert (failed["kind"], failed["status"], failed["code"]) == ("structuredData", "failed", "not_json")


async def test_a_model_that_is_slow_has_only_its_step_s_time() -> None:
    loop = asyncio.get_running_loop()
    llm = answering(lambda request: "late", first_token_s=30.0)
    began_s = loop.time()
    plan = plan_of(summaryPlan={"timeoutSeconds": 3}, successEvaluationPlan={"timeoutSeconds": 4})
    made = await analyst(llm).analyse(plan, FACTS)
    assert loop.time() - began_s < 6.0
    assert made["analysis"] == {}
    assert [(step["code"], step["ms"]) for step in made["steps"]] == [("deadline", 3000), ("deadline", 4000)]


async def test_another_model_stands_in() -> None:
    first, second = ScriptedLlm(name="first"), answering(lambda request: "A call.", name="second")
    first.fail_next.extend([broken("first")] * 5)
    made = await analyst(first, second).analyse(plan_of(summaryPlan={"enabled": True}), FACTS)
    assert made["analysis"] == {"summary": "A call."}
    assert made["usage"][0]["route"] == "second"


@pytest.mark.parametrize("error", [broken("llm"), None])
async def test_a_model_that_breaks_breaks_its_step_alone(error: Any) -> None:
    def reply(request: LlmRequest) -> str:
        if error is None:
            raise LookupError("not of the kind that is foreseen")
        return "never"

    llm = answering(reply)
    if error is not None:
        llm.fail_next.extend([error] * 5)
    made = await analyst(llm).analyse(plan_of(summaryPlan={"enabled": True}), FACTS)
    assert made["analysis"] == {}
    assert made["steps"][0]["status"] == "failed"
    assert made["steps"][0]["code"] not in ("", "deadline")


async def test_an_answer_without_end_is_cut() -> None:
    llm = answering(lambda request: ("w" * 999 + " ") * 300)
    made = await analyst(llm).analyse(plan_of(summaryPlan={"timeoutSeconds": 60}), FACTS)
    assert len(made["analysis"]["summary"]) <= 20_000


async def test_a_gate_has_questions_asked_one_after_the_other_and_the_whole_has_a_limit() -> None:
    loop = asyncio.get_running_loop()
    busy: list[int] = []
    most = 0

    def reply(request: LlmRequest) -> str:
        return "x"

    class Counting(ScriptedLlm):
        async def stream(self, request: LlmRequest) -> Any:
            nonlocal most
            busy.append(1)
            most = max(most, len(busy))
            try:
                async for delta in ScriptedLlm.stream(self, request):
                    yield delta
            finally:
                busy.pop()

    llm = Counting(reply, first_token_s=20.0)
    several = [{"key": str(n), "plan": {"timeoutSeconds": 60}} for n in range(10)]
    made_by = Analyst(ReplyRoutes(llm, ScriptedTts(), TtsOptions(8000)), asyncio.Semaphore(1))
    began_s = loop.time()
    made = await made_by.analyse(plan_of(structuredDataMultiPlan=several), FACTS)
    assert loop.time() - began_s <= LONGEST_S + 3.0
    assert most == 1
    assert made["steps"][-1]["code"] == "deadline"


async def test_nothing_to_ask_is_nothing() -> None:
    made: Mapping[str, Any] = await analyst(ScriptedLlm()).analyse(AnalysisPlan(), FACTS)
    assert made == {"analysis": {}, "steps": [], "usage": []}
