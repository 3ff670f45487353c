from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from aywa.adapters.llm.compatible import COMPATIBLE, compatible_llm
from aywa.ports.llm import ChatMessage, Finished, LlmRequest
from tests.adapters.llm.far import DONE, END, delta, event, far_side, head, plain, spoken
from tests.contracts.llm import failed, take, text_of

ASKED = LlmRequest((ChatMessage("user", "Hello?"),), temperature=0.4, max_tokens=90)
# Those of the contract (4.3) that have wires of their own, or none.
OTHERS = {"openai", "anthropic", "anthropic-bedrock", "vapi", "custom-llm"}
PROVIDERS = (
    "openai anthropic anthropic-bedrock google groq xai cerebras deep-seek deepinfra together-ai openrouter "
    "perplexity-ai anyscale inflection-ai minimax vapi custom-llm"
).split()


def test_every_vendor_of_the_contract_has_a_place() -> None:
    assert set(PROVIDERS) - OTHERS <= set(COMPATIBLE)


@pytest.mark.parametrize("provider", COMPATIBLE)
async def test_each_is_asked_in_its_words(provider: str) -> None:
    vendor = COMPATIBLE[provider]
    assert urlsplit(vendor.base_url).scheme in ("https", "")
    assert not vendor.base_url.endswith("/")
    async with far_side(spoken("Yes.")) as far:
        # A name that OpenAI's rules would know, to see that they are not applied.
        llm = compatible_llm(provider, "key", "gpt-5-mini", base_url=far.url)
        try:
            assert llm.name == provider
            assert text_of(await take(llm, ASKED)) == "Yes."
        finally:
            await llm.close()
        body = far.requests[0].body
    assert body[vendor.limit_name] == 90
    assert ("stream_options" in body) is vendor.usage_on_request
    assert body["temperature"] == 0.4
    assert "reasoning_effort" not in body
    assert body | dict(vendor.extra) == body


@pytest.mark.parametrize("provider", ["anyscale", "inflection-ai"])
async def test_who_has_no_common_address_must_be_given_one(provider: str) -> None:
    llm = compatible_llm(provider, "key", "any")
    try:
        error = await failed(llm, ASKED)
    finally:
        await llm.close()
    assert error.code == "bad_url"
    assert COMPATIBLE[provider].url_variable in error.mend


async def test_googles_refusals() -> None:
    body = b'[{"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]'
    async with far_side([plain("400 Bad Request", "application/json", body)]) as far:
        llm = compatible_llm("google", "key", "gemini", base_url=far.url)
        try:
            error = await failed(llm, ASKED)
        finally:
            await llm.close()
    assert (error.code, error.mend) == ("unauthorized", "check GEMINI_API_KEY")


async def test_deepseeks_cached_tokens() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}
    answer = [head(), delta("stop", content="Yes."), event(choices=[], usage=usage), DONE, END]
    async with far_side(answer) as far:
        llm = compatible_llm("deep-seek", "key", "m", base_url=far.url)
        try:
            assert (await take(llm, ASKED))[-1] == Finished("stop", 9, 8, 2)
        finally:
            await llm.close()


def test_nobody_else_is_one_of_them() -> None:
    with pytest.raises(KeyError):
        compatible_llm("openai", "key", "m")
