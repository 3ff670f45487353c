"""A run of each kind of tool: what leaves, what an answer becomes, what is refused, what is tried again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from aywa.call.rules import RuleThreads
from aywa.call.tools.rejections import Said, refuses
from aywa.call.tools.runs import (
    FILES_MAX,
    ToolRoutes,
    ToolRuns,
    file_ids,
    header_fields,
    http_request,
    retry_in_s,
)
from aywa.call.tools.templates import Templates, filled, variables_of, with_static
from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.tools import Tool, read_tools
from aywa.ports.calls import FileText
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.tools import McpAnswer, ToolHttpAnswer, ToolHttpRequest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = Said((), ())


def templates(**variables: Any) -> Templates:
    return Templates(variables, NOW)


@dataclass
class Http:
    """Answers with these, one after the other; the last again."""

    answers: list[ToolHttpAnswer | ProviderError]
    sent: list[ToolHttpRequest] = field(default_factory=list)

    async def send(self, request: ToolHttpRequest) -> ToolHttpAnswer:
        self.sent.append(request)
        answer = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(answer, ProviderError):
            raise answer
        return answer


@dataclass
class Servers:
    """MCP servers."""

    answer: McpAnswer
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def tools(self, tool: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [{"name": "stock"}]

    async def run(self, tool: Mapping[str, Any], name: str, arguments: Mapping[str, Any]) -> McpAnswer:
        self.asked.append((name, arguments))
        return self.answer


async def ran(
    written: dict[str, Any],
    routes: ToolRoutes,
    tool: Tool | None = None,
    timeout_s: float = 20.0,
    **arguments: Any,
) -> tuple[ev.ToolReturned, list[tuple[str, Mapping[str, Any]]]]:
    notes: list[tuple[str, Mapping[str, Any]]] = []
    threads = RuleThreads()
    runs = ToolRuns(
        "call-1", routes, None, threads, {"name": "Ann"}, lambda kind, data: notes.append((kind, data))
    )
    found = tool or read_tools({"model": {"tools": [written]}})[0]
    try:
        return await runs.run(do.StartTool(1, "c1", found.name, arguments, timeout_s), found, NOTHING), notes
    finally:
        threads.close()


REQUEST: dict[str, Any] = {
    "type": "apiRequest",
    "name": "price",
    "method": "POST",
    "url": "https://shop.example/a",
}


# --- what leaves -----------------------------------------------------------------------------------------------------


def test_a_request_is_filled_in() -> None:
    written = REQUEST | {
        "url": "https://shop.example/{{name}}/{{article}}?q={{article}}",
        "headers": {"properties": {"X-Who": {"value": "{{name}}"}, "X-Open": {"type": "string"}}},
        "body": {
            "type": "object",
            "properties": {
                "article": {"type": "string"},
                "set": {"value": "{{name}}!"},
                "list": {"value": ["{{name}}", {"n": 1}]},
                "deep": {"type": "object", "properties": {"a": {"const": 1}, "b": {"default": 2}, "c": {}}},
            },
        },
    }
    arguments = {"article": "a/b?c", "more": 1, "deep": {"c": "{{name}}"}}
    made = http_request(written, arguments, templates(name="Ann Lee").beneath(arguments), "call-1")
    # What is put into an address cannot leave its place in it.
    assert made.url == "https://shop.example/Ann%20Lee/a%2Fb%3Fc?q=a%2Fb%3Fc"
    assert made.headers == {"Content-Type": "application/json", "X-Who": "Ann Lee", "X-Call-Id": "call-1"}
    assert json.loads(made.body or "") == {
        "article": "a/b?c",
        "more": 1,
        "set": "Ann Lee!",
        "list": ["Ann Lee", {"n": 1}],
        # An argument is data: what looks like a template in it is none.
        "deep": {"a": 1, "b": 2, "c": "{{name}}"},
    }


def test_a_get_has_no_body_and_without_a_schema_the_arguments_are_the_body() -> None:
    assert http_request(REQUEST | {"method": "get"}, {"a": 1}, templates(), "c").body is None
    assert http_request(REQUEST, {"a": 1}, templates(), "c").body == '{"a":1}'
    whole = http_request(REQUEST | {"url": "{{base}}/x"}, {}, templates(base="https://shop.example"), "c")
    assert whole.url == "https://shop.example/x"
    closed = {"additionalProperties": False, "properties": {"a": {}}}
    assert filled(closed, {"a": 1, "b": 2}, templates(), "body") == {"a": 1}
    assert http_request(REQUEST | {"credentialId": "k"}, {}, templates(), "c").access == {"credentialId": "k"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "TRACE"},
        {"url": "file:///etc/passwd"},
        {"url": "/nowhere"},
        {"url": "http://[::1"},
        {"url": None},
        {"headers": {"properties": {"X-A": {"value": "a\r\nX-B: c"}}}},
        {"headers": {"properties": {"X\nA": {"value": "a"}}}},
    ],
)
def test_what_cannot_leave_like_this_does_not(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as refused:
        http_request(REQUEST | wrong, {}, templates(), "c")
    assert refused.value.code == "bad_request"


def test_headers_are_texts() -> None:
    assert header_fields({"a": 1, "b": None, "c": "x"}) == {"a": "1", "c": "x"}
    assert header_fields("junk") == {}


def test_static_parameters_are_stronger_than_the_model() -> None:
    tool = {
        "parameters": [
            {"key": "who", "value": "{{name}}"},
            {"key": "n", "value": {"a": ["{{name}}"]}},
            {"key": "x"},
        ]
    }
    found = with_static(tool, {"who": "me", "what": "it"}, templates(name="Ann"))
    assert found == {"who": "Ann", "what": "it", "n": {"a": ["Ann"]}, "x": None}


def test_a_template_that_cannot_be_read_is_empty_and_told() -> None:
    made = templates()
    assert made.text("{{ a | nothing", "url") == ""
    assert made.problems
    assert made.problems[0].startswith("url: ")
    deep: Any = "{{a}}"
    for _ in range(40):
        deep = [deep]
    assert "a" not in json.dumps(made.value(deep, "body"))


# --- variables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "answer", "found"),
    [
        (None, {"a": 1}, {}),
        ({"aliases": [{"key": "city", "value": "{{$.address.city | upcase}}"}]}, {"address": {"city": "Rome"}}, {"city": "ROME"}),
        ({"aliases": [{"key": "n", "value": "{{ $.i[1].n }} of {{name}}"}]}, {"i": [{"n": 1}, {"n": 2}]}, {"n": "2 of Ann"}),
        ({"aliases": [{"key": "all", "value": "{{$}}"}]}, "text", {"all": "text"}),
        ({"aliases": [{"key": "x" * 41, "value": "a"}, {"key": 5}, "junk", {"key": "k", "value": 7}]}, {}, {}),
        ({"aliases": "junk", "schema": {"properties": {"a": {}}}}, {"a": 1}, {"a": 1}),
        ({"aliases": [{"key": "cost", "value": "$5 {{ '$' }}"}]}, {}, {"cost": "$5 $"}),
    ],
)  # fmt: skip
def test_what_is_taken_out_of_an_answer(plan: Any, answer: Any, found: Any) -> None:
    assert variables_of(plan, answer, templates(name="Ann")) == found


# --- rejections ------------------------------------------------------------------------------------------------------

TALK = Said(
    (
        {"role": "bot", "message": "Shall I book it?"},
        {"role": "user", "message": "Yes, please."},
        {"role": "tool_call_result", "result": "found"},
    ),
    ({"role": "user", "content": "Yes, please."},),
)


def rule(pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": "regex", "regex": pattern, **more}


@pytest.mark.parametrize(
    ("conditions", "refused"),
    [
        ([], False),
        ("junk", False),
        ([rule("found")], True),
        ([rule("yes", target={"role": "user"})], False),
        ([rule("(?:Y|y)es", target={"role": "user"})], True),
        ([rule("book", target={"role": "assistant"})], True),
        ([rule("book", target={"position": 0})], True),
        ([rule("book", target={"position": 9})], False),
        ([rule("book", target={"position": "x"})], False),
        ([rule("no", negate=True, target={"role": "user"})], True),
        ([rule("(", target={"role": "user"})], False),
        ([rule("found"), rule("lost")], False),
        ([{"type": "liquid", "liquid": "{{ name == 'Ann' }}"}], False),
        ([{"type": "liquid", "liquid": "{% if name == 'Ann' %}true{% else %}false{% endif %}"}], True),
        (
            [
                {
                    "type": "liquid",
                    "liquid": "{% assign m = messages | last %}{% if m.role == 'user' %}true{% endif %}",
                }
            ],
            True,
        ),
        ([{"type": "group", "operator": "OR", "conditions": [rule("lost"), rule("found")]}], True),
        ([{"type": "group", "operator": "AND", "conditions": [rule("lost"), rule("found")]}], False),
        ([{"type": "group", "conditions": []}], False),
        ([{"type": "other"}, 5], False),
        ([rule("(a+)+$", target={"role": "user"})], False),
    ],
)
async def test_a_call_is_refused_when_all_conditions_hold(conditions: Any, refused: bool) -> None:
    threads = RuleThreads()
    found = await refuses({"conditions": conditions}, TALK, templates(name="Ann"), threads)
    threads.close()
    assert found is refused


async def test_conditions_without_end_are_not_tried_to_the_end() -> None:
    deep: Any = rule("found")
    for _ in range(30):
        deep = {"type": "group", "conditions": [deep]}
    threads, made = RuleThreads(waiting_max=0), templates()
    assert not await refuses({"conditions": [deep]}, TALK, made, threads)
    assert "too many" in made.problems[0]
    threads.close()
    threads = RuleThreads()
    assert not await refuses({"conditions": [deep]}, TALK, templates(), threads)
    threads.close()


# --- runs ------------------------------------------------------------------------------------------------------------


async def test_an_answer_of_json_is_told_as_it_is_and_its_variables_are_taken() -> None:
    written = REQUEST | {"variableExtractionPlan": {"schema": {"properties": {"price": {}}}}}
    http = Http([ToolHttpAnswer(200, '{"price": 12}')])
    answer, notes = await ran(written, ToolRoutes(http), article="a")
    assert (answer.status, answer.result, answer.variables) == ("done", '{"price": 12}', {"price": 12})
    requested = {"run": 1, "attempt": 1, "method": "POST", "url": "https://shop.example/a"}
    assert notes == [("ToolRequested", requested)]


UNREACHABLE = ProviderError("tool", "unreachable", "cannot be reached", fault=Fault.NETWORK, retryable=True)
BAD_URL = ProviderError("tool", "bad_url", "internal", fault=Fault.CONFIG, retryable=False)
TWICE = {"type": "fixed", "maxRetries": 2, "baseDelaySeconds": 1}


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("plan", "answers", "attempts", "status"),
    [
        (None, [ToolHttpAnswer(500, "")], 1, "failed"),
        (None, [UNREACHABLE], 1, "failed"),
        (TWICE, [ToolHttpAnswer(500, ""), UNREACHABLE, ToolHttpAnswer(200, "ok")], 3, "done"),
        (TWICE, [ToolHttpAnswer(500, "")], 3, "failed"),
        (TWICE | {"excludedStatusCodes": [404]}, [ToolHttpAnswer(404, "")], 1, "failed"),
        (TWICE, [BAD_URL], 1, "failed"),
    ],
)
async def test_it_is_tried_again_as_its_own_plan_says(
    plan: Any, answers: Any, attempts: int, status: str
) -> None:
    http = Http(answers)
    answer, notes = await ran(REQUEST | {"backoffPlan": plan}, ToolRoutes(http))
    assert (len(http.sent), answer.status) == (attempts, status)
    assert [data["attempt"] for _, data in notes] == list(range(1, attempts + 1))


@pytest.mark.virtual_time
async def test_there_is_no_attempt_after_the_tools_time() -> None:
    http = Http([ToolHttpAnswer(500, "")])
    plan = {"type": "exponential", "maxRetries": 10, "baseDelaySeconds": 5}
    answer, _ = await ran(REQUEST | {"backoffPlan": plan}, ToolRoutes(http), timeout_s=12.0)
    assert (len(http.sent), answer.detail) == (2, "deadline")


def test_a_plan_that_makes_no_sense_is_none() -> None:
    assert retry_in_s({"maxRetries": "x"}, 1, 500) is None
    assert retry_in_s({"maxRetries": 99, "baseDelaySeconds": 99}, 10, None) == 10.0
    assert retry_in_s({"maxRetries": 99}, 11, None) is None
    assert retry_in_s({"maxRetries": 1, "baseDelaySeconds": "x"}, 1, 500) == 0.0


async def test_an_mcp_tool_is_asked_by_its_own_name() -> None:
    servers = Servers(McpAnswer("Three.", None))
    tool = Tool("mcp", "a_b", {}, written={"server": {}}, remote="a.b")
    answer, _ = await ran({}, ToolRoutes(mcp=servers), tool, q=1)
    assert (answer.status, answer.result) == ("done", "Three.")
    assert servers.asked == [("a.b", {"q": 1})]
    servers.answer = McpAnswer("no", failed=True)
    failed, _ = await ran({}, ToolRoutes(mcp=servers), tool)
    assert (failed.status, failed.detail) == ("failed", "isError")


QUERY = {"type": "query", "knowledgeBases": [{"fileIds": ["f1", "f2", 5]}, "junk"]}


async def test_a_query_finds_passages_in_the_files_that_are_there() -> None:
    routes = ToolRoutes(
        files={"f1": FileText("f1", "hours.txt", "We open at nine."), "f9": FileText("f9", "x", "open")}
    )
    answer, _ = await ran(QUERY, routes, query="when do you open")
    assert answer.result == "[hours.txt] We open at nine."
    nothing, _ = await ran(QUERY, routes, query="zebra")
    assert "Nothing was found" in nothing.result
    assert len(file_ids({"knowledgeBases": [{"fileIds": [str(n) for n in range(999)]}]})) == FILES_MAX
    assert file_ids({"knowledgeBases": "x"}) == ()


@pytest.mark.parametrize("kind", ["function", "apiRequest", "mcp"])
async def test_nobody_to_ask_is_a_failure_and_no_more(kind: str) -> None:
    tool = Tool(kind, "x", {}, written=REQUEST)
    answer, _ = await ran({}, ToolRoutes(), tool)
    assert (answer.status, answer.detail) == ("failed", "no_server")


async def test_whatever_breaks_is_a_failure() -> None:
    class Broken:
        async def send(self, request: ToolHttpRequest) -> ToolHttpAnswer:
            raise RuntimeError("sk-secret")

    answer, _ = await ran(REQUEST, ToolRoutes(Broken()))
    assert (answer.status, answer.result, answer.detail) == ("failed", "The tool failed.", "RuntimeError")
