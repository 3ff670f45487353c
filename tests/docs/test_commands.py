"""Every command that the documents tell a reader to type is executed by a test.

Fenced blocks tagged `sh` are collected from the README, CONTRIBUTING and docs; each line of theirs must stand in the
table below with what executes it. A line of a document without a row fails, and so does a row without a line.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Here:
    """Executed by this file, in the repository, with a home of its own; it must end with exit code 0."""


@dataclass(frozen=True)
class By:
    """Executed elsewhere: `place` is a file, or file::name of a test that must exist."""

    place: str


EXECUTED: dict[str, Here | By] = {
    ".venv/bin/aywa migrate --pre": By(
        "tests/e2e/test_postgres.py::test_the_guide_makes_a_database_and_updates_it"
    ),
    ".venv/bin/aywa migrate --post": By(
        "tests/e2e/test_postgres.py::test_the_guide_makes_a_database_and_updates_it"
    ),
    ".venv/bin/aywa migrate --status": By(
        "tests/e2e/test_postgres.py::test_the_guide_makes_a_database_and_updates_it"
    ),
    ".venv/bin/aywa migrate": By(
        "tests/e2e/test_postgres.py::test_the_guide_makes_a_database_and_updates_it"
    ),
    "script/run": By(
        "tests/frame/test_set_up.py::test_run_sets_up_and_then_starts_the_runtime_with_its_options"
    ),
    "script/test": By(".ci/run"),
    "script/test tests/core": By("tests/frame/test_set_up.py::test_paths_go_to_pytest_alone"),
    "script/lint": By("script/test"),
    "script/lint --fix": By("tests/frame/test_set_up.py::test_lint_can_mend"),
    "script/lock": By("tests/frame/test_set_up.py::test_lock_asks_for_hashes_and_names_no_index"),
    ".venv/bin/aywa demo --tiny": By("tests/e2e/test_demo.py::test_keeps_every_promise_without_a_network"),
    ".venv/bin/aywa talk --wav question.wav --out call.wav": By(
        "tests/e2e/test_guides.py::test_the_readme_talks_with_a_recording_and_looks_at_the_call"
    ),
    ".venv/bin/aywa calls": By(
        "tests/e2e/test_guides.py::test_the_readme_talks_with_a_recording_and_looks_at_the_call"
    ),
    ".venv/bin/aywa timeline CALL_ID": By(
        "tests/e2e/test_guides.py::test_the_readme_talks_with_a_recording_and_looks_at_the_call"
    ),
    **{
        command: By("tests/e2e/test_production.py::test_the_guide_from_an_empty_machine_to_the_first_request")
        for command in (
            "mkdir -p -m 700 /etc/aywa /var/lib/aywa",
            'echo "RUNTIME_API_KEY=aywa_$(openssl rand -hex 24)" >> /etc/aywa/aywa.env',
            'echo "RUNTIME_STORE_ENCRYPTION_KEY=$(openssl rand -base64 32)" >> /etc/aywa/aywa.env',
            'echo "WEBHOOK_SIGNING_SECRET=whsec_$(openssl rand -base64 32)" >> /etc/aywa/aywa.env',
            "set -a; . /etc/aywa/aywa.env; set +a",
            ".venv/bin/aywa config explain RUNTIME_PUBLIC_URL",
            "caddy validate --adapter caddyfile --config deploy/caddy/Caddyfile",
            ".venv/bin/aywa doctor --prod",
            ".venv/bin/aywa egress",
            ".venv/bin/aywa serve",
            "curl -s https://voice.example.com/readyz",
            'curl -s https://voice.example.com/assistant -H "Authorization: Bearer $RUNTIME_API_KEY"',
        )
    },
    ".venv/bin/aywa api-keys list": By(
        "tests/e2e/test_guides.py::test_the_first_steps_make_an_assistant_and_a_call"
    ),
    ".venv/bin/aywa credentials add deepgram --name Ours < key.txt": By(
        "tests/cli/test_credentials.py::test_a_key_is_kept_listed_and_removed"
    ),
    ".venv/bin/aywa credentials list": Here(),
    ".venv/bin/aywa encryption rotate --status": By(
        "tests/e2e/test_keeping.py::test_the_guide_changes_the_key_under_a_runtime_that_goes_on"
    ),
    ".venv/bin/aywa encryption rotate": By(
        "tests/e2e/test_keeping.py::test_the_guide_changes_the_key_under_a_runtime_that_goes_on"
    ),
    ".venv/bin/aywa calls removed": Here(),
    ".venv/bin/aywa status": By("tests/e2e/test_guides.py::test_the_guide_shows_how_a_runtime_is_watched"),
    'curl -s http://127.0.0.1:8080/metrics -H "Authorization: Bearer $AYWA_API_KEY"': By(
        "tests/e2e/test_guides.py::test_the_guide_shows_how_a_runtime_is_watched"
    ),
    ".venv/bin/aywa media address ASSISTANT_ID": Here(),
    ".venv/bin/aywa prices": Here(),
    ".venv/bin/aywa providers list": Here(),
    ".venv/bin/aywa providers check": By("tests/cli/test_providers.py::test_good_keys_are_good"),
    ".venv/bin/aywa providers check --assistant assistant.json": By(
        "tests/cli/test_providers.py::test_an_assistant_of_a_file_and_one_of_the_store"
    ),
    ".venv/bin/aywa simulate-providers --port 8090": By(
        "tests/cli/test_providers.py::test_what_is_printed_can_be_pasted_and_ctrl_c_ends_it"
    ),
    ".venv/bin/aywa orgs list": By(
        "tests/e2e/test_guides.py::test_the_first_steps_make_an_assistant_and_a_call"
    ),
    ".venv/bin/aywa backup backup.zip": By(
        "tests/e2e/test_backup.py::test_whoever_loses_the_machine_takes_everything_back_on_another"
    ),
    ".venv/bin/aywa restore --check backup.zip": By(
        "tests/e2e/test_backup.py::test_whoever_loses_the_machine_takes_everything_back_on_another"
    ),
    ".venv/bin/aywa restore backup.zip": By(
        "tests/e2e/test_backup.py::test_whoever_loses_the_machine_takes_everything_back_on_another"
    ),
    ".venv/bin/aywa analytics status": By(
        "tests/e2e/test_analytics.py::test_a_call_made_while_clickhouse_was_away_is_there_as_its_journal_says"
    ),
    ".venv/bin/aywa analytics check": By(
        "tests/e2e/test_analytics.py::test_a_call_made_while_clickhouse_was_away_is_there_as_its_journal_says"
    ),
    ".venv/bin/aywa analytics again": By(
        "tests/e2e/test_analytics.py::test_a_call_made_while_clickhouse_was_away_is_there_as_its_journal_says"
    ),
    ".venv/bin/aywa models list": By("tests/e2e/test_guides.py::test_the_models_are_listed_and_verified"),
    ".venv/bin/aywa models pull --tiny": By(
        "tests/e2e/test_guides.py::test_the_models_are_listed_and_verified"
    ),
    ".venv/bin/aywa models verify": By("tests/e2e/test_guides.py::test_the_models_are_listed_and_verified"),
    ".venv/bin/aywa bench": By("tests/boot/test_capacity.py::test_what_is_found_is_told_and_kept"),
    "python -m tests.faults --store sqlite --seed 1 --runs 500": By(
        "tests/faults/test_outbox.py::test_the_command_prints_the_table_and_fails_when_a_run_does"
    ),
    "python -m tests.faults --store postgres --seed 501 --runs 500": By(
        "tests/faults/test_outbox.py::test_the_command_prints_the_table_and_fails_when_a_run_does"
    ),
    "python -m tests.faults.lease_faults --seed 1000 --runs 1000": By(
        "tests/faults/test_leases.py::test_the_command_prints_the_table_and_fails_when_a_run_does"
    ),
    "python -m tests.faults.node_faults": By(
        "tests/faults/test_node_faults.py::test_the_command_prints_the_table_and_fails_when_a_fault_did_harm"
    ),
    "python -m tests.faults.node_faults --only valkey_ten_minutes": By(
        "tests/faults/test_node_faults.py::test_the_command_prints_the_table_and_fails_when_a_fault_did_harm"
    ),
    "python -m tests.adapters.stores.killed_rotation turned.db 40": By(
        "tests/adapters/stores/test_rotation.py::test_over_sqlite_it_can_be_killed_anywhere"
    ),
    ".venv/bin/pre-commit install": By("tests/frame/test_set_up.py::test_the_commit_hooks_can_be_installed"),
}


def commands(text: str) -> list[str]:
    """The commands of a document's sh blocks: lines, joined where a backslash says so, without comments."""
    found: list[str] = []
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", "").splitlines():
            command = re.sub(r"\s+#.*$", "", line).strip()
            if command and not command.startswith("#"):
                found.append(" ".join(command.split()))
    return found


