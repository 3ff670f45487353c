"""Recordings that lie in a bucket: an address, or the bytes; and what is answered when it is away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.core.shipment import call_key
from aywa.ports.artifacts import ArtifactsUnavailable, Content, Stored
from aywa.service.shipped import Shipped
from tests.api.conftest import Runtime


class Linking(FolderArtifacts):
    """A folder with addresses, which is away now and then."""

    away = False

    async def find(self, key: str) -> Stored | None:
        if self.away:
            raise ArtifactsUnavailable("s3_unreachable", "bucket b does not answer")
        return await super().find(key)

    async def link(self, key: str, file_name: str, within_s: int) -> str | None:
        return f"https://s3.example/{key}?for={within_s}&as={file_name}"


@pytest.fixture
async def bucket(runtime: Runtime, tmp_path: Path) -> Linking:
    made = Linking(tmp_path / "bucket")
    shipped = Shipped(made, 60, lambda call_id: runtime.files.find(call_id, "recording.wav") is not None)
    runtime.app.state.services = replace(runtime.services, shipped=shipped)
    return made


async def stored(runtime: Runtime, bucket: Linking) -> str:
    """A call of which the mono recording is in the bucket."""
    call_id = str((await runtime.call())["id"])
    await bucket.put(call_key(runtime.org_id, call_id, "mono.wav"), Content(b"RIFF0123456789"), "audio/wav")
    return call_id


async def test_an_address_or_the_bytes(runtime: Runtime, bucket: Linking) -> None:
    call_id = await stored(runtime, bucket)
    path = f"/call/{call_id}/mono-recording"
    there = await runtime.client.get(path)
    key = f"calls/{runtime.org_id}/{call_id}/mono.wav"
    assert there.status_code == 302
    assert there.headers["location"] == f"https://s3.example/{key}?for=60&as={call_id}-mono.wav"
    through = await runtime.client.get(path, params={"redirect": "false"})
    assert (through.status_code, through.content) == (200, b"RIFF0123456789")
    part = await runtime.client.get(path, params={"redirect": "false"}, headers={"Range": "bytes=4-6"})
    assert (part.status_code, part.content) == (206, b"012")
    head = await runtime.client.head(path)
    assert (head.status_code, head.headers["content-length"]) == (200, "14")
    assert (await runtime.client.get(f"/call/{call_id}/stereo-recording")).status_code == 404
    foreign = runtime.as_key(runtime.keys["foreign"])
    assert (await foreign.get(path)).status_code == 404


async def test_without_addresses_the_bytes_are_handed_on(runtime: Runtime, bucket: Linking) -> None:
    call_id = await stored(runtime, bucket)
    runtime.app.state.services = replace(runtime.services, shipped=Shipped(bucket, 0))
    answer = await runtime.client.get(f"/call/{call_id}/mono-recording")
    assert (answer.status_code, answer.content) == (200, b"RIFF0123456789")
    assert "presigned" not in (await runtime.client.get(f"/call/{call_id}")).text


async def test_a_bucket_that_is_away_is_a_503(runtime: Runtime, bucket: Linking) -> None:
    call_id = await stored(runtime, bucket)
    bucket.away = True
    assert (await runtime.client.get(f"/call/{call_id}/mono-recording")).status_code == 503


async def test_a_call_shows_addresses_once_its_recording_is_not_here_any_more(
    runtime: Runtime, bucket: Linking
) -> None:
    call_id = await stored(runtime, bucket)
    assert "presigned" not in (await runtime.client.get(f"/call/{call_id}")).text

    def ended(body: dict[str, object]) -> dict[str, object]:
        return body | {"artifact": {"recordingUrl": "https://us/mono-recording", "transcript": ""}}

    await runtime.store.calls.change(runtime.org_id, call_id, 1, ended)
    here = runtime.files.folder / call_id / "recording.wav"
    here.parent.mkdir(parents=True)
    here.write_bytes(b"RIFF")
    assert "presigned" not in (await runtime.client.get(f"/call/{call_id}")).text
    await runtime.files.remove(runtime.org_id, call_id)
    artifact = (await runtime.client.get(f"/call/{call_id}")).json()["artifact"]
    assert artifact["recordingUrl"] == "https://us/mono-recording"
    assert artifact["presignedCustomerUrl"].endswith(f"as={call_id}-customer.wav")
    assert {"presignedMonoUrl", "presignedStereoUrl", "presignedAssistantUrl"} < set(artifact)
    assert artifact["presignedUrlsExpiresAt"].endswith("Z")
    assert "presignedLogUrl" not in artifact
