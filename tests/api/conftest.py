"""The API in this process, over a real store, with a call host that only remembers what it was asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.api.app import create_app
from aywa.api.settings import ApiSettings
from aywa.core.webhooks import Cause, Delivery, Endpoint, Outcome, State
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.outbox import ClaimQuery, Finished, Sent
from aywa.ports.store import Store
from aywa.ports.telephony import OutboundCall
from aywa.service.contents import StoredContents
from aywa.service.services import PhoneParts, Services, join_services

TRUNK: dict[str, Any] = {
    "provider": "byo-sip-trunk",
    "apiKey": None,
    "gateways": [{"ip": "203.0.113.7"}],
    "outboundAuthenticationPlan": {"authUsername": "me", "authPassword": "trunk-password"},
}
SETTINGS = ApiSettings(payload_bytes=200_000, inline_bytes=10_000)


@dataclass
class RememberingHost:
    """Takes every call, unless told to refuse; refuses to run any."""

    plans: list[CallPlan] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    refusal: CallRefused | None = None

    def full(self) -> bool:
        return self.refusal is not None and self.refusal.status == 429

    def prepare(self, plan: CallPlan) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.plans.append(plan)
        return f"ws://127.0.0.1:9/{plan.call_id}/transport?token=t"

    def end(self, call_id: str, reason: str) -> bool:
        self.ended.append((call_id, reason))
        return True

    def active(self) -> Mapping[str, str]:
        return {plan.call_id: "queued" for plan in self.plans}


@dataclass
class RememberingTelephone:
    """Places every call, unless told to refuse; rings nowhere."""

    dialled: list[OutboundCall] = field(default_factory=list)
    refusal: CallRefused | None = None

    def dial(self, call: OutboundCall) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.dialled.append(call)


@dataclass
class FolderFiles:
    """A folder for each call."""

    folder: Path

    def find(self, call_id: str, name: str) -> Path | None:
        path = self.folder / call_id / name
        return path if path.exists() else None

    async def remove(self, org_id: str, call_id: str) -> None:
        shutil.rmtree(self.folder / call_id, ignore_errors=True)


@dataclass
class Runtime:
    """Everything a test needs. client: holds organisation one's private key."""

    app: FastAPI
    client: httpx.AsyncClient
    as_key: Callable[[str | None], httpx.AsyncClient]
    keys: dict[str, str]
    org_id: str
    store: Store
    services: Services
    host: RememberingHost
    files: FolderFiles
    telephone: RememberingTelephone

    async def phone_number(self, **body: Any) -> str:
        """A stored phone number's id; on a trunk of its own unless it has a credentialId or a sipUri."""
        if "sipUri" not in body:
            body = {"provider": "byo-phone-number", "number": "+493012345"} | body
            body.setdefault("credentialId", await self.credential(**TRUNK))
        answer = await self.client.post("/phone-number", json={"provider": "vapi"} | body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def assistant(self, **body: Any) -> str:
        """A stored assistant's id."""
        answer = await self.client.post("/assistant", json={"name": "Front desk"} | body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def credential(self, **body: Any) -> str:
        """A stored credential's id."""
        answer = await self.client.post("/credential", json={"provider": "openai", "apiKey": "sk-0"} | body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def tool(self, **body: Any) -> str:
        """A stored tool's id."""
        answer = await self.client.post("/tool", json={"type": "endCall"} | body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def squad(self, **body: Any) -> str:
        """A stored squad's id; of one assistant unless it has members."""
        asked = {"members": [{"assistant": {"name": "Front desk"}}]} | body
        answer = await self.client.post("/squad", json=asked)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def file(self, name: str = "hours.txt", content: bytes = b"We are open until six.") -> str:
        """A stored file's id."""
        answer = await self.client.post("/file", files={"file": (name, content, "text/plain")})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def delivery(self, delivery_id: str = "msg_1", **more: Any) -> str:
        """The id of a message that was delivered to a server, which then wanted no more."""
        endpoints = (Endpoint("https://user:planted@gone.example/?key=planted", "credential:1"),)
        values: dict[str, Any] = {
            "id": delivery_id,
            "org_id": self.org_id,
            "kind": "hang",
            "body": '{"message":{"type":"hang"}}',
            "endpoints": endpoints,
            "created_ms": 1_700_000_000_000,
        }
        outbox = self.store.outbox
        await outbox.enqueue([Delivery(**values | more)], 0)
        [claimed] = await outbox.claim(ClaimQuery("test", 1, 2, 1, 1))
        sent = Sent(
            Outcome(Cause.ANSWERED, 410), {"authorization": "[redacted]"}, {"server": "x"}, "gone", 1.0
        )
        await outbox.finish([Finished(claimed, sent, 5, State.FAILED, claimed.progress)], 5)
        await outbox.disable(self.org_id, "https://gone.example:443/", 5)
        return delivery_id

    async def call(self, **body: Any) -> dict[str, Any]:
        """A call's document."""
        asked = {"transport": {"provider": "vapi.websocket"}} | body
        if "assistant" not in asked and "assistantId" not in asked:
            asked["assistant"] = {"firstMessage": "Hello"}
        answer = await self.client.post("/call", json=asked)
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = json.loads(answer.text)
        return document


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    yield opened
    await opened.close()


@pytest.fixture
async def runtime(store: Store, tmp_path: Path) -> AsyncIterator[Runtime]:
    host = RememberingHost()
    files = FolderFiles(tmp_path / "artifacts")
    telephone = RememberingTelephone()
    phones = PhoneParts(telephone=telephone)
    contents = StoredContents(FolderArtifacts(tmp_path))
    services = join_services(
        store, host, files, vault=AesGcmVault(bytes(32)), phones=phones, contents=contents
    )
    org = await services.orgs.default()
    foreign = await services.orgs.create("foreign")
    keys = {
        "own": (await services.keys.create(org.id, "own"))[1],
        "public": (await services.keys.create(org.id, "page", "public"))[1],
        "foreign": (await services.keys.create(foreign.id, "foreign"))[1],
    }
    app = create_app(
        services,
        SETTINGS,
        talk_page=Path(__file__).parents[2] / "src/aywa/api/talk",
        talk_config=lambda: {"publicKey": keys["public"]},
    )
    async with AsyncExitStack() as stack:
        clients: dict[str | None, httpx.AsyncClient] = {}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        for secret in (*keys.values(), None):
            headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            clients[secret] = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)
            )
        yield Runtime(
            app,
            clients[keys["own"]],
            clients.__getitem__,
            keys,
            org.id,
            store,
            services,
            host,
            files,
            telephone,
        )
