"""PostgreSQL (Debian's postgresql-15) as a peer: a cluster of its own in a folder, reached by a socket in it, and by nothing
else unless it is told an address."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 60
_USER = "postgres"
_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@dataclass
class Postgres:
    """A running cluster. options: of `postgres`, such as fsync=off."""

    folder: Path
    options: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """For a driver."""
        return self.address_of("postgres")

    def address_of(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Returns when it answers."""
        if not (self.folder / "data").exists():
            _run(
                "initdb",
                "-D",
                str(self.folder / "data"),
                "-U",
                _USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            )
        options = ("listen_addresses=", f"unix_socket_directories={self.folder}", *self.options)
        settings = " ".join(f"-c {option}" for option in options)
        log = self.folder / "log"
        _run(
            "pg_ctl",
            "-D",
            str(self.folder / "data"),
            "-w",
            "-t",
            str(START_S),
            "-l",
            str(log),
            "-o",
            settings,
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """mode: fast, or immediate, which is a crash."""
        _run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "-t", str(START_S), "stop")

    def admit(self, network: str) -> None:
        """Whoever comes from there with a password. It must listen there: listen_addresses=."""
        with (self.folder / "data" / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write(f"host all all {network} scram-sha-256\n")
        _run("pg_ctl", "-D", str(self.folder / "data"), "reload")

    def limit_files(self, pids: list[int], size: str) -> None:
        """No file may grow past this for these of its processes, or "unlimited"; one that has ended is passed over."""
        for pid in pids:
            command = ["prlimit", f"--pid={pid}", f"--fsize={size}:"]
            subprocess.run([*_as_user(), *command], stderr=subprocess.DEVNULL, timeout=60, check=False)


@contextmanager
def postgres(*options: str) -> Iterator[Postgres]:
    """A cluster for a while. Nothing of it survives."""
    folder = Path(tempfile.mkdtemp(prefix="aywa-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        cluster = Postgres(folder, options)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    command = [*_as_user(), str(_PLACES[0] / program), *arguments]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{program} ended with {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}"
        )


def _as_user() -> list[str]:
    # It refuses to run as root.
    return ["runuser", "-u", _USER, "--"] if os.geteuid() == 0 else []