WRITTEN = {command: path for path in DOCUMENTS for command in commands(path.read_text(encoding="utf-8"))}
EXECUTED |= {
    command: By("tests/e2e/test_replay.py::test_the_guide_replays_a_call")
    for command, path in WRITTEN.items()
    if path.name == "replay.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_drain.py::test_calls_go_on_and_nobody_new_is_taken")
    for command, path in WRITTEN.items()
    if path.name == "nodes.md" and command.startswith("curl ")
}
EXECUTED |= {
    command: By("tests/cli/test_providers.py::test_the_guides_plan_breaks_the_next_request_of_its_route")
    for command, path in WRITTEN.items()
    if path.name == "providers.md" and command.startswith("curl ")
}
EXECUTED |= {
    command: By("tests/e2e/test_guides.py::test_phone_calls_come_in_and_go_out_as_the_guide_says")
    for command, path in WRITTEN.items()
    if path.name == "phone-calls.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_freeswitch.py::test_an_agent_calls_through_freeswitch_as_the_guide_says")
    for command, path in WRITTEN.items()
    if path.name == "freeswitch.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_equipment_guides.py::test_every_command_of_the_guide")
    for command, path in WRITTEN.items()
    if path.name in ("asterisk.md", "freeswitch-audio.md")
}
EXECUTED |= {
    command: By("tests/e2e/test_carriers_guide.py::test_the_guide_makes_numbers_and_a_call")
    for command, path in WRITTEN.items()
    if path.name == "carriers.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_live.py::test_every_command_of_the_guide")
    for command, path in WRITTEN.items()
    if path.name == "live-calls.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_guides.py::test_the_resources_guide_makes_a_tool_a_file_and_a_squad")
    for command, path in WRITTEN.items()
    if path.name == "resources.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_guides.py::test_the_guide_makes_tools_and_an_assistant_that_has_them")
    for command, path in WRITTEN.items()
    if path.name == "tools.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_deliveries_guide.py::test_a_refused_message_is_found_and_sent_again")
    for command, path in WRITTEN.items()
    if path.name == "deliveries.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_webhooks_guide.py::test_a_call_is_told_as_the_guide_says")
    for command, path in WRITTEN.items()
    if path.name == "webhooks.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_squads.py::test_the_guide_makes_a_squad_and_calls_it")
    for command, path in WRITTEN.items()
    if path.name == "squads.md"
}
EXECUTED |= {
    command: By("tests/e2e/test_bucket.py::test_what_a_call_leaves_goes_there_and_is_read_from_there")
    for command, path in WRITTEN.items()
    if path.name == "artifacts.md"
}
# Too long for a row; the test takes every command of that guide, in order.
EXECUTED |= {
    command: By("tests/e2e/test_guides.py::test_the_first_steps_make_an_assistant_and_a_call")
    for command, path in WRITTEN.items()
    if path.name == "first-steps.md" and command.startswith("curl ")
}
EXECUTED |= {
    command: By("tests/e2e/test_after_the_call.py::test_the_guide_makes_an_assistant_and_looks_at_a_call")
    for command, path in WRITTEN.items()
    if path.name == "after-the-call.md"
}

