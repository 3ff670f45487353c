"""Tries a bucket with one small object, which it takes away again: whether it lies where it is said to, and what the key may do.

All that can be known at once is told at once. Refuses to mend anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from botocore.exceptions import ClientError

from aywa.adapters.artifacts.bucket import Bucket
from aywa.adapters.artifacts.s3_errors import code_of, named, no_bucket, region_of, wrong_region
from aywa.ports.artifacts import ArtifactStore, ArtifactsUnavailable, Content, ObjectRefused

BYTES: Final = 1024
ANSWER_S: Final = 10.0
_FOLDER: Final = "aywa-check/"
_NO_REGION: Final = frozenset(("301", "400", "PermanentRedirect"))


async def problems(
    bucket: Bucket, client: Any, artifacts: ArtifactStore, *, strangers: bool = False
) -> list[ArtifactsUnavailable]:
    """All that is wrong with the bucket, what must be mended first before the rest. strangers: also, whether anybody may read."""
    key, body = f"{_FOLDER}{uuid.uuid4()}", uuid.uuid4().bytes * (BYTES // 16)
    found: list[ArtifactsUnavailable] = []
    steps: list[Callable[[], Awaitable[None]]] = [lambda: _read_back(bucket, artifacts, key, body)]
    try:
        await _check_region(bucket, client)
        await artifacts.put(key, Content(body), "application/octet-stream")
    except ObjectRefused as error:
        return [_refused(bucket, "s3_refused", f"does not take a small object: {error}")]
    except KeyError:
        # An answer without a body: to a whole object, "not there" can only mean the bucket.
        return [no_bucket(bucket.name)]
    except ArtifactsUnavailable as error:
        if error.code != "s3_unreadable":
            return [await _judged(bucket, artifacts, error)]
        found, steps = [error], []
    if strangers:
        steps.append(lambda: _check_closed(bucket, client, key, body))
    steps.append(lambda: _take_away(bucket, artifacts, key))
    for step in steps:
        try:
            await step()
        except ArtifactsUnavailable as error:
            found.append(error)
    return found


def unreadable(bucket: Bucket) -> ArtifactsUnavailable:
    """What was put there cannot be looked at."""
    return ArtifactsUnavailable(
        "s3_unreadable",
        f"the key may write to bucket {bucket.name}, but not read in it",
        "allow it s3:GetObject: recordings are read there",
        lasting=True,
    )


async def _check_region(bucket: Bucket, client: Any) -> None:
    """Raises ArtifactsUnavailable when the bucket says that it lies in another region than the one that is set."""
    with named(bucket.name):
        try:
            answer = await client.head_bucket(Bucket=bucket.name)
        except ClientError as error:
            answer = error.response
            if code_of(error) not in _NO_REGION:
                answer = {}  # whatever it is, the next request gets an answer with a body
    region = region_of(answer)
    # Stores that know no regions say anything, or "auto", and take every one; AWS minds.
    if region and region != bucket.region and (answer.get("Error") or not bucket.endpoint):
        raise wrong_region(bucket.name, bucket.region, region)


async def _judged(
    bucket: Bucket, artifacts: ArtifactStore, error: ArtifactsUnavailable
) -> ArtifactsUnavailable:
    """Why a first object was not taken, as far as another request can tell."""
    if error.code != "s3_denied":
        return error
    try:
        await artifacts.keys(_FOLDER)
    except (ArtifactsUnavailable, ObjectRefused):
        return error
    return ArtifactsUnavailable(
        "s3_read_only",
        f"the key may read bucket {bucket.name}, but not write to it",
        "allow it s3:PutObject, or set RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID and _SECRET_ACCESS_KEY to a key that may",
        lasting=True,
    )


async def _read_back(bucket: Bucket, artifacts: ArtifactStore, key: str, body: bytes) -> None:
    try:
        back = b"".join([block async for block in artifacts.read(key, 0, len(body))])
    except ObjectRefused:
        back = b""
    except ArtifactsUnavailable as error:
        raise unreadable(bucket) if error.code == "s3_denied" else error from None
    if back != body:
        raise ArtifactsUnavailable(
            "s3_not_kept",
            f"bucket {bucket.name} gives back other bytes than it was given",
            "look at the store",
        )


async def _check_closed(bucket: Bucket, client: Any, key: str, body: bytes) -> None:
    """Raises ArtifactsUnavailable when the object can be had without a key."""
    with named(bucket.name):
        signed: str = await client.generate_presigned_url("get_object", {"Bucket": bucket.name, "Key": key})
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(signed.partition("?")[0]) as answer,
        ):
            is_open = answer.status == 200 and await answer.content.read(BYTES) == body
    except (aiohttp.ClientError, OSError, TimeoutError):
        is_open = False
    if is_open:
        raise ArtifactsUnavailable(
            "s3_public",
            f"anybody may read what is in bucket {bucket.name}",
            "aws s3api put-public-access-block --bucket NAME, with all four on",
            lasting=True,
        )


async def _take_away(bucket: Bucket, artifacts: ArtifactStore, key: str) -> None:
    try:
        await artifacts.remove(key)
    except ObjectRefused as error:
        raise _refused(bucket, "s3_cannot_delete", f"does not delete a small object: {error}") from None
    except ArtifactsUnavailable as error:
        if error.code != "s3_denied":
            raise
        raise ArtifactsUnavailable(
            "s3_cannot_delete",
            f"the key may write to bucket {bucket.name}, but not list and delete in it",
            "allow it s3:ListBucket and s3:DeleteObject: what is deleted here must be deleted there",
            lasting=True,
        ) from None


def _refused(bucket: Bucket, code: str, told: str) -> ArtifactsUnavailable:
    return ArtifactsUnavailable(code, f"bucket {bucket.name} {told}", "see the store's own log", lasting=True)
