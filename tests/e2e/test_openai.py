"""`aywa dev` with OPENAI_BASE_URL: it says who thinks, the caller hears what that one says, and its failures are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from aywa.boot.speech import open_speech
from aywa.testing.caller import ScriptedCaller
from aywa.testing.script import Say, WaitReply
from aywa.testing.wire import talkspurts
from tests.adapters.llm.far import failure, far_side, spoken
from tests.e2e.client import QUIET, api, client
from tests.e2e.dev import Dev

KEY = "sk-very-secret"
ANSWER = "The green door is open until seven."
THINKS = {**QUIET, "firstMessageMode": "assistant-speaks-first-with-model-generated-message"}


async def test_the_route_of_the_environment_is_the_one_that_thinks(tmp_path: Path) -> None:
    async with far_side(spoken(ANSWER)) as far, open_speech(voice=True, ear=True) as speech:
        environment = {"OPENAI_BASE_URL": far.url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": "far-model"}
        dev = Dev(tmp_path / "home", options=(), environment=environment)
        dev.start()
        try:
            await asyncio.to_thread(dev.ready)
            assert f"far-model at {far.url} (OPENAI_* is set)" in dev.log

            question = await speech.say(("How long is the green door open?",), 16000)
            caller = ScriptedCaller(dev.url, dev.key)
            placed = await caller.call(QUIET, [Say(question), WaitReply(quiet_s=0.7)])
            asked = far.requests[-1]
            assert asked.headers["authorization"] == f"Bearer {KEY}"
            assert asked.body["model"] == "far-model"
            assert "green door" in asked.body["messages"][-1]["content"].lower()
            said = [m["message"] for m in placed.call["messages"] if m["role"] == "bot"]
            assert said == [ANSWER]
            (spurt,) = talkspurts(placed.record)
            heard = await speech.recognise(b"".join(frame.pcm for frame in spurt.frames), 16000)
            assert {"green", "door", "open", "seven"} <= set(heard.lower().strip(".").split()), heard

            refusal = failure("401 Unauthorized", f"Incorrect API key: {KEY}", "invalid_request_error", "x")
            far.answers = [[refusal]]
            async with api(dev.url, dev.key) as runtime:
                call_id, url = await runtime.place(THINKS)
                async with client(url) as one:
                    await one.heard(30)
                call = await runtime.ended(call_id)
                (failed,) = [warning for warning in call["warnings"] if warning["kind"] == "ReplyFailed"]
                assert failed["code"] == "unauthorized"
                assert "check OPENAI_API_KEY" in failed["message"]
                _, timeline = await runtime.ask("GET", f"/call/{call_id}/timeline")
                assert "check OPENAI_API_KEY" in json.dumps(timeline)
                assert KEY not in json.dumps([call, timeline])
            assert KEY not in dev.log
        finally:
            await asyncio.to_thread(dev.stop)
