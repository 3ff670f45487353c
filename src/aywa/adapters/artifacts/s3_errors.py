"""What went wrong at a bucket, by a stable name and with its mend. Codes are S3's own (S3 API reference, Error responses), and
those of stores that speak its protocol. Refuses to show a store's own text: it may quote what was signed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from aywa.ports.artifacts import ArtifactsUnavailable, ObjectRefused

_SETTING: Final = "RUNTIME_ARTIFACT_S3"
_MISSING: Final = frozenset(("NoSuchKey", "NoSuchUpload", "NoSuchVersion", "404", "NotFound"))
_LASTING: Final[Mapping[str, tuple[str, str, str]]] = {
    "InvalidAccessKeyId": (
        "s3_wrong_key",
        "does not know the access key",
        f"set {_SETTING}_ACCESS_KEY_ID to a key that exists there",
    ),
    "SignatureDoesNotMatch": (
        "s3_wrong_secret",
        "does not accept the secret of the access key",
        f"set {_SETTING}_SECRET_ACCESS_KEY to the secret that belongs to {_SETTING}_ACCESS_KEY_ID",
    ),
    "AccessDenied": (
        "s3_denied",
        "does not allow this to the access key",
        "allow the key s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload there",
    ),
    "NoSuchBucket": (
        "s3_no_bucket",
        "is not there",
        f"make it, or set {_SETTING}_BUCKET (and _ENDPOINT) to one that is",
    ),
    "InvalidBucketName": ("s3_no_bucket", "cannot be a bucket's name", f"set {_SETTING}_BUCKET"),
    "RequestTimeTooSkewed": (
        "s3_clock",
        "has another time than this machine",
        "set this machine's clock (timedatectl set-ntp true)",
    ),
    "RequestExpired": (
        "s3_clock",
        "has another time than this machine",
        "set this machine's clock (timedatectl set-ntp true)",
    ),
    "AuthorizationHeaderMalformed": (
        "s3_wrong_region",
        "lies in another region",
        f"set {_SETTING}_REGION to the bucket's own",
    ),
    "PermanentRedirect": (
        "s3_wrong_region",
        "lies in another region",
        f"set {_SETTING}_REGION to the bucket's own",
    ),
    "QuotaExceeded": ("s3_full", "is full", "make room in it, or raise its quota"),
    "XMinioStorageFull": ("s3_full", "is full", "make room on the store's disks"),
}
_SAME: Final[Mapping[str, str]] = {
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "AccountProblem": "AccessDenied",
    "Unauthorized": "InvalidAccessKeyId",
    "InvalidToken": "InvalidAccessKeyId",
    "NotSignedUp": "InvalidAccessKeyId",
    "InvalidSecurity": "InvalidAccessKeyId",
    "301": "PermanentRedirect",
    "IllegalLocationConstraintException": "PermanentRedirect",
    "InvalidRegion": "AuthorizationHeaderMalformed",
    "XMinioAdminBucketQuotaExceeded": "QuotaExceeded",
    "InsufficientStorage": "QuotaExceeded",
}
_REGION_NAME = re.compile(r"[a-z0-9-]{2,40}\Z")


def code_of(error: ClientError) -> str:
    """S3's name for what went wrong; where an answer had no body, its status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def region_of(response: Mapping[str, Any]) -> str:
    """Where an answer says that the bucket lies; empty where it says nothing."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    said = headers.get("x-amz-bucket-region") or response.get("Error", {}).get("Region") or ""
    return str(said) if _REGION_NAME.match(str(said)) else ""


def wrong_region(bucket: str, set_region: str, region: str) -> ArtifactsUnavailable:
    """The bucket itself says where it lies."""
    return ArtifactsUnavailable(
        "s3_wrong_region",
        f"bucket {bucket} lies in region {region}, not in {set_region}",
        f"set {_SETTING}_REGION={region}",
        lasting=True,
    )


def no_bucket(bucket: str) -> ArtifactsUnavailable:
    """There is none of that name."""
    name, text, mend = _LASTING["NoSuchBucket"]
    return ArtifactsUnavailable(name, f"bucket {bucket} {text}", mend, lasting=True)


@contextmanager
def named(bucket: str) -> Iterator[None]:
    """What the client raises comes out as ArtifactsUnavailable or ObjectRefused; as KeyError where something is not there."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(bucket, error) from None
    except SSLError:
        raise ArtifactsUnavailable(
            "s3_untrusted",
            f"bucket {bucket}: the store's certificate is not trusted",
            f"give {_SETTING}_ENDPOINT a certificate that this machine trusts",
            lasting=True,
        ) from None
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
        raise ArtifactsUnavailable(
            "s3_unreachable",
            f"bucket {bucket} does not answer: {type(error).__name__}",
            f"see that the store runs, and that {_SETTING}_ENDPOINT is its address",
        ) from None


def _from_answer(bucket: str, error: ClientError) -> Exception:
    code = code_of(error)
    if code in _MISSING:
        return KeyError(code)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    known = _LASTING.get(_SAME.get(code, code))
    if known is not None:
        name, text, mend = known
        if name == "s3_wrong_region" and (region := region_of(error.response)):
            text, mend = f"lies in region {region}", f"set {_SETTING}_REGION={region}"
        return ArtifactsUnavailable(name, f"bucket {bucket} {text}", mend, lasting=name != "s3_full")
    if status >= 500 or status in (408, 429) or code in ("SlowDown", "RequestTimeout", "BadDigest"):
        return ArtifactsUnavailable(
            "s3_unavailable",
            f"bucket {bucket} answers {status or ''} {_plain(code)}".rstrip(),
            "see the store's own log",
        )
    return ObjectRefused(f"{status or ''} {_plain(code)}".strip())


def _plain(code: str) -> str:
    return code if re.fullmatch(r"[A-Za-z0-9]{1,60}", code) else "an error without a name"
