"""/metrics and /metrics.json while 200 calls talk: how long a page takes, and what looking costs the calls.

bench/providers.py with its processes, vendors, sentences and callers, on WebSockets; beside them a reader asks for the two pages
in turn, at intervals past a page's age, so that each answer is a page taken for it. Two loads: without the reader, and with it.

page_ms: from the request to the last byte. unequal: pairs of pages of the same moment that do not say the same. added_ms_p95: the
calls' p95 with the reader less without.

Prints {"page_ms_p99", "page_ms_p50", "unequal", "added_ms_p95", "page_kb", ... "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from aywa.boot.metrics import FRESH_S
from bench import providers
from bench.processes import percentile
from bench.providers import Caller, Sentence, WebSockets

CALLS = 200
TURNS = 12
PAGES = ("metrics", "metrics.json")


class Reading(WebSockets):
    """The calls, and somebody who looks at the figures."""

    def __init__(self) -> None:
        super().__init__()
        self.took_ms: list[float] = []
        self.unequal = 0
        self.pairs = 0
        self.longest = 0
        self._task: asyncio.Task[None] | None = None

    async def place(
        self,
        http: aiohttp.ClientSession,
        runtime: Mapping[str, str],
        calls: int,
        turns: int,
        sentences: Sequence[Sentence],
    ) -> list[Caller]:
        """As the protocol says."""
        placed = await super().place(http, runtime, calls, turns, sentences)
        self._task = asyncio.create_task(self._read(runtime["url"]))
        return placed

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, str]) -> None:
        """As the protocol says."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await super().hang_up(http, runtime)

    async def _read(self, url: str) -> None:
        # Of its own: the bench's counts its connections.
        async with aiohttp.ClientSession() as http:
            number = 0
            while True:
                await asyncio.sleep(FRESH_S + 0.05)
                first, second = PAGES[number % 2], PAGES[1 - number % 2]
                number += 1
                pages = {first: await self._page(http, f"{url}/{first}", timed=True)}
                # The same moment's other page is there already: compared, and not timed.
                pages[second] = await self._page(http, f"{url}/{second}", timed=False)
                self._compare(pages)

    async def _page(self, http: aiohttp.ClientSession, url: str, *, timed: bool) -> bytes:
        began_s = time.perf_counter()
        async with http.get(url) as answer:
            body = await answer.read()
            assert answer.status == 200, body[:200]
        if timed:
            self.took_ms.append(1000 * (time.perf_counter() - began_s))
        self.longest = max(self.longest, len(body))
        return body

    def _compare(self, pages: Mapping[str, bytes]) -> None:
        text, as_json = of_text(pages["metrics"]), of_json(pages["metrics.json"])
        taken = ("aywa_snapshot_timestamp_seconds", ())
        if text[taken] == as_json[taken]:
            self.pairs += 1
            self.unequal += text != as_json


def of_text(page: bytes) -> dict[tuple[str, Any], float]:
    """Every sample, as Prometheus' own parser reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def of_json(page: bytes) -> dict[tuple[str, Any], float]:
    """Every sample."""
    return {
        (sample["name"], tuple(sorted(sample["labels"].items()))): sample["value"]
        for metric in json.loads(page)["metrics"]
        for sample in metric["samples"]
    }


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Both loads."""
    sentences = providers.spoken()
    plain = await providers.measure(options.calls, options.turns, sentences, options)
    reading = Reading()
    watched = await providers.measure(options.calls, options.turns, sentences, options, line=reading)
    took = reading.took_ms
    figures = {
        "page_ms_p50": round(statistics.median(took), 1),
        "page_ms_p99": round(percentile(took, 99), 1),
        "page_ms_max": round(max(took), 1),
        "page_kb": round(reading.longest / 1024, 1),
        "unequal": reading.unequal,
        "pairs": reading.pairs,
        "turn_ms_p95": round(percentile(watched.added_ms, 95), 1),
        "added_ms_p95": round(percentile(watched.added_ms, 95) - percentile(plain.added_ms, 95), 1),
        "calls": options.calls,
    }
    shown = "  ".join(f"{name} {value:g}" for name, value in figures.items())
    sys.stderr.write(f"{len(took)} pages: {shown}\n")
    return {**figures, "samples": len(took)}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--turns", type=int, default=TURNS)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    options = argparse.Namespace(calls=given.calls, turns=given.turns, jitter=0.0, profile="", cores=cores)
    os.sched_setaffinity(0, cores[:1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
