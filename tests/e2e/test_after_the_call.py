"""A real runtime: what an assistant has made of its calls, and what is kept of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.llm.far import Far, far_side, spoken
from tests.docs.test_commands import commands
from tests.e2e.client import Api, api, client, eventually
from tests.e2e.dev import Dev
from tests.e2e.test_guides import GUIDES, run

SCHEMA = {"type": "object", "properties": {"guests": {"type": "integer"}}, "required": ["guests"]}
GREETS = {"name": "Bookings", "firstMessage": "Lakeside, good evening."}


async def one_call(runtime: Api, assistant: dict[str, Any]) -> str:
    """A call whose caller hears the greeting and hangs up."""
    call_id, url = await runtime.place(assistant)
    async with client(url) as party:
        _ = await party.told("transcript", role="assistant", transcriptType="final")
    _ = await runtime.ended(call_id)
    return call_id


@pytest.fixture
async def analysed_by(tmp_path: Path) -> AsyncIterator[tuple[Dev, Far]]:
    """A runtime that is gone before the model that it keeps a connection to."""
    async with far_side(spoken('{"guests": 2}')) as far:
        dev = Dev(tmp_path / "home")
        dev.start()
        try:
            await asyncio.to_thread(dev.ready)
            yield dev, far
        finally:
            await asyncio.to_thread(dev.stop)


async def test_a_call_is_analysed_by_its_model(analysed_by: tuple[Dev, Far]) -> None:
    runtime, far = analysed_by
    async with api(runtime.url, runtime.key) as asked:
        plan = {"minMessagesThreshold": 1, "structuredDataPlan": {"schema": SCHEMA}}
        model = {"provider": "custom-llm", "url": far.url, "model": "far"}
        call_id = await one_call(asked, {**GREETS, "model": model, "analysisPlan": plan})

        async def analysed() -> Any:
            _, call = await asked.ask("GET", f"/call/{call_id}")
            return call if "analysis" in call else None

        call = await eventually(analysed)
        assert call["analysis"] == {"structuredData": {"guests": 2}}
        assert call["costs"][-1]["analysisType"] == "structuredData"
        (request,) = [each for each in far.requests if "JSON Schema" in json.dumps(each.body)]
        assert "AI: Lakeside, good evening." in request.body["messages"][-1]["content"]
        _, timeline = await asked.ask("GET", f"/call/{call_id}/timeline")
        assert "analysis-completed" in [entry["kind"] for entry in timeline]


async def test_of_a_call_under_a_compliance_plan_no_word_is_on_disk(runtime: Dev) -> None:
    secret = "The word is pomegranate."
    async with api(runtime.url, runtime.key) as asked:
        assistant = {"firstMessage": secret, "compliancePlan": {"hipaaEnabled": True}}
        call_id = await one_call(asked, assistant)

        async def withheld() -> Any:
            _, timeline = await asked.ask("GET", f"/call/{call_id}/timeline")
            return [entry for entry in timeline if entry["kind"] == "words-withheld"] and timeline

        timeline = await eventually(withheld)
        assert "pomegranate" not in json.dumps(timeline)
        _, call = await asked.ask("GET", f"/call/{call_id}")
        assert (call["messages"], call["artifact"]["transcript"]) == ([], "")
        assert call["endedReason"] == "customer-ended-call"
        status, _ = await asked.ask("GET", f"/call/{call_id}/call-logs")
        assert status == 404
        status, _ = await asked.ask("GET", f"/call/{call_id}/stereo-recording")
        assert status == 404

        async def forgotten() -> bool:
            journal = runtime.home / "journal"
            texts = [path.read_bytes() for path in await asyncio.to_thread(_files, journal)]
            return not any(b"pomegranate" in text for text in texts)

        assert await eventually(forgotten)
        assert not _files(runtime.home / "artifacts" / call_id)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_an_office_is_heard_before_anybody_speaks(runtime: Dev) -> None:
    async with api(runtime.url, runtime.key) as asked:
        quiet = {"firstMessageMode": "assistant-waits-for-user", "backgroundSound": "office"}
        _, url = await asked.place(quiet)
        async with client(url) as party:
            await party.heard(50)
            audio = b"".join(frame for _, frame in party.frames[:50])
        assert any(audio)


def test_the_guide_makes_an_assistant_and_looks_at_a_call(runtime: Dev, tmp_path: Path) -> None:
    make, look, _ = commands((GUIDES / "after-the-call.md").read_text())
    made = json.loads(run(make, runtime, tmp_path))
    assert made["analysisPlan"]["successEvaluationPlan"]["rubric"] == "PercentageScale"
    assert made["backgroundSound"] == "office"

    async def call() -> None:
        async with api(runtime.url, runtime.key) as asked:
            _ = await one_call(asked, GREETS)

    asyncio.run(call())
    (shown,) = json.loads(run(look, runtime, tmp_path))
    assert shown["status"] == "ended"
