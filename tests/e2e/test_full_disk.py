"""The disk fills up during a call: the call goes on, what is lost is recorded, and is shown when there is room again."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import QUIET, Api, api, client, eventually, speaking
from tests.e2e.dev import Dev, started

ROOM = "24m"
HOLE_S = 0.5
"""This test's own busy loop is late by less."""
STORY: Mapping[str, Any] = {
    **QUIET,
    "firstMessageMode": "assistant-speaks-first",
    "firstMessage": "Once upon a time there was a house by the sea, and in it lived a cat. " * 6,
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "aywa-test", str(folder)]
    ran = subprocess.run(mount, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.fail(f"this needs root, to mount a small disk: {ran.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    """Takes what is left, to the last byte."""
    with file.open("wb", buffering=0) as filling:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filling.write(b"\0" * size):
                    pass
            except OSError:
                continue


async def test_the_call_goes_on_and_the_loss_is_shown(small_disk: Path) -> None:
    with started(Dev(small_disk / "home")) as dev:
        async with api(dev.url, dev.key) as runtime:
            call_id, url = await runtime.place(STORY)
            async with client(url) as one, speaking(one):
                await one.heard(50)
                filler = small_disk / "filler"
                await asyncio.to_thread(fill, filler)

                async def is_told() -> str | None:
                    status, body = await asyncio.to_thread(dev.readyz)
                    problem = body["checks"]["journal"].get("problem") if status == 503 else None
                    return str(problem) if problem else None

                problem = await eventually(
                    is_told, 30, "readyz did not say that the journal cannot be written"
                )
                assert "the journal cannot be written: No space left on device" in problem
                # Two seconds of it without a hole.
                heard = len(one.frames)
                await one.heard(heard + 100)
                await is_refused_kindly(runtime)
                times = [at_s for at_s, _ in one.frames[heard : heard + 100]]
                assert max(b - a for a, b in pairwise(times)) < HOLE_S
                await one.socket.send(
                    json.dumps({"type": "say", "content": "Still here, with no room at all."})
                )

                await asyncio.to_thread(os.unlink, filler)

                async def is_ready() -> bool:
                    return (await asyncio.to_thread(dev.readyz))[0] == 200

                await eventually(is_ready, 40, "it was not ready again")
                await one.socket.send('{"type":"end-call"}')
                await one.told("status-update", status="ended", endedReason="customer-ended-call")
            call = await runtime.ended(call_id)
            assert call["endedReason"] == "customer-ended-call"
            assert call["messages"][0]["message"].startswith("Once upon a time")
            lost = [warning for warning in call["warnings"] if warning.get("code") == "recording_lost"]
            assert len(lost) == 1
            assert "No space left on device" in lost[0]["detail"]
            _, timeline = await runtime.ask("GET", f"/call/{call_id}/timeline")
            shown = [e for e in timeline if e["source"] == "warning" and e["reason"] == "recording_lost"]
            assert len(shown) == 1
            # A next call is whole again.
            await makes_a_whole_call(runtime)
        assert "Traceback" not in dev.log


async def is_refused_kindly(runtime: Api) -> None:
    """A new call cannot be put on record, so there is none."""
    body = {"assistant": dict(QUIET), "transport": {"provider": "vapi.websocket"}}
    status, answer = await runtime.ask("POST", "/call", body)
    assert status in (201, 503), answer


async def makes_a_whole_call(runtime: Api) -> None:
    call_id, url = await runtime.place(
        {**QUIET, "firstMessageMode": "assistant-speaks-first", "firstMessage": "Hi."}
    )
    async with client(url) as one, speaking(one):
        await one.heard(10)

    async def recorded() -> dict[str, Any] | None:
        call = await runtime.ended(call_id)
        return call if call["artifact"].get("stereoRecordingUrl") else None

    call = await eventually(recorded, why="the recording was not put on record")
    assert call["warnings"] == []
