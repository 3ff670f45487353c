"""The guide's table of telephone settings: every variable that the code reads, and the default that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aywa.boot import phone_settings, tolls
from aywa.boot.phone_settings import PhoneSettings, phone_from_environment
from aywa.boot.tolls import tolls_from_environment
from aywa.core.toll import TollRules

GUIDE = Path(__file__).parents[2] / "docs/guides/phone-calls.md"
ROW = re.compile(r"^\| `(RUNTIME_\w+)` \| (.+?) \| (.*?) ?\|$", re.MULTILINE)
ROWS = {name: default for name, default, _ in ROW.findall(GUIDE.read_text(encoding="utf-8"))}
DEFAULTS = {name: default.strip("`") for name, default in ROWS.items() if default.startswith("`")}


def test_the_guide_names_every_setting_and_no_other() -> None:
    code = "".join(
        Path(str(module.__file__)).read_text(encoding="utf-8") for module in (phone_settings, tolls)
    )
    assert set(ROWS) == set(re.findall(r'"(RUNTIME_[A-Z_]+)"', code))


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_to_set_the_default_changes_nothing(name: str, default: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ROWS:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, default)
    assert phone_from_environment() == PhoneSettings()
    assert tolls_from_environment() == TollRules()


def test_every_setting_is_told_by_its_own_name_in_the_text() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert set(re.findall(r"RUNTIME_(?:SIP|MEDIA|OUTBOUND)_[A-Z_]+", text)) == set(ROWS)
