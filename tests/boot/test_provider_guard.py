"""Where a customer says where a provider is, no connection is made to an internal address; where the operator says it, it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from aywa.adapters.endpointing.http import EndpointingHttp, Server
from aywa.adapters.wire.outbound import Outbound
from aywa.boot.providers import LocalRoutes, Providers
from aywa.core.outbound import LOOPBACK
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.ports.endpointing import EndpointingRequest
from aywa.ports.errors import ProviderError
from aywa.ports.llm import ChatMessage, LlmRequest
from aywa.ports.stt import SttOptions
from aywa.ports.tts import TtsOptions

LOCAL = LocalRoutes(*(object() for _ in range(3)))  # type: ignore[arg-type]
MODELS = ("openai", "anthropic", "groq", "somebody")
VOICES = ("11labs", "cartesia", "openai")


class Trap:
    """Somebody inside, who must not hear from anybody outside."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def took(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest_asyncio.fixture
async def trap() -> AsyncIterator[Trap]:
    made = Trap()
    server = await asyncio.start_server(made.took, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


def assistants(url: str) -> dict[str, Mapping[str, Any]]:
    own = {"voice": {"provider": "custom-voice", "server": {"url": url}}}
    made: dict[str, Mapping[str, Any]] = {
        "custom-llm": {"model": {"provider": "custom-llm", "url": url, "model": "m"}},
        "custom-voice": own,
        "custom-transcriber": {"transcriber": {"provider": "custom-transcriber", "server": {"url": url}}},
        "deepgram": {"transcriber": {"provider": "deepgram"}},
    }
    made |= {f"model {name}": {"model": {"provider": name, "model": "m"}} for name in MODELS}
    return made | {f"voice {name}": {"voice": {"provider": name, "voiceId": "v"}} for name in VOICES}


async def ask(providers: Providers, assistant: Mapping[str, Any], url: str) -> str:
    """What came of asking the route that it names: an error's code."""
    names = (*MODELS, *VOICES, "deepgram")
    keys = {name: ProviderKey("k", url, source="credential 1") for name in names}
    plan = CallPlan("call-1", "org-1", "webCall", assistant, "pcm16", 16000, 0, keys=keys)  # type: ignore[arg-type]
    found = providers.routes(plan, LOCAL)
    assert not found.problems, found.problems
    try:
        async with asyncio.timeout(5):
            if "model" in assistant:
                async for _ in found.models[0].llm.stream(LlmRequest((ChatMessage("user", "Hi"),))):
                    pass
            elif "voice" in assistant:
                async for _ in found.voices[0].tts.synthesize("Hello.", TtsOptions(16000, "v")):
                    pass
            else:
                stream = await found.ears[0].stt.open(SttOptions(16000))
                await stream.close()
    except ProviderError as error:
        return "it tells where it went" if "127.0.0.1" in str(error) else error.code
    return "answered"


@pytest.mark.parametrize("kind", sorted(assistants("")))
async def test_no_route_that_a_customer_names_reaches_what_is_internal(kind: str, trap: Trap) -> None:
    url = f"http://127.0.0.1:{trap.port}"
    providers = Providers(Outbound().check)
    with suppress(TimeoutError):
        assert await ask(providers, assistants(url)[kind], url) == "internal_address"
    await providers.close()
    assert trap.connections == 0


@pytest.mark.parametrize("kind", sorted(assistants("")))
@pytest.mark.parametrize("how", ["allowed", "the operator's own"])
async def test_what_the_operator_allows_or_names_is_reached(kind: str, how: str, trap: Trap) -> None:
    url = f"http://127.0.0.1:{trap.port}"
    allowed = Providers(Outbound(LOOPBACK).check)
    providers = allowed if how == "allowed" else Providers(Outbound().check, [url])
    assert await ask(providers, assistants(url)[kind], url) != "internal_address"
    await providers.close()
    assert trap.connections


async def test_nor_does_an_endpointing_server(trap: Trap) -> None:
    asked = EndpointingRequest((), ())
    for outbound, reached in ((Outbound(), 0), (Outbound(LOOPBACK), 1)):
        http = EndpointingHttp(lambda outbound=outbound: outbound.connector())  # type: ignore[misc]
        with pytest.raises(ProviderError) as failed:
            await http.route(Server(f"http://127.0.0.1:{trap.port}/"), {}).wait_s(asked)
        assert (failed.value.code == "internal_address") == (not reached)
        await http.close()
        assert trap.connections == reached
