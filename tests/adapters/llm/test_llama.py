"""The OpenAI route against a server that somebody else wrote: llama.cpp's, with the smallest model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.adapters.llm.openai import OpenAiLlm
from aywa.adapters.models.cache import models_dir
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmRequest, TextDelta

pytestmark = pytest.mark.all

KEY = "right"
SERVE = """
import sys, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx, parameters.n_parallel, parameters.warmup, parameters.verbosity = 1024, 1, False, 0
parameters.api_keys = [sys.argv[2]]
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    weights = next(iter(sorted((models_dir() / "qwen-0.5b").glob("*.gguf"))), Path())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(weights), KEY,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = b""
        while not address.startswith(b"http"):
            address = await asyncio.wait_for(process.stdout.readline(), 60)
            assert address, "the server ended"
        yield address.decode().strip() + "/v1"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_conversation_with_llama_cpp(url: str) -> None:
    llm = OpenAiLlm(url, KEY, "any")
    asked = LlmRequest(
        (ChatMessage("system", "You are brief."), ChatMessage("user", "Count from one to thirty.")),
        temperature=0.0,
        max_tokens=12,
    )
    try:
        ends = []
        for _ in range(2):
            *text, finished = [delta async for delta in llm.stream(asked)]
            assert all(isinstance(delta, TextDelta) for delta in text)
            assert isinstance(finished, Finished)
            ends.append(finished)
        assert [(end.reason, end.completion_tokens) for end in ends] == [("length", 12)] * 2
        assert ends[0].prompt_tokens > 10
        assert ends[1].cached_tokens > 0
        stream = llm.stream(asked)
        assert isinstance(await anext(stream), TextDelta)
        await stream.aclose()  # type: ignore[attr-defined]
        assert [delta async for delta in llm.stream(asked)]
    finally:
        await llm.close()


async def test_a_wrong_key_is_refused_by_llama_cpp(url: str) -> None:
    llm = OpenAiLlm(url, "wrong", "any")
    try:
        with pytest.raises(ProviderError, match="check OPENAI_API_KEY") as error:
            _ = [delta async for delta in llm.stream(LlmRequest((ChatMessage("user", "Hello?"),)))]
        assert error.value.code == "unauthorized"
    finally:
        await llm.close()
