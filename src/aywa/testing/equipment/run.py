"""A check from its beginning to its end: an assistant to call, the call, the runtime's own account of it, the verdict.

Of the runtime's API it uses what anybody may; without a key it does without. It removes the assistant that it made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from aywa.testing.caller import ANSWER_S, STORE_S, NoRuntime, Refused
from aywa.testing.equipment import check
from aywa.testing.equipment.base import Equipment
from aywa.testing.equipment.call import Called, EquipmentCaller
from aywa.testing.equipment.check import Finding
from aywa.testing.equipment.known import brought
from aywa.testing.equipment.report import Measures, measure

GREETING = (
    "Hello, this is a check of the line. I will go on speaking for a while, so that you can speak into it and see whether "
    "I stop. There is nothing else that you need to do. Please say a sentence whenever you like."
)
POLL_S = 0.05
ASSISTANT: Mapping[str, Any] = {
    "name": "Media check",
    "firstMessage": GREETING,
    "firstMessageInterruptionsEnabled": True,
}


@dataclass(frozen=True, slots=True)
class Api:
    """Where the runtime's API is, and what opens it."""

    url: str
    key: str

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answered. Raises CallerError."""
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                aiohttp.ClientSession(headers=headers) as http,
                http.request(method, self.url + path, json=body) as response,
            ):
                answer = await response.json()
        except (aiohttp.ClientError, ValueError, TimeoutError) as error:
            raise NoRuntime(self.url, " ".join(str(error).split()) or type(error).__name__) from error
        if response.status >= 400:
            message = answer.get("message") if isinstance(answer, dict) else answer
            raise Refused(response.status, str(message)[:300])
        return answer

    async def call_of(self, equipment: Equipment) -> Mapping[str, Any]:
        """The runtime's document of the call that the equipment brought, once it has ended; empty when it cannot be had."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + STORE_S
        found: Mapping[str, Any] = {}
        with suppress(NoRuntime, Refused):
            while loop.time() < until_s and found.get("status") != "ended":
                calls = await self.ask("GET", "/call?limit=100")
                found = next((call for call in calls if brought(equipment.facts, call)), {})
                await asyncio.sleep(POLL_S)
        return found

    @asynccontextmanager
    async def assistant(self, document: Mapping[str, Any] = ASSISTANT) -> AsyncIterator[str]:
        """The id of an assistant that is there meanwhile."""
        made = await self.ask("POST", "/assistant", dict(document))
        try:
            yield str(made["id"])
        finally:
            with suppress(NoRuntime, Refused):
                await self.ask("DELETE", f"/assistant/{made['id']}")


@dataclass(frozen=True, slots=True)
class Checked:
    """A check that is over. call: the runtime's document, empty when it could not be had."""

    called: Called
    measures: Measures | None
    call: Mapping[str, Any]
    findings: Sequence[Finding]

    @property
    def good(self) -> bool:
        """Nothing must be mended."""
        return all(finding.good is not False for finding in self.findings)


async def run(caller: EquipmentCaller, pcm: bytes, api: Api | None = None) -> Checked:
    """Calls, says a sentence (PCM16 at the equipment's rate), and judges."""
    equipment: Equipment = caller.equipment
    called = await caller.call(check.script(pcm, equipment))
    measures = measure(called) if called.connected else None
    call: Mapping[str, Any] = {}
    timeline: list[Mapping[str, Any]] | None = None
    if api is not None and called.connected:
        call = await api.call_of(equipment)
        if call:
            with suppress(NoRuntime, Refused):
                timeline = await api.ask("GET", f"/call/{call['id']}/timeline")
    return Checked(called, measures, call, list(check.findings(called, measures, timeline)))
