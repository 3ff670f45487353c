"""Every link between the documents leads somewhere, and every document is reached from the README."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
# Decisions are read by number, not by link.
UNLINKED = "docs/adr/"


def linked(document: Path) -> set[Path]:
    """The files of the repository that it links to."""
    text = document.read_text(encoding="utf-8")
    return {(document.parent / target).resolve() for target in LINK.findall(text) if ":" not in target}


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


def test_every_link_leads_somewhere() -> None:
    broken = {
        (str(one.relative_to(ROOT)), str(to)) for one in documents() for to in linked(one) if not to.exists()
    }
    assert not broken


def test_every_document_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = {ROOT / "README.md"}
    while ahead:
        one = ahead.pop()
        reached.add(one)
        ahead |= {to for to in linked(one) if to.suffix == ".md"} - reached
    wanted = {one for one in documents() if not str(one.relative_to(ROOT)).startswith(UNLINKED)}
    assert wanted <= reached, sorted(map(str, wanted - reached))
