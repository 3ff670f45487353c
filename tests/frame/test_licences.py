"""Nothing of the GPL family ships with the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from script.licences import is_offending, locked_names
from tests.frame.programs import run_script


@pytest.mark.parametrize(
    "statement",
    [
        "GPL-3.0-or-later",
        "LGPLv3",
        "AGPL-3.0-only",
        "GNU Lesser General Public License v3 (LGPLv3)",
        "MIT AND GPL-2.0-only",
    ],
)
def test_the_family_is_refused(statement: str) -> None:
    assert is_offending(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "MIT",
        "Apache-2.0 OR GPL-2.0-only",
        "MPL-2.0",
        "BSD-3-Clause AND GPL-3.0-with-GCC-exception",
        "Zope Public License",
    ],
)
def test_others_pass_and_so_does_a_choice(statement: str) -> None:
    assert not is_offending(statement)


def test_names_are_read_from_the_lock() -> None:
    lock = "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00\nnumpy==2.5.5 \\\nuvloop==1 \\\n"
    assert locked_names(lock) == ["numpy", "uvloop"]


def test_a_package_that_says_nothing_is_refused_by_name(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("pytest==1\nno-such-package==1\n", encoding="utf-8")
    ended = run_script("licences", lock)
    assert ended.returncode == 0
    assert "1 packages read, 0 refused; not for this platform: no-such-package" in ended.stdout


def test_our_own_lock_passes() -> None:
    ended = run_script("licences")
    assert ended.returncode == 0, ended.stderr
