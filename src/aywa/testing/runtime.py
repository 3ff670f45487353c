"""Runs `aywa dev` as a process of its own, for programs that call it, and measures its memory and its start.

Everything it starts it also ends, children included. It refuses to reach into the process: it knows it as any caller
does, by its address, and by what the system tells of it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

READY_S = 60.0
STOP_S = 10.0
_POLL_S = 0.02
_SAMPLE_S = 0.25
_LISTEN = "0A"
_LAST_LINES = 3


class RuntimeFailed(Exception):
    """The runtime did not come up. The text is one line, fit for a person."""


class DevRuntime:
    """`aywa dev` on a free port of the loopback with its data under home. An async context manager.

    options: of `aywa dev`. environment: instead of this process's own.
    cold_start_s: from the process's start to the first good answer of /readyz.
    """

    def __init__(self, home: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.cold_start_s = 0.0
        self.memory: MemoryWatch | None = None
        self._options = options
        self._environment = os.environ if environment is None else environment
        self._process: asyncio.subprocess.Process | None = None
        self._log = home / "dev.log"

    @property
    def key(self) -> str:
        """The API key that the runtime left in its home."""
        return (self.home / "dev-key").read_text("ascii").strip()

    async def __aenter__(self) -> Self:
        command = (sys.executable, "-m", "aywa.cli", "dev", "--port", str(self.port), *self._options)
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        self.home.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self._environment, "AYWA_HOME": str(self.home)},
                start_new_session=True,
            )
        self.memory = MemoryWatch(self._process.pid)
        try:
            await self._wait_ready()
        except BaseException:
            await self._stop()
            raise
        self.cold_start_s = loop.time() - start_s
        self.memory.look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _wait_ready(self) -> None:
        assert self._process is not None
        try:
            async with asyncio.timeout(READY_S):
                while not await is_ready(self.url):
                    if self._process.returncode is not None:
                        raise RuntimeFailed(
                            f"`aywa dev` ended with code {self._process.returncode}: {self._last()}"
                        )
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise RuntimeFailed(f"`aywa dev` was not ready within {READY_S:.0f} s: {self._last()}") from None

    async def _stop(self) -> None:
        """Asks it to end, then makes it and whatever it started."""
        process, memory = self._process, self.memory
        if process is None or memory is None:
            return
        memory.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        await _end_all(memory.seen)

    def _last(self) -> str:
        lines = [line.strip() for line in self._log.read_text("utf-8", "replace").splitlines()]
        return " / ".join([line for line in lines if line][-_LAST_LINES:]) or "it said nothing"


class MemoryWatch:
    """Samples the memory of a process and all that it started, until closed. Needs a running loop and a /proc."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._peak_kb: dict[tuple[int, str], int] = {}
        self._sampling = asyncio.get_running_loop().create_task(self._sample(), name="memory watch")

    @property
    def seen(self) -> set[tuple[int, str]]:
        """Every process of the tree so far: its id, and when it started, because ids come again."""
        return set(self._peak_kb)

    def peak_mb(self) -> float:
        """The sum of each process's own peak (VmHWM), in MB of 10^6 bytes: never less than the true peak. 0 without /proc."""
        self.look()
        return sum(self._peak_kb.values()) * 1024 / 1e6

    def close(self) -> None:
        """Takes a last look and stops."""
        self.look()
        self._sampling.cancel()

    async def _sample(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(_SAMPLE_S)

    def look(self) -> None:
        """Takes a sample now."""
        for pid in process_tree(self.pid):
            key = (pid, _started(pid))
            self._peak_kb[key] = max(_peak_kb(pid), self._peak_kb.get(key, 0))


async def is_ready(url: str) -> bool:
    """Whether a runtime at url says that it is ready to take calls."""
    with suppress(aiohttp.ClientError, TimeoutError, ValueError, OSError):
        timeout = aiohttp.ClientTimeout(total=2.0)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/readyz") as response:
            return response.status == 200
    return False


_PORTS = 10_000
_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """An even port that nobody uses, neither by TCP nor by UDP, and nobody the next one: that is for the calls' audio.

    Below those that the system gives out by itself: nobody gets it by chance before it is used, and no process is given one
    twice, as long as there are others.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = 2 * secrets.randbelow(_PORTS) + 10_000
        if len(_given) == _PORTS:
            _given.clear()
        if port in _given:
            continue
        _given.add(port)
        with ExitStack() as opened, suppress(OSError):
            for kind, number in product((socket.SOCK_STREAM, socket.SOCK_DGRAM), (port, port + 1)):
                opened.enter_context(socket.socket(family, kind)).bind((host, number))
            return port


def process_tree(pid: int) -> list[int]:
    """The process and all that descend from it; empty when it is gone or there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        parent = _field(entry, 1)
        if parent:
            children.setdefault(int(parent), []).append(int(entry.name))
    if not _started(pid):
        return []
    tree = [pid]
    for member in tree:
        tree += children.get(member, [])
    return tree


def listening_pid(port: int) -> int | None:
    """The process of this user that listens on a TCP port here; None if there is none, or no /proc to tell it."""
    with suppress(OSError):
        rows = [row.split() for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        wanted = {
            f"socket:[{row[9]}]" for row in rows if row[3] == _LISTEN and row[1].endswith(f":{port:04X}")
        }
        for handle in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError):
                if os.readlink(handle) in wanted:
                    return int(handle.parts[2])
    return None


async def _end_all(processes: set[tuple[int, str]]) -> None:
    """Kills what is left of a tree and sees it gone."""
    for pid, started in processes:
        if _started(pid) == started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for _ in range(round(STOP_S / _POLL_S)):
        if not any(_started(pid) == started and not _is_zombie(pid) for pid, started in processes):
            return
        await asyncio.sleep(_POLL_S)


def _is_zombie(pid: int) -> bool:
    """Dead, and only waiting for whoever should ask."""
    return _field(Path(f"/proc/{pid}"), 0) == "Z"


def _started(pid: int) -> str:
    """When a process began, in the system's ticks; empty if it is gone."""
    return _field(Path(f"/proc/{pid}"), 19)


def _field(entry: Path, number: int) -> str:
    """A field of /proc/PID/stat, counted from the state, which follows the name in its brackets."""
    with suppress(OSError, IndexError):
        return (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[number]
    return ""


def _peak_kb(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
