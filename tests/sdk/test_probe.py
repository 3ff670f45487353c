"""The contract's conformance probe (Appendix C): each check holds here, and fails where an answer is spoiled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.conftest import Runtime
from tests.sdk.probe import CHECKS, Probe, Spoil


class Spoiling(httpx.AsyncBaseTransport):
    """Spoils what the API answers."""

    def __init__(self, inner: httpx.AsyncBaseTransport, spoil: Spoil) -> None:
        self._inner = inner
        self._spoil = spoil

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        raw = await answer.aread()
        body = json.loads(raw) if raw else None
        status, changed = self._spoil(request.method, request.url.path, answer.status_code, body)
        content = b"" if changed is None else json.dumps(changed).encode()
        return httpx.Response(status, headers={"content-type": "application/json"}, content=content)


@pytest.fixture
async def number(runtime: Runtime) -> str:
    return await runtime.phone_number()


async def _probe(runtime: Runtime, number: str, spoil: Spoil | None) -> AsyncIterator[Probe]:
    transport: httpx.AsyncBaseTransport = httpx.ASGITransport(runtime.app, raise_app_exceptions=False)
    if spoil is not None:
        transport = Spoiling(transport, spoil)
    headers = {"Authorization": f"Bearer {runtime.keys['own']}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost:8080", headers=headers
    ) as http:
        yield Probe(http, number)


@pytest.mark.parametrize("item", CHECKS)
async def test_the_check_holds(runtime: Runtime, number: str, item: int) -> None:
    check, _ = CHECKS[item]
    async for probe in _probe(runtime, number, None):
        await check(probe)


@pytest.mark.parametrize("item", CHECKS)
async def test_the_check_notices_its_fault(runtime: Runtime, number: str, item: int) -> None:
    check, spoil = CHECKS[item]
    async for probe in _probe(runtime, number, spoil):
        with pytest.raises((AssertionError, KeyError, TypeError)):
            await check(probe)
