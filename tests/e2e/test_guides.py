"""The guides, read out to a real runtime: each command as it is written, with this run's addresses and ids put in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aywa.testing.runtime import free_port
from tests.docs.test_commands import ROOT, commands
from tests.e2e.dev import Dev, until

GUIDES = ROOT / "docs" / "guides"
WRITTEN_URL = "http://127.0.0.1:8080"
SIP_PORT, TRUNK_PORT = "5060", "5070"
ENDED_S = 30
ASSISTANTS = f'curl -s {WRITTEN_URL}/assistant?limit=1 -H "Authorization: Bearer $AYWA_API_KEY"'


def run(command: str, runtime: Dev, folder: Path) -> str:
    command = command.replace(".venv/bin/", f"{ROOT}/.venv/bin/").replace(WRITTEN_URL, runtime.url)
    environment = os.environ | {
        "AYWA_HOME": str(runtime.home),
        "AYWA_URL": runtime.url,
        "AYWA_API_KEY": runtime.key,
    }
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def question_in(folder: Path) -> None:
    sounds = sorted(Path("/usr/share/asterisk/sounds").rglob("vm-enter-num-to-call.wav"))
    shutil.copy(sounds[0], folder / "question.wav")


def test_the_readme_talks_with_a_recording_and_looks_at_the_call(runtime: Dev, tmp_path: Path) -> None:
    talk, calls, timeline = [
        c
        for c in commands((ROOT / "README.md").read_text())
        if re.match(r"\.venv/bin/aywa (talk|calls|timeline)", c)
    ]
    question_in(tmp_path)
    assert "--wav question.wav" in talk
    assert run(talk, runtime, tmp_path)
    assert (tmp_path / "call.wav").stat().st_size > 44
    newest = json.loads(run(calls + " --json --limit 1", runtime, tmp_path))[0]
    assert newest["id"][:8] in run(calls, runtime, tmp_path)
    assert "floor.turn_taken" in run(timeline.replace("CALL_ID", newest["id"]), runtime, tmp_path)


def test_the_first_steps_make_an_assistant_and_a_call(runtime: Dev, tmp_path: Path) -> None:
    assistant, call, *others = commands((GUIDES / "first-steps.md").read_text())
    made = json.loads(run(assistant, runtime, tmp_path))
    assert made["name"] == "Pat"
    begun = json.loads(run(call.replace("ASSISTANT_ID", made["id"]), runtime, tmp_path))
    assert begun["transport"]["websocketCallUrl"].startswith("ws://")
    assert [bool(run(other, runtime, tmp_path)) for other in others] == [True, True]


def test_the_guide_makes_tools_and_an_assistant_that_has_them(runtime: Dev, tmp_path: Path) -> None:
    (tmp_path / "hours.txt").write_text("The shop opens at nine on weekdays.\n")
    *tools, assistant = commands((GUIDES / "tools.md").read_text())
    made: dict[str, dict[str, Any]] = {}
    for command in tools:
        written = command.replace("FILE_ID", made.get("hours.txt", {}).get("id", ""))
        found = json.loads(run(written, runtime, tmp_path))
        made[found.get("type") or found["name"]] = found
    assert list(made) == ["function", "apiRequest", "sipRequest", "mcp", "hours.txt", "query"]
    assert made["query"]["knowledgeBases"][0]["fileIds"] == [made["hours.txt"]["id"]]
    shop = json.loads(run(assistant.replace("TOOL_ID", made["query"]["id"]), runtime, tmp_path))
    assert shop["model"]["toolIds"] == [made["query"]["id"]]
    for kind, each in made.items():
        path = "file" if kind == "hours.txt" else "tool"
        assert runtime.ask("DELETE", f"/{path}/{each['id']}")[0] == 200
    assert runtime.ask("DELETE", f"/assistant/{shop['id']}")[0] == 200


def test_the_models_are_listed_and_verified(runtime: Dev, tmp_path: Path) -> None:
    listed, pull, verify = commands((GUIDES / "models.md").read_text())
    assert "moonshine" in run(listed, runtime, tmp_path)
    assert run(pull, runtime, tmp_path) is not None
    assert run(verify, runtime, tmp_path)


def test_the_guide_shows_how_a_runtime_is_watched(runtime: Dev, tmp_path: Path) -> None:
    status, figures = commands((GUIDES / "watching.md").read_text())
    screen = run(status, runtime, tmp_path)
    assert screen.splitlines()[0].endswith(f"at {runtime.url}: ready")
    for name in (
        "store",
        "calls",
        "latency",
        "numbers",
        "trunks",
        "providers",
        "webhooks",
        "disk",
        "licence",
    ):
        assert f"\n  {name} " in screen
    assert "aywa_turn_wire_seconds_count" in run(figures, runtime, tmp_path)


# --- phone calls -------------------------------------------------------------------------------------------------------


def sip_port(runtime: Dev) -> str:
    until(lambda: "\nCall:" in runtime.log, why="no SIP address was printed")
    found = re.search(r"^Call: +sip:demo@127\.0\.0\.1:(\d+)$", runtime.log, re.MULTILINE)
    assert found is not None
    return found[1]


@contextmanager
def answering(command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The softphone that waits to be called, once it does."""
    words = command.replace(".venv/bin/aywa", f"{sys.executable} -m aywa.cli").split()
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as phone:
        try:
            assert phone.stderr is not None
            assert "waiting at" in phone.stderr.readline()
            yield phone
        finally:
            phone.kill()


