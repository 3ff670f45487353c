"""A real call, listened to and steered from a shell by every control; a person takes it over and gives it back."""

from __future__ import annotations

import asyncio
import json
import re
import wave
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aywa.testing.sound import write_wav
from tests.docs.test_commands import ROOT, commands
from tests.e2e.client import QUIET, Api, Client, api, client, eventually, speaking
from tests.e2e.dev import Dev
from tests.e2e.test_guides import run
from tests.media.rig import square

QUESTION = square(8000, 16_000)


@pytest.fixture
async def caller(runtime: Dev) -> AsyncIterator[Api]:
    async with api(runtime.url, runtime.key) as one:
        yield one


async def shell(runtime: Dev, folder: Path, command: str) -> str:
    return await asyncio.to_thread(run, f".venv/bin/aywa calls {command}", runtime, folder)


async def monitor_of(api: Api, call_id: str) -> dict[str, str]:
    _, call = await api.ask("GET", f"/call/{call_id}")
    found: dict[str, str] = call["monitor"]
    return found


async def control(api: Api, url: str, message: Any) -> tuple[int, Any]:
    async with api.http.post(url, json=message, headers={"Authorization": ""}) as answer:
        return answer.status, await answer.json()


async def timeline(api: Api, call_id: str) -> list[dict[str, Any]]:
    _, entries = await api.ask("GET", f"/call/{call_id}/timeline")
    found: list[dict[str, Any]] = entries
    return found


async def said(one: Client, text: str) -> None:
    await one.told("transcript", role="assistant", transcriptType="final", transcript=text)


async def test_a_call_is_steered_by_every_control_from_a_shell(
    runtime: Dev, caller: Api, tmp_path: Path
) -> None:
    call_id, url = await caller.place({**QUIET, "firstMessage": "Good day to you."})
    async with client(url) as one, speaking(one):
        await one.told("status-update", status="in-progress")
        assert await shell(runtime, tmp_path, f"control {call_id} say-first-message") == "ok\n"
        await said(one, "Good day to you.")
        await shell(runtime, tmp_path, f'say {call_id} "Your order has left."')
        await said(one, "Your order has left.")
        await shell(runtime, tmp_path, f"control {call_id} mute-assistant")
        await shell(runtime, tmp_path, f'say {call_id} "Nobody hears this."')
        await shell(runtime, tmp_path, f"control {call_id} unmute-assistant")
        await shell(runtime, tmp_path, f"control {call_id} mute-customer")
        await shell(runtime, tmp_path, f"control {call_id} unmute-customer")
        await shell(runtime, tmp_path, f'control {call_id} add-message --content "The customer is a VIP."')
        await one.told("speech-update", status="stopped", role="assistant")
        await shell(runtime, tmp_path, f'control {call_id} transfer --to +4930123456 --content "One moment."')
        await said(one, "One moment.")
        await shell(runtime, tmp_path, f"control {call_id} end-call")
        assert await one.closed() == 1000
    call = await caller.ended(call_id)
    assert call["endedReason"] == "manually-canceled"
    assert "Nobody hears this." not in json.dumps(call["messages"])
    assert any(m.get("message") == "The customer is a VIP." for m in call["messages"])
    entries = await timeline(caller, call_id)
    asked = [entry["details"]["message"] for entry in entries if entry["source"] == "control"]
    assert [(each["type"], each.get("control")) for each in asked] == [
        ("control", "say-first-message"),
        ("say", None),
        ("control", "mute-assistant"),
        ("say", None),
        ("control", "unmute-assistant"),
        ("control", "mute-customer"),
        ("control", "unmute-customer"),
        ("add-message", None),
        ("transfer", None),
        ("end-call", None),
    ]
    assert {entry["details"]["who"] for entry in entries if entry["source"] == "control"} == {"127.0.0.1"}
    decisions = {(entry["kind"], entry["reason"]) for entry in entries if entry["source"] == "decision"}
    assert ("floor.message_refused", "muted") in decisions


async def test_every_command_of_the_guide(runtime: Dev, caller: Api, tmp_path: Path) -> None:
    (tmp_path / "person.wav").write_bytes(write_wav(np.frombuffer(square(9000, 16_000), "<i2"), 16_000))
    written = commands((ROOT / "docs" / "guides" / "live-calls.md").read_text("utf-8"))
    assert len(written) == 9
    # The one that ends the call comes last.
    written.sort(key=lambda command: command.endswith("end-call"))
    call_id, url = await caller.place(QUIET)
    where = (await monitor_of(caller, call_id))["controlUrl"]
    async with client(url) as one, speaking(one):
        await one.told("status-update", status="in-progress")
        for command in written:
            filled = command.replace("CALL_ID", call_id).replace("$CONTROL_URL", where)
            printed = await asyncio.to_thread(run, filled, runtime, tmp_path)
            assert re.search(r"\bok\b|written to|has the caller again", printed), command
        assert await one.closed() == 1000
    assert (await caller.ended(call_id))["endedReason"] == "manually-canceled"


