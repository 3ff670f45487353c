"""What a customer's server answered to a tool call, however it says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.tool_answers import (
    EXCERPT_MAX,
    NO_RESULT,
    REASON_MAX,
    ToolAnswer,
    destination_answer,
    excerpt_of,
    function_answer,
    http_answer,
    json_of,
    sip_answer,
    text_of,
)
from aywa.core.tool_asking import RESULT_MAX
from tests.core.feed import examples

NUMBER = {"type": "number", "number": "+4930111"}
ANN = {"type": "assistant", "assistantName": "Ann"}


def results(**fields: Any) -> dict[str, Any]:
    return {"results": [{"toolCallId": "other", "result": "theirs"}, {"toolCallId": "c1", **fields}]}


@pytest.mark.parametrize(
    ("body", "status", "result", "said", "ends"),
    [
        (results(result="found"), "done", "found", None, False),
        (results(result={"n": 1}), "done", '{"n":1}', None, False),
        (results(result=0), "done", "0", None, False),
        (results(result="so", message="Say it."), "done", "so", "Say it.", False),
        (results(result="so", message=""), "done", "so", None, False),
        (
            results(result="so", message={"type": "request-complete", "content": "Bye.", "endCallAfterSpokenEnabled": True}),
            "done",
            "so",
            "Bye.",
            True,
        ),
        (results(result="so", message={"role": "system", "content": "Hint."}), "done", "so", None, False),
        (results(result="so", message={"content": 5}), "done", "so", None, False),
        (results(result="so", message=[1]), "done", "so", None, False),
        (results(error="no"), "failed", "The tool failed: no", None, False),
        (results(error={"code": 1}), "failed", 'The tool failed: {"code":1}', None, False),
        (results(error="", result="so"), "done", "so", None, False),
        (results(error="no", message="Sorry."), "failed", "The tool failed: no", "Sorry.", False),
        ({"error": "all broken"}, "failed", "The tool failed: all broken", None, False),
    ],
)  # fmt: skip
def test_the_result_with_the_calls_id_counts(
    body: Any, status: str, result: str, said: str | None, ends: bool
) -> None:
    answer = function_answer(body, "c1")
    assert (answer.status, answer.result, answer.said, answer.ends_call) == (status, result, said, ends)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "no array"),
        ("text", "no array"),
        ([1], "no array"),
        ({"results": {"c1": 1}}, "no array"),
        ({"error": ""}, "no array"),
        ({"results": []}, "none of 0"),
        ({"results": [{"toolCallId": "C1", "result": 1}, 5]}, "none of 2"),
        (results(), "neither"),
        (results(result=None), "neither"),
    ],
)
def test_what_cannot_be_used_is_no_result_and_says_why(body: Any, why: str) -> None:
    answer = function_answer(body, "c1")
    assert (answer.status, answer.result) == ("failed", NO_RESULT)
    assert why in answer.detail
    assert answer.excerpt


@pytest.mark.parametrize(
    ("body", "destination", "why"),
    [
        ({"destination": NUMBER}, NUMBER, ""),
        ({"destination": NUMBER, "message": "One moment."}, NUMBER | {"message": "One moment."}, ""),
        ({"destination": {"type": "sip", "sipUri": "sip:a@b"}}, {"type": "sip", "sipUri": "sip:a@b"}, ""),
        ({"destination": ANN}, ANN, ""),
        ({"error": "Closed."}, {}, "The transfer was not made: Closed."),
        ({"destination": {"type": "number"}}, {}, "nobody said where to"),
        ({"destination": "+4930111", "error": 5}, {}, "nobody said where to"),
        ("junk", {}, "nobody said where to"),
    ],
)
def test_where_a_transfer_goes(body: Any, destination: Any, why: str) -> None:
    found, told = destination_answer(body)
    assert found == destination
    assert why in told
    assert bool(found) is not bool(told)


def test_json_in_a_result_is_read_for_variables_and_told_as_it_is() -> None:
    answer = function_answer(results(result='{"n": 1}'), "c1")
    assert (answer.result, answer.body) == ('{"n": 1}', {"n": 1})
    assert json_of("[" * 9000) == "[" * 9000


def test_any_status_but_200_to_299_is_a_failure() -> None:
    assert http_answer(200, '{"n": 1}') == ToolAnswer("done", '{"n": 1}', {"n": 1})
    assert http_answer(204, "").result == "The request was answered with status 204."
    failed = http_answer(404, "no such order")
    assert (failed.status, failed.detail) == ("failed", "the server answered 404")
    assert failed.result == "The request failed with status 404: no such order"
    assert http_answer(500, "").result == "The request failed with status 500."


def test_what_the_far_side_says_to_a_request_by_sip() -> None:
    taken = sip_answer("INFO", 202, "Accepted")
    assert (taken.status, taken.result) == ("done", "The INFO was answered with 202 Accepted.")
    assert taken.body == {"status": 202, "reason": "Accepted"}
    refused = sip_answer("MESSAGE", 405, "")
    assert (refused.status, refused.result) == ("failed", "The MESSAGE was refused with 405.")
    assert refused.detail == "the far side answered 405"
    silent = sip_answer("INFO", 0, "timeout")
    assert (silent.status, silent.result) == ("failed", "The INFO was not answered: timeout.")
    assert len(sip_answer("INFO", 200, "x" * 10_000).result) < REASON_MAX + 50


def test_texts_are_cut() -> None:
    assert len(text_of("x" * 10**6)) == RESULT_MAX + 1
    assert len(excerpt_of({"a": "x" * 9000})) == EXCERPT_MAX
    assert text_of({1, 2}) == NO_RESULT


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
entries = st.fixed_dictionaries(
    {"toolCallId": st.sampled_from(["c1", "c2", None])},
    optional=dict.fromkeys(("result", "error", "message", "name"), values),
)


@examples(200)
@given(st.fixed_dictionaries({"results": st.lists(entries | values, max_size=3)}) | values, st.text())
def test_whatever_a_server_says_is_an_answer(body: Any, text: str) -> None:
    answer = function_answer(body, "c1")
    assert answer.status in ("done", "failed")
    assert isinstance(answer.result, str)
    assert answer.said is None or answer.said
    assert json.dumps([answer.result, answer.excerpt, http_answer(200, text).result])
