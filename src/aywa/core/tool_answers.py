"""What a customer's server answered to a tool call, in its own words (contract 7.4, 7.5). Never raises: what cannot be used is
told to the model as having no result, and why to whoever looks at the call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aywa.core.handoff import is_destination
from aywa.core.tool_asking import DONE, FAILURE, RESULT_MAX
from aywa.core.tool_messages import TEXT_MAX
from aywa.core.tools import target_of

NO_RESULT = "No result returned."
EXCERPT_MAX = 500
"""Characters of an answer that is of no use, for the record."""
REASON_MAX = 100
"""Characters of what the far side of a call says to a request by SIP."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """As events.ToolReturned has it. body: the result itself, for whoever takes variables out of it."""

    status: str
    result: str
    body: Any = None
    said: str | None = None
    ends_call: bool = False
    detail: str = ""
    excerpt: str = ""
    destination: Mapping[str, Any] = field(default_factory=dict)


def text_of(value: Any) -> str:
    """A result as the model reads it: text as it is, anything else as JSON; cut at RESULT_MAX."""
    if isinstance(value, str):
        return value[: RESULT_MAX + 1]
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))[: RESULT_MAX + 1]
    except (TypeError, ValueError, RecursionError):
        return NO_RESULT


def json_of(text: str) -> Any:
    """What the text says, if it is JSON; else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def excerpt_of(value: Any) -> str:
    """The beginning of what cannot be used."""
    return text_of(value)[:EXCERPT_MAX]


def function_answer(body: Any, call_id: str) -> ToolAnswer:
    """Of the body that answered a tool-calls message: the result with the call's id, or an error for all of them."""
    written = body if isinstance(body, Mapping) else {}
    results = written.get("results")
    if not isinstance(results, list):
        error = written.get("error")
        if isinstance(error, str) and error:
            return _failure(error, None, "the server told an error for the whole message")
        return _nothing("the answer has no array `results`", body)
    own = [each for each in results if isinstance(each, Mapping) and each.get("toolCallId") == call_id]
    if not own:
        return _nothing(f"none of {len(results)} results has the call's toolCallId", body)
    found = own[0]
    said, ends_call = _message(found.get("message"))
    error = found.get("error")
    if error is not None and error != "":
        return ToolAnswer(
            FAILURE, f"The tool failed: {text_of(error)}", error, said, ends_call, "the server told an error"
        )
    if "result" not in found or found["result"] is None:
        return _nothing("the result with the call's toolCallId has neither result nor error", body)
    result = found["result"]
    return ToolAnswer(
        DONE, text_of(result), json_of(result) if isinstance(result, str) else result, said, ends_call
    )


def destination_answer(body: Any) -> tuple[Mapping[str, Any], str]:
    """Of the body that answered a transfer-destination-request: where to, with the message that goes with it; and, where nobody
    says it, what the model is told."""
    written = body if isinstance(body, Mapping) else {}
    destination = written.get("destination")
    if isinstance(destination, Mapping) and (target_of(destination) or is_destination(destination)):
        message = written.get("message")
        return (destination if message is None else {**destination, "message": message}), ""
    error = written.get("error")
    if isinstance(error, str) and error:
        return {}, f"The transfer was not made: {text_of(error)}"
    return {}, "The transfer was not made: nobody said where to."


def http_answer(status: int, text: str) -> ToolAnswer:
    """Of an apiRequest: any status but 200 to 299 is a failure, which the model is told with what the server says to it."""
    body = json_of(text)
    if 200 <= status < 300:
        return ToolAnswer(DONE, text_of(text) or f"The request was answered with status {status}.", body)
    told = f"The request failed with status {status}."
    if text:
        told = f"{told[:-1]}: {text_of(text)[:EXCERPT_MAX]}"
    return ToolAnswer(FAILURE, told, body, detail=f"the server answered {status}", excerpt=excerpt_of(text))


def sip_answer(verb: str, status: int, reason: str) -> ToolAnswer:
    """Of a sipRequest: its final answer's status and words, or status 0 and why there is none."""
    words = reason[:REASON_MAX]
    if not status:
        return ToolAnswer(FAILURE, f"The {verb} was not answered: {words}.", detail=words)
    told = f"{status} {words}".strip()
    body = {"status": status, "reason": words}
    if 200 <= status < 300:
        return ToolAnswer(DONE, f"The {verb} was answered with {told}.", body)
    return ToolAnswer(
        FAILURE, f"The {verb} was refused with {told}.", body, detail=f"the far side answered {status}"
    )


def _message(value: Any) -> tuple[str | None, bool]:
    """A text, or a request-complete or request-failed object."""
    if isinstance(value, str):
        return value[:TEXT_MAX] or None, False
    written = value if isinstance(value, Mapping) else {}
    content = written.get("content")
    if not isinstance(content, str) or not content or written.get("role") == "system":
        return None, False
    return content[:TEXT_MAX], written.get("endCallAfterSpokenEnabled") is True


def _failure(error: str, body: Any, detail: str) -> ToolAnswer:
    return ToolAnswer(FAILURE, f"The tool failed: {text_of(error)}", body, detail=detail)


def _nothing(detail: str, body: Any) -> ToolAnswer:
    return ToolAnswer(FAILURE, NO_RESULT, detail=detail, excerpt=excerpt_of(body))
