"""`aywa simulate-providers` as a process of its own, and `aywa providers` on good and bad keys against it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner, Result

from aywa.boot.settings import PROVIDER_VARIABLES
from aywa.boot.simulated_providers import ROUTES
from aywa.cli import app
from aywa.testing.vendors.plan import Break
from aywa.testing.vendors.voice import spoken
from tests.docs.test_commands import ROOT, commands

Run = Callable[..., Result]
GUIDE = ROOT / "docs/guides/providers.md"
SIMULATE = (sys.executable, "-m", "aywa.cli", "simulate-providers")
ANSWER_S = 30


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, Any]]:
    """What it printed."""
    with subprocess.Popen([*SIMULATE, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(ANSWER_S) == 0


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))
    for prefix in PROVIDER_VARIABLES.values():
        for name in ("API_KEY", "BASE_URL"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)
    for name in ("AYWA_URL", "AYWA_API_KEY", "RUNTIME_STORE_ENCRYPTION_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, given: str | None = None, **environment: str) -> Result:
        return CliRunner().invoke(app, arguments, env=environment, input=given)

    return run


def plan(simulated: dict[str, Any], route: str, plan: dict[str, Any], times: int = 1) -> None:
    body = json.dumps({"route": route, "plan": plan, "times": times}).encode()
    with urllib.request.urlopen(simulated["url"] + "/_plans", body, timeout=ANSWER_S) as answer:
        assert answer.status == 200


# --- simulate-providers ----------------------------------------------------------------------------------------------


def test_what_is_printed_can_be_pasted_and_ctrl_c_ends_it() -> None:
    with subprocess.Popen([*SIMULATE, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
        printed = subprocess.run(
            ["sh", "-euc", "".join(lines) + "env"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": os.environ["PATH"]},
        )
        environment = dict(line.split("=", 1) for line in printed.stdout.splitlines() if "=" in line)
        url = environment["DEEPGRAM_BASE_URL"]
        assert environment["OPENAI_BASE_URL"] == f"{url}/v1"
        for prefix in ("OPENAI", "ANTHROPIC", "DEEPGRAM", "ELEVENLABS", "CARTESIA"):
            assert environment[f"{prefix}_API_KEY"].startswith("sim-")
            assert environment[f"{prefix}_BASE_URL"].startswith("http://127.0.0.1:")
        assert all(kind.value in "".join(lines) for kind in Break)
        assert f"{url}/_plans" in "".join(lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(ANSWER_S) == 0


def test_its_json_names_the_routes_that_plans_are_for(simulated: dict[str, Any]) -> None:
    assert simulated["routes"] == list(ROUTES)
    assert simulated["environment"]["OPENAI_BASE_URL"] == simulated["url"] + "/v1"


def test_real_speech_is_behind_them_on_request(run: Run) -> None:
    command = [*SIMULATE, "--port", "0", "--json", "--speech"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        checked = run("providers", "check", "--json", **told["environment"])
        assert [row["ok"] for row in json.loads(checked.stdout)] == [True] * 6
        # The voice is the local one's: its "Hello." is no hum of three tones.
        body = json.dumps(
            {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
        ).encode()
        headers = {"Authorization": "Bearer sim-key", "Content-Type": "application/json"}
        asked = urllib.request.Request(told["url"] + "/v1/audio/speech", body, headers)
        with urllib.request.urlopen(asked, timeout=ANSWER_S) as answer:
            pcm = answer.read()
        assert pcm
        assert pcm != spoken("Hello.", 24_000)[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(ANSWER_S) == 0


def test_the_guides_plan_breaks_the_next_request_of_its_route(run: Run, simulated: dict[str, Any]) -> None:
    (command,) = [each for each in commands(GUIDE.read_text("utf-8")) if each.startswith("curl ")]
    set_plan = command.replace("http://127.0.0.1:8090", simulated["url"])
    subprocess.run(["sh", "-euc", set_plan], check=True, capture_output=True, timeout=ANSWER_S)
    broken = run("providers", "check", "--provider", "11labs", **simulated["environment"])
    assert (broken.exit_code, "FAILED  cut_short" in broken.stdout) == (1, True), broken.output
    assert run("providers", "check", "--provider", "11labs", **simulated["environment"]).exit_code == 0


def test_a_port_that_is_taken_is_one_line(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*SIMULATE, "--port", str(port)], capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"aywa simulate-providers: cannot listen on 127.0.0.1 port {port}")
    assert len(ended.stderr.splitlines()) == 1


# --- providers check ---------------------------------------------------------------------------------------------------


def test_good_keys_are_good(run: Run, simulated: dict[str, Any]) -> None:
    told = run("providers", "check", **simulated["environment"])
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert [line.split()[0].split("/")[0] for line in lines] == [
        "openai",
        "anthropic",
        "elevenlabs",
        "cartesia",
        "openai-speech",
        "deepgram",
    ]
    assert all(" ms  ok      " in line for line in lines)


def test_bad_keys_say_what_to_mend_and_are_not_shown(run: Run, simulated: dict[str, Any]) -> None:
    bad = {name: "planted" for name in simulated["environment"] if name.endswith("_API_KEY")}
    told = run("providers", "check", **simulated["environment"] | bad)
    assert told.exit_code == 1
    assert told.stdout.count("FAILED  unauthorized: ") == 6
    assert {line.split()[2] for line in told.stdout.splitlines() if "mend:" in line} == set(bad)
    assert "planted" not in told.output
    rows = json.loads(run("providers", "check", "--json", **simulated["environment"] | bad).stdout)
    assert {row["code"] for row in rows} == {"unauthorized"}
    assert "planted" not in json.dumps(rows)


def test_a_stall_an_unknown_voice_and_a_wrong_address(run: Run, simulated: dict[str, Any]) -> None:
    environment = simulated["environment"]
    plan(simulated, "openai.chat", {"trouble": {"kind": "stall"}})
    told = run(
        "providers", "check", "--provider", "openai", "--voice", "unknown", "--timeout", "0.4", **environment
    )
    assert told.exit_code == 1
    model, mend, voice, _ = told.stdout.splitlines()
    assert "FAILED  deadline: it did not answer within 0.4 s" in model
    assert "status page" in mend
    assert "FAILED  unknown_voice" in voice
    told = run(
        "providers",
        "check",
        "--provider",
        "deepgram",
        **environment | {"DEEPGRAM_BASE_URL": "http://127.0.0.1:1"},
    )
    assert (told.exit_code, "mend: check DEEPGRAM_BASE_URL" in told.stdout) == (1, True)


def test_an_assistant_of_a_file_and_one_of_the_store(
    run: Run, simulated: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "assistant.json"
    voices = [{"provider": "cartesia", "voiceId": "v"}, {"provider": "hume", "voiceId": "v"}]
    voice = {"provider": "11labs", "voiceId": "v", "fallbackPlan": {"voices": voices}}
    file.write_text(json.dumps({"voice": voice}))
    told = run("providers", "check", "--assistant", str(file), **simulated["environment"])
    assert told.exit_code == 1
    assert [line.split()[0] for line in told.stdout.splitlines()] == [
        "local",
        "elevenlabs/v",
        "cartesia/v",
        "hume",
        "local",
    ]
    assert "FAILED  missing: has no adapter in this release" in told.stdout
    assert "on this machine: nothing to ask" in told.stdout
    for given, message in (("none", "assistantId must be the id"), ("none.json", "no file none.json")):
        refused = run("providers", "check", "--assistant", given)
        assert (refused.exit_code, message in refused.stderr) == (1, True), refused.output
    file.write_text("{")
    assert "cannot be read" in run("providers", "check", "--assistant", str(file)).stderr


def test_a_stored_credential_is_checked(run: Run, simulated: dict[str, Any]) -> None:
    options = ("--base-url", simulated["url"])
    assert run("credentials", "add", "deepgram", *options, given="sim-stored\n").exit_code == 0
    told = run("providers", "check")
    assert (told.exit_code, told.stdout.count("\n")) == (0, 1), told.output
    assert "deepgram" in told.stdout
    assert "ok      credential " in told.stdout
    listed = json.loads(run("providers", "list", "--json").stdout)["providers"]
    assert [row["provider"] for row in listed if row["key"]] == ["deepgram"]


def test_nothing_to_check(run: Run) -> None:
    told = run("providers", "check")
    assert (told.exit_code, told.stdout.startswith("Nothing to check")) == (0, True)
    told = run("providers", "check", "--provider", "cartesia")
    assert (told.exit_code, "mend: set CARTESIA_API_KEY" in told.stdout) == (1, True)
    assert run("providers", "check", "--timeout", "0").exit_code == 2
    assert run("providers", "check", "--org", "none").exit_code == 1


# --- providers list ----------------------------------------------------------------------------------------------------


def test_the_list_says_who_has_a_key_and_never_the_key(run: Run) -> None:
    told = run("providers", "list", GROQ_API_KEY="planted", CARTESIA_API_KEY=" ")
    assert told.exit_code == 0
    marked = [line.split()[1] for line in told.stdout.splitlines() if line.startswith("*")]
    assert marked == ["groq"]
    assert "CARTESIA_API_KEY" in told.stdout
    assert "planted" not in told.output
    rows = json.loads(run("providers", "list", "--json").stdout)
    assert rows["routes"] == []
    assert rows["providers"][0] == {
        "provider": "openai",
        "part": "model",
        "adapter": "OpenAiLlm",
        "keyVariable": "OPENAI_API_KEY",
        "urlVariable": "OPENAI_BASE_URL",
        "key": "",
    }


class _Runtime(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str, bytes]]]
    route: ClassVar[dict[str, Any]] = {
        "route": "openai/gpt-4.1", "circuit": "open", "since": None, "active": 1, "requests": 30, "failures": 4,
        "lastCode": "unavailable", "firstP50Ms": 250.4, "firstP95Ms": None,
    }  # fmt: skip
    checked: ClassVar[dict[str, Any]] = {
        "part": "model", "provider": "openai", "route": "openai/x", "ok": False, "firstMs": None, "code": "quota",
        "message": "no\x1b credit", "mend": "pay", "source": "",
    }  # fmt: skip

    def do_GET(self) -> None:
        self._answer(
            {"/providers": [self.route], "/credential?limit=1000": [{"provider": "openai"}]}[self.path]
        )

    def do_POST(self) -> None:
        self._answer([self.checked], self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, document: Any, given: bytes = b"") -> None:
        type(self).asked.append((self.path, self.headers["Authorization"], given))
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        return None


@pytest.fixture
def url() -> Iterator[str]:
    _Runtime.asked = []
    server = HTTPServer(("127.0.0.1", 0), _Runtime)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_running_runtime_tells_how_its_routes_fare(run: Run, url: str) -> None:
    told = run("providers", "list", "--url", url, "--key", "aywa_k")
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[-1].split() == [
        "openai/gpt-4.1", "open", "250", "ms", "-", "1", "30", "4", "unavailable",
    ]  # fmt: skip
    assert "* openai              model        OpenAiLlm              key: credential" in told.stdout
    assert {path for path, _, _ in _Runtime.asked} == {"/providers", "/credential?limit=1000"}
    assert {key for _, key, _ in _Runtime.asked} == {"Bearer aywa_k"}


def test_a_running_runtime_checks_with_its_own_keys(run: Run, url: str) -> None:
    told = run("providers", "check", "--url", url, "--assistant", "a-1", "--timeout", "3", "--key", "aywa_k")
    assert told.exit_code == 1
    assert "FAILED  quota: no  credit" in told.stdout
    ((path, _, body),) = _Runtime.asked
    assert (path, json.loads(body)) == ("/providers/check", {"timeoutSeconds": 3.0, "assistantId": "a-1"})
