"""What the settings alone say: all seven and no weak value, or a finding for each."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.artifacts.bucket import Bucket
from aywa.boot.finding import Finding
from aywa.boot.production import report, strength
from aywa.boot.production.codes import MADE, MISSING, SWITCHES, WHY, line
from aywa.boot.production.examine import RELEASED_S, Questions, examine, faults, machine
from aywa.boot.production.local import ask_models
from aywa.boot.production.postgres import Known, no_api_key
from aywa.boot.production.weak import weaknesses

KEY = base64.b64encode(bytes((37 * n * n + 11 * n + 5) % 256 for n in range(32))).decode()
OTHER_KEY = base64.b64encode(bytes((91 * n * n + 7 * n + 60) % 256 for n in range(32))).decode()
GOOD = {
    "RUNTIME_ENV": "production",
    "RUNTIME_API_KEY": "aywa_9fQ2vL7xT4mWc8ZrKd3pYb6H",
    "RUNTIME_PUBLIC_URL": "https://voice.lakeside-dental.com",
    "RUNTIME_STORE_POSTGRES_URL": "postgresql://aywa:kV83jqPz7rTw2mXb@db.internal:5432/aywa",
    "RUNTIME_STORE_ENCRYPTION_KEY": KEY,
    "REDIS_URL": "redis://:Wz5nQ8vJc2rLk9Tp@redis.internal:6379/0",
    "RUNTIME_ARTIFACT_S3_BUCKET": "lakeside-recordings",
    "RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID": "AKIAQ7R2T5W8Y1Z4",
    "RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY": "hB4nV7cX1zL9kJ3mQ6wE8rT2",
    "WEBHOOK_SIGNING_SECRET": "whsec_" + OTHER_KEY,
    "VOICE_PIPELINE_ENABLED": "true",
    "VOICE_PIPELINE_STT_ENABLED": "true",
    "VOICE_PIPELINE_TTS_ENABLED": "true",
}
SEVEN = tuple(MISSING)


async def nothing(*_: Any) -> list[Finding]:
    return []


async def keyless(_: str, known: Known) -> list[Finding]:
    """A database in which no key is stored."""
    return [] if known.api_key else [no_api_key()]


def no_models(_: Mapping[str, str]) -> list[Finding]:
    return []


ALL_WELL = Questions(keyless, nothing, nothing, nothing, no_models)


def examined(environment: Mapping[str, str], home: Path, questions: Questions = ALL_WELL) -> list[Finding]:
    return asyncio.run(examine(environment, home, questions=questions))


def found(environment: Mapping[str, str]) -> set[tuple[str, str]]:
    return {(finding.code, finding.setting) for finding in faults(weaknesses(environment))}


def test_of_all_combinations_of_the_seven_exactly_one_starts(tmp_path: Path) -> None:
    started = []
    for given in itertools.product((True, False), repeat=len(SEVEN)):
        left_out = {name for name, is_set in zip(SEVEN, given, strict=True) if not is_set}
        environment = {name: value for name, value in GOOD.items() if name not in left_out}
        told = faults(examined(environment, tmp_path))
        assert {finding.setting for finding in told} == left_out
        assert {finding.code for finding in told} == {MISSING[name] for name in left_out}
        if not told:
            started.append(given)
    assert started == [(True,) * len(SEVEN)]


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_must_be_stated(switch: str) -> None:
    assert found({name: value for name, value in GOOD.items() if name != switch}) == {
        ("switch.not_stated", switch)
    }
    assert found(GOOD | {switch: "false"}) == set()
    assert found(GOOD | {switch: "perhaps"}) == {("setting.malformed", switch)}


WEAK: tuple[tuple[str, str, str], ...] = (
    ("RUNTIME_PUBLIC_URL", "http://voice.lakeside-dental.com", "url.http"),
    ("RUNTIME_PUBLIC_URL", "https://localhost", "url.localhost"),
    ("RUNTIME_PUBLIC_URL", "https://127.0.0.1:8443", "url.localhost"),
    ("RUNTIME_PUBLIC_URL", "https://10.0.0.7", "url.private"),
    ("RUNTIME_PUBLIC_URL", "https://[fd00::1]", "url.private"),
    ("RUNTIME_PUBLIC_URL", "https://voice", "url.private"),
    ("RUNTIME_PUBLIC_URL", "https://voice.example.com", "url.example"),
    ("RUNTIME_PUBLIC_URL", "voice.lakeside-dental.com", "url.malformed"),
    ("RUNTIME_PUBLIC_URL", "https://key:word@voice.lakeside-dental.com", "url.malformed"),
    ("RUNTIME_PUBLIC_MEDIA_URL", "ws://voice.lakeside-dental.com", "url.http"),
    ("RUNTIME_PUBLIC_MEDIA_URL", "wss://192.168.1.4:8081", "url.private"),
    ("RUNTIME_API_KEY", "aywa_short", "secret.short"),
    ("RUNTIME_API_KEY", "aywa_changeme", "secret.example"),
    ("RUNTIME_API_KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "secret.simple"),
    ("RUNTIME_API_KEY", "your-api-key-your-api-key-here", "secret.example"),
    ("WEBHOOK_SIGNING_SECRET", "hush", "secret.short"),
    ("WEBHOOK_SIGNING_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw!!", "setting.malformed"),
    ("WEBHOOK_SIGNING_SECRET", "abcabcabcabcabcabcabcabcabcabcabc", "secret.simple"),
    ("WEBHOOK_SIGNING_SECRET", GOOD["RUNTIME_API_KEY"], "secret.shared"),
    ("RUNTIME_STORE_ENCRYPTION_KEY", base64.b64encode(bytes(32)).decode(), "secret.simple"),
    ("RUNTIME_STORE_ENCRYPTION_KEY", base64.b64encode(bytes(range(32))).decode(), "secret.simple"),
    ("RUNTIME_STORE_ENCRYPTION_KEY", base64.b64encode(b"correct horse battery staple 123").decode(), "secret.simple"),
    ("RUNTIME_STORE_ENCRYPTION_KEY", "c2hvcnQ=", "setting.malformed"),
    ("RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS", KEY, "secret.shared"),
    ("RUNTIME_STORE_POSTGRES_URL", "postgresql://aywa:postgres@db.internal/aywa", "secret.example"),
    ("RUNTIME_STORE_POSTGRES_URL", "postgresql://aywa:kV83@db.internal/aywa", "secret.short"),
    ("RUNTIME_STORE_POSTGRES_URL", "postgresql://aywa:kV83jqPz7rTw2mXb@db.lakeside.com/aywa?sslmode=disable", "url.cleartext"),
    ("RUNTIME_STORE_POSTGRES_URL", "mysql://aywa:kV83jqPz7rTw2mXb@db.internal/aywa", "url.malformed"),
    ("REDIS_URL", "redis://:password@redis.internal:6379/0", "secret.example"),
    ("REDIS_URL", "redis://:Wz5nQ8vJc2rLk9Tp@cache.lakeside.com:6379/0", "url.cleartext"),
    ("REDIS_URL", "rediss://cache.lakeside.com:6379/0", "url.no_password"),
    ("RUNTIME_ARTIFACT_S3_ENDPOINT", "http://s3.lakeside.com", "url.cleartext"),
    ("RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID", "minioadmin", "secret.example"),
    ("RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY", "minioadmin", "secret.example"),
    ("RUNTIME_ACCOUNT_WEBHOOK_URL", "http://hooks.lakeside.com", "url.http"),
    ("RUNTIME_INTERNAL_ALLOW", "0.0.0.0/0", "network.everybody"),
    ("RUNTIME_INTERNAL_ALLOW", "169.254.0.0/16", "network.metadata"),
    ("RUNTIME_SIP_NETWORKS", "0.0.0.0/0", "network.everybody"),
    ("RUNTIME_MEDIA_NETWORKS", "::/0", "network.everybody"),
    ("RUNTIME_SIP_TLS_VERIFY", "false", "tls.unverified"),
    ("RUNTIME_SIP_PASSWORD", "example-example-example", "secret.example"),
    ("RUNTIME_FREESWITCH_PASSWORD", "ClueCon", "secret.example"),
    ("RUNTIME_OUTBOUND_ALLOW", "+", "toll.unlimited"),
    ("RUNTIME_OUTBOUND_CALLS_PER_HOUR", "1000000", "toll.unlimited"),
    ("OPENAI_BASE_URL", "http://models.lakeside.com/v1", "url.http"),
    ("DEEPGRAM_API_KEY", "your-deepgram-key", "secret.example"),
    ("RUNTIME_SIP_PORT", "many", "setting.malformed"),
    ("RUNTIME_ENV", "staging", "setting.malformed"),
)  # fmt: skip


@pytest.mark.parametrize(("setting", "value", "code"), WEAK, ids=lambda text: str(text)[:40])
def test_a_weak_value_is_found_and_nothing_of_it_is_told(setting: str, value: str, code: str) -> None:
    environment = GOOD | {setting: value}
    assert (code, setting) in found(environment)
    assert all(one == setting for _, one in found(environment))
    told = report.as_text(weaknesses(environment), "aywa doctor") + str(
        report.as_json(weaknesses(environment))
    )
    for secret in (KEY, OTHER_KEY, "kV83jqPz7rTw2mXb", "Wz5nQ8vJc2rLk9Tp", "word@", GOOD["RUNTIME_API_KEY"]):
        assert secret not in told
    if code.startswith("secret.") and len(value) > 8:
        assert value not in told


AT_ONCE: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "RUNTIME_PUBLIC_URL": ("http://localhost:8080", ("url.http", "url.localhost")),
    "RUNTIME_PUBLIC_MEDIA_URL": ("ws://10.0.0.7:8081", ("url.http", "url.private")),
    "RUNTIME_API_KEY": ("secret", ("secret.example",)),
    "WEBHOOK_SIGNING_SECRET": ("whsec_not base64 at all!", ("setting.malformed", "secret.short")),
    "RUNTIME_STORE_POSTGRES_URL": (
        "postgresql://postgres:postgres@db.lakeside.com/aywa?sslmode=disable",
        ("secret.example", "url.cleartext"),
    ),
    "RUNTIME_STORE_ENCRYPTION_KEY": (base64.b64encode(bytes(32)).decode(), ("secret.simple",)),
    "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS": (base64.b64encode(bytes(32)).decode(), ("secret.shared",)),
    "REDIS_URL": ("redis://:foobared@203.0.113.9.nip.io:6379", ("secret.example", "url.cleartext")),
    "RUNTIME_ARTIFACT_S3_ENDPOINT": ("http://s3.lakeside.com", ("url.cleartext",)),
    "RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID": ("minioadmin", ("secret.example",)),
    "RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY": ("minioadmin", ("secret.example",)),
    "RUNTIME_ANALYTICS_CLICKHOUSE_URL": (
        "http://default:clickhouse@ch.lakeside.com:8123",
        ("secret.example", "url.cleartext"),
    ),
    "RUNTIME_ACCOUNT_WEBHOOK_URL": ("http://hooks.lakeside.com", ("url.http",)),
    "RUNTIME_ACCOUNT_WEBHOOK_SECRET": ("hush", ("secret.short",)),
    "RUNTIME_MEDIA_SECRET": ("password", ("secret.example", "setting.malformed")),
    "RUNTIME_SIP_PASSWORD": ("aaaaaaaaaaaaaaaaaaaaaaaa", ("secret.simple",)),
    "RUNTIME_FREESWITCH_PASSWORD": ("ClueCon", ("secret.example",)),
    "RUNTIME_SIP_NETWORKS": ("0.0.0.0/0", ("network.everybody",)),
    "RUNTIME_MEDIA_NETWORKS": ("::/0", ("network.everybody",)),
    "RUNTIME_AUDIOSOCKET_NETWORKS": ("0.0.0.0/1", ("network.everybody",)),
    "RUNTIME_FREESWITCH_NETWORKS": ("0.0.0.0/0", ("network.everybody",)),
    "RUNTIME_INTERNAL_ALLOW": ("::/0,169.254.169.254", ("network.everybody", "network.metadata")),
    "RUNTIME_SIP_TLS_VERIFY": ("no", ("tls.unverified",)),
    "RUNTIME_OUTBOUND_ALLOW": ("+", ("toll.unlimited",)),
    "RUNTIME_OUTBOUND_CALLS_PER_HOUR": ("1000000", ("toll.unlimited",)),
    "OPENAI_BASE_URL": ("http://models.lakeside.com/v1", ("url.http",)),
    "OPENAI_API_KEY": ("sk-test", ("secret.example",)),
    "DEEPGRAM_API_KEY": ("your-deepgram-key", ("secret.example",)),
    "RUNTIME_FREESWITCH_PORT": ("many", ("setting.malformed",)),
    "RUNTIME_WEBHOOK_CONCURRENCY": ("lots", ("setting.malformed",)),
    "RUNTIME_ENV": ("staging", ("setting.malformed",)),
    "VOICE_PIPELINE_ENABLED": ("perhaps", ("setting.malformed",)),
}


def test_forty_weak_values_are_all_in_one_report(tmp_path: Path) -> None:
    environment = GOOD | {name: value for name, (value, _) in AT_ONCE.items()}
    wanted = {(code, name) for name, (_, codes) in AT_ONCE.items() for code in codes}
    assert len(wanted) >= 40
    told = {(finding.code, finding.setting) for finding in faults(examined(environment, tmp_path))}
    assert told == wanted
    text = report.as_text(examined(environment, tmp_path), "aywa serve")
    assert text.startswith(f"aywa serve: {len(wanted)} things must be mended before production starts")
    assert text.count("  mend: ") == len(wanted)


def test_every_code_says_why_and_every_mend_is_a_line() -> None:
    assert all(WHY[code] for code in MISSING.values())
    for setting in MADE:
        assert line(setting).startswith(f"{setting}=")


def test_what_the_mends_make_is_not_weak() -> None:
    made = {
        "RUNTIME_API_KEY": "aywa_" + os.urandom(24).hex(),
        "WEBHOOK_SIGNING_SECRET": "whsec_" + base64.b64encode(os.urandom(32)).decode(),
        "RUNTIME_STORE_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        "RUNTIME_MEDIA_SECRET": os.urandom(24).hex(),
        "RUNTIME_SIP_PASSWORD": os.urandom(16).hex(),
    }
    assert found(GOOD | made) == set()


@pytest.mark.parametrize("secret", [os.urandom(24).hex() for _ in range(20)])
def test_a_random_secret_is_not_called_weak(secret: str) -> None:
    assert strength.weakness(secret, 24) is None
    assert strength.key_weakness(os.urandom(32)) == ""


def test_a_slip_of_the_pen_is_told_with_what_was_meant() -> None:
    told = weaknesses(GOOD | {"RUNTIME_PUBLIC_ULR": "x", "RUNTIME_ZZZZZZZ_QQQQQ": "y"})
    assert [(one.code, one.setting, one.good, one.mend) for one in told] == [
        ("setting.unknown", "RUNTIME_PUBLIC_ULR", None, "RUNTIME_PUBLIC_URL instead of RUNTIME_PUBLIC_ULR"),
        ("setting.unknown", "RUNTIME_ZZZZZZZ_QQQQQ", None, "unset RUNTIME_ZZZZZZZ_QQQQQ"),
    ]


def test_a_secret_in_the_wrong_place_is_not_told() -> None:
    swapped = GOOD | {"RUNTIME_ENV": GOOD["RUNTIME_API_KEY"], "REDIS_URL": KEY, "RUNTIME_PUBLIC_URL": KEY}
    told = report.as_text(weaknesses(swapped), "aywa doctor")
    assert KEY not in told
    assert GOOD["RUNTIME_API_KEY"] not in told
    assert {setting for _, setting in found(swapped)} == {"RUNTIME_ENV", "REDIS_URL", "RUNTIME_PUBLIC_URL"}


def test_a_clock_in_the_past_a_full_disk_and_a_folder_that_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine(tmp_path / "not" / "yet", RELEASED_S + 1) == []
    assert [one.code for one in machine(tmp_path, RELEASED_S - 1)] == ["clock.past"]
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1_000_000})())
    assert [one.code for one in machine(tmp_path, RELEASED_S + 1)] == ["disk.full"]
    monkeypatch.setattr("os.access", lambda *_: False)
    assert [one.code for one in machine(tmp_path, RELEASED_S + 1)] == ["home.not_writable"]


@pytest.mark.virtual_time
async def test_what_does_not_answer_yet_is_waited_for(tmp_path: Path) -> None:
    asked = []

    async def later(url: str) -> list[Finding]:
        asked.append(asyncio.get_running_loop().time())
        return [Finding("redis", False, "", code="redis.unreachable")] if len(asked) < 4 else []

    async def wrong(bucket: Bucket) -> list[Finding]:
        return [Finding("s3", False, "", code="s3.credentials")]

    questions = Questions(keyless, later, wrong, nothing, no_models)
    began = asyncio.get_running_loop().time()
    told = await examine(GOOD, tmp_path, questions=questions, wait_s=30)
    assert [one.code for one in faults(told)] == ["s3.credentials"]
    assert [round(at - began) for at in asked] == [0, 1, 2, 3]


@pytest.mark.virtual_time
async def test_it_is_not_waited_for_longer_than_said(tmp_path: Path) -> None:
    async def never(setting: str, url: str) -> list[Finding]:
        return [Finding("public", False, "", code="public_url.unresolved")]

    began = asyncio.get_running_loop().time()
    told = await examine(
        GOOD, tmp_path, questions=Questions(keyless, nothing, nothing, never, no_models), wait_s=7
    )
    assert [one.code for one in faults(told)] == ["public_url.unresolved"]
    assert asyncio.get_running_loop().time() - began == pytest.approx(7)
    told = await examine(
        GOOD | {"RUNTIME_PUBLIC_URL_CHECK": "false"},
        tmp_path,
        questions=Questions(keyless, nothing, nothing, never, no_models),
    )
    assert faults(told) == []


def test_models_that_are_not_here_are_told_together_with_the_line_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AYWA_MODELS", str(tmp_path))
    told = faults(examined(GOOD, tmp_path, replace(ALL_WELL, models=ask_models)))
    [missing] = told
    assert (missing.code, missing.setting) == ("models.missing", "AYWA_MODELS")
    assert missing.told == f"silero is missing, smart-turn is missing, moonshine is missing in {tmp_path}"
    assert missing.mend == "aywa models pull silero smart-turn moonshine"
    [told_again] = ask_models(GOOD | {"RUNTIME_LLM": "qwen-0.5b"})
    assert told_again.mend.endswith(" qwen-0.5b")
    [malformed] = ask_models(GOOD | {"RUNTIME_PORT": "no"})
    assert malformed == missing
