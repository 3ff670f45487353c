"""The guide to webhooks, read out to a real runtime and a receiver of its own: a call's story arrives, signed, in order, once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aywa.testing.runtime import free_port
from tests.docs.test_commands import commands
from tests.e2e.dev import Dev
from tests.e2e.test_guides import GUIDES, question_in, run

TEXT = (GUIDES / "webhooks.md").read_text("utf-8")
WITHIN_S = 60.0
TALK = ".venv/bin/aywa talk --wav question.wav --out call.wav"


@contextmanager
def receiving(folder: Path, start: str, port: int) -> Iterator[Path]:
    """The guide's receiver; what it prints."""
    code = re.search(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert code is not None
    (folder / "receiver.py").write_text(code[1])
    words = start.replace(".venv/bin/python", sys.executable).replace("9000", str(port)).split()
    printed = folder / "printed.txt"
    with printed.open("a") as out, subprocess.Popen(words, cwd=folder, stdout=out) as process:
        try:
            yield printed
        finally:
            process.kill()


def lines(printed: Path, last: str) -> list[str]:
    """What was printed, once it ends with this."""
    end_s = time.monotonic() + WITHIN_S
    while last not in (found := printed.read_text().splitlines()):
        assert time.monotonic() < end_s, found
        time.sleep(0.1)
    return found


def again(printed: Path, times: int) -> None:
    """A message came once more."""
    end_s = time.monotonic() + WITHIN_S
    while len(printed.read_text().splitlines()) < times:
        assert time.monotonic() < end_s
        time.sleep(0.1)


def test_a_call_is_told_as_the_guide_says(runtime: Dev, tmp_path: Path) -> None:
    port = free_port()
    start, org, change, credential, assistant, listed, shown, replayed = (
        each.replace("9000", str(port)) for each in commands(TEXT)
    )
    question_in(tmp_path)
    with receiving(tmp_path, start, port) as printed:
        org_id = json.loads(run(org, runtime, tmp_path))[0]["id"]
        changed = run(change.replace("ORG_ID", org_id), runtime, tmp_path)
        assert "whsec_" not in changed
        try:
            run(TALK, runtime, tmp_path)
            told = [line.strip() for line in lines(printed, "end-of-call-report ")]
            assert told[:2] == ["status-update queued", "status-update in-progress"]
            assert told[2] == "assistant.started"
            assert told[-2:] == ["status-update ended", "end-of-call-report"]
            assert told.count("end-of-call-report") == 1
            assert {"conversation-update", "speech-update started"} <= set(told)
            newest = re.findall(r"msg_[0-9a-f]{32}", run(listed, runtime, tmp_path))
            assert newest
            assert "200" in run(shown.replace("MESSAGE_ID", newest[0]), runtime, tmp_path)
            run(replayed.replace("MESSAGE_ID", newest[0]), runtime, tmp_path)
            again(printed, len(told) + 1)
        finally:
            run(
                f"curl -s -X PATCH http://127.0.0.1:8080/org/{org_id} -d '{{\"server\": null}}'"
                ' -H "Authorization: Bearer $AYWA_API_KEY" -H "Content-Type: application/json"',
                runtime,
                tmp_path,
            )
        printed.write_text("")
        made = json.loads(run(credential, runtime, tmp_path))
        own = json.loads(run(assistant, runtime, tmp_path))
        try:
            run(f"{TALK} --assistant {own['id']}", runtime, tmp_path)
            told = [line.strip() for line in lines(printed, "end-of-call-report ")]
            assert set(told) <= {
                "status-update queued", "status-update in-progress", "status-update ended", "end-of-call-report",
            }  # fmt: skip
        finally:
            runtime.ask("DELETE", f"/assistant/{own['id']}")
            runtime.ask("DELETE", f"/credential/{made['id']}")
