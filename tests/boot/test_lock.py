from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.lock import LOCK, FolderLock

HOLD = """
import sys
from pathlib import Path
from aywa.boot.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = FolderLock(tmp_path / "home")
    with pytest.raises(CannotStart) as refused:
        _ = FolderLock(tmp_path / "home")
    assert f"in use by another runtime (process {os.getpid()})" in str(refused.value)
    assert "AYWA_HOME" in str(refused.value)
    assert "\n" not in str(refused.value)
    first.close()
    FolderLock(tmp_path / "home").close()


def test_it_ends_with_its_process(tmp_path: Path) -> None:
    command = (sys.executable, "-c", HOLD, str(tmp_path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CannotStart, match=f"process {holder.pid}"):
            _ = FolderLock(tmp_path)
        holder.kill()
    FolderLock(tmp_path).close()


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xfe", b"12x", b"9" * 5000])
def test_what_is_in_the_file_does_not_matter(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / LOCK).write_bytes(rubbish)
    first = FolderLock(tmp_path)
    (tmp_path / LOCK).write_bytes(rubbish)
    with pytest.raises(CannotStart, match="in use by another runtime"):
        _ = FolderLock(tmp_path)
    first.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(CannotStart, match=r"cannot be written: .*; choose another folder with AYWA_HOME"):
        _ = FolderLock(tmp_path / "home")


def test_it_is_not_handed_down(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    command = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        lock.close()
        FolderLock(tmp_path).close()
        child.kill()
