"""The guide's tables of what has no effect are the code's own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from aywa.service.inert import INERT, INERT_TOOLS, inert_fields
from aywa.service.tool_rules import TOOL_TYPES
from tests.docs.test_commands import ROOT

GUIDE = ROOT / "docs" / "guides" / "resources.md"


@pytest.mark.parametrize(("name", "table"), [("fields", INERT), ("tools", INERT_TOOLS)])
def test_the_guide_lists_what_the_code_lists(name: str, table: Mapping[str, str]) -> None:
    text = GUIDE.read_text()
    between = text.partition(f"<!-- {name} -->\n")[2].partition("<!-- end -->")[0]
    assert between.splitlines() == [f"| `{field}` | {why} |" for field, why in table.items()]


@pytest.mark.parametrize("path", INERT)
def test_each_field_is_seen_where_it_is_set(path: str) -> None:
    value: object = "set"
    for step in reversed(path.split(".")):
        value = {step: value}
    assert isinstance(value, dict)
    if "tools" in value:
        value = {"model": {"tools": [{"type": "endCall"}, value["tools"]]}}
    assert [name for name, _ in inert_fields(value)] == [path]
    assert list(inert_fields({"firstMessage": "Hello", "model": {"tools": [{"type": "endCall"}]}})) == []


def test_the_tools_without_effect_are_types_of_the_contract() -> None:
    assert set(INERT_TOOLS) < set(TOOL_TYPES)


def test_a_field_that_asks_for_what_there_is_anyway_is_no_news() -> None:
    assert (
        list(inert_fields({"voicemailDetection": "off", "artifactPlan": {"recordingFormat": "wav;l16"}}))
        == []
    )
    found = dict(
        inert_fields({"voicemailDetection": {"provider": "vapi"}, "artifactPlan": {"recordingFormat": "mp3"}})
    )
    assert set(found) == {"voicemailDetection", "artifactPlan.recordingFormat"}
