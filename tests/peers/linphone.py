"""linphonec (Debian's linphone-cli) as a peer, in a namespace of its own, because it binds every address. No sound card: it
says a WAV and records what it hears. Driven by its own console.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.netns import Namespace

START_S = 20.0
STOP_S = 10.0
PROMPT = "linphonec>"

CONFIGURATION = """\
[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port=-1
use_ipv6=0
guess_hostname=0
contact="linphone" <sip:{username}@{host}>
media_encryption={encryption}
use_info=0
use_rfc2833=1
default_proxy=-1
verify_server_certs=0
register_only_when_network_is_up=0

[rtp]
audio_rtp_port=7078-7178

[sound]
echocancellation=0

[net]
stun_server=
firewall_policy=0

[misc]
history_max_size=0

[auth_info_0]
username={username}
userid={username}
passwd={password}
realm={realm}
"""


@dataclass
class Linphone:
    """folder: of its configuration, log and recording. speech: the WAV that it says. encryption: none or srtp. answers: it
    takes every call by itself."""

    at: Namespace
    folder: Path
    speech: Path
    username: str = "linphone"
    password: str = ""
    realm: str = ""
    encryption: str = "none"
    answers: bool = False
    port: int = 5060
    said: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _console: asyncio.StreamWriter | None = None

    @property
    def recording(self) -> Path:
        return self.folder / "heard.wav"

    @property
    def uri(self) -> str:
        return f"sip:{self.username}@{self.at.peer}:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Linphone]:
        """Starts it; ends it at the end."""
        (self.folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "linphonerc"
        configuration.write_text(
            CONFIGURATION.format(
                port=self.port, host=self.at.peer, encryption=self.encryption, username=self.username,
                password=self.password, realm=self.realm,
            )
        )  # fmt: skip
        answers = ("-a",) if self.answers else ()
        process = await asyncio.create_subprocess_exec(
            *self.at.command(
                "linphonec", "-c", str(configuration), "-d", "5", "-l", str(self.folder / "linphone.log"), *answers
            ),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder, env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TERM": "dumb"},
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        self._console = process.stdin
        reading = asyncio.create_task(self._read(process.stdout), name="linphonec: console")
        try:
            await self.says(PROMPT, START_S)
            await self.command("soundcard use files")
            await self.command(f"play {self.speech}")
            await self.command(f"record {self.recording}")
            yield self
        finally:
            await self._stop(process)
            await asyncio.gather(reading, return_exceptions=True)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        assert self._console is not None
        try:
            async with asyncio.timeout(STOP_S):
                await self.command("quit")
                self._console.close()
                await process.wait()
        except (TimeoutError, ConnectionError):
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def command(self, line: str) -> None:
        """As if it were typed."""
        assert self._console is not None
        self._console.write(line.encode() + b"\n")
        await self._console.drain()

    async def says(self, text: str, within_s: float = 20.0, after: int = 0) -> int:
        """Waits until the console shows the text; where it ends there."""
        try:
            async with asyncio.timeout(within_s):
                while (at := self.said.find(text, after)) < 0:
                    self._changed.clear()
                    await self._changed.wait()
                return at + len(text)
        except TimeoutError:
            raise AssertionError(f"linphonec did not say {text!r} but {self.said[-3000:]!r}") from None

    async def _read(self, console: asyncio.StreamReader) -> None:
        while data := await console.read(4096):
            self.said += data.decode("utf-8", "replace")
            self._changed.set()
