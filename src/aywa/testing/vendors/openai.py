"""OpenAI's chat completions, streamed and whole, and its list of models; a customer's own model speaks the same.

Wire: https://platform.openai.com/docs/api-reference/chat and /docs/guides/error-codes; openai-python is pointed at it in the
tests. Base URLs: `{url}/v1`, and `{url}/custom-llm` for the customer's model, which asks for no key but refuses a wrong one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import time
from typing import Any
from uuid import uuid4

from aiohttp import web

from aywa.testing.vendors.plan import Plan, Trouble, tokens
from aywa.testing.vendors.world import Asked, Body, World, bearer, html_page, is_right, refusal

CHAT = "openai.chat"
MODELS = "openai.models"
CUSTOM = "custom-llm"
REPLY = "Certainly, I can help you with that. We are open from nine to five. What would you like to know?"
CHARACTERS_PER_TOKEN = 4
SHOWN_MODELS = (
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-5-mini",
    "o4-mini",
)

_MODEL = re.compile(r"gpt-|o\d|chatgpt-|ft:")
_ALWAYS_REASONS = re.compile(r"o\d|gpt-5(-mini|-nano)?(-\d{4}|$)")
_ROLES = frozenset({"developer", "system", "user", "assistant", "tool"})


@dataclass(frozen=True, slots=True)
class _Error:
    """As the vendor words it."""

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None


_NO_KEY = _Error(
    401, "invalid_request_error", None,
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
)  # fmt: skip
_WRONG_KEY = _Error(
    401, "invalid_request_error", "invalid_api_key",
    "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys.",
)  # fmt: skip
_BAD = "invalid_request_error"
_ERRORS = (
    _Error(400, _BAD, None, "The request could not be understood."),
    _WRONG_KEY,
    _Error(403, _BAD, "unsupported_country_region_territory", "Country, region, or territory not supported"),
    _Error(404, _BAD, "model_not_found", "The model does not exist or you do not have access to it."),
    _Error(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 1s."),
    _Error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan."),
    _Error(400, _BAD, "context_length_exceeded", "This model's maximum context length is 128000 tokens.", "messages"),
    _Error(500, "server_error", None, "The server had an error while processing your request. Sorry about that!"),
    _Error(503, "server_error", "service_unavailable", "The engine is currently overloaded, please try again later"),
)  # fmt: skip


def routes(world: World) -> list[web.RouteDef]:
    """Chat completions, models, and the customer's model."""
    chat = Chat(world)
    return [
        web.post("/v1/chat/completions", chat.answer),
        web.get("/v1/models", chat.list_models),
        web.post("/custom-llm/chat/completions", chat.answer_for_customer),
    ]


class Chat:
    """Chat completions."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        key = bearer(request)
        body, asked = await self._note(CHAT, request, key)
        if not is_right(key):
            return error_response(_wrong(key))
        return await self._answer(CHAT, request, body, asked)

    async def answer_for_customer(self, request: web.Request) -> web.StreamResponse:
        """POST /custom-llm/chat/completions."""
        key = bearer(request)
        body, asked = await self._note(CUSTOM, request, key)
        if request.headers.get("Authorization") and not is_right(key):
            return error_response(_wrong(key))
        return await self._answer(CUSTOM, request, body, asked)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models."""
        key = bearer(request)
        self._world.note(MODELS, request, key)
        if not is_right(key):
            return error_response(_wrong(key))
        plan = self._world.plans.take(MODELS)
        if (page := html_page(plan)) is not None:
            return page
        if (trouble := refusal(plan)) is not None:
            return planned_error(trouble)
        data = [
            {"id": m, "object": "model", "created": 1_700_000_000, "owned_by": "system"} for m in SHOWN_MODELS
        ]
        return web.json_response({"object": "list", "data": data}, headers=_headers())

    async def _note(self, route: str, request: web.Request, key: str) -> tuple[Any, Asked]:
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        asked = self._world.note(route, request, key, body)
        return body, asked

    async def _answer(self, route: str, request: web.Request, body: Any, asked: Asked) -> web.StreamResponse:
        plan = self._world.plans.take(route)
        wrong = _fault_of(body, route)
        if wrong is not None:
            return error_response(wrong)
        if (trouble := refusal(plan)) is not None:
            return planned_error(trouble)
        text = self._world.plans.text(route, plan, body, "" if plan.tool_calls else REPLY)
        completion = _Completion(plan, body, text)
        streamed = bool(body.get("stream"))
        out = Body(
            self._world, asked, plan, request,
            content_type="text/event-stream; charset=utf-8" if streamed else "application/json",
            headers=_headers(),
        )  # fmt: skip
        await out.start()
        if not streamed:
            for _ in completion.pieces():
                await out.send(b"")
            await out.send(json.dumps(completion.whole()), pace=False)
            return await out.end()
        await out.send(
            completion.chunk({"role": "assistant", "content": completion.opening, "refusal": None}),
            pace=False,
        )
        for delta in completion.pieces():
            await out.send(completion.chunk(delta))
        # The end is a piece too: a plan may break before it.
        await out.send(completion.chunk({}, completion.reason), 0.0)
        if (body.get("stream_options") or {}).get("include_usage"):
            await out.send(completion.usage_chunk(), pace=False)
        await out.send("data: [DONE]\n\n", pace=False)
        return await out.end()


