"""One word per thing: the glossary says of each word once what it means."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

GLOSSARY = Path(__file__).parents[2] / "docs/glossary.md"


def test_no_word_is_explained_twice() -> None:
    words = re.findall(r"\*\*(.+?)\*\*", GLOSSARY.read_text(encoding="utf-8"))
    assert len(words) > 50
    assert [word for word, times in Counter(words).items() if times > 1] == []
