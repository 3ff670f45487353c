"""sipp (Debian's sip-tester) as a peer: one scenario file against an address, or waiting for calls. On loopback only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aywa.testing.runtime import free_port

SCENARIOS = Path(__file__).parent / "scenarios"
TRANSPORTS = {"udp": "u1", "tcp": "t1", "tls": "l1"}
START_S = 20.0


@dataclass
class Ran:
    """What came of it. code 0: every call went as the scenario says."""

    code: int
    errors: str
    messages: str


@dataclass
class Sipp:
    """folder: for its logs. speech: raw mu-law for rtp_stream. place: whom to call, None to wait to be called."""

    folder: Path
    scenario: str
    place: tuple[str, int] | None = None
    service: str = "demo"
    transport: str = "udp"
    talk_ms: int = 1000
    calls: int = 1
    rate: int = 10
    speech: Path | None = None
    keys: dict[str, str] = field(default_factory=dict)
    port: int = 0
    host: str = "127.0.0.1"
    username: str = "user"
    password: str = "secret"
    extra: tuple[str, ...] = ()
    most_s: int = 30

    def command(self) -> list[str]:
        self.port = self.port or free_port(self.host)
        target = [] if self.place is None else [f"{_in_url(self.place[0])}:{self.place[1]}"]
        speech = [] if self.speech is None else ["-key", "speech", str(self.speech)]
        keys = [part for name, value in self.keys.items() for part in ("-key", name, value)]
        tls = ["-tls_cert", str(self.folder / "cert.pem"), "-tls_key", str(self.folder / "key.pem")]
        return [
            "sipp", *target, "-sf", str(self._scenario_file()), "-s", self.service,
            "-t", TRANSPORTS[self.transport], "-i", self.host, "-p", str(self.port),
            "-mp", str(free_port(self.host)), "-d", str(self.talk_ms), "-m", str(self.calls),
            "-r", str(self.rate), "-l", str(self.calls), "-au", self.username, "-ap", self.password,
            *([] if self.place is None else ["-auth_uri", f"{self.service}@{target[0]}"]),
            *speech, *keys, *(tls if self.transport == "tls" else []),
            "-trace_err", "-error_file", str(self.folder / "errors.log"),
            "-trace_msg", "-message_file", str(self.folder / "messages.log"),
            "-nostdin", "-timeout", f"{self.most_s}s", "-timeout_error", *self.extra,
        ]  # fmt: skip

    async def run(self) -> Ran:
        """To its end."""
        async with self.started() as process:
            code = await process.wait()
        return self.ran(code)

    def ran(self, code: int) -> Ran:
        return Ran(code, _text(self.folder / "errors.log"), _text(self.folder / "messages.log"))

    @asynccontextmanager
    async def started(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Runs it; ends it at the end, if it has not ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "sipp.out").open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *self.command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={**os.environ, "TERM": "dumb"},
            )
        try:
            if self.place is None:
                await self._listens(process)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _listens(self, process: asyncio.subprocess.Process) -> None:
        """It says nothing when it is ready: the system's own table of sockets does."""
        table = Path("/proc/net/udp" if self.transport == "udp" else "/proc/net/tcp")
        async with asyncio.timeout(START_S):
            while f":{self.port:04X} " not in await asyncio.to_thread(table.read_text):
                assert process.returncode is None, _text(self.folder / "sipp.out")
                await asyncio.sleep(0.02)

    def _scenario_file(self) -> Path:
        """The scenario, and what it names in square brackets that sipp does not know by itself."""
        source = (SCENARIOS / f"{self.scenario}.xml").read_text()
        named = {"speech": str(self.speech or ""), "username": self.username, "password": self.password}
        for name, value in named.items():
            # sipp takes no keywords in the attributes of actions.
            source = source.replace(f'"[{name}]', f'"{value}')
            source = source.replace(f"=[{name}]", f"={value}").replace(f".[{name}]", f".{value}")
        file = self.folder / f"{self.scenario}.xml"
        file.write_text(source)
        return file


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _text(file: Path) -> str:
    return file.read_text("utf-8", "replace") if file.exists() else ""
