"""baresip as a peer: a phone with an account, without a sound card; driven over its control port. On loopback only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aywa.testing.runtime import free_port

START_S = 15.0
MODULES = (
    "g711",
    "g722",
    "opus",
    "srtp",
    "aufile",
    "aubridge",
    "sndfile",
    "menu",
    "account",
    "ctrl_tcp",
    "uuid",
)


@dataclass
class Baresip:
    """folder: of its configuration and its recordings. speech: a WAV that it says in each call. answers: it takes every
    call by itself. account: more parameters of the account (`;mediaenc=srtp-mand`). codecs: in order of liking."""

    folder: Path
    speech: Path
    codecs: str = "PCMU/8000/1,PCMA/8000/1"
    account: str = ""
    host: str = "127.0.0.1"
    transport: str = "udp"
    answers: bool = False
    port: int = 0
    control: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    _writer: asyncio.StreamWriter | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rate_hz(self) -> int:
        """Of the codec's audio: baresip itself changes no rates, so its WAV must have this one."""
        return int(self.codecs.split(",")[0].split("/")[1])

    @property
    def channels(self) -> int:
        return int(self.codecs.split(",")[0].split("/")[2])

    @property
    def uri(self) -> str:
        return f"sip:phone@{self.host}:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Baresip]:
        """Starts it and connects to its control port; ends it at the end."""
        self._configure()
        log = (self.folder / "baresip.log").open("wb")
        process = await asyncio.create_subprocess_exec(
            "baresip", "-f", str(self.folder), "-s",
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
        )  # fmt: skip
        log.close()
        reading: asyncio.Task[None] | None = None
        try:
            reader = await self._connect(process)
            reading = asyncio.create_task(self._read(reader), name="baresip: events")
            yield self
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            if self._writer is not None:
                self._writer.close()
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def command(self, name: str, parameters: str = "") -> None:
        """Does what baresip's menu does: dial, hangup, hold, resume, sndcode ..."""
        assert self._writer is not None
        body = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self._writer.write(f"{len(body)}:".encode() + body + b",")
        await self._writer.drain()

    async def event(self, kind: str, within_s: float = 20.0, after: int = 0) -> Mapping[str, Any]:
        """Waits for an event such as CALL_ESTABLISHED, from number `after` on."""
        return await self.found(lambda told: told.get("type") == kind, within_s, after, kind)

    async def found(
        self,
        wanted: Callable[[Mapping[str, Any]], bool],
        within_s: float = 20.0,
        after: int = 0,
        name: str = "it",
    ) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    self._changed.clear()
                    for told in self.events[after:]:
                        if wanted(told):
                            return told
                    await self._changed.wait()
        except TimeoutError:
            seen = [event.get("type") or event for event in self.events]
            raise AssertionError(
                f"{name} did not happen within {within_s:.0f} s, but {seen}: {self.log}"
            ) from None

    @property
    def log(self) -> str:
        return (self.folder / "baresip.log").read_text("utf-8", "replace")[-6000:]

    def recordings(self) -> dict[str, Path]:
        """Of each call: what baresip heard (dec) and said (enc)."""
        found = sorted(self.folder.glob("dump-*.wav"))
        return {("heard" if "-dec" in file.name else "said"): file for file in found}

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port(self.host)
        self.control = free_port("127.0.0.1")
        lines = [
            f"sip_listen {_in_url(self.host)}:{self.port}",
            f"net_interface {self.host}",
            "sip_trans_def udp",
            "call_local_timeout 120", "call_max_calls 4",
            f"audio_source aufile,{self.speech}", "audio_player aubridge,out", "audio_alert aubridge,alert",
            "audio_level no", f"ausrc_srate {self.rate_hz}", f"auplay_srate {self.rate_hz}",
            f"ausrc_channels {self.channels}", f"auplay_channels {self.channels}",
            "opus_stereo no", "opus_sprop_stereo no",
            "audio_buffer 20-160", "rtp_timeout 0", "rtcp_mux no", "jitter_buffer_delay 1-10",
            "rtp_ports 20000-30000",
            f"ctrl_tcp_listen 127.0.0.1:{self.control}",
            f"snd_path {self.folder}",
            "sip_verify_server no",
            *(f"module {name}.so" for name in MODULES),
            "module_path /usr/lib/baresip/modules",
        ]  # fmt: skip
        (self.folder / "config").write_text("\n".join(lines) + "\n")
        answer = ";answermode=auto" if self.answers else ""
        account = (
            f"<sip:phone@{_in_url(self.host)}:{self.port};transport={self.transport}>;regint=0"
            f";audio_codecs={self.codecs}{answer}{self.account}\n"
        )
        (self.folder / "accounts").write_text(account)
        (self.folder / "contacts").write_text("")

    async def _connect(self, process: asyncio.subprocess.Process) -> asyncio.StreamReader:
        try:
            async with asyncio.timeout(START_S):
                while True:
                    assert process.returncode is None, f"baresip ended with {process.returncode}: {self.log}"
                    try:
                        reader, self._writer = await asyncio.open_connection("127.0.0.1", self.control)
                        return reader
                    except OSError:
                        await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"baresip did not start: {self.log}") from None

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Netstrings of JSON: events, and answers to commands."""
        while True:
            size = (await reader.readuntil(b":"))[:-1]
            body = await reader.readexactly(int(size) + 1)
            self.events.append(json.loads(body[:-1]))
            self._changed.set()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
