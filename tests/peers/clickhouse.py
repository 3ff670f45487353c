"""ClickHouse as a peer: its engine in a process of its own, behind HTTP. Each database in it is a test's own."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.peers.clickhouse_engine import PASSWORD, USER

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class ClickHouse:
    """A running engine."""

    port: int
    password: str = PASSWORD
    host: str = "127.0.0.1"

    def url(self, database: str | None = None, password: str = "") -> str:
        """As an operator writes it. database: a new one when None."""
        name = f"db{next(_NUMBERS)}" if database is None else database
        return f"http://{USER}:{password or self.password}@{self.host}:{self.port}/{name}"


@contextmanager
def clickhouse(port: int = 0, password: str = PASSWORD, host: str = "127.0.0.1") -> Iterator[ClickHouse]:
    """Until the end of the context. port: 0 for any."""
    command = [sys.executable, "-m", "tests.peers.clickhouse_engine", str(port), password, host]
    # What the engine says when it ends is no concern of a test's.
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        told = process.stdout.readline()
        assert told, "the engine did not start"
        try:
            yield ClickHouse(int(told), password, host)
        finally:
            process.stdin.close()
            _ = process.wait(30)
