"""Anthropic's messages, streamed: POST {base}/v1/messages, events back. The port's messages are OpenAI's; here they are
translated both ways.

Wire: https://platform.claude.com/docs/en/api/messages, /en/api/errors and the migration guides of the models (what each
refuses), the stream checked against anthropic-sdk-python 2.12. The system prompt is marked for the prompt cache
(/en/build-with-claude/prompt-caching), which costs nothing below the vendor's least length. Retries and deadlines are the
router's.
"""

from __future__ import annotations

import json
import re
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from aywa.adapters.llm.chat import filtered
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.http import HttpAnswer, HttpRoute, Names, Refusal
from aywa.ports.errors import Fault
from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta, ToolCallDelta

ANTHROPIC_BASE_URL = "https://api.anthropic.com"
ANTHROPIC_NAMES = Names(key="ANTHROPIC_API_KEY", url="ANTHROPIC_BASE_URL", target="model.model")
VERSION = "2023-06-01"
TEMPERATURE_MAX = 1.0
BEGINS = "(The call begins.)"
"""Said for the caller where the assistant was the first to speak: the vendor's first message must be the user's."""
GOES_ON = "(The caller says nothing.)"
"""Said for the caller where the assistant was the last to speak: the newer models continue no message of their own."""

_REASONS = {"max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool_calls"}
THINKING_ROOM = 1024
"""Tokens granted on top of the limit where the model cannot but think: its thoughts count, and would eat the answer."""

# Opus 4.7 and what came after it refuse the parameter; only what is known to take it gets it.
_TAKES_TEMPERATURE = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[0-6])?(-\d{8}|-latest)?$)")
# From version 5 on a model thinks unless it is told not to; these cannot be told.
_THINKS = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-([5-9]|\d\d)(-|$)")
_ALWAYS_THINKS = re.compile(r"claude-(fable|mythos)-|claude-opus-5-[5-9]")
# How the vendor's refusals name what a model does not take.
_SPARE = ("temperature", "thinking", "output_config")