class _Completion:
    """One answer in the vendor's words."""

    def __init__(self, plan: Plan, body: Mapping[str, Any], text: str) -> None:
        self._plan = plan
        self._body = body
        self._id = f"chatcmpl-{uuid4().hex[:24]}"
        self._created = int(time())
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        words = list(tokens(text))
        self._words = words[: int(limit)] if limit else words
        self._calls = [(f"call_{uuid4().hex[:24]}", call) for call in plan.tool_calls]
        self.reason = "tool_calls" if self._calls else "length" if len(self._words) < len(words) else "stop"
        self.opening: str | None = None if self._calls and not words else ""

    def pieces(self) -> Iterator[dict[str, Any]]:
        """The deltas that take a token's time each."""
        for word in self._words:
            yield {"content": word}
        for index, (call_id, call) in enumerate(self._calls):
            function = {"name": call.name, "arguments": ""}
            yield {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}
            for some in _halves(call.arguments):
                yield {"tool_calls": [{"index": index, "function": {"arguments": some}}]}

    def chunk(self, delta: Mapping[str, Any], reason: str | None = None) -> str:
        """One event."""
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], None)

    def usage_chunk(self) -> str:
        """The event after the last choice, without any."""
        return self._event([], self._usage())

    def whole(self) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._words) or None,
            "refusal": None,
        }
        if self._calls:
            message["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call_id, call in self._calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.reason}
        return self._head("chat.completion") | {"choices": [choice], "usage": self._usage()}

    def _event(self, choices: list[Any], usage: Any) -> str:
        return f"data: {json.dumps(self._head('chat.completion.chunk') | {'choices': choices, 'usage': usage})}\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._body.get("model"),
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }

    def _usage(self) -> dict[str, Any]:
        prompt = max(prompt_tokens(self._body), self._plan.cached_tokens)
        said = len(self._words) + sum(1 + len(list(_halves(c.arguments))) for _, c in self._calls)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
            "prompt_tokens_details": {"cached_tokens": self._plan.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Roughly what the vendor would count."""
    return 1 + len(json.dumps(body.get("messages"))) // CHARACTERS_PER_TOKEN


def planned_error(trouble: Trouble) -> web.Response:
    """The vendor's words for what the plan asks for."""
    fitting = [
        e
        for e in _ERRORS
        if trouble.code in ("", e.code, e.type) and (e.status == trouble.status or trouble.code)
    ]
    error = fitting[0] if fitting else _Error(
        trouble.status, "server_error" if trouble.status >= 500 else "invalid_request_error", trouble.code or None, "Refused."
    )  # fmt: skip
    headers = {} if trouble.retry_after_s is None else {"Retry-After": f"{trouble.retry_after_s:g}"}
    return error_response(error, headers)


def error_response(error: _Error, headers: Mapping[str, str] | None = None) -> web.Response:
    """As the vendor refuses."""
    body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    more = {"x-should-retry": "false"} if error.status == 401 else {}
    return web.json_response(
        {"error": body}, status=error.status, headers={**_headers(), **more, **(headers or {})}
    )


def wrong_key(key: str) -> web.Response:
    """401, for the other parts of the vendor's API."""
    return error_response(_wrong(key))


def _wrong(key: str) -> _Error:
    if not key:
        return _NO_KEY
    # The vendor shows the key's ends, so that an adapter that quotes its words would give them away.
    return _Error(
        401, _WRONG_KEY.type, _WRONG_KEY.code, _WRONG_KEY.message.format(key=f"{key[:8]}***{key[-4:]}")
    )


def _fault_of(body: Any, route: str) -> _Error | None:
    def bad(message: str, param: str | None, code: str | None = None) -> _Error:
        return _Error(400, "invalid_request_error", code, message, param)

    if not isinstance(body, dict):
        return bad("We could not parse the JSON body of your request.", None)
    model = body.get("model")
    if route == CHAT and not isinstance(model, str):
        return bad("you must provide a model parameter", None)
    if route == CHAT and not _MODEL.match(str(model)):
        message = f"The model `{model}` does not exist or you do not have access to it."
        return _Error(404, "invalid_request_error", "model_not_found", message)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return bad("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            return bad(
                f"Invalid value for messages[{index}].role", f"messages[{index}].role", "invalid_value"
            )
        if message["role"] == "tool" and not message.get("tool_call_id"):
            return bad(
                f"Missing parameter 'tool_call_id' of messages[{index}]", f"messages.[{index}].tool_call_id"
            )
    temperature = body.get("temperature")
    if _ALWAYS_REASONS.match(str(model)):
        if temperature not in (None, 1):
            message = f"Unsupported value: 'temperature' does not support {temperature} with this model."
            return bad(message, "temperature", "unsupported_value")
        if "max_tokens" in body:
            message = "Unsupported parameter: 'max_tokens' is not supported with this model."
            return bad(message, "max_tokens", "unsupported_parameter")
    return None


def _headers() -> dict[str, str]:
    return {
        "x-request-id": f"req_{uuid4().hex}",
        "openai-processing-ms": "1",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
    }


def _halves(arguments: str) -> Iterator[str]:
    middle = len(arguments) // 2
    yield from (some for some in (arguments[:middle], arguments[middle:]) if some)
