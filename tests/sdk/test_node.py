"""The official npm packages: the server SDK on the resources that there are, and how the web SDK begins a call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "node"
ROOT = Path(__file__).parents[2]
OWN = {"id", "orgId", "createdAt", "updatedAt"}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What each call of the probe was answered."""
    node = shutil.which("node")
    assert node, "node is missing: script/test installs it"
    assert (HERE / "node_modules").exists(), "npm ci has not been run in tests/sdk/node: script/test does it"
    command = [sys.executable, "-m", "tests.schema.served", str(tmp_path_factory.mktemp("served"))]
    path = f"{ROOT / 'src'}:{ROOT}"
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE
    ) as server:
        try:
            assert server.stdout is not None
            served = json.loads(server.stdout.readline())
            keys = {"AYWA_URL": served["url"], "AYWA_KEY": served["key"], "AYWA_PUBLIC_KEY": served["public"]}
            done = subprocess.run(
                [node, "probe.mjs"],
                cwd=HERE,
                env=os.environ | keys,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            yield json.loads(done.stdout)
        finally:
            server.terminate()


def test_every_call_is_answered(answers: dict[str, Any]) -> None:
    refused = {name: told for name, told in answers.items() if "value" not in told}
    assert {name: told["status"] for name, told in refused.items()} == {
        "calls.create without anything": 400,
        "assistants.get of a deleted one": 404,
    }, refused


def test_objects_have_what_only_the_runtime_sets(answers: dict[str, Any]) -> None:
    for name, told in answers.items():
        value = told.get("value")
        if isinstance(value, dict) and "results" not in value:
            assert value.keys() >= OWN, name


def test_lists_are_what_the_sdk_takes_them_for(answers: dict[str, Any]) -> None:
    for name in (
        "assistants.list",
        "tools.list",
        "squads.list",
        "phoneNumbers.list",
        "files.list",
        "calls.list",
    ):
        assert isinstance(answers[name]["value"], list), name
        assert answers[name]["value"], name
    for name in ("chats.list", "sessions.list"):
        assert answers[name]["value"]["results"] == [], name


def test_a_web_call_has_what_the_web_sdk_reads(answers: dict[str, Any]) -> None:
    for name in ("web by id", "web with an assistant", "web to a squad"):
        call = answers[name]["value"]
        assert call["webCallUrl"].startswith("http"), name
        assert call["artifactPlan"]["videoRecordingEnabled"] is False
        assert isinstance(call["transport"]["callToken"], str)
        assert isinstance(call["assistant"]["voice"]["provider"], str)
    assert answers["web with an assistant"]["value"]["assistant"]["voice"]["provider"] == "11labs"
