"""A customer's own model (`custom-llm`, contract 4.3): OpenAI's chat completions at the customer's URL, with the call's data.

The body has only what such servers are known to be asked: max_tokens under its old name, no stream_options. Where the URL
ends in /chat/completions it is taken as it is.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Literal
from urllib.parse import urlsplit

from aywa.adapters.llm.chat import PATH, chat, common_body
from aywa.adapters.llm.flush import Flushes
from aywa.adapters.llm.openai import openai_refusals
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.http import HttpRoute, Names
from aywa.ports.llm import LlmDelta, LlmRequest, TextDelta

MetadataSendMode = Literal["off", "variable", "destructured"]
CUSTOM_LLM_NAMES = Names(
    key="the apiKey of the custom-llm credential, or model.headers", url="model.url", target="model.model"
)


class CustomLlm:
    """One route. key: sent as Bearer unless headers say otherwise; headers: of the assistant's model."""

    def __init__(
        self,
        url: str,
        model: str = "",
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        metadata_send_mode: MetadataSendMode = "variable",
        name: str = "custom-llm",
        names: Names = CUSTOM_LLM_NAMES,
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._path = "" if _is_whole(url) else PATH
        self._model = model
        self._mode = metadata_send_mode
        sent = dict(headers or {})
        if key and not any(header.lower() == "authorization" for header in sent):
            sent["Authorization"] = f"Bearer {key}"
        self._http = HttpRoute(
            name, url, names, headers=sent, refusals=openai_refusals(names), tls=tls, guard=guard
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
        flushes = Flushes()
        async with aclosing(chat(self._http, self._path, self._body(request))) as deltas:
            async for delta in deltas:
                ready = flushes.take(delta.text) if isinstance(delta, TextDelta) else [*flushes.end(), delta]
                for one in ready:
                    yield one

    async def warm(self, request: LlmRequest) -> None:
        """Dials."""
        await self._http.warm()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    def _body(self, request: LlmRequest) -> dict[str, Any]:
        ours = {
            **common_body(request, self._model),
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            **request.extra,
        }
        if self._mode == "off":
            return ours
        call = {
            "call": request.call,
            "phoneNumber": request.phone_number,
            "customer": request.customer,
        }
        if self._mode == "variable":
            call["metadata"] = request.metadata
        ours |= {name: value for name, value in call.items() if value is not None}
        # A key of the metadata that is called like a field of the wire would break the request: the field stays.
        return {**(request.metadata or {}), **ours} if self._mode == "destructured" else ours


def _is_whole(url: str) -> bool:
    try:
        return urlsplit(url).path.rstrip("/").endswith(PATH)
    except ValueError:
        return False
