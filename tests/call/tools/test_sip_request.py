"""The sipRequest tool: what it sends, and what the model hears of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from aywa.boot.rehearsal import Rehearsal
from aywa.call.tools.runs import NO_DIALOG, ToolRoutes
from aywa.call.tools.sip_request import sip_request
from aywa.call.tools.templates import Templates
from aywa.core.sip.in_dialog import BODY_MAX_BYTES, Unsendable
from aywa.ports.tools import ToolSipAnswer, ToolSipRequest
from tests.call.tools.test_conversations import ASKS, HELLO, model, returned, spoken

PAGE: dict[str, Any] = {
    "type": "sipRequest",
    "verb": "INFO",
    "function": {"name": "page", "parameters": {"type": "object", "properties": {"who": {"type": "string"}}}},
    "headers": {"X-Ward": "{{ward}}", "Content-Type": "text/x-page"},
    "body": "page {{who}} of {{ward}}",
}


@dataclass
class Far:
    """The far side of a dialog."""

    answer: ToolSipAnswer | None = field(default_factory=lambda: ToolSipAnswer(200, "OK"))
    up: bool = True
    asked: list[ToolSipRequest] = field(default_factory=list)

    async def send(self, request: ToolSipRequest) -> ToolSipAnswer:
        self.asked.append(request)
        if self.answer is None:
            await asyncio.Event().wait()
        assert self.answer is not None
        return self.answer


async def talk(far: Far | None, tool: dict[str, Any], arguments: Any = None) -> Rehearsal:
    name = tool.get("function", {}).get("name", "sipRequest")
    call = Rehearsal(
        {**HELLO, "model": {"tools": [tool]}},
        llm=model(("", [(name, arguments or {})])),
        tools=ToolRoutes(sip=far),
        variables={"ward": "7", "line": "a\r\nVia: b"},
    )
    await call.run([ASKS], 12.0)
    assert spoken(call)[-1] == "That is done."
    return call


def heard(call: Rehearsal) -> str:
    return call.llm.requests[-1].messages[-1].content


@pytest.mark.virtual_time
async def test_it_is_sent_once_and_the_model_hears_the_status() -> None:
    far = Far()
    call = await talk(far, PAGE, {"who": "Ann {{ward}}"})
    (sent,) = far.asked
    assert (sent.verb, sent.body) == ("INFO", b"page Ann {{ward}} of 7")
    assert sent.headers == (("X-Ward", "7"), ("Content-Type", "text/x-page"))
    assert heard(call) == "The INFO was answered with 200 OK."
    (noted,) = call.journal.of("ToolRequested")
    assert noted.data == {"run": returned(call)[0]["run"], "attempt": 1, "method": "INFO"}
    order = [r.kind for r in call.journal.records if r.kind in ("StartTool", "ToolRequested", "ToolReturned")]
    assert order == ["StartTool", "ToolRequested", "ToolReturned"]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ToolSipAnswer(405, "Method Not Allowed"), "The INFO was refused with 405 Method Not Allowed."),
        (ToolSipAnswer(0, "timeout"), "The INFO was not answered: timeout."),
        (None, "The tool did not answer within 2 seconds."),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(answer: ToolSipAnswer | None, told: str) -> None:
    call = await talk(Far(answer), {**PAGE, "timeoutSeconds": 2})
    assert heard(call) == told
    assert returned(call)[0]["status"] == "failed"


@pytest.mark.virtual_time
@pytest.mark.parametrize("far", [None, Far(up=False)], ids=["no port", "no dialog"])
async def test_a_call_without_a_dialog_says_so(far: Far | None) -> None:
    call = await talk(far, PAGE)
    assert heard(call) == NO_DIALOG
    assert not call.journal.of("ToolRequested")
    assert far is None or not far.asked


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"headers": {"X-A": "{{line}}"}}, "line end"),
        ({"headers": {"Route": "<sip:x>"}}, "own"),
        ({"verb": "NOTIFY", "headers": {}}, "Event"),
        ({"body": "x" * (BODY_MAX_BYTES + 1)}, "8192"),
    ],
)
async def test_what_cannot_leave_is_not_sent(part: dict[str, Any], why: str) -> None:
    far = Far()
    call = await talk(far, {**PAGE, **part})
    assert heard(call).startswith("The request was not sent:")
    assert why in heard(call)
    assert not far.asked
    assert not call.journal.of("ToolRequested")


def made(tool: dict[str, Any], **arguments: Any) -> ToolSipRequest:
    return sip_request({"verb": "MESSAGE", **tool}, arguments, Templates({"ward": "7"}).beneath(arguments))


def test_schemas_are_filled_with_what_the_model_says() -> None:
    headers = {
        "type": "object",
        "properties": {"X-A": {"type": "string"}, "X-W": {"value": "{{ward}}"}, "X-N": {}},
    }
    body = {"type": "object", "properties": {"note": {"type": "string"}, "ward": {"value": "{{ward}}"}}}
    sent = made({"headers": headers, "body": body}, **{"X-A": 5, "note": "hi", "else": "no"})
    assert sent.headers == (("X-A", "5"), ("X-W", "7"), ("Content-Type", "application/json"))
    assert sent.body == b'{"note":"hi","ward":"7"}'


@pytest.mark.parametrize(
    ("body", "arguments", "sent"),
    [
        ({"type": "string"}, {"body": "hi"}, b"hi"),
        ({"type": "string"}, {}, b""),
        ({"value": "{{ward}}!"}, {}, b"7!"),
        ({"type": "array"}, {"body": [1]}, b"[1]"),
        ("", {}, b""),
        (None, {}, b""),
        (7, {}, b""),
        ({}, {}, b""),
    ],
)
def test_bodies(body: Any, arguments: dict[str, Any], sent: bytes) -> None:
    assert made({"body": body}, **arguments).body == sent


@pytest.mark.parametrize(
    "headers", [None, [], "x", {"type": "object"}, {"value": "x", "properties": {}}, {"X-A": None}]
)
def test_headers_that_say_nothing(headers: Any) -> None:
    assert made({"headers": headers}).headers == ()


def test_a_verb_that_is_none() -> None:
    with pytest.raises(Unsendable):
        sip_request({}, {}, Templates({}))
