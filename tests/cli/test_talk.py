"""`aywa talk` against a small runtime written from the contract, in real time; the recordings are short."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from aywa.cli import app
from aywa.testing.sound import write_wav
from tests.testing.peer import ASSISTANT, KEY, Peer, serving


# A quick peer: it answers after 100 ms of silence, for 200 ms.
def quick(**more: Any) -> Peer:
    return Peer(greeting_frames=10, reply_frames=10, wait_frames=5, **more)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AYWA_URL", "AYWA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AYWA_HOME", str(tmp_path / "home"))


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """0.3 s of silence, 0.4 s of a tone, in stereo at 44.1 kHz."""
    tone = 8000 * np.sin(np.arange(17640) * 0.1)
    mono = np.concatenate([np.zeros(13230), tone]).astype(np.int16)
    path = tmp_path / "question.wav"
    path.write_bytes(write_wav(np.stack([mono, mono], axis=1), 44100))
    return path


async def talk(*arguments: object) -> Result:
    """Runs the verb in a thread, because it has a loop of its own."""
    words = ["talk", *map(str, arguments)]
    return await asyncio.to_thread(CliRunner().invoke, app, words, catch_exceptions=False)


async def call(peer: Peer, wav: Path, out: Path, *options: object) -> Result:
    async with serving(peer):
        return await talk("--wav", wav, "--out", out, "--url", peer.url, "--key", KEY, *options)


async def test_plays_a_wav_and_prints_the_turns(question: Path, tmp_path: Path) -> None:
    out = tmp_path / "call.wav"
    result = await call(quick(), question, out, "--json", "--after-greeting", "--assistant", ASSISTANT)
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert list(answer) == ["call_id", "turns", "ended_reason"]
    assert (answer["call_id"], answer["ended_reason"]) == ("call-1", "customer-ended-call")
    (turn,) = answer["turns"]
    assert list(turn) == ["user_text", "user_end_ms", "reply_start_ms", "latency_ms", "assistant_text"]
    assert (turn["user_text"], turn["assistant_text"]) == ("Beep?", "Beep.")
    assert turn["latency_ms"] == pytest.approx(turn["reply_start_ms"] - turn["user_end_ms"], abs=1)
    # The WAV goes on for no time after the tone; six frames of silence let the reply out.
    assert 100 <= turn["latency_ms"] <= 400
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 16000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert both[:, 0].any()
    assert both[:, 1].any()


async def test_speaks_at_once_like_a_microphone(question: Path, tmp_path: Path) -> None:
    peer = Peer(greeting_frames=10_000, stop_frames=2, reply_frames=10, wait_frames=15)
    result = await call(peer, question, tmp_path / "o.wav")
    assert result.exit_code == 0
    assert peer.frames < 200
    assert "call call-1 ended: customer-ended-call" in result.stdout
    assert "Beep?" in result.stdout


async def test_speaks_mulaw(question: Path, tmp_path: Path) -> None:
    peer = quick()
    result = await call(peer, question, tmp_path / "o.wav", "--format", "mulaw")
    assert result.exit_code == 0
    assert peer.frame_bytes == {160}
    assert peer.requests[0]["assistant"]["firstMessage"]


async def test_tells_what_is_said_while_it_is_said(question: Path, tmp_path: Path) -> None:
    texts = [
        {"type": "transcript", "transcriptType": "final", "role": "user", "transcript": "beep"},
        {"type": "transcript", "transcriptType": "partial", "role": "user", "transcript": "never shown"},
        {"type": "error", "code": "x", "message": "it hurts"},
    ]
    result = await call(quick(texts=[json.dumps(text) for text in texts]), question, tmp_path / "o.wav")
    assert "user: beep" in result.stderr
    assert "the runtime says: it hurts" in result.stderr
    assert "never shown" not in result.stderr


async def test_a_filler_is_not_the_reply(
    question: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "One moment", a pause, and then the reply itself."""
    monkeypatch.setattr(sys.modules["aywa.cli.talk"], "LAST_QUIET_S", 0.2)
    out = tmp_path / "call.wav"
    result = await call(quick(tells=True, hole=(5, 20)), question, out, "--after-greeting")
    assert result.exit_code == 0, result.stderr
    with wave.open(str(out)) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 1]
    # The greeting and the reply, both whole.
    assert np.count_nonzero(heard) == 2 * 10 * 320


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"ID3 I am music", "it begins with b'ID3 '"),
        (b"", "it is empty"),
        (write_wav(np.zeros(0, np.int16), 8000), "it holds no audio"),
    ],
)
async def test_a_wav_that_is_not_one(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    result = await talk("--wav", path, "--out", tmp_path / "o.wav")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"aywa talk: {path} is not a usable WAV: {reason}")
    assert "; " in line
    assert not (tmp_path / "o.wav").exists()


