"""What a tool call costs beside the tool itself: from the end of the model's reply that wants it to the model's next request.

The tool server is another process on this machine and answers at once; between the two lie the session and its machines, a
tool-calls message with its envelope, a real HTTP request, its answer, and the history. Figures at 1 call and at 20 beside each
other, a tool at a time, four after one another in each turn.

Prints {"tool_round_trip_ms_p50_1_call", "tool_round_trip_ms_p95_1_call", "..._20_calls", "samples": {...}}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop
from aiohttp import web

from aywa.boot.customer_wire import CustomerWire
from aywa.boot.questions import PlanQuestions
from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.ports.calls import CallPlan
from aywa.ports.llm import Finished, LlmDelta, LlmRequest
from aywa.ports.media import AudioFormat
from aywa.ports.server_questions import Server, ServerChain
from aywa.testing.scripted_providers import ScriptedLlm

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look_up"}}
ASSISTANT: dict[str, Any] = {
    "firstMessageMode": "assistant-waits-for-user",
    "model": {"tools": [TOOL]},
    "startSpeakingPlan": {"speculationEnabled": False},
}
ROUNDS = 4
"""In one turn; the model then answers."""
TURN_S = 3.5
FIRST_S = 0.5
TURNS = 12
MANY = 20


async def answer(request: web.Request) -> web.Response:
    """At once, with what was asked for."""
    calls = (await request.json())["message"]["toolCallList"]
    return web.json_response({"results": [{"toolCallId": call["id"], "result": "found"} for call in calls]})


def serve(listening: socket.socket) -> None:
    """The customer's server."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/tools", answer)
    uvloop.install()
    web.run_app(app, sock=listening, print=None, handle_signals=False)


@dataclass
class TimedLlm(ScriptedLlm):
    """Notes when it was asked, and when it was done with what wants tools run."""

    trips_ms: list[float] = field(default_factory=list)
    _done_s: float | None = None

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """As ever."""
        if self._done_s is not None:
            self.trips_ms.append((time.perf_counter() - self._done_s) * 1000)
            self._done_s = None
        async for delta in super().stream(request):
            if isinstance(delta, Finished) and self.calls(request):
                self._done_s = time.perf_counter()
            yield delta


def wants(request: LlmRequest) -> list[tuple[str, str]]:
    """A tool, until ROUNDS of them were run since the caller spoke."""
    messages = request.messages
    spoke = max((n for n, message in enumerate(messages) if message.role == "user"), default=0)
    rounds = sum(1 for message in messages[spoke:] if message.tool_calls)
    return [("look_up", '{"what": "it"}')] if rounds < ROUNDS else []


async def talk(call_id: str, url: str, wire: CustomerWire, turns: int) -> list[float]:
    """The round trips of one call, in milliseconds."""
    llm = TimedLlm(lambda request: "" if wants(request) else "Done.", calls=wants)
    chain = ServerChain((Server(url),))
    plan = CallPlan(call_id, "org", "webCall", ASSISTANT, AudioFormat.PCM16, 8000, 0, servers=chain)
    call = Rehearsal(ASSISTANT, llm=llm, call_id=call_id, questions=PlanQuestions(plan, wire.questions))
    script = [Utterance(FIRST_S + TURN_S * n, ["please", "look", "it", "up"]) for n in range(turns)]
    await call.run(script, FIRST_S + TURN_S * turns)
    return llm.trips_ms


async def measure(url: str, calls: int, turns: int) -> list[float]:
    """All round trips of so many calls beside each other."""
    wire = CustomerWire()
    try:
        # Not all in the same millisecond.
        async def one(number: int) -> list[float]:
            await asyncio.sleep(number * TURN_S / calls)
            return await talk(f"call-{number}", url, wire, turns)

        found = await asyncio.gather(*(one(number) for number in range(calls)))
    finally:
        await wire.close()
    return [trip_ms for trips_ms in found for trip_ms in trips_ms]


def figures(name: str, trips_ms: Sequence[float]) -> dict[str, float]:
    """p50 and p95."""
    cuts = statistics.quantiles(trips_ms, n=100)
    return {
        f"tool_round_trip_ms_p50_{name}": round(cuts[49], 2),
        f"tool_round_trip_ms_p95_{name}": round(cuts[94], 2),
    }


def main() -> None:
    """Serves, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help="of each call")
    asked = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/tools"
    server = multiprocessing.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
    server.start()
    found: dict[str, Any] = {"samples": {}}
    try:
        for name, calls in (("1_call", 1), (f"{MANY}_calls", MANY)):
            trips_ms = uvloop.run(measure(url, calls, asked.turns))
            found |= figures(name, trips_ms)
            for figure in figures(name, trips_ms):
                found["samples"][figure] = len(trips_ms)
            print(f"{name}: {len(trips_ms)} round trips, {figures(name, trips_ms)}", file=sys.stderr)
    finally:
        server.kill()
        server.join()
        listening.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