def at_once(dialling: list[str], port: str, runtime: Dev, folder: Path) -> list[str]:
    """What each of them printed; each has a folder of its own, for all of them write the same file."""

    def call(command: str) -> str:
        own = folder / str(dialling.index(command))
        own.mkdir()
        question_in(own)
        said = run(command.replace(f":{SIP_PORT}", f":{port}"), runtime, own)
        assert (own / "call.wav").stat().st_size > 44
        return said

    with ThreadPoolExecutor() as threads:
        return list(threads.map(call, dialling))


def ended(runtime: Dev, call_id: str) -> dict[str, object]:
    end_s = time.monotonic() + ENDED_S
    while (call := runtime.call(call_id))["status"] != "ended":
        assert time.monotonic() < end_s, call
        time.sleep(0.1)
    return call


def test_phone_calls_come_in_and_go_out_as_the_guide_says(runtime: Dev, tmp_path: Path) -> None:
    port, trunk_port = sip_port(runtime), str(free_port())
    text = (GUIDES / "phone-calls.md").read_text().replace(TRUNK_PORT, trunk_port)
    dial, talk, answer, credential, number, call, check, trunks = commands(text)
    dialled, talked = at_once([dial, talk], port, runtime, tmp_path)
    report = json.loads(dialled)
    assert report["answered"]
    assert len(report["turns"]) == 1
    assert "customer-ended-call" in talked

    assistant = json.loads(run(ASSISTANTS, runtime, tmp_path))[0]["id"]
    with answering(answer, tmp_path) as phone:
        trunk = json.loads(run(credential, runtime, tmp_path))["id"]
        body = number.replace("CREDENTIAL_ID", trunk).replace("ASSISTANT_ID", assistant)
        number_id = json.loads(run(body, runtime, tmp_path))["id"]
        try:
            checked = run(check.replace("CREDENTIAL_ID", trunk), runtime, tmp_path)
            assert re.findall(r"^(\w+) +([\w ]+):", checked, re.MULTILINE) == [
                ("ok", "name"), ("ok", "OPTIONS"), ("ok", "NAT"), ("ok", "media ports"),
            ]  # fmt: skip
            # Nobody asks a trunk that is neither registered at nor pinged.
            assert f"{trunk}  unknown" in run(trunks, runtime, tmp_path)
            body = call.replace("PHONE_NUMBER_ID", number_id).replace("ASSISTANT_ID", assistant)
            call_id = json.loads(run(body, runtime, tmp_path))["id"]
            heard = json.loads(phone.communicate(timeout=ENDED_S)[0])
            assert heard["answered"]
            assert heard["heard"]
            assert ended(runtime, call_id)["endedReason"] == "customer-ended-call"
        finally:
            runtime.ask("DELETE", f"/phone-number/{number_id}")
            runtime.ask("DELETE", f"/credential/{trunk}")


def test_the_resources_guide_makes_a_tool_a_file_and_a_squad(runtime: Dev, tmp_path: Path) -> None:
    tool, write, upload, squad, sums = commands((GUIDES / "resources.md").read_text())
    assert json.loads(run(tool, runtime, tmp_path))["server"] == {"url": "https://example.com/tools"}
    run(write, runtime, tmp_path)
    assert json.loads(run(upload, runtime, tmp_path))["parsedTextBytes"] == len("We are open until six.")
    assert [m["assistant"]["name"] for m in json.loads(run(squad, runtime, tmp_path))["members"]] == [
        "Desk",
        "Booking",
    ]
    answered = json.loads(run(sums, runtime, tmp_path))
    assert [each["name"] for each in answered] == ["calls a day"]
    key = '-H "Authorization: Bearer $AYWA_API_KEY"'
    for path in ("tool", "file", "squad"):
        for made in json.loads(run(f"curl -s {WRITTEN_URL}/{path} {key}", runtime, tmp_path)):
            run(f"curl -s -X DELETE {WRITTEN_URL}/{path}/{made['id']} {key}", runtime, tmp_path)
