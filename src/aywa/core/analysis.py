"""What is asked about a call when it is over, and what is taken from the answers (contract 13.1).

Reads analysisPlan, has the words of the questions, and reads what a model wrote. Refuses to ask anybody, and to take an answer
that is not what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from aywa.core.json_schema import problems_in

STEPS_MAX = 20
"""Questions about one call."""
LEAST_S, MOST_S, USUAL_S = 1.0, 60.0, 5.0
"""A step's time (contract 13.1)."""
TRANSCRIPT_CHARACTERS = 120_000
SUMMARY_CHARACTERS = 20_000
ANSWER_CHARACTERS = 100_000
KEY_MAX = 100
LEAST_MESSAGES, MESSAGES_MOST = 2, 1_000_000


class Step(StrEnum):
    """What a question is about; also the analysisType of its cost (contract 6.3)."""

    SUMMARY = "summary"
    DATA = "structuredData"
    SUCCESS = "successEvaluation"


@dataclass(frozen=True, slots=True)
class Question:
    """messages: templates (LiquidJS). schema: of structured data. rubric: of a success evaluation. key: in structuredDataMulti;
    None where it is structuredData itself."""

    step: Step
    messages: tuple[Mapping[str, str], ...]
    timeout_s: float = USUAL_S
    schema: Mapping[str, Any] | None = None
    rubric: str = ""
    key: str | None = None

    @property
    def name(self) -> str:
        """For the record."""
        return self.step.value if self.key is None else f"structuredDataMulti.{self.key}"


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """least_messages: of the two parties together, or nothing is asked."""

    questions: tuple[Question, ...] = ()
    least_messages: int = LEAST_MESSAGES


class BadAnswer(Exception):
    """A model's answer is not what was asked for. code: unreadable, not_json, schema_mismatch, no_verdict. problems: what to
    tell the model."""

    def __init__(self, code: str, *problems: str) -> None:
        super().__init__(code)
        self.code = code
        self.problems = problems


# --- the plan ------------------------------------------------------------------------------------------------------


def read_analysis_plan(assistant: Mapping[str, Any], *, by_default: bool) -> AnalysisPlan:
    """Of a resolved assistant. by_default: a summary and a success evaluation are made where the plan does not say, as the
    contract has it; else only what the plan asks for."""
    plan = _mapping(assistant.get("analysisPlan"))
    summary, data = _mapping(plan.get("summaryPlan")), _mapping(plan.get("structuredDataPlan"))
    success = _mapping(plan.get("successEvaluationPlan"))
    questions: list[Question] = []
    if _wanted(summary, by_default=by_default):
        questions.append(Question(Step.SUMMARY, _messages(summary, _SUMMARY), _seconds(summary)))
    if _wanted(data, by_default=False):
        questions.append(_data(data, None))
    for each in map(_mapping, _list(plan.get("structuredDataMultiPlan"))):
        key, own = _text(each.get("key"))[:KEY_MAX], _mapping(each.get("plan"))
        if key and own.get("enabled") is not False:
            questions.append(_data(own, key))
    if _wanted(success, by_default=by_default):
        rubric = _text(success.get("rubric"))
        rubric = rubric if rubric in RUBRICS else PASS_FAIL
        messages = _messages(success, _SUCCESS)
        questions.append(Question(Step.SUCCESS, messages, _seconds(success), rubric=rubric))
    return AnalysisPlan(tuple(questions[:STEPS_MAX]), _threshold(plan.get("minMessagesThreshold")))


def _threshold(value: Any) -> int:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MESSAGES_MOST
    return int(value) if usable else LEAST_MESSAGES


def _wanted(step: Mapping[str, Any], *, by_default: bool) -> bool:
    """Who writes a step down without a word about enabled means it to be done."""
    enabled = step.get("enabled")
    return enabled if isinstance(enabled, bool) else by_default or bool(step)


def _data(step: Mapping[str, Any], key: str | None) -> Question:
    schema = step.get("schema")
    return Question(
        Step.DATA,
        _messages(step, _DATA),
        _seconds(step),
        schema=schema if isinstance(schema, Mapping) else {"type": "object"},
        key=key,
    )


def _seconds(step: Mapping[str, Any]) -> float:
    value = step.get("timeoutSeconds")
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return USUAL_S
    return float(min(max(value, LEAST_S), MOST_S))


