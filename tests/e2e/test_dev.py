"""`aywa dev` as an operator meets it: what it says when it cannot start, how it ends, and what it has kept."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aywa.boot.models import models_dir
from aywa.boot.runtime import Runtime
from aywa.boot.settings import LLM_RULES, RuntimeSettings
from aywa.cli import app
from aywa.ports.errors import ProviderError
from aywa.testing.runtime import free_port, process_tree
from tests.e2e.client import QUIET, api, client, eventually
from tests.e2e.dev import Dev, started, until

SAYS: Mapping[str, Any] = {**QUIET, "firstMessageMode": "assistant-speaks-first"}
STORY: Mapping[str, Any] = {**SAYS, "firstMessage": "Once upon a time there was a house by the sea. " * 20}


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """Not started yet."""
    one = Dev(tmp_path / "home")
    yield one
    one.stop()


def refused(home: Path, *options: str, **environment: str) -> str:
    """What `aywa dev` says on standard error, which is one line; it must end with 1, and leave nothing behind."""
    ran = subprocess.run(
        [sys.executable, "-m", "aywa.cli", "dev", "--tiny", *options],
        env={**os.environ, "AYWA_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1, ran
    assert ran.stdout == ""
    assert ran.stderr.startswith("aywa dev: ")
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr.removeprefix("aywa dev: ").strip()


# --- it cannot start ---------------------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the small models, to be damaged."""
    for name in ("silero", "smart-turn", "moonshine"):
        shutil.copytree(models_dir() / name, tmp_path / "models" / name)
    return tmp_path / "models"


def test_a_damaged_model_is_one_line_that_mends_it(tmp_path: Path, models: Path) -> None:
    file = models / "silero" / "silero_vad.onnx"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    said = refused(tmp_path / "home", "--port", str(free_port()), AYWA_MODELS=str(models))
    assert str(file) in said
    assert "is damaged" in said
    assert "expected SHA-256 " in said
    assert said.endswith("(mend it with: aywa models pull silero)")


async def test_a_missing_model_is_one_line_that_mends_it(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(models / "moonshine")
    monkeypatch.setenv("AYWA_MODELS", str(models))
    runtime = Runtime(RuntimeSettings(port=0, media_port=0, data=tmp_path / "home", llm=LLM_RULES))
    with pytest.raises(ProviderError) as error:
        await runtime.start()
    await runtime.stop()
    said = str(error.value)
    assert str(models / "moonshine") in said
    assert "is missing; expected SHA-256 " in said
    assert said.endswith("(mend it with: aywa models pull moonshine)")
    assert "\n" not in said


@pytest.mark.parametrize("offset", [0, 1], ids=["api", "audio"])
def test_a_port_that_is_taken(tmp_path: Path, offset: int) -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + offset))
        other.listen()
        said = refused(tmp_path / "home", "--port", str(port))
    assert said.startswith(f"cannot listen on 127.0.0.1 port {port + offset}")
    assert "Address already in use" in said
    assert said.endswith("; choose another with --port")


def test_a_host_that_is_not_ours(tmp_path: Path) -> None:
    said = refused(tmp_path / "home", "--port", str(free_port()), "--host", "192.0.2.1")
    assert "cannot listen on 192.0.2.1" in said
    assert "Cannot assign requested address" in said


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    said = refused(tmp_path / "home", "--port", str(free_port()))
    assert "cannot be written" in said
    assert "AYWA_HOME" in said


@pytest.mark.parametrize("port", ["0", "65535", "99999", "-1", "http"])
def test_a_port_that_is_none(port: str) -> None:
    ran = CliRunner().invoke(app, ["dev", "--tiny", "--port", port])
    assert ran.exit_code == 2
    assert "--port" in ran.output


def test_a_home_that_another_runtime_uses(runtime: Dev) -> None:
    said = refused(runtime.home, "--port", str(free_port()))
    assert f"{runtime.home} is in use by another runtime (process {runtime.pid})" in said
    assert runtime.readyz()[0] == 200


# --- how it ends, and what it keeps ------------------------------------------------------------------------------


async def test_ctrl_c_ends_its_calls_and_the_next_start_finds_everything(dev: Dev) -> None:
    with started(dev):
        first = Kept.by(dev)
        assert f"API key    {first.key}" in dev.log
        async with api(dev.url, dev.key) as caller:
            call_id, url = await caller.place(STORY)
            waiting_id, _ = await caller.place(QUIET)
            async with client(url) as one:
                await one.heard(100)
                # As a terminal does it: the models' process is told, too.
                dev.signal(signal.SIGINT, group=True)
                await one.told("status-update", status="ended", endedReason="worker-shutdown")
                assert await one.closed() == 1000
        assert await asyncio.to_thread(dev.wait) in (0, 130)
        assert "Traceback" not in dev.log
        assert "Error" not in dev.log
    # Whatever a copy or a careless hand has made of it.
    (dev.home / "dev-key").chmod(0o644)
    (dev.home / "talk-key").write_text("aywa_not_a_key\n")
    again = Dev(dev.home)
    with started(again):
        second = Kept.by(again)
        assert (second.key, second.assistant_id) == (first.key, first.assistant_id)
        assert second.talk_key != first.talk_key
        assert "API key" not in again.log
        assert again.ask("GET", f"/assistant/{first.assistant_id}")[0] == 200
        call = again.call(call_id)
        assert (call["status"], call["endedReason"]) == ("ended", "worker-shutdown")
        assert call["messages"][0]["message"].startswith("Once upon a time")
        assert call["artifact"]["stereoRecordingUrl"]
        assert (dev.home / "artifacts" / call_id / "recording.wav").stat().st_size > 32000
        assert again.call(waiting_id)["endedReason"] == "worker-shutdown"


