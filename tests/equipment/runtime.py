"""A runtime that equipment calls, and what it says of its calls: known by its addresses alone."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aywa.testing.equipment.base import Equipment
from aywa.testing.equipment.call import Called, EquipmentCaller, Faults
from aywa.testing.equipment.known import brought
from aywa.testing.equipment.line import with_query
from aywa.testing.equipment.run import Api
from aywa.testing.runtime import free_port
from aywa.testing.script import Step
from tests.e2e.dev import Dev, until

STORED_S = 15.0
PAUSE_S = 0.05
"""The pause after each word of the simulated voice."""
QUESTION = "when are you open"
ANSWER = "We open at nine."
BYE = "Thank you for your call, and goodbye."
GREETING = (
    "Hello, this is Robin of the hotel at the lake. You can ask me about rooms, about the breakfast and about the boats that "
    "we rent. I can also tell you how to find us. What would you like to know today?"
)
ASSISTANT: Mapping[str, Any] = {
    "name": "Equipment",
    "firstMessage": GREETING,
    "model": {
        "provider": "openai",
        "model": "gpt-4.1",
        "messages": [{"role": "system", "content": "You are Robin."}],
    },
    "voice": {"provider": "11labs", "voiceId": "robin", "cachingEnabled": False},
    "transcriber": {"provider": "deepgram", "model": "nova-3"},
    "firstMessageInterruptionsEnabled": True,
    "messagePlan": {"idleTimeoutSeconds": 60},
    "silenceTimeoutSeconds": 120,
}
PLANS: Mapping[str, Mapping[str, Any]] = {
    "deepgram.listen": {"extra": {"sentences": [QUESTION]}},
    "openai.chat": {"first_s": 0.1, "per_s": 60, "text": ANSWER},
    "elevenlabs.stream": {"first_s": 0.05, "realtime": 8},
}


@contextmanager
def simulated_vendors() -> Iterator[tuple[str, Mapping[str, str]]]:
    """`aywa simulate-providers` as a process of its own: its address, and what points a runtime at it."""
    command = (sys.executable, "-m", "aywa.cli", "simulate-providers", "--port", "0", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            for route, plan in PLANS.items():
                set_plan(told["url"], route, plan)
            yield told["url"], told["environment"]
        finally:
            process.terminate()
            process.wait(10)


def set_plan(url: str, route: str, plan: Mapping[str, Any], **more: Any) -> None:
    """What a simulated vendor does from now on."""
    body = json.dumps({"route": route, "plan": dict(plan), **more}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/_plans", body, headers), timeout=10):
        pass


@dataclass
class MediaRuntime:
    """`aywa dev`, its media port and its AudioSocket port. assistant: an id that is there all the time."""

    dev: Dev
    audiosocket_port: int
    assistant: str = ""
    _files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        return Api(self.dev.url, self.dev.key)

    def address(self, protocol: str, name: str, token: str | None = None) -> str:
        """Where equipment connects. token: the API key's, if not another; "": none."""
        if protocol == "audiosocket":
            return f"tcp://127.0.0.1:{self.audiosocket_port}"
        url = f"ws://127.0.0.1:{self.dev.port + 1}/media/{protocol}/{name}"
        token = self.dev.key if token is None else token
        return with_query(url, {"token": token}) if token else url

    async def call(
        self, equipment: Equipment, steps: Sequence[Step], *, name: str = "", faults: Faults | None = None
    ) -> Called:
        """A call to the assistant, or to what has this id."""
        url = self.address(equipment.name, name or self.assistant)
        return await EquipmentCaller(equipment, url, faults=faults).call(steps)

    async def document(self, equipment: Equipment, *, recorded: bool = True) -> dict[str, Any]:
        """The call that the equipment brought, once it has ended and its recording is there. recorded=False: it may have
        ended before there was anything to record."""
        found: dict[str, Any] = {}

        def stored() -> bool:
            return bool((found.get("artifact") or {}).get("recordingUrl")) or not recorded

        async with asyncio.timeout(STORED_S):
            while found.get("status") != "ended" or not stored():
                ours = [call for call in await self.newest() if brought(equipment.facts, call)]
                found = ours[0] if ours else {}
                await asyncio.sleep(0.05)
        return found

    async def timeline(self, call_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.api.ask("GET", f"/call/{call_id}/timeline")
        return found

    async def events(self, call_id: str, kind: str) -> list[dict[str, Any]]:
        """What the journal has of a kind in a call that is over."""
        file = self.dev.home / "artifacts" / call_id / "events.jsonl.gz"
        await asyncio.to_thread(until, lambda: file.exists() and file.stat().st_size, STORED_S)
        rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
        return [row["data"] for row in rows if row["kind"] == kind]

    async def newest(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.api.ask("GET", "/call?limit=100")
        return found


def warnings(timeline: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the timeline says was refused or mended: code and text."""
    return [
        f"{entry['reason']} {entry['text']}".strip() for entry in timeline if entry["source"] == "warning"
    ]


@contextmanager
def media_runtime(folder: Path, **environment: str) -> Iterator[MediaRuntime]:
    """A runtime with simulated vendors, ready for equipment."""
    audiosocket = free_port()
    with simulated_vendors() as (_, keys):
        dev = Dev(
            folder / "home",
            environment={**keys, "RUNTIME_AUDIOSOCKET_PORT": str(audiosocket), **environment},
        )
        dev.start()
        try:
            dev.ready()
            runtime = MediaRuntime(dev, audiosocket)
            status, made = dev.ask("POST", "/assistant", dict(ASSISTANT))
            assert status == 201, made
            runtime.assistant = made["id"]
            yield runtime
            until(
                lambda: not re.search(r"Traceback", dev.log),
                0.0,
                f"an exception was logged: {dev.log[-3000:]}",
            )
        finally:
            dev.stop()