def _messages(step: Mapping[str, Any], own: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    """The plan's own, or ours. What was said is put behind messages that have no place for it: without it there is nothing to
    be asked about."""
    written = [
        {"role": _text(m.get("role")) or "system", "content": _text(m.get("content"))}
        for m in map(_mapping, _list(step.get("messages")))
    ]
    messages: list[Mapping[str, str]] = [m for m in written if m["content"]]
    messages = messages or list(own)
    placed = any(_PLACE.search(m["content"]) for m in messages)
    return tuple(messages if placed else [*messages, _TRANSCRIPT])


# --- the questions -------------------------------------------------------------------------------------------------

_PLACE = re.compile(r"\{[{%][^}]*\b(?:transcript|messages)\b")
_TRANSCRIPT = {"role": "user", "content": "The call, as it was heard:\n\n{{transcript}}"}
_SUMMARY = (
    {
        "role": "system",
        "content": "You sum up phone calls for the business that was called. Write two or three plain sentences: what the "
        "caller wanted, what was agreed or done, and what is left to do. Say nothing that is not in the call. No headings, "
        "no lists.",
    },
    _TRANSCRIPT,
)
_DATA = (
    {
        "role": "system",
        "content": "You take facts out of phone calls. Answer with one JSON value that fits this JSON Schema, and with nothing "
        "else. Leave out what the call does not say, unless the schema requires it.\n\nJSON Schema:\n{{schema}}",
    },
    _TRANSCRIPT,
)
_SUCCESS = (
    {
        "role": "system",
        "content": "You judge whether phone calls reached their aim. The aim is in the instructions that the agent was given.\n\n"
        "The agent's instructions:\n{{systemPrompt}}\n\nHow to answer: {{rubric}}",
    },
    _TRANSCRIPT,
)

PASS_FAIL = "PassFail"  # noqa: S105 - a rubric
_DESCRIPTIVE = ("Excellent", "Good", "Fair", "Poor")
_LIKERT = ("Strongly Agree", "Agree", "Neutral", "Disagree", "Strongly Disagree")
RUBRICS: Mapping[str, str] = {
    "NumericScale": "with one whole number from 1 (failed) to 10 (succeeded in everything), and nothing else.",
    "DescriptiveScale": "with one of these words and nothing else: Excellent, Good, Fair, Poor.",
    "Checklist": "with a list of what had to be done, each with whether it was.",
    "Matrix": "with a table of several criteria, each with how well it was met.",
    "PercentageScale": "with a whole number of per cent from 0% to 100%, and nothing else.",
    "LikertScale": "how far you agree that the call succeeded, with one of these and nothing else: Strongly Agree, Agree, "
    "Neutral, Disagree, Strongly Disagree.",
    "AutomaticRubric": "by criteria that you find in the instructions: name each, and say how well it was met.",
    PASS_FAIL: "with true if the call succeeded, with false if it did not, and with nothing else.",
}
"""What a model is told of each rubric ({{rubric}})."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the call. prompt: the assistant's own messages. chat: the conversation in OpenAI's format. variables: the
    call's own."""

    transcript: str = ""
    ended_reason: str = ""
    prompt: Sequence[Mapping[str, Any]] = ()
    chat: Sequence[Mapping[str, Any]] = ()
    variables: Mapping[str, Any] | None = None


def places(question: Question, facts: Facts) -> dict[str, Any]:
    """What the question's templates may name (contract 13.1)."""
    system = [_text(m.get("content")) for m in facts.prompt if m.get("role") == "system"]
    return {
        **(facts.variables or {}),
        "transcript": facts.transcript,
        "systemPrompt": "\n\n".join(system),
        "messages": _chat(facts.chat),
        "endedReason": facts.ended_reason,
        "schema": json.dumps(question.schema, ensure_ascii=False, default=str) if question.schema else "",
        "rubric": RUBRICS.get(question.rubric, ""),
    }


def _chat(messages: Sequence[Mapping[str, Any]]) -> str:
    """The last of them, in JSON, as many as a prompt may hold."""
    lines: list[str] = []
    left = TRANSCRIPT_CHARACTERS
    for message in reversed(messages):
        told = {"role": message.get("role"), "content": message.get("content")}
        line = json.dumps(told, ensure_ascii=False, default=str)
        left -= len(line)
        if left < 0:
            break
        lines.append(line)
    return f"[{', '.join(reversed(lines))}]"


# --- the answers ---------------------------------------------------------------------------------------------------

# What a model that thinks aloud says before its answer.
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.S | re.I)
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.S | re.I)
_VERDICTS = (("true", "false"), ("passed", "failed"), ("pass", "fail"), ("yes", "no"))
_NUMBER = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?(?!\d)")


