"""The three switches of the voice pipeline, each as an operator states it and a caller finds it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aywa.testing.sound import read_wav
from tests.docs.test_commands import ROOT
from tests.e2e.client import QUIET, Api, api, client, speaking
from tests.e2e.dev import Dev, started
from tests.e2e.test_guides import question_in, sip_port

WORDS = "Lakeside Dental, good morning. How can I help you today?"
SPEAKS: dict[str, Any] = {**QUIET, "firstMessage": WORDS, "firstMessageMode": "assistant-speaks-first"}
KEYPAD: dict[str, Any] = SPEAKS | {
    "firstMessage": "Hello.",
    "keypadInputPlan": {"enabled": True, "timeoutSeconds": 1, "delimiters": ["#"]},
}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A runtime that neither hears nor speaks."""
    off = {"VOICE_PIPELINE_STT_ENABLED": "false", "VOICE_PIPELINE_TTS_ENABLED": "false"}
    home = tmp_path_factory.mktemp("pipeline") / "home"
    with started(Dev(home, environment=off | {"RUNTIME_SIP_PORT": "0"})) as dev:
        yield dev


async def messages(caller: Api, call_id: str, role: str) -> list[str]:
    call = await caller.ended(call_id)
    return [each["message"] for each in call["messages"] if each["role"] == role]


async def test_an_agent_without_a_voice_answers_in_text_and_one_without_an_ear_hears_nothing(
    quiet: Dev, tmp_path: Path
) -> None:
    async with api(quiet.url, quiet.key) as caller:
        call_id, url = await caller.place(SPEAKS)
        question_in(tmp_path)
        question = read_wav((tmp_path / "question.wav").read_bytes()).pcm(16_000)
        # The caller speaks at once, and quickly; nobody is interrupted by it.
        async with client(url) as one, speaking(one, question, pace=4):
            told = await one.told("transcript", role="assistant", transcriptType="final")
            assert told["transcript"] in WORDS
            _, call = await caller.ask("GET", f"/call/{call_id}")
            async with caller.http.post(call["monitor"]["controlUrl"], json={"type": "end-call"}) as answer:
                assert answer.status == 200
            await one.closed()
        assert not any(any(pcm) for _, pcm in one.frames)
        assert WORDS in " ".join(await messages(caller, call_id, "bot"))
        assert await messages(caller, call_id, "user") == []


async def test_a_caller_who_is_not_heard_has_the_keypad(quiet: Dev, tmp_path: Path) -> None:
    async with api(quiet.url, quiet.key) as caller:
        _, made = await caller.ask("POST", "/assistant", KEYPAD)
        _, numbers = await caller.ask("GET", "/phone-number")
        changed = {"assistantId": made["id"]}
        assert (await caller.ask("PATCH", f"/phone-number/{numbers[0]['id']}", changed))[0] == 200
        uri = f"sip:demo@127.0.0.1:{await asyncio.to_thread(sip_port, quiet)}"
        said = await asyncio.to_thread(dialled, uri, "--keys", "42#", folder=tmp_path)
        assert said["answered"]
        _, calls = await caller.ask("GET", "/call?limit=1")
        heard = await messages(caller, calls[0]["id"], "user")
    assert [re.sub(r"[^0-9#]", "", text) for text in heard] == ["42"], heard


def dialled(*options: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "aywa.cli", "softphone", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_switched_off_it_keeps_the_api_and_refuses_calls(tmp_path: Path) -> None:
    off = {"VOICE_PIPELINE_ENABLED": "false", "RUNTIME_SIP_PORT": "0"}
    with started(Dev(tmp_path / "home", environment=off)) as dev:
        assert "none are taken (VOICE_PIPELINE_ENABLED=false)" in dev.log
        assert dev.ask("POST", "/assistant", QUIET)[0] == 201
        status, told = dev.ask(
            "POST", "/call", {"assistant": QUIET, "transport": {"provider": "vapi.websocket"}}
        )
        assert status == 503
        assert "VOICE_PIPELINE_ENABLED" in json.dumps(told)
        phone = subprocess.run(
            [sys.executable, "-m", "aywa.cli", "softphone", f"sip:demo@127.0.0.1:{sip_port(dev)}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert phone.returncode == 1
        assert "503" in phone.stdout + phone.stderr
