"""The examples of the guide to spoken text: every row of its table of formatters is spoken as the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aywa.core.settings import FORMATTERS, FormatPlan
from aywa.core.voicing.format import voice_text

GUIDE = Path(__file__).parents[2] / "docs/guides/spoken-text.md"
ROW = re.compile(r"^\| `(\w+)` \| (`.+`) \| (.+) \|$", re.MULTILINE)
ROWS = [row for row in ROW.findall(GUIDE.read_text(encoding="utf-8")) if row[0] in FORMATTERS]


def test_the_guide_has_every_formatter() -> None:
    assert {name for name, _, _ in ROWS} | {"newline"} == set(FORMATTERS)


@pytest.mark.parametrize(("name", "written", "said"), ROWS)
def test_a_row_is_spoken_as_the_guide_says(name: str, written: str, said: str) -> None:
    plan = FormatPlan(formatters=FORMATTERS) if name == "asterisk" else FormatPlan()
    spoken = [voice_text(each, plan).spoken for each in re.findall(r"`([^`]+)`", written)]
    told = said.replace(" (twice)", "")
    assert list(dict.fromkeys(spoken)) == [each for each in dict.fromkeys(spoken) if each in told]
    assert sum(map(len, dict.fromkeys(spoken))) + 2 * (len(set(spoken)) - 1) == len(told)