def read_answer(question: Question, text: str) -> Any:
    """What the model's text says. Raises BadAnswer."""
    said = _THOUGHT.sub("", text[:ANSWER_CHARACTERS], count=1).strip()
    if not said:
        raise BadAnswer("unreadable", "The answer was empty.")
    match question.step:
        case Step.SUMMARY:
            return said[:SUMMARY_CHARACTERS]
        case Step.DATA:
            return _json(said, question.schema or {})
        case _:
            return _verdict(said, question.rubric)


def _json(said: str, schema: Mapping[str, Any]) -> Any:
    found, value = _value_in(said)
    if not found:
        raise BadAnswer("not_json", "The answer was not JSON. Answer with one JSON value and nothing else.")
    problems = problems_in(value, schema)
    if problems:
        raise BadAnswer("schema_mismatch", *problems)
    return value


def _value_in(said: str) -> tuple[bool, Any]:
    """The whole text, what stands in a fence, or the first object or array in it."""
    fenced = _FENCE.search(said)
    for text in (said, *([fenced[1]] if fenced else [])):
        try:
            return True, json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError):
            pass
    decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
    begins = [at for at in (said.find("{"), said.find("[")) if at >= 0]
    for at in sorted(begins):
        try:
            return True, decoder.raw_decode(said, at)[0]
        except (ValueError, RecursionError):
            pass
    return False, None


def _no_constant(name: str) -> Any:
    raise ValueError("no number of JSON's")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("no number of JSON's")
    return value


def _verdict(said: str, rubric: str) -> str:
    match rubric:
        case "NumericScale":
            return str(_number(said, 1, 10))
        case "PercentageScale":
            return f"{_number(said, 0, 100)}%"
        case "DescriptiveScale":
            return _one_of(said, _DESCRIPTIVE)
        case "LikertScale":
            return _one_of(said, _LIKERT)
        case "Checklist" | "Matrix" | "AutomaticRubric":
            return said[:SUMMARY_CHARACTERS]
        case _:
            return _passed(said)


def _number(said: str, least: int, most: int) -> int:
    for found in _NUMBER.finditer(said):
        if least <= int(found[1]) <= most:
            return int(found[1])
    raise BadAnswer("no_verdict", f"Answer with one whole number from {least} to {most}.")


def _one_of(said: str, words: Sequence[str]) -> str:
    """The first that is named; of two that begin at one place the longer."""
    places = [(at, -len(word), word) for word in words if (at := _find(said, word)) >= 0]
    if not places:
        raise BadAnswer("no_verdict", f"Answer with one of: {', '.join(words)}.")
    return min(places)[2]


def _passed(said: str) -> str:
    for good, bad in _VERDICTS:
        yes, no = _find(said, good), _find(said, bad)
        if yes >= 0 or no >= 0:
            return "false" if yes < 0 or 0 <= no < yes else "true"
    raise BadAnswer("no_verdict", "Answer with true or with false.")


def _find(said: str, word: str) -> int:
    found = re.search(rf"\b{word}\b", said, re.I)
    return -1 if found is None else found.start()


def analysis_of(answers: Sequence[tuple[Question, Any]]) -> dict[str, Any]:
    """The contract's `analysis` from the answers that were taken."""
    analysis: dict[str, Any] = {}
    several = [_keyed(question.key, answer) for question, answer in answers if question.key is not None]
    for question, answer in answers:
        if question.key is None:
            analysis[question.step.value] = answer
    return analysis | ({"structuredDataMulti": several} if several else {})


def _keyed(key: str, answer: Any) -> dict[str, Any]:
    """Readers in the field look for the answer under its key, or for its fields beside it: both are there."""
    fields = answer if isinstance(answer, Mapping) else {}
    return {**fields, key: answer, "key": key}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
