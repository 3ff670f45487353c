"""Objects in a bucket: SeaweedFS for what is true of a store, and a small server for what only AWS answers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from aywa.adapters.artifacts.bucket import Bucket
from aywa.adapters.artifacts.s3 import S3Artifacts, open_bucket
from aywa.ports.artifacts import ArtifactsUnavailable, Content, ObjectRefused
from tests.contracts import artifacts as contract
from tests.contracts.artifacts import BIG, prefix, whole
from tests.peers.seaweedfs import SECRET, SeaweedFs

__all__ = ["prefix"]

PART_BYTES = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def bucket(seaweed: SeaweedFs) -> Bucket:
    name = f"aywa-{uuid.uuid4().hex[:8]}"
    asyncio.run(made(seaweed, name))
    return Bucket(name, seaweed.endpoint, "us-east-1", seaweed.key_id, seaweed.secret)


async def made(seaweed: SeaweedFs, name: str, *, versions: bool = False) -> None:
    opened = await open_bucket(Bucket(name, seaweed.endpoint, "us-east-1", seaweed.key_id, seaweed.secret))
    await opened._client.create_bucket(Bucket=name)
    if versions:
        status = {"Status": "Enabled"}
        await opened._client.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)
    await opened.close()


@pytest.fixture
async def artifacts(bucket: Bucket) -> AsyncIterator[S3Artifacts]:
    opened = await open_bucket(bucket, PART_BYTES)
    yield opened
    await opened.close()


class TestS3(contract.ArtifactsContract):
    pass


@asynccontextmanager
async def opened(bucket: Bucket, **changes: Any) -> AsyncIterator[S3Artifacts]:
    fields = {name: getattr(bucket, name) for name in Bucket.__slots__} | changes
    artifacts = await open_bucket(Bucket(**fields))
    try:
        yield artifacts
    finally:
        await artifacts.close()


async def refused(artifacts: S3Artifacts) -> ArtifactsUnavailable:
    with pytest.raises(ArtifactsUnavailable) as problem:
        await artifacts.check()
    assert problem.value.mend
    shown = f"{problem.value} {problem.value.mend} {problem.value!r}"
    assert SECRET not in shown
    return problem.value


# --- stopped, and taken up again ----------------------------------------------------------------------------------------


class Stopping:
    """A source that is read up to somewhere, and then the process ends."""

    def __init__(self, content: bytes, until: int) -> None:
        self._content = content
        self._until = until
        self.asked: list[int] = []

    @property
    def size(self) -> int:
        return len(self._content)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        self.asked.append(start)
        if end - start < self.size and end > self._until:
            raise OSError(5, "the process ended")
        yield self._content[start:end]


async def test_an_upload_in_parts_is_on_record_first_and_goes_on_where_it_stopped(
    artifacts: S3Artifacts, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    async def note(upload: str) -> None:
        # Nothing of it has left before it is written down.
        listed = await artifacts._client.list_parts(
            Bucket=artifacts._bucket.name, Key=prefix + "a", UploadId=upload
        )
        assert "Parts" not in listed
        begun.append(upload)

    key = prefix + "a"
    with pytest.raises(OSError, match="the process ended"):
        await artifacts.put(key, Stopping(BIG, 2 * PART_BYTES), "audio/wav", "", note)
    assert await artifacts.find(key) is None
    sent: list[int] = []
    upload_part = artifacts._client.upload_part

    async def counted(**arguments: Any) -> Any:
        sent.append(arguments["PartNumber"])
        return await upload_part(**arguments)

    monkeypatch.setattr(artifacts._client, "upload_part", counted)
    await artifacts.put(key, Content(BIG), "audio/wav", begun[0], note)
    assert len(begun) == 1
    assert sent == [3]
    assert await whole(artifacts, key) == BIG


async def test_a_file_that_becomes_shorter_is_not_stored_as_a_whole_one(
    artifacts: S3Artifacts, prefix: str
) -> None:
    class Shrinking(Content):
        @property
        def size(self) -> int:
            return len(self.content) + 1

    with pytest.raises(OSError, match="became shorter"):
        await artifacts.put(prefix + "a", Shrinking(b"abc"), "text/plain")
    assert await artifacts.keys(prefix) == []


async def test_an_upload_that_is_gone_is_begun_anew(artifacts: S3Artifacts, prefix: str) -> None:
    begun: list[str] = []

    async def note(upload: str) -> None:
        begun.append(upload)

    await artifacts.put(prefix + "a", Content(BIG), "audio/wav", "0" * 40 + "_" + "0" * 32, note)
    assert len(begun) == 1
    assert await whole(artifacts, prefix + "a") == BIG


async def test_removing_takes_what_was_begun_too(artifacts: S3Artifacts, prefix: str) -> None:
    with pytest.raises(OSError, match="the process ended"):
        await artifacts.put(prefix + "a", Stopping(BIG, PART_BYTES), "audio/wav")
    listed = [one async for one in artifacts._listed("list_multipart_uploads", prefix, "Uploads")]
    assert len(listed) == 1
    await artifacts.remove(prefix)
    assert [one async for one in artifacts._listed("list_multipart_uploads", prefix, "Uploads")] == []


async def test_a_bucket_with_versions_keeps_none_of_what_is_removed(seaweed: SeaweedFs, prefix: str) -> None:
    name = f"aywa-{uuid.uuid4().hex[:8]}"
    await made(seaweed, name, versions=True)
    async with opened(Bucket(name, seaweed.endpoint, "us-east-1", seaweed.key_id, SECRET)) as artifacts:
        for content in (b"one", b"two"):
            await artifacts.put(prefix + "a", Content(content), "text/plain")
        listed = [one async for one in artifacts._listed("list_object_versions", prefix, "Versions")]
        assert len(listed) == 2
        await artifacts.remove(prefix)
        for kind in ("Versions", "DeleteMarkers"):
            assert [one async for one in artifacts._listed("list_object_versions", prefix, kind)] == []


# --- addresses ------------------------------------------------------------------------------------------------------------


async def fetched(link: str) -> tuple[int, bytes, str]:
    async with aiohttp.ClientSession() as http, http.get(link) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Disposition", "")


async def test_an_address_is_for_anybody_for_this_object_and_for_a_while(
    artifacts: S3Artifacts, prefix: str
) -> None:
    await artifacts.put(prefix + "mono.wav", Content(b"RIFF"), "audio/wav")
    link = await artifacts.link(prefix + "mono.wav", "call-mono.wav", 60)
    assert link is not None
    assert await fetched(link) == (200, b"RIFF", 'inline; filename="call-mono.wav"')
    assert SECRET not in link
    other = link.replace("mono.wav", "other.wav", 1)
    assert (await fetched(other))[0] == 403
    assert (await fetched(link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")))[0] == 403
    brief = await artifacts.link(prefix + "mono.wav", "a.wav", 1)
    assert brief is not None
    end_s = time.monotonic() + 10
    while (await fetched(brief))[0] != 403:
        assert time.monotonic() < end_s, "an address held for longer than it should"


async def test_clients_may_reach_the_bucket_by_another_address(bucket: Bucket, prefix: str) -> None:
    public = bucket.endpoint.replace("127.0.0.1", "localhost")
    async with opened(bucket, public_endpoint=public) as artifacts:
        await artifacts.put(prefix + "a.wav", Content(b"RIFF"), "audio/wav")
        link = await artifacts.link(prefix + "a.wav", "a.wav", 60)
        assert link is not None
        assert link.startswith(public)
        assert (await fetched(link))[:2] == (200, b"RIFF")


# --- what stands in the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "mend"),
    [
        ({"key_id": "nobody"}, "s3_wrong_key", "RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID"),
        ({"secret": "another"}, "s3_wrong_secret", "RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY"),
        ({"key_id": "aywa-reader"}, "s3_read_only", "s3:PutObject"),
        ({"key_id": "aywa-keeper"}, "s3_cannot_delete", "s3:DeleteObject"),
        ({"name": "aywa-none"}, "s3_no_bucket", "RUNTIME_ARTIFACT_S3_BUCKET"),
    ],
)
async def test_each_has_its_name_and_its_mend(
    bucket: Bucket, changes: dict[str, str], code: str, mend: str
) -> None:
    async with opened(bucket, **changes) as artifacts:
        problem = await refused(artifacts)
    assert (problem.code, problem.lasting) == (code, True)
    assert mend in problem.mend


async def test_a_store_that_is_away_may_come_back(bucket: Bucket) -> None:
    async with opened(bucket, endpoint="http://127.0.0.1:1") as artifacts:
        problem = await refused(artifacts)
        assert (problem.code, problem.lasting) == ("s3_unreachable", False)
        with pytest.raises(ArtifactsUnavailable):
            await artifacts.find("calls/o/c/a")
        with pytest.raises(ArtifactsUnavailable):
            await artifacts.keys("calls/o/c/")


async def test_an_address_that_is_none_is_said_to_be_so() -> None:
    with pytest.raises(ArtifactsUnavailable) as problem:
        await open_bucket(Bucket("aywa", "http://[bad", "us-east-1", "k", "s"))
    assert problem.value.code == "s3_unreachable"


@asynccontextmanager
async def answering(status: int, code: str, **more: str) -> AsyncIterator[str]:
    """A store that answers everything with one error, as the S3 API reference has it."""
    said = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{SECRET}</Message>{said}</Error>"

    async def answer(request: web.Request) -> web.Response:
        headers = {"x-amz-bucket-region": more["Region"]} if "Region" in more else {}
        await request.read()
        said = web.Response(status=status, text=body, headers=headers, content_type="application/xml")
        said.force_close()
        return said

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "code", "name", "lasting"),
    [
        (403, "RequestTimeTooSkewed", "s3_clock", True),
        (403, "AccountProblem", "s3_denied", True),
        (503, "SlowDown", "s3_unavailable", False),
        (500, "InternalError", "s3_unavailable", False),
        (400, "BadDigest", "s3_unavailable", False),
        (507, "InsufficientStorage", "s3_full", False),
    ],
)
async def test_what_only_some_stores_answer_has_a_name_too(
    status: int, code: str, name: str, lasting: bool
) -> None:
    async with answering(status, code) as endpoint, opened(Bucket("aywa", endpoint)) as artifacts:
        problem = await refused(artifacts)
    assert (problem.code, problem.lasting) == (name, lasting)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect")]
)
async def test_a_bucket_of_another_region_is_not_used_silently(status: int, code: str) -> None:
    async with (
        answering(status, code, Region="eu-central-1") as endpoint,
        opened(Bucket("aywa", endpoint)) as artifacts,
    ):
        problem = await refused(artifacts)
        assert problem.code == "s3_wrong_region"
        assert problem.mend == "set RUNTIME_ARTIFACT_S3_REGION=eu-central-1"
        with pytest.raises(ArtifactsUnavailable) as later:
            await artifacts.put("calls/o/c/a", Content(b"x"), "text/plain")
        assert later.value.code == "s3_wrong_region"


async def test_one_object_that_is_refused_says_nothing_of_others() -> None:
    async with answering(400, "EntityTooLarge") as endpoint, opened(Bucket("aywa", endpoint)) as artifacts:
        with pytest.raises(ObjectRefused, match="400 EntityTooLarge"):
            await artifacts.put("calls/o/c/a", Content(b"x"), "text/plain")
    async with answering(418, "<b>&") as endpoint, opened(Bucket("aywa", endpoint)) as artifacts:
        with pytest.raises((ObjectRefused, ArtifactsUnavailable)) as problem:
            await artifacts.put("calls/o/c/a", Content(b"x"), "text/plain")
        assert SECRET not in str(problem.value)


async def test_nothing_of_the_machines_own_settings_is_used(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    for name, value in {
        "AWS_PROFILE": "somebody",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_SESSION_TOKEN": "t",
        "AWS_REGION": "mars-1",
    }.items():
        monkeypatch.setenv(name, value)
    async with opened(bucket) as artifacts:
        await artifacts.put(prefix + "a", Content(b"x"), "text/plain")
        assert await whole(artifacts, prefix + "a") == b"x"
