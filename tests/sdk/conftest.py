"""The platform's own Python SDK, pointed at the API in this process over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from vapi import AsyncVapi

from tests.api.conftest import Runtime, runtime, store
from tests.sdk.typed import untyped

__all__ = ("runtime", "store")


@dataclass
class Sdk:
    """client: as a customer makes one. `typed` asks, and holds what the SDK made against what came."""

    client: AsyncVapi
    runtime: Runtime
    answers: list[httpx.Response] = field(default_factory=list)

    async def typed(self, asking: Awaitable[Any]) -> Any:
        made = await asking
        answer = self.answers[-1]
        assert untyped(made, answer.json()) == [], f"{answer.request.method} {answer.request.url}"
        return made


Ask = Callable[[Awaitable[Any]], Awaitable[Any]]


@pytest.fixture
async def sdk(runtime: Runtime) -> AsyncIterator[Sdk]:
    answers: list[httpx.Response] = []

    async def note(answer: httpx.Response) -> None:
        await answer.aread()
        answers.append(answer)

    transport = httpx.ASGITransport(runtime.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, event_hooks={"response": [note]}) as http:
        client = AsyncVapi(token=runtime.keys["own"], base_url="http://localhost:8080", httpx_client=http)
        yield Sdk(client, runtime, answers)
