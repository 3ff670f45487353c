"""Whether the bucket answers, is ours to write, read and delete, and nobody else's to read: what the runtime's own client says of
it, as findings. It puts one small object there, and takes it away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aywa.adapters.artifacts.bucket import Bucket
from aywa.boot.finding import Finding
from aywa.boot.production.codes import BUCKET, ENDPOINT, KEY_ID, KEY_SECRET, REGION, fault
from aywa.ports.artifacts import ArtifactsUnavailable

ALL_S = 30.0
"""A store that never asks for the body (Expect: 100-continue) is not waited for without end."""
_FINDINGS: Mapping[str, tuple[str, str]] = {
    "s3_wrong_key": ("s3.credentials", KEY_ID),
    "s3_wrong_secret": ("s3.credentials", KEY_SECRET),
    "s3_no_bucket": ("s3.bucket_missing", BUCKET),
    "s3_wrong_region": ("s3.region", REGION),
    "s3_denied": ("s3.read_only", BUCKET),
    "s3_read_only": ("s3.read_only", BUCKET),
    "s3_refused": ("s3.read_only", BUCKET),
    "s3_unreadable": ("s3.unreadable", BUCKET),
    "s3_cannot_delete": ("s3.no_delete", BUCKET),
    "s3_public": ("s3.public", BUCKET),
    "s3_clock": ("clock.differs", BUCKET),
}
"""The client's word -> the finding's, and the setting. Every other one: it cannot be reached, which may go away by itself."""


async def ask_bucket(bucket: Bucket) -> list[Finding]:
    """All that is wrong there."""
    if not (bucket.key_id and bucket.secret):
        # Nobody else's key is looked for in this machine.
        return [fault("s3.credentials", KEY_ID, "no access key is set", f"{KEY_ID}=... and {KEY_SECRET}=...")]
    from aywa.adapters.artifacts.s3 import open_bucket

    try:
        async with asyncio.timeout(ALL_S):
            store = await open_bucket(bucket)
            try:
                return [_finding(problem) for problem in await store.problems(strangers=True)]
            finally:
                await store.close()
    except ArtifactsUnavailable as error:
        return [_finding(error)]
    except TimeoutError:
        return [fault("s3.unreachable", ENDPOINT, f"bucket {bucket.name} does not answer within {ALL_S:g} s")]


def _finding(problem: ArtifactsUnavailable) -> Finding:
    code, setting = _FINDINGS.get(problem.code, ("s3.unreachable", ENDPOINT))
    return fault(code, setting, str(problem), problem.mend.removeprefix("set "))