EXECUTED |= {
    command: By("tests/e2e/test_support_guide.py::test_a_running_runtime_is_bundled_and_read")
    for command, path in WRITTEN.items()
    if path.name == "support.md"
}


def test_blocks_are_read_as_a_reader_would() -> None:
    text = "```sh\n# first\nscript/run  # opens a page\naywa talk \\\n    --wav a.wav\n```\n\n```\nnot a command\n```\n"
    assert commands(text) == ["script/run", "aywa talk --wav a.wav"]


def test_every_command_in_the_documents_is_executed_by_something() -> None:
    unknown = [
        f"{path.relative_to(ROOT)}: {command}" for command, path in WRITTEN.items() if command not in EXECUTED
    ]
    assert not unknown, "say in EXECUTED what executes these"


def test_the_table_holds_only_what_the_documents_say() -> None:
    assert set(EXECUTED) <= set(WRITTEN)


@pytest.mark.parametrize("command", [command for command, how in EXECUTED.items() if isinstance(how, By)])
def test_the_place_that_executes_it_exists(command: str) -> None:
    how = EXECUTED[command]
    assert isinstance(how, By)
    file, _, name = how.place.partition("::")
    assert (ROOT / file).exists()
    if name:
        assert re.search(rf"def {re.escape(name)}\(", (ROOT / file).read_text(encoding="utf-8"))
    else:
        assert command in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command", [command for command, how in EXECUTED.items() if isinstance(how, Here)] or [":"]
)
def test_it_runs(command: str, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "AYWA_HOME": str(tmp_path / "aywa")}
    ended = subprocess.run(
        ["sh", "-euc", command],
        cwd=ROOT,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
