"""The guide to webhooks: every setting, policy and message that the code has, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from aywa.boot import customer_wire, deliveries
from aywa.core.server_messages import REPORT, SERVER_MESSAGES, TOLD, UPLOAD
from aywa.core.settings import FINAL_TRANSCRIPT
from aywa.ports.server_questions import ANSWERED, ASSISTANT_REQUEST_S, POLICIES

GUIDE = (Path(__file__).parents[2] / "docs/guides/webhooks.md").read_text("utf-8")


def rows(first: str) -> list[str]:
    """The first cells of the table with that heading."""
    _, _, table = GUIDE.partition(f"| {first} |")
    lines = table.split("\n\n")[0].splitlines()[2:]
    return [name for line in lines for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def paragraph(beginning: str, end: str) -> set[str]:
    """What stands in backquotes there."""
    return set(re.findall(r"`([^`]+)`", GUIDE.partition(beginning)[2].partition(end)[0]))


def test_every_setting_is_in_the_table_and_no_other() -> None:
    sources = [Path(str(module.__file__)).read_text("utf-8") for module in (customer_wire, deliveries)]
    assert set(rows("setting of the operator")) == set(re.findall(r'"(RUNTIME_[A-Z_]+)"', "".join(sources)))


def test_every_policy_is_in_the_table() -> None:
    assert rows("`webhookPolicy`") == list(POLICIES)


def test_every_question_is_in_the_table() -> None:
    assert set(rows("message")) == set(ANSWERED)
    assert f"{ASSISTANT_REQUEST_S:g} s, ringing" in GUIDE


def test_the_messages_that_are_sent_are_named() -> None:
    assert paragraph("When it names none, these are:", "On request:") == set(SERVER_MESSAGES)
    made = TOLD | {REPORT, UPLOAD, FINAL_TRANSCRIPT}
    # What nothing brings about yet is not promised.
    assert paragraph("On request:", "The others") == made - set(SERVER_MESSAGES) - {
        "language-change-detected"
    }
