"""The guide to live calls: every control and switch that the code takes, and no other; its figures are the code's."""

from __future__ import annotations

import re
from pathlib import Path

from aywa.boot.live import LiveSettings
from aywa.core.steering import SWITCHES
from aywa.media.tap import DELAY_S
from aywa.service.live import CONTROLS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "live-calls.md").read_text("utf-8")


def rows(first: str) -> list[str]:
    """The first cells of the table with that heading."""
    _, _, table = GUIDE.partition(f"| {first} |")
    return [line.split("|")[1].strip(" `") for line in table.split("\n\n")[0].splitlines()[2:]]


def test_every_control_is_in_the_table_and_no_other() -> None:
    assert set(rows("type")) == set(CONTROLS)
    assert set(rows("control")) == set(SWITCHES)


def test_its_figures_are_the_codes() -> None:
    assert f"more than {LiveSettings().controls_per_s} controls a second" in GUIDE
    assert f"about {DELAY_S * 1000:.0f} ms late" in GUIDE
    assert re.search(r"Eight may\s+listen", GUIDE)
    assert LiveSettings().listeners == 8
