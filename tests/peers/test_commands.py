"""`aywa softphone` and `aywa talk --sip` as a person runs them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from aywa.testing.runtime import free_port
from aywa.testing.script import Pause, Say
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone, report
from aywa.testing.sound import read_wav
from tests.peers.conftest import SPOKEN
from tests.peers.runtime import PhoneRuntime


async def _run(*words: str, home: Path | None = None) -> tuple[int | None, bytes, bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AYWA_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aywa.cli", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment | ({} if home is None else {"AYWA_HOME": str(home)}),
    )  # fmt: skip
    async with asyncio.timeout(60):
        said, complained = await process.communicate()
    return process.returncode, said, complained


async def test_the_softphone_dials_and_tells_what_it_heard(runtime: PhoneRuntime, tmp_path: Path) -> None:
    out = tmp_path / "call.wav"
    code, said, complained = await _run(
        "softphone", runtime.uri, "--keys", "12#", "--talk", "3", "--out", str(out), "--header", "X-Order: 7"
    )
    assert code == 0, (said, complained)
    told = json.loads(said)
    assert (told["answered"], told["codec"], told["ended_by"]) == (True, "PCMU", "caller")
    assert told["heard"]
    assert told["rtp"]["lost"] == 0
    assert read_wav(out.read_bytes()).rate_hz == 8000
    keys = await runtime.events_of(told["sip_call_id"], "DtmfReceived")
    assert [key["digit"] for key in keys] == ["1", "2", "#"]


async def test_the_softphone_is_called() -> None:
    port = free_port()
    answering = asyncio.create_task(
        _run("softphone", "--answer", "--port", str(port), "--wav", str(SPOKEN), "--wait", "20")
    )
    told = None
    async with asyncio.timeout(30):
        # It takes a moment until it is there.
        while told is None or not told["answered"]:
            phone = Softphone(Setup())
            talked = await phone.call(
                Dial(f"sip:x@127.0.0.1:{port}", ring_s=2.0), [Pause(2.0), Say(bytes(320))]
            )
            told = report(talked)
    code, said, complained = await answering
    assert code == 0, (said, complained)
    assert json.loads(said)["ended_by"] == "far side"
    assert told["heard"]


async def test_the_softphone_is_refused(runtime: PhoneRuntime) -> None:
    code, said, _ = await _run("softphone", runtime.uri.replace("demo", "nobody"))
    assert code == 1
    assert json.loads(said)["status"] == 404


async def test_the_softphone_is_used_wrongly(tmp_path: Path) -> None:
    wrong = {
        (): b"name whom to dial",
        ("sip:a@127.0.0.1", "--answer"): b"not both",
        ("sip:a@127.0.0.1", "--wav", str(tmp_path / "none.wav")): b"cannot be read",
        ("sip:a@127.0.0.1", "--header", "no header"): b"write Name: value",
        ("sip:nobody.invalid",): b"cannot be dialled",
    }
    outcomes = await asyncio.gather(*(_run("softphone", *words) for words in wrong))
    for told, (code, _, complained) in zip(wrong.values(), outcomes, strict=True):
        assert code == 2, complained
        assert told in complained


@pytest.mark.all
async def test_talk_over_the_telephone(runtime: PhoneRuntime, tmp_path: Path) -> None:
    code, said, complained = await _run(
        "talk", "--sip", runtime.uri, "--wav", str(SPOKEN), "--out", str(tmp_path / "talk.wav"),
        "--after-greeting", "--json", "--url", runtime.dev.url, home=runtime.dev.home,
    )  # fmt: skip
    assert code == 0, (said, complained)
    told = json.loads(said)
    assert told["ended_reason"] == "customer-ended-call"
    (turn,) = told["turns"]
    assert "please" in turn["user_text"].lower()
    assert 0 < turn["latency_ms"] < 5_000
    assert turn["assistant_text"]
