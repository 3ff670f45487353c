"""What an operator says of the bucket."""

from __future__ import annotations

import pytest

from aywa.adapters.artifacts.bucket import Bucket
from aywa.boot.artifact_settings import (
    BUCKET,
    ENDPOINT,
    KEY_ID,
    LINK,
    PUBLIC_ENDPOINT,
    REGION,
    SECRET,
    BucketSettings,
    bucket_from_environment,
)
from aywa.boot.errors import CannotStart

GOOD = {BUCKET: "aywa", ENDPOINT: "http://s3:9000/", KEY_ID: " key\n", SECRET: "hush", REGION: "auto"}


def test_without_a_bucket_there_is_none() -> None:
    assert bucket_from_environment({}) is None
    assert bucket_from_environment({BUCKET: " "}) is None


def test_everything_is_read() -> None:
    read = bucket_from_environment(GOOD | {PUBLIC_ENDPOINT: "https://files.example.com", LINK: "60"})
    assert read == BucketSettings(
        Bucket("aywa", "http://s3:9000", "auto", "key", "hush", "https://files.example.com"), 60
    )
    assert "hush" not in repr(read)
    least = bucket_from_environment({BUCKET: "aywa", KEY_ID: "k", SECRET: "s"})
    assert least == BucketSettings(Bucket("aywa", "", "us-east-1", "k", "s"), 3600)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (BUCKET, "Not_A_Bucket", "a bucket's name"),
        (BUCKET, "", "is set, but RUNTIME_ARTIFACT_S3_BUCKET is not"),
        (ENDPOINT, "s3.example.com", "an address such as"),
        (ENDPOINT, "https://user:hush@s3.example.com", "an address such as"),
        (ENDPOINT, "https://s3.example.com/aywa", "without a path"),
        (ENDPOINT, "http://[bad", "an address such as"),
        (PUBLIC_ENDPOINT, "ftp://s3", "an address such as"),
        (REGION, "Mars!", "a region such as"),
        (KEY_ID, "", "must be set when"),
        (SECRET, "", "must be set when"),
        (LINK, "604801", "0 to 604800"),
    ],
)
def test_what_cannot_be_is_said_with_its_name(name: str, value: str, said: str) -> None:
    with pytest.raises(CannotStart, match=said) as refused:
        bucket_from_environment(GOOD | {name: value})
    assert name in str(refused.value) or name == BUCKET
    assert "hush" not in str(refused.value)
