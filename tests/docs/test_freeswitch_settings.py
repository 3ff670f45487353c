"""The guide's table of FreeSWITCH's settings: every variable that the code reads, and the default that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aywa.boot import freeswitch_settings
from aywa.boot.freeswitch_settings import FreeSwitchSettings, freeswitch_from_environment
from aywa.core.esl.causes import ended_reason

GUIDE = Path(__file__).parents[2] / "docs/guides/freeswitch.md"
TEXT = GUIDE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(RUNTIME_\w+)` \| (.*?) ?\| (.*?) ?\|$", re.MULTILINE)
ROWS = {name: default for name, default, _ in ROW.findall(TEXT)}
DEFAULTS = {name: default.strip("`") for name, default in ROWS.items() if default.startswith("`")}


def test_the_guide_names_every_setting_and_no_other() -> None:
    code = Path(str(freeswitch_settings.__file__)).read_text(encoding="utf-8")
    assert set(ROWS) == set(re.findall(r'"(RUNTIME_[A-Z_]+)"', code))
    assert set(re.findall(r"RUNTIME_FREESWITCH_[A-Z_]+", TEXT)) == set(ROWS)


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_to_set_the_default_changes_nothing(name: str, default: str) -> None:
    assert freeswitch_from_environment({name: default}) == FreeSwitchSettings()


@pytest.mark.parametrize(
    ("causes", "reason"),
    re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \| `([a-z0-9.-]+)` \|$", TEXT, re.MULTILINE),
)
def test_the_guides_causes_are_what_is_told(causes: str, reason: str) -> None:
    for cause in re.findall(r"`([A-Z_]+)`", causes):
        assert ended_reason(cause, outbound=True, answered=False) == reason
