"""The codes of providers' failures are told to users as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

from aywa.ports.errors import CODES

GUIDE = Path(__file__).parents[2] / "docs/guides/providers.md"


def test_the_guide_names_every_code_and_no_other() -> None:
    _, _, table = GUIDE.read_text(encoding="utf-8").partition("The codes of failures are stable:")
    assert set(re.findall(r"`([a-z_]+)`", table)) == CODES
