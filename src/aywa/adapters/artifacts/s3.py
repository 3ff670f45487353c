"""Objects in an S3-compatible bucket (AWS S3, Cloudflare R2, MinIO, SeaweedFS, Ceph), through aiobotocore.

Every body goes out with its MD5, which the store checks before it takes it (S3 API reference, PutObject and UploadPart,
Content-MD5); the whole object's SHA-256 is kept with it as metadata. Nothing is asked of the environment's AWS settings, so that
nobody else's key is used. The operator chose the address: it may be an internal one.
Refuses to make buckets, and to try again: who asks knows when.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from aywa.adapters.artifacts import s3_trial
from aywa.adapters.artifacts.bucket import Bucket
from aywa.adapters.artifacts.s3_errors import named
from aywa.ports.artifacts import ArtifactsUnavailable, Begun, ObjectRefused, Source, Stored

MULTIPART_BYTES = 16 * 1024 * 1024
"""What is larger is stored in parts."""
PART_BYTES = 8 * 1024 * 1024
"""At least 5 MiB, but for the last; at most 10,000 of them (S3 User Guide, multipart upload limits): 80 GiB, a WAV has 4."""
READ_BYTES = 1 << 16
CONNECT_S = 5.0
READ_S = 60.0
CONNECTIONS_MAX = 16
UPLOADS = "list_multipart_uploads"
_SHA256 = "sha256"


async def open_bucket(bucket: Bucket, part_bytes: int = PART_BYTES) -> S3Artifacts:
    """Nothing is asked of the bucket yet. Raises ArtifactsUnavailable: what is said of it cannot be."""
    resources = AsyncExitStack()
    try:
        with named(bucket.name):
            client = await resources.enter_async_context(_client(bucket, bucket.endpoint))
            public = client
            if bucket.public_endpoint and bucket.public_endpoint != bucket.endpoint:
                public = await resources.enter_async_context(_client(bucket, bucket.public_endpoint))
    except BaseException:
        await resources.aclose()
        raise
    return S3Artifacts(bucket, client, public, resources, part_bytes)


@cache
def _session() -> AioSession:
    """What it reads of the service's description, it reads once. What this machine's user keeps for other programs is none of
    ours: each variable's name in the environment is None."""
    ours = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
    return AioSession(session_vars={name: (None, None, value, None) for name, value in ours.items()})


def _client(bucket: Bucket, endpoint: str) -> Any:
    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        max_pool_connections=CONNECTIONS_MAX,
        retries={"total_max_attempts": 1, "mode": "standard"},
        ignore_configured_endpoint_urls=True,
        # The newer checksums are not everybody's; ours is Content-MD5.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    return _session().create_client(
        "s3",
        region_name=bucket.region,
        endpoint_url=endpoint or None,
        aws_access_key_id=bucket.key_id,
        aws_secret_access_key=bucket.secret,
        config=config,
    )