@dataclass(frozen=True)
class Kept:
    """The secrets of a home, and its receptionist."""

    key: str
    talk_key: str
    assistant_id: str

    @staticmethod
    def by(dev: Dev) -> Kept:
        for name in ("dev-key", "talk-key"):
            assert (dev.home / name).stat().st_mode & 0o777 == 0o600
        assert dev.home.stat().st_mode & 0o777 == 0o700
        config = dev.ask("GET", "/talk/config.json")[1]
        talk_key = (dev.home / "talk-key").read_text().strip()
        assert config["publicKey"] == talk_key
        return Kept(dev.key, talk_key, config["assistantId"])


async def test_other_hosts_are_served_with_tls_on_both_ports_until_sigterm(dev: Dev) -> None:
    dev.options = ("--tiny", "--host", "0.0.0.0")
    dev.start()
    await eventually(
        lambda: asyncio.to_thread(lambda: "Stop:" in dev.log or dev.over()), 60, "it was not ready"
    )
    assert "self-signed certificate" in dev.log
    assert f"ssh -L {dev.port}:localhost:{dev.port} -L {dev.port + 1}:localhost:{dev.port + 1}" in dev.log
    trusted = ssl.create_default_context(cafile=str(dev.home / "tls" / "certificate.pem"))
    for name in ("localhost", "127.0.0.1"):
        for port in (dev.port, dev.port + 1):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusted, server_hostname=name
            )
            assert writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
            writer.close()
            await writer.wait_closed()
            del reader
    answer = await asyncio.to_thread(
        urllib.request.urlopen, f"https://localhost:{dev.port}/readyz", None, 20, context=trusted
    )
    with answer:
        assert answer.status == 200
    with pytest.raises(OSError, match=r"reset|closed|Remote end"):
        await asyncio.to_thread(urllib.request.urlopen, f"http://localhost:{dev.port}/readyz", None, 20)
    dev.scheme = "https"
    async with api(dev.url, dev.key, trusted) as caller:
        _, url = await caller.place(STORY)
        assert url.startswith("wss://")
        here = re.sub(r"//[^:/]+:", "//localhost:", url)
        async with client(here, ssl=trusted) as one:
            await one.heard(20)
            dev.signal(signal.SIGTERM)
            await one.told("status-update", status="ended", endedReason="worker-shutdown")
            assert await one.closed() == 1000
    assert await asyncio.to_thread(dev.wait) == 0
    assert "Traceback" not in dev.log


async def test_a_second_ctrl_c_does_not_wait(dev: Dev) -> None:
    with started(dev):
        async with api(dev.url, dev.key) as caller:
            _, url = await caller.place(STORY)
            async with client(url) as one:
                await one.heard(20)
                # It takes no close, so the runtime would wait for it.
                one.socket.transport.pause_reading()
                dev.signal(signal.SIGINT)
                before = process_tree(dev.pid)

                async def is_over() -> bool:
                    if not dev.over():
                        dev.signal(signal.SIGINT)
                    return dev.over()

                await eventually(is_over, 20)
                until(lambda: not [p for p in before[1:] if Path(f"/proc/{p}").exists()], 10)
                one.abort()
        assert "Traceback" not in dev.log


async def test_ctrl_c_while_it_starts(dev: Dev) -> None:
    dev.start()

    async def has_begun() -> bool:
        return (dev.home / "lock").exists()

    await eventually(has_begun, 30)
    dev.signal(signal.SIGINT, group=True)
    assert await asyncio.to_thread(dev.wait) in (0, 130)
    assert "Traceback" not in dev.log


async def test_what_a_killed_process_left_is_ended_at_the_next_start(dev: Dev) -> None:
    with started(dev):
        async with api(dev.url, dev.key) as caller:
            call_id, url = await caller.place(STORY)
            async with client(url) as one:
                await one.heard(100)
                await one.socket.send('{"type":"add-message","message":{"role":"user","content":"Wait."}}')

                async def is_kept() -> bool:
                    _, call = await caller.ask("GET", f"/call/{call_id}")
                    return any(message["message"] == "Wait." for message in call["messages"])

                await eventually(is_kept)
                # This one is so young that nothing of it is in the journal.
                young_id, _ = await caller.place(QUIET)
                tree = process_tree(dev.pid)
                dev.signal(signal.SIGKILL)
                assert await one.closed() == 1006
        assert await asyncio.to_thread(dev.wait) == -signal.SIGKILL
        until(
            lambda: not [pid for pid in tree if Path(f"/proc/{pid}").exists()],
            10,
            "the models' process stayed",
        )
    again = Dev(dev.home)
    with started(again):
        async with api(again.url, again.key) as caller:
            call = await caller.ended(call_id)
            young = await caller.ended(young_id)
        assert call["endedReason"] == young["endedReason"] == "call.in-progress.error-vapifault-worker-died"
        assert call["endedMessage"] == "the runtime's process ended during the call"
        assert "Wait." in [message["message"] for message in call["messages"]]
        assert call["startedAt"] <= call["endedAt"]
        status, _ = again.ask(
            "POST", "/call", {"assistant": dict(QUIET), "transport": {"provider": "vapi.websocket"}}
        )
        assert status == 201
