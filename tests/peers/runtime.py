"""What the tests of phone calls ask of a runtime, over its API."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.dev import Dev

STORED_S = 15.0
SAID_S = 45.0
PACKET_MS = 20
GAP_MS = 100
ASSISTANT: Mapping[str, Any] = {
    "name": "Phone",
    "firstMessage": "Hello, this is Robin.",
    "model": {"provider": "custom-llm", "url": "http://localhost/local", "model": "local"},
}


@dataclass
class PhoneRuntime:
    """A runtime and its SIP port."""

    dev: Dev
    port: int

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def uri(self) -> str:
        return f"sip:demo@127.0.0.1:{self.port}"

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """A request that must go well."""
        status, answer = await asyncio.to_thread(self.dev.ask, method, path, body)
        assert status in (200, 201), (method, path, status, answer)
        return answer

    async def call_of(self, sip_call_id: str) -> dict[str, Any]:
        """The document of the call with this Call-ID, once it has ended."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(STORED_S):
            while found.get("status") != "ended":
                calls = await self.ask("GET", "/call?limit=50")
                ours = [call for call in calls if call.get("phoneCallProviderId") == sip_call_id]
                found = ours[0] if ours else {}
                await asyncio.sleep(0.05)
        return found

    async def ended(self, call_id: str) -> dict[str, Any]:
        """The call's document, once it has ended."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(STORED_S + 30):
            while found.get("status") != "ended":
                found = await self.ask("GET", f"/call/{call_id}")
                await asyncio.sleep(0.05)
        return found

    async def recorded(self, call_id: str) -> None:
        """Until the call's recording is on record."""
        async with asyncio.timeout(STORED_S):
            while not (await self.ask("GET", f"/call/{call_id}"))["artifact"].get("recordingUrl"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def until_status(self, call_id: str, status: str) -> None:
        """Until the call has it, or has ended."""
        async with asyncio.timeout(STORED_S):
            found = ""
            while found not in (status, "ended"):
                found = (await self.ask("GET", f"/call/{call_id}"))["status"]
                await asyncio.sleep(0.02)
        assert found == status

    async def id_of(self, sip_call_id: str) -> str:
        """Of the call with this Call-ID."""
        async with asyncio.timeout(STORED_S):
            while True:
                calls = await self.ask("GET", "/call?limit=50")
                for call in calls:
                    if call.get("phoneCallProviderId") == sip_call_id:
                        return str(call["id"])
                await asyncio.sleep(0.05)

    async def until_said(self, call_id: str, *, bot: int = 0, user: int = 0) -> None:
        """Until the record has so many messages of each that were heard; no longer than SAID_S, for what then follows says
        better what is missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SAID_S):
                while True:
                    call = await self.ask("GET", f"/call/{call_id}")
                    said = Counter(message["role"] for message in call.get("messages") or ())
                    if call["status"] == "ended" or (said["bot"] >= bot and said["user"] >= user):
                        return
                    await asyncio.sleep(0.1)

    async def until_happened(self, call_id: str, kind: str, times: int = 1) -> None:
        """Until the timeline has so many entries of the kind; no longer than STORED_S."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STORED_S):
                while sum(each["kind"] == kind for each in await self._timeline(call_id)) < times:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def _timeline(self, call_id: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = await self.ask("GET", f"/call/{call_id}/timeline")
        return entries

    async def events_of(self, sip_call_id: str, kind: str) -> list[Mapping[str, Any]]:
        """What the journal has of a kind in the call with this Call-ID."""
        call = await self.call_of(sip_call_id)
        file = self.dev.home / "artifacts" / call["id"] / "events.jsonl.gz"
        packed = b""
        async with asyncio.timeout(STORED_S):
            while not packed:
                packed = await asyncio.to_thread(_read, file)
        rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
        return [row["data"] for row in rows if row["kind"] == kind]

    async def trunk(self, port: int, **more: Any) -> tuple[str, str]:
        """A trunk to a port of the loopback and a number on it: the ids of credential and number."""
        gateway = {"ip": "127.0.0.1", "port": port} | more.pop("gateway", {})
        body = {"provider": "byo-sip-trunk", "name": f"trunk {port}", "gateways": [gateway]} | more
        credential = await self.ask("POST", "/credential", body)
        number = await self.ask(
            "POST", "/phone-number",
            {
                "provider": "byo-phone-number", "name": f"number {port}", "credentialId": credential["id"],
                "number": "+15550100", "numberE164CheckEnabled": False,
            },
        )  # fmt: skip
        return credential["id"], number["id"]

    async def forget(self, credential: str, number: str) -> None:
        await self.ask("DELETE", f"/phone-number/{number}")
        await self.ask("DELETE", f"/credential/{credential}")

    async def dial(self, number_id: str, customer: Mapping[str, Any], **more: Any) -> str:
        """Places a call; its id."""
        body = {"assistant": dict(ASSISTANT), "phoneNumberId": number_id, "customer": dict(customer)} | more
        return str((await self.ask("POST", "/call", body))["id"])


def sounded(told: Mapping[str, Any]) -> None:
    """A softphone's line was never silent: the far side sent what belongs to the time, and without a gap."""
    talked_ms, packets = told["closed_ms"] - told["opened_ms"], told["rtp"]["received"] + told["rtp"]["lost"]
    assert packets * PACKET_MS >= 0.9 * talked_ms, told["rtp"]
    assert told["rtp"]["longest_gap_ms"] < GAP_MS, told["rtp"]


def _read(file: Path) -> bytes:
    """Empty while it is not there."""
    return file.read_bytes() if file.exists() else b""