class S3Artifacts:
    """ports.artifacts.ArtifactStore."""

    def __init__(
        self,
        bucket: Bucket,
        client: Any,
        public: Any,
        resources: AsyncExitStack,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._public = public
        self._resources = resources
        self._part_bytes = part_bytes
        self._multipart_bytes = min(MULTIPART_BYTES, 2 * part_bytes)
        self._versions: bool | None = None

    async def put(
        self, key: str, source: Source, media_type: str, upload: str = "", begun: Begun | None = None
    ) -> Stored:
        """As the port says."""
        size, digest = source.size, await asyncio.to_thread(_digest, source)
        about = {"ContentType": media_type, "Metadata": {_SHA256: digest}}
        if size > self._multipart_bytes:
            await self._put_parts(key, source, about, upload, begun)
        else:
            body = await asyncio.to_thread(_bytes, source, 0, size)
            await self._ask("put_object", Key=key, Body=body, ContentMD5=_md5(body), **about)
        try:
            stored = await self.find(key)
        except ArtifactsUnavailable as error:
            raise s3_trial.unreadable(self._bucket) if error.code == "s3_denied" else error from None
        if stored is None or stored.size != size:
            raise ArtifactsUnavailable(
                "s3_not_kept",
                f"bucket {self._bucket.name} confirmed an object and has another",
                "look at the store's own log: it answers before it has written",
            )
        return stored

    async def find(self, key: str) -> Stored | None:
        """As the port says."""
        try:
            found = await self._ask("head_object", Key=key)
        except KeyError:
            return None
        metadata: Mapping[str, str] = found.get("Metadata") or {}
        return Stored(int(found["ContentLength"]), found.get("ContentType", ""), metadata.get(_SHA256, ""))

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """As the port says."""
        if start >= end:
            return
        with named(self._bucket.name):
            try:
                answer = await self._ask("get_object", Key=key, Range=f"bytes={start}-{end - 1}")
            except KeyError:
                raise ObjectRefused("it is not there") from None
            async with answer["Body"] as body:
                while block := await body.read(READ_BYTES):
                    yield block

    async def keys(self, prefix: str) -> Sequence[str]:
        """As the port says."""
        return sorted([one["Key"] async for one in self._listed("list_objects_v2", prefix, "Contents")])

    async def remove(self, prefix: str) -> None:
        """As the port says. Where the bucket keeps versions, they go too: otherwise nothing would be removed."""
        async for upload in self._listed(UPLOADS, prefix, "Uploads"):
            await self._abort(upload["Key"], upload["UploadId"])
        if await self._keeps_versions():
            for kind in ("Versions", "DeleteMarkers"):
                async for one in self._listed("list_object_versions", prefix, kind):
                    await self._ask("delete_object", Key=one["Key"], VersionId=one["VersionId"])
            return
        for key in await self.keys(prefix):
            await self._ask("delete_object", Key=key)

    async def link(self, key: str, file_name: str, within_s: int) -> str | None:
        """As the port says: signed with our key, which is not in it. No request is made."""
        wanted = {
            "Bucket": self._bucket.name,
            "Key": key,
            "ResponseContentDisposition": f'inline; filename="{file_name}"',
        }
        with named(self._bucket.name):
            return str(await self._public.generate_presigned_url("get_object", wanted, ExpiresIn=within_s))

    async def check(self) -> None:
        """As the port says; and that the bucket lies where it is said to."""
        for problem in await self.problems():
            raise problem

    async def problems(self, *, strangers: bool = False) -> list[ArtifactsUnavailable]:
        """All that is wrong with it, not only what comes first. strangers: also, whether anybody may read there."""
        return await s3_trial.problems(self._bucket, self._client, self, strangers=strangers)

    async def close(self) -> None:
        """As the port says."""
        await self._resources.aclose()

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _put_parts(
        self, key: str, source: Source, about: Mapping[str, Any], upload: str, begun: Begun | None
    ) -> None:
        there: dict[int, tuple[str, int]] = {}
        if upload:
            try:
                there = await self._parts(key, upload)
            except KeyError:
                upload = ""
        if not upload:
            upload = str((await self._ask("create_multipart_upload", Key=key, **about))["UploadId"])
            if begun is not None:
                await begun(upload)
        parts: list[dict[str, Any]] = []
        for number, start in enumerate(range(0, source.size, self._part_bytes), 1):
            body = await asyncio.to_thread(_bytes, source, start, min(start + self._part_bytes, source.size))
            etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            # A part's ETag is its MD5, unless the store encrypts with keys of a customer's: then it goes once more.
            if there.get(number) != (etag, len(body)):
                answer = await self._ask(
                    "upload_part",
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=body,
                    ContentMD5=_md5(body),
                )
                etag = str(answer["ETag"]).strip('"')
            parts.append({"PartNumber": number, "ETag": f'"{etag}"'})
        await self._ask(
            "complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    async def _parts(self, key: str, upload: str) -> dict[int, tuple[str, int]]:
        """What is there of an upload that was begun before. Raises KeyError when it is gone."""
        found: dict[int, tuple[str, int]] = {}
        async for part in self._pages("list_parts", "Parts", Key=key, UploadId=upload):
            found[int(part["PartNumber"])] = (str(part["ETag"]).strip('"'), int(part["Size"]))
        return found

    async def _abort(self, key: str, upload: str) -> None:
        try:
            await self._ask("abort_multipart_upload", Key=key, UploadId=upload)
        except KeyError:
            return  # somebody else has ended it

    async def _keeps_versions(self) -> bool:
        if self._versions is None:
            try:
                answer = await self._ask("get_bucket_versioning")
                self._versions = bool(answer.get("Status"))
            except KeyError:
                self._versions = False
            except ArtifactsUnavailable as error:
                if not error.lasting:
                    raise
                # Who may not ask has no versions that he may remove either.
                self._versions = False
        return self._versions

    async def _listed(self, operation: str, prefix: str, name: str) -> AsyncIterator[dict[str, Any]]:
        try:
            async for one in self._pages(operation, name, Prefix=prefix):
                # Some stores take a prefix for a folder's.
                if str(one["Key"]).startswith(prefix):
                    yield one
        except KeyError:
            return
        except ObjectRefused:
            if operation != UPLOADS:
                raise
            # A store that does not list what was begun: its own lifecycle rules end it.

    async def _pages(self, operation: str, name: str, **arguments: Any) -> AsyncIterator[dict[str, Any]]:
        with named(self._bucket.name):
            paginator = self._client.get_paginator(operation)
            async for page in paginator.paginate(Bucket=self._bucket.name, **arguments):
                for one in page.get(name) or ():
                    yield one

    async def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Raises ArtifactsUnavailable, ObjectRefused; KeyError when what is asked for is not there."""
        with named(self._bucket.name):
            asked: Awaitable[dict[str, Any]] = getattr(self._client, operation)(
                Bucket=self._bucket.name, **arguments
            )
            return await asked


def _digest(source: Source) -> str:
    digest = hashlib.sha256()
    for block in source.read(0, source.size):
        digest.update(block)
    return digest.hexdigest()


def _bytes(source: Source, start: int, end: int) -> bytes:
    body = b"".join(source.read(start, end))
    if len(body) != end - start:
        raise OSError(errno.EIO, "the file became shorter while it was read")
    return body


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
