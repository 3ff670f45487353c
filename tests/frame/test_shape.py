"""script/shape counts what it says it counts, and never fails a build."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

from tests.frame.programs import run_script

SOURCE = dedent(
    """
    class Base(Exception):
        def one(self, a, /, b, *rest, c=1, **more): ...
        @staticmethod
        def two(a): ...

    class Middle(Base): ...

    class Leaf(Middle):
        async def three(self):
            def inner(x, y):
                return x
            return inner
    """
)


def test_it_counts_lines_parameters_methods_and_ancestors(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "code/b.py").write_text("", encoding="utf-8")
    found = json.loads(run_script("shape", "--json", tmp_path / "code").stdout)
    assert [(each["place"], each["size"]) for each in found["file_lines"]] == [
        ("code/a.py", 13),
        ("code/b.py", 0),
    ]
    assert found["function_lines"][0] == {"size": 4, "place": "code/a.py:10", "name": "Leaf.three"}
    parameters = {each["name"]: each["size"] for each in found["parameters"]}
    assert parameters == {"Base.one": 5, "Leaf.three.inner": 2, "Base.two": 1, "Leaf.three": 0}
    assert found["methods"][0] == {"size": 2, "place": "code/a.py:2", "name": "Base"}
    assert {each["name"]: each["size"] for each in found["inheritance"]} == {
        "Leaf": 2,
        "Middle": 1,
        "Base": 0,
    }


def test_it_marks_the_tail_and_is_no_gate(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * 501, encoding="utf-8")
    ended = run_script("shape", tmp_path)
    assert ended.returncode == 0
    assert "files, by lines: 1 in all, median 501, 1 past the mark of 500" in ended.stdout


def test_it_can_read_our_own_source() -> None:
    ended = run_script("shape", "--rows", "1")
    assert ended.returncode == 0, ended.stderr
    assert "src/aywa/" in ended.stdout or "aywa/" in ended.stdout
