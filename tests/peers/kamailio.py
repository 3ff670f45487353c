"""kamailio with rtpengine as the trunk in between: a registrar with digest, a record-routing proxy, an audio relay."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aywa.testing.runtime import free_port

START_S = 15.0
STOP_S = 10.0

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=2
auto_aliases=no
enable_sctp=no
user_agent_header="User-Agent: trunk"
server_header="Server: trunk"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "jsonrpcs.so"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "rtpengine.so"
modparam("jsonrpcs", "transport", 0)
modparam("rr", "append_fromtag", 1)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", {min_expires})
modparam("registrar", "max_expires", 3600)
modparam("auth", "secret", "kamailio-of-a-test")
modparam("auth", "nonce_expire", {nonce_s})
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{engine}")
modparam("tm", "fr_inv_timer", 30000)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && uri == myself) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ rtpengine_delete(); t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{
            if (is_method("BYE")) {{ rtpengine_delete(); }}
            if (is_method("INVITE|UPDATE|ACK") && has_body("application/sdp")) {{ rtpengine_manage("replace-origin"); }}
            t_on_reply("MEDIA");
            t_relay();
            exit;
        }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    t_check_trans();
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("$td", "{password}", "0")) {{ www_challenge("$td", "0"); exit; }}
        if ($au != "{username}") {{ sl_send_reply("403", "Forbidden"); exit; }}
        save("location");
        exit;
    }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    record_route();
    t_on_reply("MEDIA");
    if ($rU == "{username}") {{
        # Somebody calls the one who is registered.
        if (!lookup("location")) {{ sl_send_reply("480", "Nobody is registered"); exit; }}
    }} else {{
        # The one who is registered calls out.
        if (!pv_proxy_authenticate("$fd", "{password}", "0")) {{ proxy_challenge("$fd", "0"); exit; }}
        consume_credentials();
        $ru = "sip:" + $rU + "@{phone}";
    }}
    if (has_body("application/sdp")) {{ rtpengine_manage("replace-origin"); }}
    t_relay();
}}

onreply_route[MEDIA] {{
    if (has_body("application/sdp")) {{ rtpengine_manage("replace-origin"); }}
}}
"""

OPTIONS = (
    "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{ours};branch=z9hG4bKp\r\n"
    "From: <sip:t@127.0.0.1>;tag=t\r\nTo: <sip:t@127.0.0.1>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class Kamailio:
    """folder: of its configuration and logs. phone: host:port behind it, whom calls that go out reach."""

    folder: Path
    phone: str = "127.0.0.1:9"
    username: str = "runtime"
    password: str = "trunk-secret"
    min_expires: int = 10
    nonce_s: int = 300
    port: int = 0

    @property
    def uri(self) -> str:
        """At which whoever is registered can be called."""
        return f"sip:{self.username}@127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        files = [self.folder / name for name in ("kamailio.log", "rtpengine.log")]
        return "\n".join(file.read_text("utf-8", "replace")[-4000:] for file in files if file.exists())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Kamailio]:
        """Starts both; ends both at the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        engine = free_port()
        config = CONFIG.format(
            port=self.port, engine=engine, username=self.username, password=self.password, phone=self.phone,
            min_expires=self.min_expires, nonce_s=self.nonce_s,
        )  # fmt: skip
        (self.folder / "kamailio.cfg").write_text(config)
        media = await self._start(
            "rtpengine", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{engine}", "--foreground",
            "--log-stderr", "--log-level=4", "--port-min=31000", "--port-max=32000", "--num-threads=1",
        )  # fmt: skip
        try:
            await self._asked(media, engine, b"1 d7:command4:pinge")
            proxy = await self._start(
                "kamailio", "-f", str(self.folder / "kamailio.cfg"), "-DD", "-E",
                "-Y", str(self.folder), "-w", str(self.folder),
            )  # fmt: skip
            try:
                await self._asked(proxy, self.port, None)
                yield self
            finally:
                await _stop(proxy)
        finally:
            await _stop(media)

    async def _start(self, *command: str) -> asyncio.subprocess.Process:
        with (self.folder / f"{command[0]}.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )

    async def _asked(self, process: asyncio.subprocess.Process, port: int, message: bytes | None) -> None:
        """Waits until it answers: a message of its own, or OPTIONS."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.setblocking(False)
            asking = message or OPTIONS.format(port=port, ours=probe.getsockname()[1]).encode()
            try:
                async with asyncio.timeout(START_S):
                    while True:
                        assert process.returncode is None, f"ended with {process.returncode}: {self.log}"
                        probe.sendto(asking, ("127.0.0.1", port))
                        try:
                            async with asyncio.timeout(0.2):
                                _ = await loop.sock_recv(probe, 2048)
                                return
                        except (TimeoutError, ConnectionError):
                            continue
            except TimeoutError:
                raise AssertionError(f"no answer at port {port}: {self.log}") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
