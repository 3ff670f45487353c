"""The calls of bench/soak.py: a runtime, and callers who ask for calls over HTTP, talk, and delete them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, cast

import aiohttp

from aywa.adapters.local import LocalEngine
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.runtime import Runtime
from aywa.boot.settings import RuntimeSettings
from aywa.core.metrics.catalogue import INTERRUPTIONS
from aywa.ports.media import LegPlan
from bench.soak_parts import RATE_HZ, VARIANTS, Customer, Engine, Line, Mouth, assistant

TRANSPORT = {
    "provider": "vapi.websocket",
    "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": RATE_HZ},
}
SPANS = ((2.2, 3.2), (5.0, 5.8), (8.4, 9.2))
"""When the caller speaks; the second time into a reply."""
HANG_UP_S = 8.0
DELETED_S = 4.0
REPORT_S = 300.0
SETTLE_S = 40.0
STARTS_S = 8.0
"""Callers do not all begin at the same moment."""
WIRE_EVERY = 8
NEVER_EVERY = 125
LOOKED_AT_EVERY = 5


class End(Enum):
    """How a call ends."""

    HANGS_UP = "hangs up"
    ASKS = "asks for the end"
    GOODBYE = "the agent says goodbye"
    DELETED = "is deleted while it runs"
    NEVER = "nobody comes"


_ENDS = (End.HANGS_UP, End.ASKS, End.GOODBYE, End.HANGS_UP, End.ASKS, End.GOODBYE, End.HANGS_UP, End.DELETED)


def end_of(number: int) -> End:
    """Of the call of this number."""
    return End.NEVER if not number % NEVER_EVERY else _ENDS[number % len(_ENDS)]


class House:
    """A runtime, its callers and its customer's server."""

    def __init__(
        self, runtime: Runtime, engine: Engine, customer: Customer, http: aiohttp.ClientSession, at_once: int
    ) -> None:
        self._runtime = runtime
        self._engine = engine
        self._customer = customer
        self._http = http
        self._at_once = at_once
        self._assistants: list[str] = []
        self._ends: Counter[str] = Counter()
        self._unreported = self._deaf = self._interrupted = 0

    async def furnish(self) -> None:
        """Its assistants."""
        for more in VARIANTS:
            made = await self._ask("POST", "/assistant", assistant(self._customer.url, **more))
            self._assistants.append(made["id"])

    async def calls(self, first: int, many: int) -> None:
        """So many, as many at once as was asked for."""
        numbers = iter(range(first, first + many))

        async def caller(place: int) -> None:
            await asyncio.sleep(STARTS_S * place / self._at_once)
            for number in numbers:
                await self._call(number)

        await asyncio.gather(*(caller(place) for place in range(min(many, self._at_once))))

    async def quiet(self, within_s: float) -> None:
        """Waits until no call is here, and nothing is to be delivered."""
        async with asyncio.timeout(within_s):
            while not await self._is_quiet():  # noqa: ASYNC110 - the clock passes quickly
                await asyncio.sleep(0.5)
            # Connections that nobody uses are kept for a while.
            await asyncio.sleep(SETTLE_S)
        page = await self._ask("GET", "/metrics.json")
        of_each = (each for metric in page["metrics"] for each in metric["samples"])
        self._interrupted = int(sum(each["value"] for each in of_each if each["name"] == INTERRUPTIONS.name))

    def counts(self) -> dict[str, Any]:
        """What has happened."""
        return {
            "unreported": self._unreported,
            "silent_calls": self._deaf,
            "interrupted": self._interrupted,
            "model_asked": self._engine.llm.asked,
            "model_broken": self._engine.llm.broken,
            "tools_run": self._customer.messages["tool-calls"],
            "messages": dict(self._customer.messages),
            "refused": self._customer.refused,
            "ends": dict(self._ends),
            "reasons": dict(self._customer.reasons),
        }

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _is_quiet(self) -> bool:
        runtime = self._runtime
        if runtime._host.active() or runtime._host._tasks:
            return False
        await runtime._records.projector.drained()
        return not (await runtime._store.outbox.backlog()).deliveries

    async def _ask(self, method: str, path: str, body: object = None, *, good: int = 300) -> Any:
        async with self._http.request(method, f"{self._runtime.addresses.api}{path}", json=body) as answer:
            text = await answer.text()
            assert answer.status < good, f"{method} {path}: {answer.status} {text[:300]}"
            return json.loads(text) if text else None

    async def _call(self, number: int) -> None:
        end = end_of(number)
        self._ends[end.value] += 1
        body = {
            "assistantId": self._assistants[number // 3 % len(self._assistants)],
            "transport": TRANSPORT,
            "name": f"soak {number}",
        }
        call = await self._ask("POST", "/call", body)
        call_id, url = call["id"], call["transport"]["websocketCallUrl"]
        reported: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if end is not End.DELETED:
            self._customer.waiting[call_id] = reported
        if end is not End.NEVER:
            talk = self._over_the_wire if not number % WIRE_EVERY else self._in_process
            heard = await talk(call_id, url, end)
            self._deaf += not heard
        if end is End.DELETED:
            return
        try:
            await asyncio.wait_for(reported, REPORT_S)
        except TimeoutError:
            self._unreported += 1
            self._customer.waiting.pop(call_id, None)
        if not number % LOOKED_AT_EVERY:
            _ = await self._ask("GET", f"/call/{call_id}")
            _ = await self._ask("GET", f"/call/{call_id}/timeline")
        _ = await self._ask("DELETE", f"/call/{call_id}")

    async def _in_process(self, call_id: str, url: str, end: End) -> bool:
        path, _, token = url.partition("//")[2].partition("/")[2].partition("?token=")
        plan = self._runtime._host.open_call(f"/{path}", {"token": token}, {})
        assert isinstance(plan, LegPlan), plan
        line = Line()
        line.leg = leg = self._runtime._ways_in._layout.plane.add_leg(plan, line)
        mouth = Mouth(leg.audio_received, SPANS)

        async def hang_up() -> None:
            line.gone()

        async def say(text: str) -> None:
            leg.text_received(text)

        try:
            await self._end(call_id, end, line.over, hang_up, say)
        finally:
            mouth.stop()
        return line.frames > 0

    async def _over_the_wire(self, call_id: str, url: str, end: End) -> bool:
        over, frames = asyncio.Event(), 0
        async with self._http.ws_connect(url, max_msg_size=0) as socket:
            speaking: set[asyncio.Task[None]] = set()

            async def listen() -> None:
                nonlocal frames
                async for message in socket:
                    frames += message.type is aiohttp.WSMsgType.BINARY
                over.set()

            async def hang_up() -> None:
                _ = await socket.close()

            def send(frame: bytes) -> None:
                if not socket.closed:
                    task = asyncio.get_running_loop().create_task(socket.send_bytes(frame))
                    speaking.add(task)
                    task.add_done_callback(speaking.discard)

            mouth = Mouth(send, SPANS)
            listening = asyncio.create_task(listen())
            try:
                await self._end(call_id, end, over, hang_up, socket.send_str)
            finally:
                mouth.stop()
                _ = await asyncio.gather(listening, *speaking, return_exceptions=True)
        return frames > 0

    async def _end(self, call_id: str, end: End, over: asyncio.Event, hang_up: Any, say: Any) -> None:
        match end:
            case End.HANGS_UP:
                await asyncio.sleep(HANG_UP_S)
                await hang_up()
            case End.ASKS:
                await asyncio.sleep(HANG_UP_S)
                await say(json.dumps({"type": "end-call"}))
            case End.DELETED:
                await asyncio.sleep(DELETED_S)
                _ = await self._ask("DELETE", f"/call/{call_id}")
            case _:
                pass
        with suppress(TimeoutError):
            async with asyncio.timeout(60.0):
                await over.wait()
        if not over.is_set():
            await hang_up()


@asynccontextmanager
async def open_house(folder: Path, at_once: int) -> AsyncIterator[House]:
    """A runtime over an empty folder."""
    engine, customer = Engine(), Customer()
    settings = RuntimeSettings(
        port=0,
        media_port=0,
        data=folder,
        calls_max=3 * at_once,
        phone=PhoneSettings(enabled=False),
    )
    runtime = Runtime(settings, cast(LocalEngine, engine))
    await customer.start()
    try:
        await runtime.start()
        await runtime.ready()
        headers = {"Authorization": f"Bearer {runtime.first.key}"}
        timeout = aiohttp.ClientTimeout(total=120)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as http:
            house = House(runtime, engine, customer, http, at_once)
            await house.furnish()
            yield house
    finally:
        await runtime.stop()
        await customer.close()
