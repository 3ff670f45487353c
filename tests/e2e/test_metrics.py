"""A real runtime's figures: both pages say the same, and a call is in them."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.client import api, client, eventually
from tests.e2e.dev import Dev

GREETS = {"name": "Desk", "firstMessage": "Lakeside, good evening."}
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def page(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


def of_text(text: bytes) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of_json(text: bytes) -> Values:
    told: dict[str, Any] = json.loads(text)
    return {
        (sample["name"], tuple(sorted(sample["labels"].items()))): sample["value"]
        for metric in told["metrics"]
        for sample in metric["samples"]
    }


async def test_both_pages_say_the_same_value_for_value(runtime: Dev) -> None:
    async with aiohttp.ClientSession() as http:

        async def both() -> tuple[Values, Values] | None:
            """Of the same moment: a second may have begun between the two."""
            texts = [await page(http, f"{runtime.url}/{name}") for name in ("metrics", "metrics.json")]
            text, as_json = of_text(texts[0]), of_json(texts[1])
            taken = ("aywa_snapshot_timestamp_seconds", ())
            return (text, as_json) if text[taken] == as_json[taken] else None

        text, as_json = await eventually(both)
        assert text == as_json
        assert len(text) > 120
        assert text["aywa_calls_max", ()] > 0
        checks = {dict(labels)["check"] for name, labels in text if name == "aywa_ready"}
        assert {"store", "journal", "models", "media"} <= checks


async def test_a_call_is_counted_while_it_runs_and_when_it_has_ended(runtime: Dev) -> None:
    ended = ("aywa_calls_ended_total", (("reason", "customer-ended-call"),))
    active = ("aywa_calls_active", (("status", "in-progress"),))
    spoke = ("aywa_provider_requests_total", (("kind", "tts"), ("outcome", "answered")))
    async with api(runtime.url, runtime.key) as asked:

        async def now() -> Values:
            return of_json(await page(asked.http, f"{runtime.url}/metrics.json"))

        before = (await now()).get(ended, 0.0)
        call_id, url = await asked.place(GREETS)
        async with client(url) as party:

            async def running() -> bool:
                return (await now())[active] >= 1

            assert await eventually(running)
            _ = await party.told("transcript", role="assistant", transcriptType="final")
        _ = await asked.ended(call_id)

        async def counted() -> Values | None:
            told = await now()
            return told if told.get(ended, 0.0) == before + 1 else None

        told = await eventually(counted)
        assert told["aywa_call_duration_seconds_count", ()] >= 1
        voices = [
            value
            for (name, labels), value in told.items()
            if name == spoke[0] and set(spoke[1]) <= set(labels)
        ]
        assert sum(voices) >= 1
