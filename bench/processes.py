"""What the benchmarks of several processes share: a benchmark's own file as another process on one core, which answers a line of
JSON for every line that it is given, and what the kernel counts of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def cpu_s(pid: int) -> float:
    """Of the process and its threads, user and system, in steps of the kernel's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def answer(words: Mapping[str, Any]) -> None:
    """What a process says to who started it."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Program:
    """A benchmark's file as another process. said: what it told first."""

    process: asyncio.subprocess.Process
    said: Mapping[str, Any]

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    async def ask(self) -> dict[str, Any]:
        """What it counts."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await _told(self.process)


async def _told(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Its next line of JSON."""
    assert process.stdout is not None
    while not (line := await process.stdout.readline()).startswith(b"{"):
        if not line:
            raise SystemExit("a process of the benchmark said nothing")
    told: dict[str, Any] = json.loads(line)
    return told


@asynccontextmanager
async def program(
    file: str, *arguments: str, core: int, profile: str = "", more: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """The file as another process on one core; it ends when its standard input does."""
    profiling = ("-m", "cProfile", "-o", profile) if profile else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *profiling,
        file,
        "--core",
        str(core),
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **(more or {})},
    )
    assert process.stdin is not None
    try:
        yield Program(process, await _told(process))
    finally:
        process.stdin.close()
        await process.wait()


def percentile(values: Sequence[float], percent: int) -> float:
    """By the nearest rank."""
    return sorted(values)[max(0, -(-percent * len(values) // 100) - 1)]
