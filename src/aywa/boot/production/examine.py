"""Everything that is wrong with a production runtime, in one list: what the settings say, what answers, and this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aywa.adapters.artifacts.bucket import REGION_DEFAULT, Bucket
from aywa.adapters.secrets.aes_gcm import BadKey, key_id, read_key
from aywa.boot.errors import CannotStart
from aywa.boot.finding import Finding
from aywa.boot.phone_settings import Reader
from aywa.boot.production.codes import (
    API_KEY,
    BUCKET,
    ENCRYPTION,
    ENDPOINT,
    KEY_ID,
    KEY_SECRET,
    MEDIA_URL,
    POSTGRES,
    PREVIOUS,
    PUBLIC_URL,
    REDIS,
    REGION,
    fault,
)
from aywa.boot.production.local import ask_models
from aywa.boot.production.postgres import Known, ask_postgres, no_api_key
from aywa.boot.production.public import ask_public
from aywa.boot.production.redis import ask_redis
from aywa.boot.production.s3 import ask_bucket
from aywa.boot.production.weak import weaknesses

Environment = Mapping[str, str]
Question = Callable[[], Awaitable[list[Finding]]]

RELEASED_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
"""No clock that is right shows an earlier time than this release's."""
FREE_BYTES_MIN = 500_000_000
FREE_BYTES_FEW = 5_000_000_000
AGAIN_S = 1.0
_MAY_COME = (".unreachable", ".unresolved")
"""Ends of the codes that may go away by themselves: what is started at the same time as we are."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of others; the tests' own where nothing is there to answer."""

    postgres: Callable[[str, Known], Awaitable[list[Finding]]] = ask_postgres
    redis: Callable[[str], Awaitable[list[Finding]]] = ask_redis
    bucket: Callable[[Bucket], Awaitable[list[Finding]]] = ask_bucket
    public: Callable[[str, str], Awaitable[list[Finding]]] = ask_public
    models: Callable[[Environment], list[Finding]] = ask_models


async def examine(
    environment: Environment,
    home: Path,
    *,
    questions: Questions | None = None,
    wait_s: float = 0.0,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """All findings, faults first. wait_s: how long is waited for what does not answer yet."""
    ask = questions or Questions()
    told = [*weaknesses(environment), *machine(home, now()), *ask.models(environment)]
    malformed = {finding.setting for finding in told if finding.code.endswith("malformed")}
    asked = _questions(environment, malformed, ask)
    end_s = asyncio.get_running_loop().time() + wait_s
    # One kind of client after the other: loading one takes a while, in which another's answer would seem to be late.
    for question in asked:
        told += await _patient(question, end_s)
    if not environment.get(API_KEY, "").strip() and not environment.get(POSTGRES, "").strip():
        told.append(no_api_key())
    return sorted(told, key=lambda finding: finding.good is None)


def faults(findings: Sequence[Finding]) -> list[Finding]:
    """Those that keep production from starting."""
    return [finding for finding in findings if finding.good is False]


def _questions(environment: Environment, malformed: Collection[str], ask: Questions) -> list[Question]:
    """Of what is set, as far as it can be understood."""

    def given(name: str) -> str:
        return "" if name in malformed else environment.get(name, "").strip()

    found: list[Question] = []
    if url := given(POSTGRES):
        known = Known(_key_ids(environment), bool(given(API_KEY)))
        found.append(lambda: ask.postgres(url, known))
    if redis := given(REDIS):
        found.append(lambda: ask.redis(redis))
    if bucket := given(BUCKET):
        region = given(REGION) or REGION_DEFAULT
        place = Bucket(bucket, given(ENDPOINT), region, given(KEY_ID), given(KEY_SECRET))
        found.append(lambda: ask.bucket(place))
    if _asks_itself(environment):
        for name, scheme in ((PUBLIC_URL, "https://"), (MEDIA_URL, "wss://")):
            if (address := given(name)).startswith(scheme):
                found.append(_public(ask, name, address))
    return found


def _public(ask: Questions, name: str, address: str) -> Question:
    return lambda: ask.public(name, address)


def _asks_itself(environment: Environment) -> bool:
    try:
        return Reader(environment).flag("RUNTIME_PUBLIC_URL_CHECK", True)
    except CannotStart:
        return True


def _key_ids(environment: Environment) -> tuple[str, ...]:
    """Of the keys that are set and are keys, the one that seals first; empty where there is none to compare with."""
    found = []
    for name in (ENCRYPTION, PREVIOUS):
        for text in environment.get(name, "").split(","):
            try:
                found += [key_id(read_key(text, name))] if text.strip() else []
            except BadKey:
                continue
    return tuple(dict.fromkeys(found))


async def _patient(question: Question, end_s: float) -> list[Finding]:
    while True:
        found = await question()
        left_s = end_s - asyncio.get_running_loop().time()
        if left_s <= 0 or not any(finding.code.endswith(_MAY_COME) for finding in found):
            return found
        await asyncio.sleep(min(AGAIN_S, left_s))


def machine(home: Path, now_s: float) -> list[Finding]:
    """Of this machine: where the journal lies, and the clock."""
    found = []
    if now_s < RELEASED_S:
        told = f"this machine's clock shows {datetime.fromtimestamp(now_s, UTC):%Y-%m-%d}, before this release was made"
        found.append(fault("clock.past", "", told, "timedatectl set-ntp true"))
    place = next((folder for folder in (home, *home.parents) if folder.exists()), home)
    if not os.access(place, os.W_OK | os.X_OK):
        told = f"{home} cannot be written"
        found.append(
            fault("home.not_writable", "AYWA_HOME", told, f"chown aywa {home}, or AYWA_HOME=/var/lib/aywa")
        )
        return found
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return found
    if free < FREE_BYTES_MIN:
        found.append(
            fault("disk.full", "AYWA_HOME", f"{home} has {free // 1_000_000} MB left", "make room there")
        )
    return found
