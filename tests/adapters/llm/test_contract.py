"""The contract of models, over every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aywa.adapters.llm.anthropic import AnthropicLlm
from aywa.adapters.llm.custom_llm import CustomLlm
from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.local.engine import open_local
from aywa.adapters.local.rules import RuleLlm
from aywa.adapters.models.cache import models_dir
from aywa.ports.llm import Llm
from aywa.testing.vendors.plan import Break, Trouble
from tests.contracts.llm import LlmContract, Wire, WireContract, llm, rig

__all__ = ["llm", "rig"]

OPENAI_ERRORS = (
    Trouble(Break.REFUSE, status=429, code="insufficient_quota"),
    Trouble(Break.REFUSE, status=404, code="model_not_found"),
    Trouble(Break.REFUSE, status=400, code="context_length_exceeded"),
)


class TestOpenAi(WireContract):
    @pytest.fixture
    def wire(self) -> Wire:
        return Wire("openai.chat", lambda url, key: OpenAiLlm(f"{url}/v1", key, "gpt-4.1"), *OPENAI_ERRORS)


class TestCustomLlm(WireContract):
    @pytest.fixture
    def wire(self) -> Wire:
        return Wire(
            "custom-llm",
            lambda url, key: CustomLlm(f"{url}/custom-llm", "mine", key=key),
            *OPENAI_ERRORS,
            counts=False,
        )


class TestAnthropic(WireContract):
    @pytest.fixture
    def wire(self) -> Wire:
        return Wire(
            "anthropic.messages",
            lambda url, key: AnthropicLlm(url, key, "claude-haiku-4-5"),
            quota=Trouble(Break.REFUSE, status=402),
            unknown_model=Trouble(Break.REFUSE, status=404),
            too_long=Trouble(Break.REFUSE, code="too-long"),
        )


class TestRules(LlmContract):
    @pytest.fixture
    def llm(self) -> Llm:
        return RuleLlm()


@pytest.mark.all
class TestQwen(LlmContract):
    @pytest.fixture
    async def llm(self) -> AsyncIterator[Llm]:
        engine = await open_local(models_dir(), roles=("llm",))
        await engine.ready()
        yield engine.llm
        await engine.close()