async def test_a_wav_that_is_not_there(tmp_path: Path) -> None:
    result = await talk("--wav", tmp_path / "none.wav", "--out", tmp_path / "o.wav")
    assert result.exit_code == 2
    assert "none.wav cannot be read: No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("place", "reason"), [("nowhere/o.wav", "there is no folder"), (".", "it is a folder")]
)
async def test_a_recording_that_cannot_be_written(
    question: Path, tmp_path: Path, place: str, reason: str
) -> None:
    result = await talk("--wav", question, "--out", tmp_path / place)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "--out" in result.stderr


async def test_an_unknown_assistant(question: Path, tmp_path: Path) -> None:
    result = await call(Peer(), question, tmp_path / "o.wav", "--assistant", "nobody")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["aywa talk: Couldn't Find Assistant nobody. (HTTP 404)"]


async def test_no_runtime(question: Path, tmp_path: Path, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    result = await talk("--wav", question, "--out", tmp_path / "o.wav", "--url", url)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert url in line
    assert "script/run or `aywa dev`" in line


async def test_without_a_key_it_says_where_one_comes_from(question: Path, tmp_path: Path) -> None:
    async with serving(Peer()) as peer:
        result = await talk("--wav", question, "--out", tmp_path / "o.wav", "--url", peer.url)
    assert result.exit_code == 1
    assert "HTTP 401" in result.stderr
    assert "AYWA_API_KEY" in result.stderr
    assert str(tmp_path / "home" / "dev-key") in result.stderr


async def test_with_a_wrong_key(question: Path, tmp_path: Path) -> None:
    async with serving(Peer()) as peer:
        result = await talk("--wav", question, "--out", tmp_path / "o.wav", "--url", peer.url, "--key", "x")
    assert "give the right key" in result.stderr


@pytest.mark.parametrize("source", ["variable", "file"])
async def test_finds_address_and_key_by_itself(
    question: Path, tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "variable":
        monkeypatch.setenv("AYWA_API_KEY", KEY)
    else:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "dev-key").write_text(f"{KEY}\n")
    async with serving(quick()) as peer:
        monkeypatch.setenv("AYWA_URL", peer.url + "/")
        result = await talk("--wav", question, "--out", tmp_path / "o.wav", "--json")
    assert result.exit_code == 0, result.stderr


async def test_a_runtime_that_hangs_up_is_an_end_like_any_other(question: Path, tmp_path: Path) -> None:
    result = await call(quick(hang_up_after=20), question, tmp_path / "o.wav", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["turns"] == []
    assert (tmp_path / "o.wav").stat().st_size > 44


async def test_a_disk_that_is_full_afterwards(
    question: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = await call(quick(hang_up_after=10), question, tmp_path / "o.wav")
    assert result.exit_code == 1
    assert "No space left on device; call call-1 is not recorded here" in result.stderr


async def test_ctrl_c_hangs_up_and_keeps_the_recording(question: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.wav"
    # It never answers, so that the caller would stay on the line for 20 s.
    async with serving(Peer(greeting_frames=0, wait_frames=10_000)) as peer:
        words = ("-m", "aywa.cli", "talk", "--wav", question, "--out", out, "--url", peer.url, "--key", KEY)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *map(str, words), stdout=asyncio.subprocess.PIPE, env={**os.environ}
        )
        await asyncio.wait_for(peer.spoken_to.wait(), timeout=20)
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"ended: customer-ended-call" in output
    assert out.stat().st_size > 44


async def test_only_a_sip_address_is_dialled(question: Path, tmp_path: Path) -> None:
    result = await talk("--sip", "tel:+4930123456", "--wav", question, "--out", tmp_path / "o.wav")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "write sip:user@host:port" in result.stderr
