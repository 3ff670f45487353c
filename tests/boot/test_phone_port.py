"""The password of the demo's account: made once, kept for this user alone, and one that the account takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.boot.phone_port import password_in
from aywa.boot.phone_settings import PASSWORD_LENGTHS


def test_it_is_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "sip-password"
    made = password_in(file)
    assert PASSWORD_LENGTHS[0] <= len(made) <= PASSWORD_LENGTHS[1]
    assert password_in(file) == made
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", ["", "short", "x" * 41, "ü" * 30])
def test_one_that_the_account_would_not_take_is_made_anew(kept: str, tmp_path: Path) -> None:
    file = tmp_path / "sip-password"
    file.write_text(kept, "utf-8")
    made = password_in(file)
    assert made != kept
    assert file.read_text("ascii").strip() == made