async def test_a_listener_hears_both_sides_and_a_person_takes_over(
    runtime: Dev, caller: Api, tmp_path: Path
) -> None:
    (tmp_path / "person.wav").write_bytes(write_wav(np.frombuffer(square(9000, 32_000), "<i2"), 16_000))
    call_id, url = await caller.place(QUIET)
    async with client(url) as one, speaking(one, QUESTION * 20):
        await one.told("status-update", status="in-progress")
        listening = asyncio.create_task(
            shell(runtime, tmp_path, f"listen {call_id} --out live.wav --seconds 6")
        )
        spoken = await shell(
            runtime, tmp_path, f'take-over {call_id} --wav person.wav --give-back "A refund was promised."'
        )
        assert "the assistant has the caller again" in spoken
        assert "written to live.wav" in await listening
    with wave.open(str(tmp_path / "live.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 16_000)
        sides = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).astype(float)
    assert np.abs(sides[:, 0]).mean() > 2000
    assert np.abs(sides[:, 1]).max() > 5000
    call = await caller.ended(call_id)
    notes = [m["message"] for m in call["messages"] if m["role"] == "system"]
    assert len(notes) == 2
    assert notes[1].endswith("A refund was promised.")
    kinds = [entry["kind"] for entry in await timeline(caller, call_id) if entry["source"] == "control"]
    assert kinds == ["take-over", "give-back"]


async def test_the_addresses_end_with_the_call_and_nobody_guesses_them(runtime: Dev, caller: Api) -> None:
    call_id, url = await caller.place(QUIET)
    monitor = await monitor_of(caller, call_id)
    assert (await control(caller, monitor["controlUrl"], {"type": "say", "content": "Hi."}))[0] == 400
    assert (await control(caller, monitor["controlUrl"], {"type": "dance"}))[0] == 400
    async with client(url) as one, speaking(one):
        await one.told("status-update", status="in-progress")
        guessed = monitor["controlUrl"].replace("/control", "x/control")
        assert (await control(caller, guessed, {"type": "end-call"}))[0] == 404
        with pytest.raises(InvalidStatus):
            async with connect(monitor["listenUrl"].replace("/listen", "x/listen")):
                pass
        async with connect(monitor["listenUrl"]) as ears:
            start = json.loads(await ears.recv())
            assert (start["type"], start["sampleRate"], start["channels"]) == ("start", 16_000, 2)
            assert len(await ears.recv()) == 1280
            assert await control(caller, monitor["controlUrl"], {"type": "end-call"}) == (
                200,
                {"status": "ok"},
            )
            with suppress(ConnectionClosed):
                while True:
                    await ears.recv()
            assert ears.close_code == 1000
    await caller.ended(call_id)

    async def gone() -> bool:
        return (await control(caller, monitor["controlUrl"], {"type": "end-call"}))[0] == 404

    assert await eventually(gone)


async def test_a_person_who_vanishes_leaves_the_caller_to_the_assistant(caller: Api) -> None:
    call_id, url = await caller.place(QUIET)
    monitor = await monitor_of(caller, call_id)
    async with client(url) as one, speaking(one):
        await one.told("status-update", status="in-progress")
        async with connect(monitor["listenUrl"]) as ears:
            await ears.send(json.dumps({"type": "take-over", "controlUrl": monitor["controlUrl"]}))
            while json.loads(message := await ears.recv())["type"] != "taken-over":
                assert message
        await one.told("speech-update", status="stopped", role="assistant")
    call = await caller.ended(call_id)
    assert any(message["role"] == "bot" for message in call["messages"])


async def test_a_plan_closes_a_call_or_asks_for_a_key(runtime: Dev, caller: Api) -> None:
    closed, _ = await caller.place(
        {**QUIET, "monitorPlan": {"listenEnabled": False, "controlEnabled": False}}
    )
    assert "monitor" not in (await caller.ask("GET", f"/call/{closed}"))[1]
    keyed, url = await caller.place(
        {**QUIET, "monitorPlan": {"listenAuthenticationEnabled": True, "controlAuthenticationEnabled": True}}
    )
    monitor = await monitor_of(caller, keyed)
    async with client(url) as one, speaking(one):
        await one.told("status-update", status="in-progress")
        assert (await control(caller, monitor["controlUrl"], {"type": "end-call"}))[0] == 401
        async with connect(monitor["listenUrl"]) as ears:
            with pytest.raises(ConnectionClosed):
                await ears.recv()
            assert ears.close_code == 1008
        async with connect(f"{monitor['listenUrl']}?token={runtime.key}") as ears:
            assert json.loads(await ears.recv())["type"] == "start"
        async with caller.http.post(monitor["controlUrl"], json={"type": "end-call"}) as answer:
            assert answer.status == 200
    await caller.ended(keyed)
    entries = await timeline(caller, keyed)
    (who,) = [entry["details"]["who"] for entry in entries if entry["source"] == "control"]
    assert who.endswith(" from 127.0.0.1")
    assert runtime.key not in json.dumps(entries)
