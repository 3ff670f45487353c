"""A real runtime with a real bucket: what a call leaves goes there, is read there, and goes when it is deleted."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aywa.adapters.artifacts.bucket import Bucket
from aywa.adapters.artifacts.s3 import S3Artifacts, open_bucket
from aywa.testing.fault_proxy import Deed, FaultProxy
from tests.docs.test_commands import commands
from tests.e2e.client import Api, api, client, eventually
from tests.e2e.dev import Dev
from tests.e2e.test_guides import GUIDES, run
from tests.peers.seaweedfs import SeaweedFs

GREETS = {"name": "Bookings", "firstMessage": "Lakeside, good evening."}
SIDES = ("recording.wav", "mono.wav", "customer.wav", "assistant.wav")
TEXTS = ("transcript.json", "events.jsonl.gz")


@pytest.fixture
async def bucket(seaweed: SeaweedFs) -> AsyncIterator[S3Artifacts]:
    """One of this test's own."""
    name = f"aywa-{uuid.uuid4().hex[:8]}"
    opened = await open_bucket(Bucket(name, seaweed.endpoint, "us-east-1", seaweed.key_id, seaweed.secret))
    await opened._client.create_bucket(Bucket=name)
    yield opened
    await opened.close()


def settings(seaweed: SeaweedFs, bucket: S3Artifacts, **changes: str) -> dict[str, str]:
    values = {
        "BUCKET": bucket._bucket.name,
        "ENDPOINT": seaweed.endpoint,
        "ACCESS_KEY_ID": seaweed.key_id,
        "SECRET_ACCESS_KEY": seaweed.secret,
    } | changes
    return {f"RUNTIME_ARTIFACT_S3_{name}": value for name, value in values.items()}


async def one_call(runtime: Api) -> str:
    """A call whose caller hears the greeting and hangs up."""
    call_id, url = await runtime.place(GREETS)
    async with client(url) as party:
        _ = await party.told("transcript", role="assistant", transcriptType="final")
    _ = await runtime.ended(call_id)
    return call_id


async def recorded(runtime: Api, call_id: str) -> dict[str, Any]:
    """The call's record of its recording."""

    async def is_stored() -> Any:
        _, entries = await runtime.ask("GET", f"/call/{call_id}/timeline")
        return next((e["details"] for e in entries if e["source"] == "artifact"), None)

    details: dict[str, Any] = await eventually(is_stored)
    return details


async def carried(bucket: S3Artifacts, home: Path, within_s: float = 30.0) -> set[str]:
    """The bucket's keys when nothing is on its way any more."""

    async def is_over() -> bool:
        def left() -> bool:
            return any((home / "shipments").glob("*.json")) or any((home / "artifacts").iterdir())

        return bool(await bucket.keys("calls/")) and not await asyncio.to_thread(left)

    await eventually(is_over, within_s, "not everything was carried")
    return set(await bucket.keys(""))


async def test_what_a_call_leaves_goes_there_and_is_read_from_there(
    seaweed: SeaweedFs, bucket: S3Artifacts, tmp_path: Path
) -> None:
    dev = Dev(tmp_path / "home", environment=settings(seaweed, bucket))
    dev.start()
    try:
        await asyncio.to_thread(dev.ready)
        async with api(dev.url, dev.key) as runtime:
            call_id = await one_call(runtime)
            details = await recorded(runtime, call_id)
            keys = await carried(bucket, dev.home)
            [org_id] = {key.split("/")[1] for key in keys}
            assert keys == {f"calls/{org_id}/{call_id}/{name}" for name in (*SIDES, *TEXTS)}
            assert set(details["objects"]) == {f"calls/{org_id}/{call_id}/{name}" for name in SIDES}
            await is_read(runtime, call_id)
            await asyncio.to_thread(the_guides_commands, dev, call_id, tmp_path)
            await an_upload(runtime, bucket, org_id)
            assert (await runtime.ask("DELETE", f"/call/{call_id}"))[0] == 200

            async def is_empty() -> bool:
                return not await bucket.keys("")

            await eventually(is_empty, 20.0, "what was deleted stayed in the bucket")
            assert (await runtime.ask("GET", f"/call/{call_id}/mono-recording"))[0] == 404
        assert seaweed.secret not in dev.log
        assert "Traceback" not in dev.log
    finally:
        await asyncio.to_thread(dev.stop)


