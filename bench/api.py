"""Reading over HTTP from a store that has grown: lists of calls, and the timeline of a long one.

A real `aywa dev` over a store of 100,000 calls with 20 messages each, and one call of 10,000 events. Asked one request after the
other over loopback, until the last byte. Prints {"list_ms_p95", "timeline_ms_p95", ..., "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import ormsgpack

from aywa.testing.runtime import DevRuntime

CALLS = 100_000
MESSAGES = 20
EVENTS = 10_000
LISTED = 100
REQUESTS = 60
WARM_UP = 5
BEGAN_MS = 1_767_225_600_000
EVERY_MS = 20_000
TEXTS = (
    "Could you tell me about your opening hours in the holiday week, please?",
    "We are open from nine to six from Monday to Friday, and from ten to two on Saturday.",
)


def iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(ms / 1000)) + f"{ms % 1000:03}Z"


def document(call_id: str, org_id: str, assistant_id: str, created_ms: int) -> str:
    """As a call of two minutes leaves it."""
    messages: list[dict[str, Any]] = []
    for number in range(MESSAGES):
        at_ms = created_ms + number * 6_000
        role = "user" if number % 2 == 0 else "bot"
        text = TEXTS[number % 2]
        entry = {"role": role, "message": text, "time": at_ms, "endTime": at_ms + 4_000}
        entry |= {"secondsFromStart": number * 6.0, "duration": 4_000}
        messages.append(entry | ({"source": ""} if role == "bot" else {}))
    chat = [
        {"role": "assistant" if m["role"] == "bot" else "user", "content": m["message"]} for m in messages
    ]
    turn = {"endpointingLatency": 400.0, "modelLatency": 200.0, "voiceLatency": 80.0, "turnLatency": 700.0}
    artifact = {
        "messages": messages,
        "messagesOpenAIFormatted": chat,
        "transcript": "\n".join(f"{m['role']}: {m['message']}" for m in messages),
        "performanceMetrics": {"turnLatencies": [turn] * (MESSAGES // 2)},
    }
    body = {
        "id": call_id, "orgId": org_id, "createdAt": iso(created_ms), "updatedAt": iso(created_ms), "type": "webCall",
        "status": "ended", "endedReason": "customer-ended-call", "assistantId": assistant_id, "messages": messages,
        "artifact": artifact, "cost": 0.1, "costs": [], "costBreakdown": {"total": 0.1},
    }  # fmt: skip
    return json.dumps(body, separators=(",", ":"))


def events(call_id: str, org_id: str) -> Iterator[tuple[Any, ...]]:
    """Decisions, messages, media and providers, in the mixture of a call; none that the timeline leaves out."""
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("VoiceStarted", {"leg_id": "l", "at_s": 1.0, "level_db": -20.0}),
        ("TranscriptReceived", {"leg_id": "l", "text": TEXTS[0], "is_final": False, "confirmed": True}),
        ("RecordDecision", {"machine": "floor", "decision": "turn_taken", "reason": "punctuation", "details": {"wait_s": 0.4}}),
        ("StartReply", {"reply_id": 1, "turn_id": 1, "messages": 4, "speculative": True}),
        ("ClauseSynthesized", {"reply_id": 1, "clause": 0, "text": TEXTS[1], "samples": 32_000, "words": []}),
        ("PlayoutStarted", {"leg_id": "l", "reply_id": 1, "at_s": 2.0}),
        ("RecordTurn", {"turn_id": 1, "reply_id": 1, "latency_ms": 700.0, "parts_ms": {"model": 200.0}, "wire_ms": 710.0}),
        ("RecordMessage", {"message": {"role": "bot", "message": TEXTS[1], "time": 1, "endTime": 2, "secondsFromStart": 1.0}}),
        ("PlayoutFinished", {"leg_id": "l", "reply_id": 1, "position": 32_000, "at_s": 4.0}),
        ("ReplyCompleted", {"reply_id": 1, "text": TEXTS[1], "clauses": 1, "completion_tokens": 20, "route": "local"}),
    )  # fmt: skip
    started = {"call_id": call_id, "org_id": org_id, "epoch_ms": BEGAN_MS, "assistant": {}, "variables": {}}
    yield call_id, 1, org_id, 0.0, "event", "CallStarted", ormsgpack.packb(started)
    for seq in range(2, EVENTS + 1):
        kind, data = kinds[seq % len(kinds)]
        yield call_id, seq, org_id, seq * 0.05, "event", kind, ormsgpack.packb(data)


def fill(database: Path, calls: int) -> str:
    """Writes the calls; answers the id of the long one."""
    assistant_id, long_id = str(uuid.uuid4()), str(uuid.uuid4())
    with sqlite3.connect(database) as store:
        (org_id,) = store.execute("SELECT id FROM orgs ORDER BY created_ms LIMIT 1").fetchone()

        def rows() -> Iterator[tuple[Any, ...]]:
            for number in range(calls):
                call_id = str(uuid.uuid4()) if number else long_id
                created_ms = BEGAN_MS + number * EVERY_MS
                text = document(call_id, org_id, assistant_id, created_ms)
                yield call_id, org_id, "webCall", "ended", assistant_id, created_ms, created_ms, 100, text

        names = "id, org_id, type, status, assistant_id, created_ms, updated_ms, last_seq, document"
        store.executemany(f"INSERT INTO calls ({names}) VALUES (?,?,?,?,?,?,?,?,?)", rows())  # noqa: S608 - constants
        names = "call_id, seq, org_id, at_s, role, kind, data"
        store.executemany(
            f"INSERT INTO call_events ({names}) VALUES (?,?,?,?,?,?,?)",  # noqa: S608 - constants
            events(long_id, org_id),
        )
    store.close()
    return long_id


async def timed(http: aiohttp.ClientSession, url: str, requests: int) -> tuple[list[float], bytes]:
    """Milliseconds of each request, and what the last one brought."""
    took, body = [], b""
    for number in range(WARM_UP + requests):
        began = time.perf_counter()
        async with http.get(url) as answer:
            body = await answer.read()
            assert answer.status == 200, body[:200]
        if number >= WARM_UP:
            took.append((time.perf_counter() - began) * 1000)
    return took, body


def p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20)[18], 1)


async def measure(home: Path, calls: int, requests: int) -> dict[str, Any]:
    async with DevRuntime(home, "--tiny"):
        pass
    began = time.perf_counter()
    long_id = await asyncio.to_thread(fill, home / "aywa.db", calls)
    sys.stderr.write(f"{calls} calls written in {time.perf_counter() - began:.0f} s\n")
    async with DevRuntime(home, "--tiny") as runtime:
        headers = {"Authorization": f"Bearer {runtime.key}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            newest, listed = await timed(http, f"{runtime.url}/call?limit={LISTED}", requests)
            middle = iso(BEGAN_MS + calls // 2 * EVERY_MS)
            paged, _ = await timed(http, f"{runtime.url}/call?limit={LISTED}&createdAtLt={middle}", requests)
            timeline, entries = await timed(http, f"{runtime.url}/call/{long_id}/timeline", requests)
    assert len(json.loads(listed)) == LISTED
    shown = len(json.loads(entries))
    assert shown == EVENTS, shown
    rows = (
        ("list of 100", newest, listed),
        ("list of 100, in the middle", paged, listed),
        ("timeline", timeline, entries),
    )
    for name, values, body in rows:
        sys.stderr.write(
            f"{name:28} p50 {statistics.median(values):7.1f} ms  p95 {p95(values):7.1f} ms  {len(body) / 1e6:.2f} MB\n"
        )
    return {
        "list_ms_p95": max(p95(newest), p95(paged)),
        "timeline_ms_p95": p95(timeline),
        "list_ms_p50": round(statistics.median(newest), 1),
        "timeline_ms_p50": round(statistics.median(timeline), 1),
        "calls": calls,
        "events": shown,
        "samples": requests,
    }


def main() -> None:
    """Fills a store, asks, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
        figures = asyncio.run(measure(Path(folder) / "home", given.calls, given.requests))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
