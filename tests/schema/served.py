"""The API over HTTP, with a real store and a call host that runs nothing: what schemathesis is pointed at.

    python -m tests.schema.served FOLDER

prints a line of JSON, {url, key, public, ids}, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import httpx
import uvicorn

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.api.app import create_app
from aywa.ports.calls import CallPlan
from aywa.service.contents import StoredContents
from aywa.service.services import PhoneParts, join_services
from tests.api.conftest import TRUNK, FolderFiles, RememberingHost, RememberingTelephone


class Forgetful(RememberingHost):
    """Takes every call and forgets it."""

    def prepare(self, plan: CallPlan) -> str:
        self.plans.clear()
        return super().prepare(plan)


async def serve(folder: Path) -> None:
    """Until cancelled."""
    store = await open_sqlite(folder / "aywa.db")
    services = join_services(
        store,
        Forgetful(),
        FolderFiles(folder / "artifacts"),
        vault=AesGcmVault(bytes(32)),
        phones=PhoneParts(telephone=RememberingTelephone()),
        contents=StoredContents(FolderArtifacts(folder)),
    )
    org = await services.orgs.default()
    _, key = await services.keys.create(org.id, "tests")
    _, public = await services.keys.create(org.id, "page", "public")
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(create_app(services), log_level="error", access_log=False, lifespan="off")
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listening]))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        ids = {
            "assistantId": await _made(client, "/assistant", {"name": "Front desk"}),
            "squadId": await _made(client, "/squad", {"members": [{"assistant": {"name": "Front desk"}}]}),
            "toolId": await _made(client, "/tool", {"type": "endCall"}),
            "credentialId": await _made(client, "/credential", TRUNK),
        }
        number = {"provider": "byo-phone-number", "number": "+493012345", "credentialId": ids["credentialId"]}
        ids["phoneNumberId"] = await _made(client, "/phone-number", number)
    print(json.dumps({"url": url, "key": key, "public": public, "ids": ids}), flush=True)
    try:
        await serving
    finally:
        await store.close()


async def _made(client: httpx.AsyncClient, path: str, body: object) -> str:
    answer = await client.post(path, json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