async def is_read(runtime: Api, call_id: str) -> None:
    _, call = await runtime.ask("GET", f"/call/{call_id}")
    artifact = call["artifact"]
    assert artifact["presignedUrlsExpiresAt"] > call["endedAt"]
    async with aiohttp.ClientSession() as anybody:
        for side, field in (("stereo", "presignedStereoUrl"), ("customer", "presignedCustomerUrl")):
            path = f"{runtime.url}/call/{call_id}/{side}-recording"
            async with runtime.http.get(path + "?redirect=false") as through:
                assert through.status == 200
                content = await through.read()
            async with runtime.http.get(path, allow_redirects=False) as there:
                assert (there.status, there.headers["Cache-Control"]) == (302, "no-store")
            for link in (there.headers["Location"], artifact[field]):
                async with anybody.get(link) as answer:
                    assert await answer.read() == content
                    assert answer.content_type == "audio/wav"
            headers = {"Range": "bytes=44-143"}
            async with runtime.http.get(path + "?redirect=false", headers=headers) as part:
                assert (part.status, await part.read()) == (206, content[44:144])
            async with runtime.http.head(path) as head:
                assert (head.status, int(head.headers["Content-Length"])) == (200, len(content))
        # What the call's own party was given goes there as well.
        async with anybody.get(artifact["recordingUrl"]) as mono:
            assert (await mono.read())[:4] == b"RIFF"
        async with anybody.get(artifact["presignedLogUrl"]) as log:
            assert (await log.read())[:2] == b"\x1f\x8b"


def the_guides_commands(dev: Dev, call_id: str, folder: Path) -> None:
    redirect, followed, through, document = (
        command.replace("CALL_ID", call_id) for command in commands((GUIDES / "artifacts.md").read_text())
    )
    status, address = run(redirect, dev, folder).split()
    assert status == "302"
    assert "X-Amz-Signature=" in address
    assert (run(followed, dev, folder), run(through, dev, folder)) == ("", "")
    assert (folder / "call.wav").read_bytes() == (folder / "through.wav").read_bytes()
    assert (folder / "call.wav").read_bytes()[:4] == b"RIFF"
    artifact = json.loads(run(document, dev, folder))["artifact"]
    assert {name for name in artifact if name.startswith("presigned")} == {
        "presignedMonoUrl",
        "presignedStereoUrl",
        "presignedCustomerUrl",
        "presignedAssistantUrl",
        "presignedLogUrl",
        "presignedUrlsExpiresAt",
    }


async def an_upload(runtime: Api, bucket: S3Artifacts, org_id: str) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"Open from nine to five.", filename="hours.txt", content_type="text/plain")
    async with runtime.http.post(runtime.url + "/file", data=form) as answer:
        assert answer.status == 201
        file = await answer.json()
    key = f"files/{org_id}/{file['id']}"
    assert await bucket.keys("files/") == [key]
    async with runtime.http.get(f"{runtime.url}/file/{file['id']}/content") as content:
        assert await content.read() == b"Open from nine to five."
    assert (await runtime.ask("DELETE", f"/file/{file['id']}"))[0] == 200

    async def is_gone() -> bool:
        return not await bucket.keys("files/")

    await eventually(is_gone, 20.0, "an uploaded file stayed in the bucket")


async def test_an_outage_and_a_killed_process_lose_nothing(
    seaweed: SeaweedFs, bucket: S3Artifacts, tmp_path: Path
) -> None:
    async with FaultProxy(seaweed.endpoint) as proxy:
        dev = Dev(tmp_path / "home", environment=settings(seaweed, bucket, ENDPOINT=proxy.url))
        dev.start()
        try:
            await asyncio.to_thread(dev.ready)
            proxy.stop_listening()
            proxy.do(Deed.CUT)
            async with api(dev.url, dev.key) as runtime:
                calls = [await one_call(runtime) for _ in range(2)]
                objects = [key for call in calls for key in (await recorded(runtime, call))["objects"]]

                async def is_noted() -> bool:
                    return len(list((dev.home / "shipments").glob("*.json"))) == 2

                await eventually(is_noted, 20.0, "the shipments were not on record")
                # Meanwhile they are read from this machine.
                async with runtime.http.get(f"{dev.url}/call/{calls[0]}/mono-recording") as here:
                    assert (here.status, (await here.read())[:4]) == (200, b"RIFF")
            dev.signal(signal.SIGKILL)
            await asyncio.to_thread(dev.stop)
            await proxy.listen()
            dev.start()
            await asyncio.to_thread(dev.ready)
            keys = await carried(bucket, dev.home)
            assert {key for key in keys if key.endswith(".wav")} == set(objects)
            assert len(keys) == 2 * len((*SIDES, *TEXTS))
        finally:
            await asyncio.to_thread(dev.stop)
