"""Both layouts, from outside: the same call with a turn and a barge-in in each; and a media process that dies takes its own
calls with it and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from aywa.testing.runtime import free_port, process_tree
from aywa.testing.script import BargeIn, HangUp, Pause, Say, Step, WaitReply
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone, report
from tests.e2e.dev import Dev, started
from tests.peers.runtime import PhoneRuntime, sounded

LOST_S = 1.0
SAID_S = 2
STARTED_S = 20.0


async def test_a_turn_and_a_barge_in(runtime: PhoneRuntime, spoken: bytes) -> None:
    said = spoken[: 2 * 8000 * SAID_S]
    steps: list[Step] = [WaitReply(), Say(said), BargeIn(said, 0.6), WaitReply(), HangUp()]
    told = report(await Softphone(Setup()).call(Dial(runtime.uri), steps))
    assert told["answered"]
    assert not told["missed"]
    sounded(told)
    call = await runtime.call_of(told["sip_call_id"])
    assert call["endedReason"] == "customer-ended-call"
    roles = [message["role"] for message in call["messages"]]
    assert roles.count("user") >= 2
    await runtime.recorded(call["id"])
    (recording,) = runtime.dev.home.glob(f"artifacts/{call['id']}/**/*.wav")
    with wave.open(str(recording)) as file:
        spoken_s = (told["closed_ms"] - told["opened_ms"]) / 1000
        assert file.getnframes() / file.getframerate() == pytest.approx(spoken_s, abs=0.5)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[PhoneRuntime]:
    port = free_port()
    environment = {"RUNTIME_MEDIA_PROCESSES": "1", "RUNTIME_MEDIA_PRIORITY": "normal"}
    dev = Dev(tmp_path / "home", options=("--tiny", "--sip-port", str(port)), environment=environment)
    with started(dev):
        yield PhoneRuntime(dev, port)


async def test_a_media_process_dies_in_the_middle_of_a_call(apart: PhoneRuntime) -> None:
    loop = asyncio.get_running_loop()
    connected = asyncio.Event()
    phone = Softphone(Setup(), on_step=lambda step: connected.set())
    talking = asyncio.create_task(phone.call(Dial(apart.uri), [Pause(20.0)]))
    await connected.wait()
    await asyncio.sleep(1.0)
    media = _media_process(apart.dev.pid)
    killed_s = loop.time()
    os.kill(media, signal.SIGKILL)
    told = report(await talking)
    assert told["ended_by"] == "far side"
    assert loop.time() - killed_s < LOST_S
    call = await apart.call_of(told["sip_call_id"])
    assert call["endedReason"]
    # It is started again, and takes the next call.
    async with asyncio.timeout(STARTED_S):
        while (await asyncio.to_thread(apart.dev.readyz))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert _media_process(apart.dev.pid) != media
    again = report(await Softphone(Setup()).call(Dial(apart.uri), [WaitReply(), HangUp()]))
    assert again["heard"]


def _media_process(pid: int) -> int:
    (found,) = (
        child
        for child in process_tree(pid)
        if b"aywa.boot.media_process" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    return found