class AnthropicLlm:
    """One route. names: what its settings are called in messages."""

    def __init__(
        self,
        base_url: str,
        key: str,
        model: str,
        name: str = "anthropic",
        *,
        names: Names = ANTHROPIC_NAMES,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._model = model
        self._names = names
        # Learned from refusals: models come and go faster than tables of them.
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        self._http = HttpRoute(
            name,
            re.sub(r"/v1/?$", "", base_url or ANTHROPIC_BASE_URL),
            names,
            headers={"x-api-key": key, "anthropic-version": VERSION, **(headers or {})},
            refusals=_refusals(names),
            tls=tls,
            guard=guard,
        )

    @property
    def name(self) -> str:
        """The route's name."""
        return self._http.name

    @property
    def connections(self) -> int:
        """How many were ever made."""
        return self._http.connections

    @property
    def waited(self) -> int:
        """For how many of them a request waited."""
        return self._http.waited

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """As the port says."""
        body = self._body(request)
        ask = self._http.ask("POST", "/v1/messages", body=body, inspect=partial(self._inspect, body))
        async with ask as answer, aclosing(self._deltas(answer)) as deltas:
            async for delta in deltas:
                yield delta

    async def warm(self, request: LlmRequest) -> None:
        """Dials. Filling the prompt cache ahead would cost a request."""
        await self._http.warm()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    def _body(self, request: LlmRequest) -> dict[str, Any]:
        model = request.model or self._model
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": request.max_tokens,
            "messages": messages(request.messages),
            "stream": True,
        }
        if system := _system(request.messages):
            body["system"] = system
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        refused = self._refused[model]
        if _TAKES_TEMPERATURE.match(model) and "temperature" not in refused:
            body["temperature"] = min(request.temperature, TEMPERATURE_MAX)
        if _THINKS.match(model):
            # As little thinking as the model can be told: a caller waits.
            if not _ALWAYS_THINKS.match(model) and "thinking" not in refused:
                body["thinking"] = {"type": "disabled"}
            else:
                body["max_tokens"] += THINKING_ROOM
                if "output_config" not in refused:
                    body["output_config"] = {"effort": "low"}
        return body | dict(request.extra)

    async def _deltas(self, answer: HttpAnswer) -> AsyncGenerator[LlmDelta, None]:
        reply = _Reply()
        seen = False
        async with aclosing(answer.events()) as events:
            async for event in events:
                seen = True
                piece = answer.object(event.data)
                kind = piece.get("type")
                if kind == "error":
                    raise self._http.told(piece)
                try:
                    deltas = reply.take(kind, piece)
                except (TypeError, ValueError, AttributeError, KeyError):
                    raise self._http.malformed("a piece of the stream has another shape") from None
                for delta in deltas:
                    yield delta
                if kind == "message_stop":
                    break
        if not seen:
            raise self._http.not_a_stream(answer.content_type)
        if not reply.reason:
            raise self._http.cut_short()
        if reply.reason == "refusal" and not reply.spoke:
            raise filtered(self._http)
        await answer.drain()
        yield reply.finished()

    def _inspect(self, sent: Mapping[str, Any], status: int, body: object) -> Refusal | None:
        """What the vendor tells apart in words alone."""
        error = body.get("error") if isinstance(body, dict) else None
        said = str(error.get("message", "")) if isinstance(error, dict) else ""
        if status == 400 and "credit balance" in said:
            return _refusals(self._names)["billing_error"]
        if status == 400 and "prompt is too long" in said:
            mend = "shorten the prompt, or take a model with a longer context"
            return Refusal("bad_request", Fault.CONFIG, False, mend)
        if status == 404 and said.startswith("model"):
            return Refusal("unknown_model", Fault.CONFIG, False, f"check {self._names.target}")
        for parameter in _SPARE:
            if status == 400 and parameter in sent and parameter in said:
                # Left out from now on, so the request may be repeated.
                known = self._refused[str(sent["model"])]
                again = parameter not in known
                known.add(parameter)
                mend = f"the model does not take {parameter} as it was set: leave it out"
                return Refusal("bad_request", Fault.CONFIG, again, mend)
        return None


class _Reply:
    """What is known of the answer so far."""

    def __init__(self) -> None:
        self.reason = ""
        self.spoke = False
        """Whether there was any text."""
        self._usage: dict[str, int] = {}
        # By the vendor's index of the block: our index of the call, and whether it has arguments yet.
        self._calls: dict[Any, tuple[int, bool]] = {}

    def take(self, kind: object, piece: Mapping[str, Any]) -> Sequence[LlmDelta]:
        """Of one event. Raises what a wrong shape raises. Unknown kinds are to be passed over, says the vendor."""
        match kind:
            case "message_start":
                self._count(piece["message"].get("usage") or {})
            case "content_block_start":
                return self._start(piece["index"], piece["content_block"])
            case "content_block_delta":
                return self._delta(piece["index"], piece["delta"])
            case "content_block_stop":
                return self._stop(piece["index"])
            case "message_delta":
                self.reason = piece["delta"].get("stop_reason") or self.reason
                self._count(piece.get("usage") or {})
            case _:
                pass
        return ()

    def finished(self) -> Finished:
        """The last delta. The prompt's tokens are all that were sent, cached or not."""
        cached = self._usage.get("cache_read_input_tokens", 0)
        prompt = cached + sum(
            self._usage.get(name, 0) for name in ("input_tokens", "cache_creation_input_tokens")
        )
        return Finished(
            _REASONS.get(self.reason, "stop"), prompt, cached, self._usage.get("output_tokens", 0)
        )

    def _count(self, usage: Mapping[str, Any]) -> None:
        """The counts are cumulative: a later one stands for the earlier."""
        self._usage |= {name: value for name, value in usage.items() if isinstance(value, int)}

    def _start(self, index: object, block: Mapping[str, Any]) -> Sequence[LlmDelta]:
        if block["type"] == "text":
            return self._text(block.get("text"))
        if block["type"] != "tool_use":
            return ()
        ours = len(self._calls)
        self._calls[index] = (ours, False)
        return (ToolCallDelta(ours, str(block["id"]), str(block["name"]), ""),)

    def _delta(self, index: object, delta: Mapping[str, Any]) -> Sequence[LlmDelta]:
        if delta["type"] == "text_delta":
            return self._text(delta["text"])
        if delta["type"] != "input_json_delta" or not delta["partial_json"]:
            return ()
        ours, _ = self._calls[index]
        self._calls[index] = (ours, True)
        return (ToolCallDelta(ours, "", "", str(delta["partial_json"])),)

    def _stop(self, index: object) -> Sequence[LlmDelta]:
        ours, has_arguments = self._calls.get(index, (0, True))
        return () if has_arguments else (ToolCallDelta(ours, "", "", "{}"),)

    def _text(self, text: object) -> Sequence[LlmDelta]:
        if not text:
            return ()
        self.spoke = True
        return (TextDelta(str(text)),)


