"""Takes the picture of a dashboard for the documentation, of real data: python -m tests.deploy.picture FILE.png [--calls 20]

bench/providers.py's runtime, vendors and callers; Debian's Prometheus looks every second; each panel's queries are asked from its
API as Grafana would, and drawn. What was not measured is drawn as no data.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench import providers
from bench.providers import Caller, Sentence, WebSockets
from script.dashboards import DASHBOARDS, Dashboard, Panel
from tests.deploy.drawing import Drawn, page
from tests.peers.prometheus import Prometheus, prometheus

INTERVAL = "15s"
STEP_S = 2.0
LIMIT_BYTES = 400_000


class Watched(WebSockets):
    """The calls, and a Prometheus that looks on. answers: dashboard -> what its panels were answered at the end."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._stack = ExitStack()
        self._began_s = 0.0
        self.answers: dict[str, dict[str, list[Drawn]]] = {}
        self._seen: Prometheus | None = None

    async def place(
        self,
        http: aiohttp.ClientSession,
        runtime: Mapping[str, str],
        calls: int,
        turns: int,
        sentences: Sequence[Sentence],
    ) -> list[Caller]:
        """As the protocol says."""
        self._seen = await asyncio.to_thread(
            self._stack.enter_context, prometheus(runtime["url"], self._folder / "prometheus")
        )
        self._began_s = time.time()
        return await super().place(http, runtime, calls, turns, sentences)

    async def hang_up(self, http: aiohttp.ClientSession, runtime: Mapping[str, str]) -> None:
        """As the protocol says."""
        await super().hang_up(http, runtime)
        # The last looks are worth having: the calls end.
        await asyncio.sleep(6.0)
        await asyncio.to_thread(self._ask)
        await asyncio.to_thread(self._stack.close)

    def _ask(self) -> None:
        assert self._seen is not None
        for dashboard in DASHBOARDS:
            self.answers[dashboard.uid] = {
                panel.title: lines(self._seen, panel, self._began_s + 5, time.time())
                for panel in dashboard.panels
            }


def lines(seen: Prometheus, panel: Panel, from_s: float, to_s: float) -> list[Drawn]:
    """Of all its queries, named as Grafana names them."""
    found: list[Drawn] = []
    for name, expr in panel.queries.items():
        for series in seen.between(expr.replace("$__rate_interval", INTERVAL), from_s, to_s, STEP_S):
            points = [(float(at_s), float(value)) for at_s, value in series["values"]]
            found.append(Drawn(named(name, series["metric"]), points))
    return found


def named(legend: str, labels: Mapping[str, Any]) -> str:
    """A legend's {{label}} filled in."""
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", str(value))
    return legend


async def drawn(dashboard: Dashboard, watched: Watched, about: str, picture: Path) -> None:
    """In Chromium."""
    from playwright.async_api import async_playwright

    from tests.page.browser import CHROMIUM

    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        shown = await browser.new_page(viewport={"width": 1256, "height": 900})
        await shown.set_content(page(dashboard, watched.answers[dashboard.uid], about))
        await shown.screenshot(path=picture, full_page=True)
        await browser.close()


async def take(picture: Path, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="aywa-picture-") as folder:
        watched = Watched(Path(folder))
        await providers.measure(options.calls, options.turns, providers.spoken(), options, line=watched)
    [dashboard] = [each for each in DASHBOARDS if each.uid == options.dashboard]
    about = (
        f"{options.calls} calls with simulated vendors, as Prometheus saw them every second; drawn from its answers to the"
        " panels' own queries"
    )
    await drawn(dashboard, watched, about, picture)
    for uid, panels in watched.answers.items():
        print(f"{uid}: no data in", sorted(title for title, found in panels.items() if not found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--dashboard", default=DASHBOARDS[0].uid)
    options = parser.parse_args()
    options.jitter, options.profile, options.cores = 0.15, "", sorted(os.sched_getaffinity(0))
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(take(options.picture, options))
    size = options.picture.stat().st_size
    print(f"{options.picture}: {size} bytes")
    if size > LIMIT_BYTES:
        sys.exit(f"that is more than {LIMIT_BYTES}")


if __name__ == "__main__":
    main()
