"""The vendors that speak OpenAI's chat completions, by the names that the contract gives them (4.3). A table, and no code.

Where each is and what it takes is from its own documentation, named beside it. `anyscale` and `inflection-ai` have no
address that is the same for all customers: theirs must be given.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.wire.guard import Guard
from aywa.adapters.wire.http import Names


@dataclass(frozen=True, slots=True)
class Vendor:
    """prefix: of its environment variables. limit_name: what it calls the limit of tokens. usage_on_request: tells the
    usage only when it is asked for. extra: fields that keep its models from thinking aloud while a caller waits."""

    base_url: str
    prefix: str
    limit_name: str = "max_tokens"
    usage_on_request: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key_variable(self) -> str:
        """The environment variable with its key."""
        return f"{self.prefix}_API_KEY"

    @property
    def url_variable(self) -> str:
        """The environment variable with another base URL."""
        return f"{self.prefix}_BASE_URL"


COMPATIBLE: Mapping[str, Vendor] = {
    # console.groq.com/docs/openai
    "groq": Vendor("https://api.groq.com/openai/v1", "GROQ", "max_completion_tokens"),
    # openrouter.ai/docs/api-reference/overview
    "openrouter": Vendor("https://openrouter.ai/api/v1", "OPENROUTER"),
    # docs.together.ai/docs/inference/openai-compatibility
    "together-ai": Vendor("https://api.together.ai/v1", "TOGETHER"),
    # deepinfra.com/docs/openai_api
    "deepinfra": Vendor("https://api.deepinfra.com/v1/openai", "DEEPINFRA"),
    # inference-docs.cerebras.ai/resources/openai
    "cerebras": Vendor("https://api.cerebras.ai/v1", "CEREBRAS", "max_completion_tokens"),
    # api-docs.deepseek.com: from V4 on it thinks unless told not to
    "deep-seek": Vendor("https://api.deepseek.com", "DEEPSEEK", extra={"thinking": {"type": "disabled"}}),
    # docs.x.ai/developers/rest-api-reference/inference
    "xai": Vendor("https://api.x.ai/v1", "XAI"),
    # docs.perplexity.ai/guides/chat-completions-guide: the usage comes by itself
    "perplexity-ai": Vendor("https://api.perplexity.ai", "PERPLEXITY", usage_on_request=False),
    # ai.google.dev/gemini-api/docs/openai
    "google": Vendor("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI"),
    # platform.minimax.io/docs/api-reference/text-openai-api: thoughts stand in the text unless they are split off
    "minimax": Vendor(
        "https://api.minimax.io/v1", "MINIMAX", "max_completion_tokens", False, {"reasoning_split": True}
    ),
    # docs.mistral.ai/api: the usage comes by itself
    "mistral": Vendor("https://api.mistral.ai/v1", "MISTRAL", usage_on_request=False),
    # docs.anyscale.com/llm/serving: a deployment of one's own
    "anyscale": Vendor("", "ANYSCALE"),
    "inflection-ai": Vendor("", "INFLECTION"),
}


def compatible_llm(
    provider: str,
    key: str,
    model: str,
    *,
    base_url: str = "",
    name: str = "",
    names: Names | None = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    guard: Guard | None = None,
) -> OpenAiLlm:
    """A route to one of COMPATIBLE. base_url: empty for the vendor's own. names: empty for those of the environment.
    Raises KeyError for a vendor that is none of them."""
    vendor = COMPATIBLE[provider]
    return OpenAiLlm(
        base_url or vendor.base_url,
        key,
        model,
        name or provider,
        names=names or Names(vendor.key_variable, vendor.url_variable, "model.model"),
        headers=headers,
        limit_name=vendor.limit_name,
        usage_on_request=vendor.usage_on_request,
        compatible=True,
        extra=vendor.extra,
        tls=tls,
        guard=guard,
    )
