"""A secret that is planted wherever a key can come from reaches the call's adapters, and nothing else that remains of it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from structlog.testing import capture_logs

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.api.app import create_app
from aywa.boot.artifacts import Artifacts
from aywa.boot.host import Host
from aywa.call.replies import ReplyRoutes
from aywa.call.session import Routes
from aywa.journal.projector import Projector
from aywa.journal.writer import JournalWriter
from aywa.media.plane import Plane
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.ports.media import LegPlan
from aywa.ports.tts import TtsOptions
from aywa.service.services import join_services
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from tests.boot.test_host import Line
from tests.media.rig import LoudVad

PLANTED = "planted-secret"
ASSISTANT: Mapping[str, Any] = {
    "firstMessage": "Hello {{keys}} {{credentials}} {{openai}}.",
    "model": {"provider": "openai", "model": "gpt-4.1"},
    "voice": {"provider": "11labs", "voiceId": "v"},
    "transcriber": {"provider": "deepgram"},
    "credentials": [{"provider": "openai", "apiKey": f"{PLANTED}-inline"}],
}


async def test_it_remains_nowhere(tmp_path: Path) -> None:
    seen: list[CallPlan] = []

    def routes(plan: CallPlan) -> Routes:
        seen.append(plan)
        return Routes(ScriptedStt(), ReplyRoutes(ScriptedLlm(), ScriptedTts(), TtsOptions(plan.rate_hz)))

    store = await open_sqlite(tmp_path / "aywa.db")
    (tmp_path / "journal").mkdir()
    artifacts = Artifacts(tmp_path / "artifacts")
    projector = Projector(store, tmp_path / "journal")
    journal = JournalWriter(tmp_path / "journal", projector.take)
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(journal.run()), loop.create_task(projector.run())]
    plane = Plane(loop, {16000: LoudVad(16000)})
    host = Host(plane, journal, artifacts, routes, lambda: "ws://here", calls_max=2)
    environment = {"deepgram": ProviderKey(f"{PLANTED}-env")}
    services = join_services(store, host, artifacts, vault=AesGcmVault(bytes(32)), environment=environment)
    org = await services.orgs.default()
    _, secret = await services.keys.create(org.id, "own")
    transport = httpx.ASGITransport(create_app(services))
    headers = {"Authorization": f"Bearer {secret}"}
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
            stored = {"provider": "11labs", "apiKey": f"{PLANTED}-stored"}
            told = [await client.post("/credential", json=stored)]
            asked = {"assistant": ASSISTANT, "transport": {"provider": "vapi.websocket"}}
            told.append(await client.post("/call", json=asked))
            call = told[-1].json()
            line = _connect(host, plane, call["transport"]["websocketCallUrl"])
            await asyncio.sleep(0.1)
            assert host.end(call["id"], "manually-canceled")
            async with asyncio.timeout(10):
                while host.active() or plane.has_leg(call["id"]):  # noqa: ASYNC110 - a real call, on a real clock
                    await asyncio.sleep(0.02)
                await host.close(5.0)
                await journal.close()
                await projector.drained()
            own = f"/call/{call['id']}"
            paths = (own, f"{own}/timeline?full=true", f"{own}/call-logs", "/call", "/credential")
            told += [await client.get(path) for path in paths]
    await plane.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()

    keys = {provider: key.key for provider, key in seen[0].keys.items()}
    assert keys == {
        "openai": f"{PLANTED}-inline",
        "11labs": f"{PLANTED}-stored",
        "deepgram": f"{PLANTED}-env",
    }
    assert [answer.status_code for answer in told] == [201, 201, 200, 200, 200, 200, 200]
    assert json.loads(told[2].text)["status"] == "ended"
    answered = "".join(
        gzip.decompress(a.content).decode() if "gzip" in a.headers["content-type"] else a.text for a in told
    )
    assert "CallStarted" in answered
    remains = answered + repr(seen) + str(logs) + "".join(line.texts)
    assert PLANTED not in remains
    files = [file for file in tmp_path.rglob("*") if file.is_file()]  # noqa: ASYNC240 - all is over
    assert any(file.suffix == ".journal" for file in files)
    assert not [file.name for file in files if PLANTED.encode() in file.read_bytes()]


def _connect(host: Host, plane: Plane, url: str) -> Line:
    path, _, token = url.removeprefix("ws://here").partition("?token=")
    plan = host.open_call(path, {"token": token}, {})
    assert isinstance(plan, LegPlan)
    line = Line()
    line.leg = plane.add_leg(plan, line)
    return line
