"""Measures how many calls this machine carries, by calling a runtime of its own here.

What is measured is the runtime's own work: audio both ways, voice detection, turn taking, journal, store. Models that run on this
machine have limits of their own.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import aiohttp

from aywa.core.capacity import MOST, Search, Trial
from aywa.testing.runtime import DevRuntime

TRIAL_S: Final = 5.0
SETTLE_S: Final = 2.0
"""Calls begin with a burst of work that they do not go on with."""
FRAME_S: Final = 0.02
FRAME: Final = b"\xff" * 160
_STORY: Final = "Once upon a time there was a house by the sea, and nobody had lived in it for years. " * 8
_CALL: Final[dict[str, Any]] = {
    "assistant": {
        "name": "Capacity",
        "firstMessage": _STORY,
        "model": {"provider": "custom-llm", "url": "http://localhost/local", "model": "local"},
        # Frames without a break, also between two sentences.
        "backgroundSound": "office",
        "silenceTimeoutSeconds": 600,
        "artifactPlan": {"recordingEnabled": True},
    },
    "transport": {
        "provider": "vapi.websocket",
        "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8000},
    },
}


async def measure(tell: Callable[[Trial], None], most: int = MOST, trial_s: float = TRIAL_S) -> Search:
    """tell: is given each trial when it is over. Raises RuntimeFailed."""
    search = Search(most=most)
    with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
        options = ("--tiny", "--calls-max", str(min(10_000, 2 * most)))
        own = {"RUNTIME_SIP_ENABLED": "false", "RUNTIME_STORE_POSTGRES_URL": "", "REDIS_URL": ""}
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RUNTIME_")
        } | own
        async with DevRuntime(Path(folder), *options, environment=environment) as runtime:
            while (calls := search.next) is not None:
                trial = await _Calls(runtime).run(calls, trial_s)
                tell(trial)
                search.take(trial)
    return search


@dataclass
class _Calls:
    runtime: DevRuntime
    gaps_ms: list[float] = field(default_factory=list)
    failed: int = 0

    async def run(self, calls: int, trial_s: float) -> Trial:
        loop = asyncio.get_running_loop()
        headers = {"Authorization": f"Bearer {self.runtime.key}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as http:
            begun = await asyncio.gather(*(self._begin(http) for _ in range(calls)))
            ends_s = loop.time() + SETTLE_S + trial_s
            urls = [url for url in begun if url]
            callers = [loop.create_task(self._call(http, url, ends_s)) for url in urls]
            await asyncio.sleep(SETTLE_S)
            self.gaps_ms.clear()
            before, began_s = self._cpu_s(), loop.time()
            await asyncio.sleep(trial_s)
            cpu = (self._cpu_s() - before) / (loop.time() - began_s)
            gaps = sorted(self.gaps_ms)
            await asyncio.gather(*callers)
        gap_ms = gaps[round(0.99 * (len(gaps) - 1))] if gaps else float("inf")
        return Trial(calls, round(gap_ms, 1), round(cpu, 2), self.failed)

    async def _begin(self, http: aiohttp.ClientSession) -> str:
        try:
            async with http.post(f"{self.runtime.url}/call", json=_CALL) as answer:
                body = await answer.json(content_type=None)
                if answer.status == 201:
                    return str(body["transport"]["websocketCallUrl"])
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass
        self.failed += 1
        return ""

    async def _call(self, http: aiohttp.ClientSession, url: str, ends_s: float) -> None:
        try:
            async with http.ws_connect(url) as socket:
                speaking = asyncio.get_running_loop().create_task(_speak(socket, ends_s))
                try:
                    await self._listen(socket, ends_s)
                finally:
                    speaking.cancel()
                    with suppress(asyncio.CancelledError, ConnectionError):
                        await speaking
        except (aiohttp.ClientError, OSError):
            self.failed += 1

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, ends_s: float) -> None:
        loop = asyncio.get_running_loop()
        heard: list[float] = []
        while (left_s := ends_s - loop.time()) > 0:
            try:
                message = await socket.receive(timeout=left_s)
            except TimeoutError:
                return
            if message.type is aiohttp.WSMsgType.BINARY:
                heard = [*heard[-1:], loop.time()]
                self.gaps_ms += [1000 * (after - before) for before, after in pairwise(heard)]
            elif message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                self.failed += 1
                return

    def _cpu_s(self) -> float:
        """Of the process that runs the calls; without a /proc nothing is known of it."""
        assert self.runtime.memory is not None
        try:
            stat = Path(f"/proc/{self.runtime.memory.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _speak(socket: aiohttp.ClientWebSocketResponse, ends_s: float) -> None:
    """Silence, in real time: what a caller sends who listens."""
    loop = asyncio.get_running_loop()
    at_s = loop.time()
    while at_s < ends_s:
        await socket.send_bytes(FRAME)
        at_s += FRAME_S
        await asyncio.sleep(max(0.0, at_s - loop.time()))
