"""`aywa dev` as a process of its own, started and stopped by the tests, known only by its address and by /proc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aywa.boot.settings import PROVIDER_VARIABLES
from aywa.testing.runtime import free_port, process_tree

READY_S = 60.0
STOP_S = 30.0
POLL_S = 0.02

# What would change what is tested, if the one who runs the tests has it set.
_NOT_INHERITED: tuple[str, ...] = (
    "AYWA_HOME",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
    "PYTHONDEVMODE",
)
_NOT_INHERITED += tuple(
    f"{prefix}_{name}" for prefix in PROVIDER_VARIABLES.values() for name in ("API_KEY", "BASE_URL")
)
_NOT_INHERITED += ("RUNTIME_ACCOUNT_WEBHOOK_URL", "RUNTIME_ACCOUNT_WEBHOOK_SECRET")
_NOT_INHERITED += ("RUNTIME_STORE_ENCRYPTION_KEY", "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS", "RUNTIME_PRICES")
_NOT_INHERITED += ("RUNTIME_STORE_POSTGRES_URL", "RUNTIME_ANALYTICS_CLICKHOUSE_URL")
_NOT_INHERITED += tuple(
    f"RUNTIME_ARTIFACT_S3_{name}"
    for name in ("BUCKET", "ENDPOINT", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
)


def until(what: Callable[[], object], within_s: float = 20.0, why: str = "it did not happen") -> None:
    """Asks until the answer is true; fails after within_s."""
    end_s = time.monotonic() + within_s
    while not what():
        if time.monotonic() > end_s:
            raise AssertionError(f"{why} within {within_s:.0f} s")
        time.sleep(POLL_S)


@dataclass
class Dev:
    """A runtime. environment: on top of this process's. Its output is in `log`."""

    home: Path
    options: tuple[str, ...] = ("--tiny",)
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    scheme: str = "http"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def key(self) -> str:
        return (self.home / "dev-key").read_text("ascii").strip()

    @property
    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace")

    @property
    def _log_file(self) -> Path:
        return self.home.with_name(f"{self.home.name}.{self.port}.log")

    def start(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        command = (sys.executable, "-m", "aywa.cli", "dev", "--port", str(self.port), *self.options)
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**inherited, "AYWA_HOME": str(self.home), **self.environment},
                start_new_session=True,
            )

    def ready(self) -> None:
        assert self.process is not None
        until(lambda: self.over() or self.readyz()[0] == 200, READY_S, f"not ready: {self.log}")
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log}"

    def readyz(self) -> tuple[int, dict[str, Any]]:
        """The status (0: no answer) and the body."""
        return self.ask("GET", "/readyz", timeout_s=3.0)

    def ask(
        self, method: str, path: str, body: object = None, timeout_s: float = 15.0
    ) -> tuple[int, dict[str, Any]]:
        """A request with the private key; status 0 when nothing answers."""
        headers = {"Content-Type": "application/json"}
        with suppress(OSError):
            headers["Authorization"] = f"Bearer {self.key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (OSError, ValueError):
            return 0, {}

    def call(self, call_id: str) -> dict[str, Any]:
        status, document = self.ask("GET", f"/call/{call_id}")
        assert status == 200, document
        return document

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """group: as a terminal does it, to the children as well."""
        if group:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)

    def over(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def wait(self, within_s: float = STOP_S) -> int:
        """The exit code. Whatever the runtime started must be gone, too."""
        assert self.process is not None
        tree = process_tree(self.pid)
        code = self.process.wait(within_s)
        until(lambda: not _living(tree), 10, f"processes left behind of {tree}")
        return code

    def stop(self) -> None:
        """Ends it, and whatever it started, in any case."""
        if self.process is None:
            return
        tree = process_tree(self.pid)
        if not self.over():
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        for pid in _living(tree):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def started(dev: Dev) -> Iterator[Dev]:
    """The runtime, ready; ended at the end."""
    dev.start()
    try:
        dev.ready()
        yield dev
    finally:
        dev.stop()


def _living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if _state(pid) not in ("", "Z")]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


@dataclass(frozen=True)
class Held:
    """What a process holds. fds: without those of its store, whose pools of connections fill as they are needed."""

    fds: int
    store_fds: int
    threads: int
    rss_mb: float


def held(pid: int) -> Held:
    files = [_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    stores = sum(Path(file).name.startswith("aywa.db") for file in files)
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    )
    return Held(len(files) - stores, stores, int(status["Threads"]), int(status["VmRSS"].split()[0]) / 1024)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
