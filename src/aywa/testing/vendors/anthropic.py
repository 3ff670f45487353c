"""Anthropic's messages, streamed and whole.

Wire: https://platform.claude.com/docs/en/api/messages and /en/api/errors; anthropic-sdk-python is
pointed at it in the tests. Base URL: `{url}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web

from aywa.testing.vendors.openai import CHARACTERS_PER_TOKEN, REPLY
from aywa.testing.vendors.plan import Plan, Trouble, tokens
from aywa.testing.vendors.world import Asked, Body, World, bearer, html_page, is_right, refusal

MESSAGES = "anthropic.messages"
MODELS = "anthropic.models"
SHOWN_MODELS = ("claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
ERROR_INSIDE = "error-inside"
"""In a plan's extra: after so many pieces the stream carries this error, such as overloaded_error."""

_MODEL = re.compile(r"claude-")
_NO_TEMPERATURE = re.compile(r"claude-opus-4-[78]|claude-(opus|sonnet|haiku|fable|mythos)-5")
_ALWAYS_THINKS = re.compile(r"claude-(fable|mythos)-|claude-opus-5-[5-9]")
_TYPES = {
    400: ("invalid_request_error", "The request was malformed."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is an issue with your billing or payment information."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: no-such-model"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out while processing."),
    529: ("overloaded_error", "Overloaded"),
}
_SPECIAL = {
    "credit": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "too-long": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
}
"""Codes of a plan for what the vendor tells apart in words alone."""


def routes(world: World) -> list[web.RouteDef]:
    """Messages and the list of models."""
    vendor = _Messages(world)
    return [web.post("/v1/messages", vendor.answer), web.get("/v1/models", vendor.list_models)]


class _Messages:
    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages."""
        key = _key(request)
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        asked = self._world.note(MESSAGES, request, key, body)
        if not is_right(key):
            return _wrong(key)
        plan = self._world.plans.take(MESSAGES)
        if (wrong := _fault_of(request, body)) is not None:
            return wrong
        if (trouble := refusal(plan)) is not None:
            return _planned(trouble)
        return await self._answer(request, plan, body, asked)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models."""
        key = _key(request)
        self._world.note(MODELS, request, key)
        if not is_right(key):
            return _wrong(key)
        plan = self._world.plans.take(MODELS)
        if (page := html_page(plan)) is not None:
            return page
        if (trouble := refusal(plan)) is not None:
            return _planned(trouble)
        data = [
            {
                "type": "model",
                "id": model,
                "display_name": model,
                "created_at": "2026-01-01T00:00:00Z",
                "lifecycle": "active",
            }
            for model in SHOWN_MODELS
        ]
        body = {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return web.json_response(body, headers=_headers())

    async def _answer(
        self, request: web.Request, plan: Plan, body: Mapping[str, Any], asked: Asked
    ) -> web.StreamResponse:
        text = self._world.plans.text(MESSAGES, plan, body, "" if plan.tool_calls else REPLY)
        message = _Message(plan, body, text)
        streamed = bool(body.get("stream"))
        out = Body(
            self._world, asked, plan, request,
            content_type="text/event-stream; charset=utf-8" if streamed else "application/json",
            headers=_headers(),
        )  # fmt: skip
        await out.start()
        if not streamed:
            for _, paced in message.events():
                if paced:
                    await out.send(b"")
            await out.send(json.dumps(message.whole()), pace=False)
            return await out.end()
        await out.send(_event(message.start()), pace=False)
        await out.send(_event({"type": "ping"}), pace=False)
        inside = plan.extra.get(ERROR_INSIDE)
        for event, paced in message.events():
            await out.send(_event(event), pace=paced)
            if inside and paced and asked.pieces >= inside[0]:
                error = {"type": inside[1], "message": dict(_TYPES.values()).get(inside[1], "")}
                await out.send(_event({"type": "error", "error": error}), pace=False)
                return await out.end()
        # The end is a piece too: a plan may break before it.
        await out.send(_event(message.end()), 0.0)
        await out.send(_event({"type": "message_stop"}), pace=False)
        return await out.end()


class _Message:
    """One answer in the vendor's words."""

    def __init__(self, plan: Plan, body: Mapping[str, Any], text: str) -> None:
        self._plan = plan
        self._body = body
        self._id = f"msg_{uuid4().hex[:24]}"
        words = list(tokens(text))
        self._words = words[: int(body["max_tokens"])]
        self._calls = [(f"toolu_{uuid4().hex[:24]}", call) for call in plan.tool_calls]
        self._reason = (
            "tool_use" if self._calls else "max_tokens" if len(self._words) < len(words) else "end_turn"
        )

    def start(self) -> dict[str, Any]:
        """message_start."""
        return {
            "type": "message_start",
            "message": self._head() | {"content": [], "stop_reason": None, "usage": self._usage(1)},
        }

    def events(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """The blocks; with whether it takes a token's time."""
        index = 0
        if self._words:
            yield _start(index, {"type": "text", "text": ""}), False
            for word in self._words:
                yield _delta(index, {"type": "text_delta", "text": word}), True
            yield {"type": "content_block_stop", "index": index}, False
            index += 1
        for call_id, call in self._calls:
            yield _start(index, {"type": "tool_use", "id": call_id, "name": call.name, "input": {}}), True
            if call.arguments != "{}":
                middle = len(call.arguments) // 2
                for some in ("", call.arguments[:middle], call.arguments[middle:]):
                    yield _delta(index, {"type": "input_json_delta", "partial_json": some}), True
            yield {"type": "content_block_stop", "index": index}, False
            index += 1

    def end(self) -> dict[str, Any]:
        """message_delta."""
        usage = {"output_tokens": self._said()}
        return {
            "type": "message_delta",
            "delta": {"stop_reason": self._reason, "stop_sequence": None},
            "usage": usage,
        }

    def whole(self) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        content: list[Any] = [{"type": "text", "text": "".join(self._words)}] if self._words else []
        content += [
            {"type": "tool_use", "id": call_id, "name": call.name, "input": json.loads(call.arguments)}
            for call_id, call in self._calls
        ]
        return self._head() | {
            "content": content,
            "stop_reason": self._reason,
            "usage": self._usage(self._said()),
        }

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._id, "type": "message", "role": "assistant", "model": self._body["model"], "stop_sequence": None
        }  # fmt: skip

    def _said(self) -> int:
        return len(self._words) + 4 * len(self._calls)

    def _usage(self, said: int) -> dict[str, Any]:
        told = json.dumps([self._body.get("system"), self._body.get("messages")])
        cached = self._plan.cached_tokens
        return {
            "input_tokens": max(1, len(told) // CHARACTERS_PER_TOKEN - cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": said,
            "service_tier": "standard",
        }


def _key(request: web.Request) -> str:
    """The documentation has the one header, the vendor's newer SDK sends the other."""
    return request.headers.get("x-api-key", "") or bearer(request)


def _wrong(key: str) -> web.Response:
    return _error(401, "authentication_error", "invalid x-api-key" if key else "x-api-key header is required")


def _start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _event(body: Mapping[str, Any]) -> str:
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n"


def _planned(trouble: Trouble) -> web.Response:
    if trouble.code in _SPECIAL:
        return _error(*_SPECIAL[trouble.code])
    status = next((s for s, (kind, _) in _TYPES.items() if kind == trouble.code), trouble.status)
    kind, message = _TYPES.get(status, ("api_error", "Refused."))
    after = trouble.retry_after_s
    return _error(status, kind, message, {} if after is None else {"retry-after": f"{after:g}"})


def _error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    asked = _headers()
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": asked["request-id"]}
    return web.json_response(body, status=status, headers={**asked, **(headers or {})})


def _headers() -> dict[str, str]:
    return {
        "request-id": f"req_{uuid4().hex[:24]}",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
    }


def _fault_of(request: web.Request, body: Any) -> web.Response | None:
    """The vendor's rules, as far as an adapter may break them."""

    def bad(message: str) -> web.Response:
        return _error(400, "invalid_request_error", message)

    if "anthropic-version" not in request.headers:
        return bad("anthropic-version: header is required")
    if not isinstance(body, dict):
        return bad("The request body is not valid JSON")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            return bad(f"{name}: Field required")
    if not _MODEL.match(str(body["model"])):
        return _error(404, "not_found_error", f"model: {body['model']}")
    temperature = body.get("temperature")
    if temperature is not None and _NO_TEMPERATURE.match(body["model"]):
        return bad("`temperature` is deprecated for this model.")
    if temperature is not None and not 0 <= temperature <= 1:
        return bad("temperature: range: 0..1")
    if (body.get("thinking") or {}).get("type") == "disabled" and _ALWAYS_THINKS.match(body["model"]):
        return bad('"thinking.type.disabled" is not supported for this model.')
    messages = body["messages"]
    if not messages or messages[0].get("role") != "user":
        return bad("messages: first message must use the user role")
    if messages[-1].get("role") == "assistant" and _NO_TEMPERATURE.match(body["model"]):
        return bad("This model does not support assistant message prefill.")
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message.get("role") not in ("user", "assistant"):
            return bad(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        if any(b["type"] == "text" and not b["text"].strip() for b in blocks):
            return bad("messages: text content blocks must be non-empty")
        answered = {b["tool_use_id"] for b in blocks if b["type"] == "tool_result"}
        if open_calls - answered:
            return bad(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after"
            )
        if answered - open_calls:
            return bad(f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks")
        open_calls = {b["id"] for b in blocks if b["type"] == "tool_use"}
    return None
