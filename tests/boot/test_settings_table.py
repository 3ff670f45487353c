from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from aywa.boot import settings_table
from aywa.boot.settings import PROVIDER_VARIABLES

SOURCE = Path(__file__).parents[2] / "src" / "aywa"
NAME = re.compile(
    r"(?<![A-Z0-9_/])((?:RUNTIME|AYWA|VOICE_PIPELINE|OTEL)_[A-Z0-9]+(?:_[A-Z0-9]+)*|REDIS_URL|WEBHOOK_SIGNING_SECRET)(?![A-Z0-9_*])"
)
# Words of the documents, and the beginning of several names.
NOT_SETTINGS = frozenset(("AYWA_INSTALL_TOKEN", "AYWA_TOKEN", "RUNTIME_ARTIFACT_S3"))
TABLE = SOURCE / "boot" / "settings_table.py"


def texts(file: Path) -> Iterator[str]:
    """The texts in a program's file."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def names_in(file: Path) -> set[str]:
    return {name for text in texts(file) for name in NAME.findall(text)} - NOT_SETTINGS


def test_every_setting_of_the_source_is_in_the_table_and_the_other_way_round() -> None:
    used = {name for file in SOURCE.rglob("*.py") if file != TABLE for name in names_in(file)}
    named = {setting.name for setting in settings_table.settings()}
    of_providers = {f"{p}_{end}" for p in PROVIDER_VARIABLES.values() for end in ("API_KEY", "BASE_URL")}
    assert sorted(used - named) == []
    assert sorted(named - used - of_providers - {"OPENAI_MODEL"}) == []


def test_the_search_for_names_finds_one_that_is_not_in_the_table(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        '"""Reads RUNTIME_SIP_* and RUNTIME_NEW_ONE, not __AYWA_CALL."""\nREDIS = "REDIS_URL"\n'
    )
    assert names_in(program) == {"RUNTIME_NEW_ONE", "REDIS_URL"}


def test_every_row_says_what_it_is() -> None:
    rows = list(settings_table.settings())
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.meaning.endswith("."), row
        assert "|" not in row.meaning + row.default + row.example, row
    secret = re.compile(r"_(API_KEY|SECRET|PASSWORD|ENCRYPTION_KEY|SECRET_ACCESS_KEY|TOKEN)$")
    for row in rows:
        assert row.secret or not secret.search(row.name), row


def test_the_documents_have_the_table() -> None:
    page = SOURCE.parents[1] / "docs" / "settings.md"
    assert page.read_text("utf-8") == settings_table.as_markdown(), (
        "aywa config list --markdown > docs/settings.md"
    )


def test_a_setting_is_found_by_its_name() -> None:
    found = settings_table.find(" redis_url ")
    assert found is not None
    assert (found.name, found.required, found.secret) == ("REDIS_URL", True, True)
    assert settings_table.find("REDIS") is None
