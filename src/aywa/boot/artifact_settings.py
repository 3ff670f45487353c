"""What an operator says of the bucket, from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aywa.adapters.artifacts.bucket import REGION_DEFAULT, Bucket
from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import Reader
from aywa.service.shipped import LINK_MOST_S, LINK_S

BUCKET = "RUNTIME_ARTIFACT_S3_BUCKET"
ENDPOINT = "RUNTIME_ARTIFACT_S3_ENDPOINT"
REGION = "RUNTIME_ARTIFACT_S3_REGION"
KEY_ID = "RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID"
SECRET = "RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY"  # noqa: S105 - a setting's name
PUBLIC_ENDPOINT = "RUNTIME_ARTIFACT_S3_PUBLIC_ENDPOINT"
LINK = "RUNTIME_ARTIFACT_S3_LINK_S"
_OTHERS = (ENDPOINT, REGION, KEY_ID, SECRET, PUBLIC_ENDPOINT, LINK)
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_REGION = re.compile(r"[a-z0-9-]{2,40}\Z")


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """link_s: how long an address of an artifact holds; 0: none is given out, the runtime hands the bytes on."""

    bucket: Bucket
    link_s: int = LINK_S


def bucket_from_environment(environment: Mapping[str, str] | None = None) -> BucketSettings | None:
    """None: RUNTIME_ARTIFACT_S3_BUCKET is not set, artifacts stay on this machine. Raises CannotStart."""
    read = Reader(os.environ if environment is None else environment)
    bucket = read.text(BUCKET)
    if not bucket:
        stray = next((name for name in _OTHERS if read.text(name)), None)
        if stray is not None:
            raise CannotStart(f"{stray} is set, but {BUCKET} is not: name the bucket, or unset it")
        return None
    if not _NAME.match(bucket):
        raise CannotStart(
            f"{BUCKET} must be a bucket's name (3 to 63 of a-z, 0-9, . and -), got {bucket[:80]!r}"
        )
    region = read.text(REGION) or REGION_DEFAULT
    if not _REGION.match(region):
        raise CannotStart(f"{REGION} must be a region such as eu-central-1, or auto, got {region[:40]!r}")
    key_id, secret = read.text(KEY_ID), read.text(SECRET)
    for name, value in ((KEY_ID, key_id), (SECRET, secret)):
        if not value:
            raise CannotStart(f"{name} must be set when {BUCKET} is")
    endpoint = _endpoint(read, ENDPOINT)
    public_endpoint = _endpoint(read, PUBLIC_ENDPOINT) or endpoint
    return BucketSettings(
        Bucket(bucket, endpoint, region, key_id, secret, public_endpoint),
        read.number(LINK, LINK_S, LINK_MOST_S),
    )


def _endpoint(read: Reader, name: str) -> str:
    given = read.text(name).rstrip("/")
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    # What is before an @ would be a secret in an address; it is not shown.
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in given
        or parts.query
        or parts.path
    ):
        raise CannotStart(f"{name} must be an address such as https://s3.example.com, without a path")
    return given
