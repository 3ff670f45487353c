"""OpenAI's chat completions, streamed: POST {base}/chat/completions, SSE back; and every server that speaks the same.

Wire: https://platform.openai.com/docs/api-reference/chat-streaming, error codes:
https://platform.openai.com/docs/guides/error-codes, both checked against openai-python 3.54. Retries and deadlines are the
router's.
"""

from __future__ import annotations

import re
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from aywa.adapters.llm.chat import PATH, chat, common_body
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.http import HttpRoute, Names, Refusal
from aywa.ports.errors import Fault
from aywa.ports.llm import LlmDelta, LlmRequest

OPENAI_NAMES = Names(key="OPENAI_API_KEY", url="OPENAI_BASE_URL", target="OPENAI_MODEL")
REASONING_ROOM = 1024
"""Tokens granted on top of the limit where the model cannot but reason: its reasoning counts, and would eat the answer."""

# What a model may refuse to be told, and does as well without.
_SPARE = frozenset({"temperature", "reasoning_effort", "stream_options"})

_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
_NO_REASONING_KNOB = re.compile(r"-(chat|pro|codex|search|audio|realtime)\b")


class OpenAiLlm:
    """One route. names: what its settings are called in messages. compatible: a server that is not OpenAI's own gets
    no parameter that only OpenAI's reasoning models know. extra: fields of every request's body."""

    def __init__(
        self,
        base_url: str,
        key: str,
        model: str,
        name: str = "openai",
        *,
        names: Names = OPENAI_NAMES,
        headers: Mapping[str, str] | None = None,
        limit_name: str = "max_completion_tokens",
        usage_on_request: bool = True,
        compatible: bool = False,
        extra: Mapping[str, Any] | None = None,
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._model = model
        self._limit_name = limit_name
        self._usage_on_request = usage_on_request
        self._compatible = compatible
        self._extra = dict(extra or {})
        # Learned from refusals: models come and go faster than tables of them.
        self._refused: defaultdict[str, set[tuple[str, Any]]] = defaultdict(set)
        self._http = HttpRoute(
            name,
            base_url,
            names,
            headers=({"Authorization": f"Bearer {key}"} if key else {}) | dict(headers or {}),
            refusals=openai_refusals(names),
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

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """As the port says."""
        body = self._body(request)
        return chat(self._http, PATH, body, partial(self._inspect, body))

    async def warm(self, request: LlmRequest) -> None:
        """Dials. The vendor keeps its own prompt cache, and fills it only for money."""
        await self._http.warm()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    def _body(self, request: LlmRequest) -> dict[str, Any]:
        body = common_body(request, self._model)
        model = str(body["model"])
        effort = "" if self._compatible else self._effort(model)
        body[self._limit_name] = request.max_tokens + (REASONING_ROOM if effort not in ("", "none") else 0)
        if effort:
            body["reasoning_effort"] = effort
        if self._compatible or takes_temperature(model):
            body["temperature"] = request.temperature
        if self._usage_on_request:
            body["stream_options"] = {"include_usage": True}
        for parameter, _ in self._refused[model]:
            if parameter != "reasoning_effort":
                body.pop(parameter, None)
        return body | self._extra | dict(request.extra)

    def _effort(self, model: str) -> str:
        """As little thinking as the model can be told, for a caller waits; where that is refused, the next little."""
        refused = {value for parameter, value in self._refused[model] if parameter == "reasoning_effort"}
        least = reasoning_effort(model)
        return next((effort for effort in (least, "low") if least and effort not in refused), "")

    def _inspect(self, sent: Mapping[str, Any], status: int, body: object) -> Refusal | None:
        """A parameter that this model does not take is set otherwise from now on, and the request may be repeated."""
        error = body.get("error") if isinstance(body, dict) else None
        parameter = error.get("param") if isinstance(error, dict) else None
        if (
            status != 400
            or not isinstance(parameter, str)
            or parameter not in _SPARE
            or parameter not in sent
        ):
            return None
        known = self._refused[str(sent["model"])]
        # A dict is no member of a set, and of stream_options there is only one.
        value = sent[parameter] if isinstance(sent[parameter], str) else None
        again = (parameter, value) not in known
        known.add((parameter, value))
        mend = f"the model does not take {parameter} as it was set: leave it out"
        return Refusal("bad_request", Fault.CONFIG, again, mend)


def takes_temperature(model: str) -> bool:
    """Reasoning models take only the default: o1 to o4, gpt-5, and gpt-5.5 and later, which always reason. Between them
    it is taken as long as they are told not to reason (developers.openai.com, latest-model: parameter compatibility)."""
    if re.match(r"o\d", model):
        return False
    if (version := _version(model)) is None or version < (5, 0):
        return True
    if _NO_REASONING_KNOB.search(model):
        return model == "gpt-5-chat-latest"
    return (5, 1) <= version <= (5, 4)


def reasoning_effort(model: str) -> str:
    """The least that the model knows, or nothing for those that do not reason or have no choice: gpt-5 cannot but think a
    little, gpt-5.1 and later can be told not to (openai-python, ReasoningEffort)."""
    if re.match(r"o[134](-mini)?(-\d{4}-|$)", model):
        return "low"
    if (version := _version(model)) is None or version < (5, 0) or _NO_REASONING_KNOB.search(model):
        return ""
    return "minimal" if version == (5, 0) else "none"


def _version(model: str) -> tuple[int, int] | None:
    found = _VERSION.match(model)
    return found and (int(found[1]), int(found[2] or 0))


def openai_refusals(names: Names) -> dict[str, Refusal]:
    """OpenAI's error codes and types, which most compatible servers give too."""
    check_key = f"check {names.key}"
    check_model = f"check {names.target}" if names.target else "check the model's name"
    quota = Refusal("quota", Fault.CONFIG, False, f"the account behind {names.key} needs credit")
    no_key = Refusal("unauthorized", Fault.CONFIG, False, check_key)
    no_model = Refusal("unknown_model", Fault.CONFIG, False, check_model)
    wait = Refusal("rate_limited", Fault.CONFIG, True, "raise the quota, or wait")
    down = Refusal("unavailable", Fault.PROVIDER, True)
    return {
        "invalid_api_key": no_key,
        "API_KEY_INVALID": no_key,
        "invalid_organization": no_key,
        "account_deactivated": no_key,
        "insufficient_quota": quota,
        "billing_hard_limit_reached": quota,
        "billing_not_active": quota,
        "access_terminated": quota,
        "rate_limit_exceeded": wait,
        "model_not_found": no_model,
        "model_decommissioned": no_model,
        "context_length_exceeded": Refusal(
            "bad_request", Fault.CONFIG, False, "shorten the prompt, or take a model with a longer context"
        ),
        "unsupported_country_region_territory": Refusal(
            "forbidden", Fault.CONFIG, False, "the vendor does not serve this region"
        ),
        "ip_not_authorized": Refusal(
            "forbidden", Fault.CONFIG, False, "allow this machine's address at the vendor"
        ),
        "unsupported_parameter": Refusal("bad_request", Fault.CONFIG, False, "check the model's settings"),
        "unsupported_value": Refusal("bad_request", Fault.CONFIG, False, "check the model's settings"),
        "server_error": down,
        "engine_overloaded": down,
        "service_unavailable": down,
    }
