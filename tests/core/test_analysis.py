"""What is asked about a call, in which words, and what counts as an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.analysis import (
    PASS_FAIL,
    RUBRICS,
    STEPS_MAX,
    SUMMARY_CHARACTERS,
    AnalysisPlan,
    BadAnswer,
    Facts,
    Question,
    Step,
    analysis_of,
    places,
    read_analysis_plan,
    read_answer,
)

SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
DATA = Question(Step.DATA, (), schema=SCHEMA)


def asked(plan: Any, *, by_default: bool = True) -> list[str]:
    return [q.name for q in read_analysis_plan({"analysisPlan": plan}, by_default=by_default).questions]


# --- the plan ------------------------------------------------------------------------------------------------------


def test_the_contract_s_defaults() -> None:
    plan = read_analysis_plan({}, by_default=True)
    assert plan.least_messages == 2
    summary, success = plan.questions
    assert (summary.step, summary.timeout_s, summary.key) == (Step.SUMMARY, 5.0, None)
    assert (success.step, success.rubric) == (Step.SUCCESS, PASS_FAIL)


def test_without_defaults_only_what_is_written_down_is_asked() -> None:
    assert read_analysis_plan({}, by_default=False) == AnalysisPlan()
    assert asked({"summaryPlan": {"enabled": True}}, by_default=False) == ["summary"]
    assert asked({"summaryPlan": {"timeoutSeconds": 9}}, by_default=False) == ["summary"]
    assert asked({"successEvaluationPlan": {"rubric": "Matrix"}}, by_default=False) == ["successEvaluation"]


def test_steps_are_switched_off_and_on() -> None:
    off = {"summaryPlan": {"enabled": False}, "successEvaluationPlan": {"enabled": False}}
    assert asked(off) == []
    assert asked({**off, "structuredDataPlan": {"enabled": True, "schema": SCHEMA}}) == ["structuredData"]
    assert asked({**off, "structuredDataPlan": {"enabled": False, "schema": SCHEMA}}) == []


def test_several_sets_of_data() -> None:
    several = [
        {"key": "booking", "plan": {"schema": SCHEMA}},
        {"key": "off", "plan": {"enabled": False}},
        {"plan": {}},
        "no plan",
    ]
    plan = {"structuredDataMultiPlan": several, "minMessagesThreshold": 0}
    read = read_analysis_plan({"analysisPlan": plan}, by_default=False)
    assert [q.name for q in read.questions] == ["structuredDataMulti.booking"]
    assert read.questions[0].schema == SCHEMA
    assert read.least_messages == 0


@pytest.mark.parametrize(("written", "seconds"), [(0, 1.0), (7, 7.0), (900, 60.0), ("9", 5.0), (True, 5.0)])
def test_a_step_s_time_is_the_contract_s(written: Any, seconds: float) -> None:
    plan = read_analysis_plan(
        {"analysisPlan": {"summaryPlan": {"timeoutSeconds": written}}}, by_default=False
    )
    assert plan.questions[0].timeout_s == seconds


@pytest.mark.parametrize("least", [-1, "3", True, float("inf"), float("nan"), None])
def test_a_threshold_that_is_none_is_two(least: Any) -> None:
    assert (
        read_analysis_plan({"analysisPlan": {"minMessagesThreshold": least}}, by_default=False)
        == AnalysisPlan()
    )


def test_a_step_that_is_not_a_number_of_seconds() -> None:
    plan = {"analysisPlan": {"summaryPlan": {"timeoutSeconds": float("nan")}}}
    assert read_analysis_plan(plan, by_default=False).questions[0].timeout_s == 5.0


def test_a_plan_of_many_steps_is_cut() -> None:
    many = [{"key": str(n), "plan": {}} for n in range(100)]
    assert len(asked({"structuredDataMultiPlan": many})) == STEPS_MAX


def test_a_rubric_that_nobody_knows_is_pass_or_fail() -> None:
    plan = read_analysis_plan(
        {"analysisPlan": {"successEvaluationPlan": {"rubric": "Stars"}}}, by_default=False
    )
    assert plan.questions[0].rubric == PASS_FAIL


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=4), lambda inner: st.lists(
    inner, max_size=3
) | st.dictionaries(
    st.sampled_from(("summaryPlan", "structuredDataMultiPlan", "plan", "key", "messages", "enabled", "schema")),
    inner,
    max_size=4,
)))  # fmt: skip
def test_no_plan_makes_it_raise(plan: Any) -> None:
    assert len(asked(plan)) <= STEPS_MAX


# --- the questions -------------------------------------------------------------------------------------------------


def test_an_assistant_s_own_words_are_asked() -> None:
    own = [{"role": "user", "content": "Who called? {{ transcript }}"}]
    plan = read_analysis_plan({"analysisPlan": {"summaryPlan": {"messages": own}}}, by_default=False)
    assert plan.questions[0].messages == tuple(own)


def test_words_without_a_place_for_the_call_are_followed_by_it() -> None:
    own = [{"content": "Who called?"}, {"role": "user", "content": ""}]
    plan = read_analysis_plan({"analysisPlan": {"summaryPlan": {"messages": own}}}, by_default=False)
    first, last = plan.questions[0].messages
    assert first == {"role": "system", "content": "Who called?"}
    assert "{{transcript}}" in last["content"]


def test_what_the_questions_may_name() -> None:
    facts = Facts(
        transcript="AI: Hello.",
        ended_reason="customer-ended-call",
        prompt=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "no"}),
        chat=({"role": "assistant", "content": "Hello."},),
        variables={"name": "Ann", "transcript": "forged"},
    )
    found = places(Question(Step.DATA, (), schema=SCHEMA, rubric=PASS_FAIL), facts)
    assert found["transcript"] == "AI: Hello."
    assert found["systemPrompt"] == "Be brief."
    assert json.loads(found["messages"]) == [{"role": "assistant", "content": "Hello."}]
    assert json.loads(found["schema"]) == SCHEMA
    assert (found["rubric"], found["endedReason"], found["name"]) == (
        RUBRICS[PASS_FAIL], "customer-ended-call", "Ann",
    )  # fmt: skip
    assert places(Question(Step.SUMMARY, ()), Facts())["schema"] == ""


def test_of_a_long_call_the_last_messages_are_shown() -> None:
    chat = [{"role": "user", "content": f"{n} " + "x" * 1000} for n in range(500)]
    shown = json.loads(places(Question(Step.SUMMARY, ()), Facts(chat=chat))["messages"])
    assert 100 < len(shown) < 125
    assert shown[-1] == chat[-1]


# --- the answers ---------------------------------------------------------------------------------------------------


def test_a_summary_is_what_was_written() -> None:
    summary = Question(Step.SUMMARY, ())
    assert read_answer(summary, "<think>hm\nhm</think>\n Ann wants a table. ") == "Ann wants a table."
    assert len(read_answer(summary, "x" * 99_999)) == SUMMARY_CHARACTERS
    with pytest.raises(BadAnswer) as empty:
        read_answer(summary, "<thinking>nothing</thinking> ")
    assert empty.value.code == "unreadable"


@pytest.mark.parametrize(
    "said",
    [
        '{"day": "Monday"}',
        'Here it is:\n```json\n{"day": "Monday"}\n```\nAnything else?',
        'The data are {"day": "Monday"}, as you wished.',
        'In [brackets] and then {"day": "Monday"}',
    ],
)
def test_data_are_found_in_what_a_model_writes(said: str) -> None:
    assert read_answer(DATA, said) == {"day": "Monday"}


def test_an_array_may_be_the_answer() -> None:
    assert read_answer(Question(Step.DATA, (), schema={"type": "array"}), "They are [1, 2].") == [1, 2]
    assert read_answer(Question(Step.DATA, ()), "7.5") == 7.5


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("I cannot say.", "not_json"),
        ("It is {not JSON} or [that", "not_json"),
        ("```\nno\n```", "not_json"),
        ('{"day": NaN}', "not_json"),
        ('{"day": 1e999}', "not_json"),
        ("[" * 20_000, "not_json"),
        ("1" * 9000, "not_json"),
        ('{"day": 7}', "schema_mismatch"),
        ("{}", "schema_mismatch"),
    ],
)
def test_data_that_are_not_what_was_asked_for_are_not_taken(said: str, code: str) -> None:
    with pytest.raises(BadAnswer) as bad:
        read_answer(DATA, said)
    assert bad.value.code == code
    assert bad.value.problems


@pytest.mark.parametrize(
    ("rubric", "said", "verdict"),
    [
        (PASS_FAIL, "true", "true"),
        (PASS_FAIL, "False.", "false"),
        (PASS_FAIL, "It is false, not true.", "false"),
        (PASS_FAIL, "PASS: everything was done", "true"),
        (PASS_FAIL, "The call failed.", "false"),
        (PASS_FAIL, "Yes, there were no problems.", "true"),
        ("unknown", "No.", "false"),
        ("NumericScale", "8/10", "8"),
        ("NumericScale", "Of 2026 calls a 7.", "7"),
        ("PercentageScale", "85 %", "85%"),
        ("DescriptiveScale", "I would say good, not excellent.", "Good"),
        ("LikertScale", "Strongly disagree", "Strongly Disagree"),
        ("LikertScale", "I agree", "Agree"),
        ("Checklist", "- greeted: yes", "- greeted: yes"),
        ("Matrix", "| a | b |", "| a | b |"),
        ("AutomaticRubric", "Kind: very.", "Kind: very."),
    ],
)
def test_verdicts(rubric: str, said: str, verdict: str) -> None:
    assert read_answer(Question(Step.SUCCESS, (), rubric=rubric), said) == verdict


@pytest.mark.parametrize(
    ("rubric", "said"),
    [(PASS_FAIL, "Perhaps."), ("NumericScale", "12"), ("PercentageScale", "101"), ("LikertScale", "Fine")],
)
def test_what_is_no_verdict_is_not_taken(rubric: str, said: str) -> None:
    with pytest.raises(BadAnswer) as bad:
        read_answer(Question(Step.SUCCESS, (), rubric=rubric), said)
    assert bad.value.code == "no_verdict"


@given(st.sampled_from(Step), st.sampled_from(sorted(RUBRICS)), st.text())
def test_an_answer_is_taken_or_refused_with_a_reason(step: Step, rubric: str, said: str) -> None:
    question = Question(step, (), schema=SCHEMA, rubric=rubric)
    try:
        taken = json.dumps(read_answer(question, said), allow_nan=False)
    except BadAnswer as bad:
        taken = bad.code
    assert (
        taken in {"unreadable", "not_json", "schema_mismatch", "no_verdict"} or json.loads(taken) is not None
    )


def test_the_contract_s_analysis() -> None:
    booking, tags = Question(Step.DATA, (), key="booking"), Question(Step.DATA, (), key="tags")
    answers = [
        (Question(Step.SUMMARY, ()), "A call."),
        (DATA, {"day": "Monday"}),
        (booking, {"n": 2}),
        (tags, [1]),
    ]
    assert analysis_of(answers) == {
        "summary": "A call.",
        "structuredData": {"day": "Monday"},
        "structuredDataMulti": [
            {"n": 2, "booking": {"n": 2}, "key": "booking"},
            {"tags": [1], "key": "tags"},
        ],
    }
    assert analysis_of([]) == {}
