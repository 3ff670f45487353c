"""Debian's Prometheus as a process, looking at a runtime of the tests."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aywa.testing.runtime import free_port
from tests.deploy.rules import PROMETHEUS
from tests.e2e.dev import until

EVERY = "1s"
STOP_S = 10


@dataclass
class Prometheus:
    url: str

    def ask(self, path: str, **query: str) -> Any:
        """What its API answers; a query that it does not understand fails."""
        with urllib.request.urlopen(
            f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=15
        ) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def now(self, expr: str) -> list[Any]:
        found: list[Any] = self.ask("query", query=expr)["result"]
        return found

    def between(self, expr: str, from_s: float, to_s: float, step_s: float) -> list[Any]:
        query = {"query": expr, "start": str(from_s), "end": str(to_s), "step": str(step_s)}
        found: list[Any] = self.ask("query_range", **query)["result"]
        return found

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def configuration(target: str, folder: Path) -> Path:
    """The one in deploy/, for this runtime and in a hurry."""
    text = (PROMETHEUS / "prometheus.yml").read_text()
    text = text.replace("127.0.0.1:8080", urlsplit(target).netloc)
    text = re.sub(r"_interval: 15s", f"_interval: {EVERY}", text)
    (folder / "alerts.yml").write_text((PROMETHEUS / "alerts.yml").read_text())
    (folder / "metrics-token").write_text("not asked for on this machine")
    file = folder / "prometheus.yml"
    file.write_text(text)
    return file


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[Prometheus]:
    """It scrapes the target every second, by the rules of deploy/."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = (
        "prometheus",
        f"--config.file={configuration(target, folder)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        made = Prometheus(f"http://127.0.0.1:{port}")
        until(made.ready, 30, "Prometheus is not ready")
        yield made
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
