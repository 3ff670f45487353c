"""A real runtime with a receiver of OTLP: a call's trace and the log arrive, and no word of the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.e2e.client import api, client, eventually
from tests.e2e.dev import Dev
from tests.peers.otlp import Receiver, attributes, receiving

SECRET = "The word is pomegranate."


@pytest.fixture
async def observed(tmp_path: Path) -> AsyncIterator[tuple[Dev, Receiver]]:
    with receiving() as receiver:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_SERVICE_NAME": "front-desk"}
        dev = Dev(tmp_path / "home", environment=environment)
        dev.start()
        try:
            await asyncio.to_thread(dev.ready)
            yield dev, receiver
        finally:
            await asyncio.to_thread(dev.stop)


async def test_a_call_leaves_its_trace_and_none_of_its_words(observed: tuple[Dev, Receiver]) -> None:
    runtime, receiver = observed
    async with api(runtime.url, runtime.key) as asked:
        call_id, url = await asked.place({"name": "Desk", "firstMessage": SECRET})
        async with client(url) as party:
            _ = await party.told("transcript", role="assistant", transcriptType="final")
        _ = await asked.ended(call_id)

    async def arrived() -> bool:
        return bool(receiver.named("call"))

    assert await eventually(arrived)
    [call] = receiver.named("call")
    assert call.trace_id.hex() == UUID(call_id).hex
    assert attributes(call)["aywa.call.ended_reason"] == "customer-ended-call"
    assert call.end_time_unix_nano > call.start_time_unix_nano
    assert "connected" in [event.name for event in call.events]
    voices = [span for span in receiver.spans if span.name.startswith("tts ")]
    assert "answered" in {attributes(span)["aywa.provider.outcome"] for span in voices}
    ids = {span.span_id for span in receiver.spans}
    assert all(span.parent_span_id in ids for span in receiver.spans if span is not call)
    assert receiver.resources[0]["service.name"] == "front-desk"
    # At its end the runtime sends what is left.
    await asyncio.to_thread(runtime.stop)
    assert not [body for body in receiver.bodies if b"pomegranate" in body]
