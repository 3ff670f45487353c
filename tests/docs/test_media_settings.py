"""The guide to media sockets: every setting and every protocol that the code has, and no other; every warning it may give."""

from __future__ import annotations

import re
from pathlib import Path

from aywa.boot import equipment_settings
from aywa.boot.equipment import DIALECTS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "media-sockets.md").read_text("utf-8")
EQUIPMENT = ROOT / "src" / "aywa" / "adapters" / "transports" / "equipment"


def rows(first: str) -> list[str]:
    """The first cells of the table with that heading."""
    _, _, table = GUIDE.partition(f"| {first} |")
    lines = table.split("\n\n")[0].splitlines()[2:]
    return [name for line in lines for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_every_setting_is_in_the_table_and_no_other() -> None:
    source = Path(str(equipment_settings.__file__)).read_text("utf-8")
    read = set(re.findall(r'"(RUNTIME_[A-Z_]+)"', source))
    assert set(rows("setting")) == read | {"RUNTIME_PUBLIC_MEDIA_URL"}


def test_every_protocol_is_in_the_table_and_no_other() -> None:
    assert set(rows("protocol")) == set(DIALECTS)


def test_every_warning_of_a_stream_is_explained() -> None:
    told = set(
        re.findall(
            r'warn(?:ed)?\("([a-z_]+)"', "".join(file.read_text("utf-8") for file in EQUIPMENT.glob("*.py"))
        )
    )
    assert len(told) > 5
    assert told <= set(rows("warning"))
