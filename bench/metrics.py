"""/metrics and /metrics.json while 200 calls talk: how long a page takes, and what looking costs the calls.

bench/providers.py with its processes, vendors, sentences and callers, on WebSockets; beside them a reader, in a process of its
own on the callers' core, asks for the two pages in turn, at intervals past a page's age, so that each answer is a page taken for
it, and by a new connection each time, as Prometheus does at its usual interval. Two loads: without the reader, and with it.

page_ms: from before the connection to the last byte, at the figures' own port (RUNTIME_METRICS_PORT). api_page_ms: the same of
/metrics at the API's port, which waits for the calls' loop. unequal: pairs of pages of the same moment that do not say the same.
added_ms_p95: the calls' p95 with the reader less without.

Prints {"page_ms_p99", "page_ms_p50", "api_page_ms_p99", "unequal", "added_ms_p95", "page_kb", ... "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import select
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from aywa.boot.metrics import FRESH_S
from bench import providers
from bench.processes import Program, answer, percentile, program
from bench.providers import Caller, Sentence, WebSockets

CALLS = 200
TURNS = 12
PAGES = ("metrics", "metrics.json")
PATIENCE_S = 10.0


class Watched(WebSockets):
    """The calls, and somebody who looks at the figures."""

    def __init__(self, core: int) -> None:
        super().__init__()
        self.read_pages: dict[str, Any] = {}
        self._core = core
        self._programs = AsyncExitStack()
        self._reader: Program

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
        addresses = (runtime["figures"].removesuffix("/metrics"), runtime["url"])
        self._reader = await self._programs.enter_async_context(
            program(__file__, "--read", *addresses, core=self._core)
        )
        return placed

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, str]) -> None:
        """As the protocol says."""
        self.read_pages = await self._reader.ask()
        await self._programs.aclose()
        await super().hang_up(http, runtime)


# --- the reader's process --------------------------------------------------------------------------------------------


def read(own: str, api: str) -> None:
    """Until it is asked what it has read."""
    took_ms: dict[str, list[float]] = {own: [], api: []}
    counts = {"pairs": 0, "unequal": 0, "longest": 0}
    answer({})
    number = 0
    while not select.select([sys.stdin], [], [], FRESH_S + 0.05)[0]:
        # At the API's port each fourth time: what it costs there is not to be the own port's.
        base = api if number % 4 == 3 else own
        first, second = PAGES[number % 2], PAGES[1 - number % 2]
        if base == api:
            first, second = PAGES
        number += 1
        began_s = time.perf_counter()
        pages = {first: page(f"{base}/{first}")}
        took_ms[base].append(1000 * (time.perf_counter() - began_s))
        # The same moment's other page is there already: compared, and not timed.
        pages[second] = page(f"{base}/{second}")
        counts["longest"] = max(counts["longest"], *map(len, pages.values()))
        text, as_json = of_text(pages["metrics"]), of_json(pages["metrics.json"])
        taken = ("aywa_snapshot_timestamp_seconds", ())
        if text[taken] == as_json[taken]:
            counts["pairs"] += 1
            counts["unequal"] += text != as_json
    answer({"own_ms": took_ms[own], "api_ms": took_ms[api], **counts})


def page(url: str) -> bytes:
    """By a connection of its own."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", parts.path)
        answered = connection.getresponse()
        body = answered.read()
    finally:
        connection.close()
    if answered.status != 200:
        raise SystemExit(f"{url} answered {answered.status}: {body[:200]!r}")
    return body


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
    # Of the runtimes that are started here.
    os.environ["RUNTIME_METRICS_PORT"] = "0"
    sentences = providers.spoken()
    plain = await providers.measure(options.calls, options.turns, sentences, options)
    line = Watched(options.cores[0])
    watched = await providers.measure(options.calls, options.turns, sentences, options, line=line)
    found = line.read_pages
    own_ms, api_ms = found["own_ms"], found["api_ms"]
    figures = {
        "page_ms_p50": round(statistics.median(own_ms), 1),
        "page_ms_p99": round(percentile(own_ms, 99), 1),
        "page_ms_max": round(max(own_ms), 1),
        "api_page_ms_p50": round(statistics.median(api_ms), 1),
        "api_page_ms_p99": round(percentile(api_ms, 99), 1),
        "page_kb": round(found["longest"] / 1024, 1),
        "unequal": found["unequal"],
        "pairs": found["pairs"],
        "turn_ms_p95": round(percentile(watched.added_ms, 95), 1),
        "added_ms_p95": round(percentile(watched.added_ms, 95) - percentile(plain.added_ms, 95), 1),
        "cpu": watched.figures(options.calls, 0.0)["cpu"],
        "calls": options.calls,
    }
    shown = "  ".join(f"{name} {value:g}" for name, value in figures.items())
    sys.stderr.write(f"{len(own_ms)} pages: {shown}\n")
    return {**figures, "samples": len(own_ms)}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--core", help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if given.core is None else [int(given.core)]
    os.sched_setaffinity(0, cores[:1])
    if given.read:
        read(*given.read)
        return
    options = argparse.Namespace(calls=given.calls, turns=given.turns, jitter=0.0, profile="", cores=cores)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(runner.run(run(options))) + "\n")


if __name__ == "__main__":
    main()