# --- from OpenAI's words -----------------------------------------------------------------------------------------


def _system(chat: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The prompt, cached; what was told to the model later stands behind it, so that it does not spoil the cache."""
    first, later = _split(chat)
    blocks: list[dict[str, Any]] = []
    if first:
        blocks.append({"type": "text", "text": first, "cache_control": {"type": "ephemeral"}})
    if later:
        blocks.append({"type": "text", "text": later})
    return blocks


def _split(chat: Sequence[ChatMessage]) -> tuple[str, str]:
    texts = [m.content for m in chat if m.role == "system" and m.content.strip()]
    at_first = 0
    while at_first < len(chat) and chat[at_first].role == "system":
        at_first += 1
    leading = sum(1 for m in chat[:at_first] if m.content.strip())
    return "\n\n".join(texts[:leading]), "\n\n".join(texts[leading:])


def messages(chat: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Roles by turns, user first and last, no empty block. Results of tools are the user's, and come before his words."""
    turns: list[dict[str, Any]] = []
    for message in chat:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message))
        if not blocks:
            continue
        if not turns and role == "assistant":
            turns.append(_said(BEGINS))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        turns.append(_said(BEGINS))
    for turn in turns:
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if turns[-1]["role"] == "assistant":
        turns.append(_said(GOES_ON))
    return turns


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def _blocks(message: ChatMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {
            "type": "tool_result",
            "tool_use_id": message.tool_call_id or "",
            "content": message.content,
        }
        return
    # The vendor refuses a text of blanks, and one that ends in them as the last of an assistant's.
    if text := message.content.strip():
        yield {"type": "text", "text": text}
    for call in message.tool_calls:
        function = call.get("function") or {}
        yield {
            "type": "tool_use",
            "id": call.get("id", ""),
            "name": function.get("name", ""),
            "input": _arguments(function.get("arguments")),
        }


def _arguments(arguments: object) -> dict[str, Any]:
    """The vendor wants an object; what a model once wrote may be none."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
    return arguments if isinstance(arguments, dict) else {}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function") or {}
    ours = {
        "name": function.get("name", ""),
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if description := function.get("description"):
        ours["description"] = description
    return ours


def _refusals(names: Names) -> dict[str, Refusal]:
    return {
        "authentication_error": Refusal("unauthorized", Fault.CONFIG, False, f"check {names.key}"),
        "billing_error": Refusal(
            "quota", Fault.CONFIG, False, f"the account behind {names.key} needs credit"
        ),
        "permission_error": Refusal(
            "forbidden", Fault.CONFIG, False, "check that the key may use this model"
        ),
        "invalid_request_error": Refusal("bad_request", Fault.CONFIG, False),
        "request_too_large": Refusal("bad_request", Fault.CONFIG, False, "shorten the prompt"),
        "rate_limit_error": Refusal("rate_limited", Fault.CONFIG, True, "raise the quota, or wait"),
        "timeout_error": Refusal("unavailable", Fault.PROVIDER, True),
        "api_error": Refusal("unavailable", Fault.PROVIDER, True),
        "overloaded_error": Refusal("unavailable", Fault.PROVIDER, True),
    }
