"""Faults, each put into a home or a runtime, and named from the bundle alone."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.artifacts.ledger import FolderLedger
from aywa.boot.support.bundle import made, written
from aywa.boot.support.doctor import faults_of
from aywa.boot.support.place import Place
from aywa.core.shipment import Kind, Shipment, Task
from aywa.core.webhooks import Cause
from aywa.testing.runtime import free_port
from tests.boot.support.home import HEALTHY, Home, answering, place, running

FINE: Mapping[str, Any] = {
    "endedReason": "customer-ended-call",
    "artifact": {
        "performanceMetrics": {
            "turnLatencies": [{"turnLatency": 700.0}],
            "wireLatencyAverage": 812.0,
            "modelLatencyAverage": 300.0,
            "audioQuality": {
                "codec": "PCMU",
                "mos": 4.3,
                "lossPercent": 0.1,
                "packetsReceived": 900,
                "packetsSent": 900,
            },
        }
    },
}
Seed = Callable[[Path], AbstractContextManager[Place]]
SEEDS: dict[str, tuple[str, Seed]] = {}
"""What is wrong -> the code that names it, and how it comes about."""


def seed(code: str) -> Callable[[Callable[[Path], Iterator[Place]]], Seed]:
    def put(make: Callable[[Path], Iterator[Place]]) -> Seed:
        made_by = contextmanager(make)
        SEEDS[make.__name__] = code, made_by
        return made_by

    return put


def home(tmp: Path, **more: Any) -> Home:
    return Home(tmp / "home", **{"calls": [FINE, FINE], "keys": ["aywa_key-of-the-tests"], **more}).made()


def with_call(tmp: Path, reason: str = "customer-ended-call", **more: Any) -> Home:
    return home(tmp, calls=[FINE, {**FINE, "endedReason": reason, **more}])


def with_route(tmp: Path, code: str) -> Home:
    failed = ("RouteFailed", {"kind": "llm", "route": "openai/gpt-4.1", "code": code})
    return with_call(tmp, events=[failed] * 3)


def with_quality(tmp: Path, **quality: Any) -> Home:
    return with_call(tmp, artifact={"performanceMetrics": {"audioQuality": quality}})


@contextmanager
def held_by(folder: Path, *, files: int = 4096, stopped: bool = False) -> Iterator[None]:
    """A process that holds the folder, and does nothing else."""
    code = (
        "from pathlib import Path; from aywa.boot.lock import FolderLock;"
        f" one = FolderLock(Path({str(folder)!r})); print('held', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            if stopped:
                process.send_signal(signal.SIGSTOP)
            yield
        finally:
            process.kill()


# --- the machine and the folder --------------------------------------------------------------------------------------


@seed("disk_full")
def the_disk_is_full(tmp: Path) -> Iterator[Place]:
    disk = tmp / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "aywa-test", str(disk)], check=True)
    try:
        one = home(disk)
        room = os.statvfs(disk)
        (disk / "filler").write_bytes(bytes((room.f_bavail - 8) * room.f_frsize))
        with running(one) as where:
            yield where
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@seed("not_running")
def the_runtime_is_gone(tmp: Path) -> Iterator[Place]:
    yield place(home(tmp).folder)


@seed("stopped")
def the_process_is_stopped(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    with held_by(one.folder, stopped=True):
        yield place(one.folder)


@seed("not_answering")
def the_process_does_not_answer(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    with held_by(one.folder):
        yield place(one.folder)


@seed("few_open_files")
def the_process_may_open_few_files(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    with held_by(one.folder, files=256), answering(HEALTHY) as url:
        yield place(one.folder, url)


@seed("clock_behind")
def the_clock_is_a_day_behind(tmp: Path) -> Iterator[Place]:
    with running(home(tmp)) as where:
        yield replace(where, now_s=where.now_s - 86_400)


@seed("key_file_open")
def everybody_can_read_the_key(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    (one.folder / "store-key").chmod(0o644)
    with running(one) as where:
        yield where


@seed("journal_damaged")
def a_byte_of_the_journal_is_another(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    file = one.folder / "journal" / "00000001.journal"
    data = bytearray(file.read_bytes())
    data[60] ^= 0xFF
    file.write_bytes(bytes(data))
    with running(one) as where:
        yield where


@seed("journal_cut")
def the_journal_ends_within_a_record(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    file = one.folder / "journal" / "00000001.journal"
    file.write_bytes(file.read_bytes()[:-3])
    yield place(one.folder)


@seed("checkpoint_broken")
def the_checkpoint_is_no_json(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    (one.folder / "journal" / "projected.json").write_text("{")
    with running(one) as where:
        yield where


@seed("store_behind")
def the_store_lacks_some_of_the_journal(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    (one.folder / "journal" / "projected.json").write_text('{"file": "00000001.journal", "offset": 0}')
    yield place(one.folder)


# --- the store -------------------------------------------------------------------------------------------------------


@seed("store_missing")
def the_database_was_deleted(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    for file in one.folder.glob("aywa.db*"):
        file.unlink()
    with running(one) as where:
        yield where


@seed("store_damaged")
def the_database_is_overwritten(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    (one.folder / "aywa.db").write_bytes(os.urandom(8192))
    with running(one) as where:
        yield where


@seed("store_too_new")
def a_newer_release_was_here(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    _sql(one, "UPDATE alembic_version SET version_num = '9999'")
    with running(one) as where:
        yield where


@seed("store_locked")
def somebody_holds_the_database(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    holder = sqlite3.connect(one.folder / "aywa.db", isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with running(one) as where:
            yield where
    finally:
        holder.close()


@seed("store_refused")
def postgres_is_down(tmp: Path) -> Iterator[Place]:
    url = f"postgresql://aywa:planted@127.0.0.1:{free_port()}/aywa"
    with running(home(tmp), RUNTIME_STORE_POSTGRES_URL=url) as where:
        yield where


@seed("secrets_without_key")
def the_key_was_rotated_away(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    (one.folder / "store-key").unlink()
    with running(one, RUNTIME_STORE_ENCRYPTION_KEY="ab" * 32) as where:
        yield where


@seed("secrets_altered")
def a_sealed_row_was_moved(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    _sql(one, "UPDATE api_keys SET id = 'another'")
    with running(one) as where:
        yield where


@seed("calls_left_open")
def calls_were_left_open(tmp: Path) -> Iterator[Place]:
    yield place(with_call(tmp, status="in-progress").folder)


def _sql(one: Home, statement: str) -> None:
    connection = sqlite3.connect(one.folder / "aywa.db")
    with connection:
        connection.execute(statement)
    connection.close()


# --- calls -----------------------------------------------------------------------------------------------------------


@seed("process_died")
def the_process_died_in_calls(tmp: Path) -> Iterator[Place]:
    with running(with_call(tmp, "call.in-progress.error-vapifault-worker-died")) as where:
        yield where


@seed("trunk_refuses")
def the_trunk_wants_another_password(tmp: Path) -> Iterator[Place]:
    reason = "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required"
    with running(with_call(tmp, reason)) as where:
        yield where


@seed("provider_unauthorized")
def a_providers_key_is_wrong(tmp: Path) -> Iterator[Place]:
    with running(with_route(tmp, "unauthorized")) as where:
        yield where


@seed("provider_quota")
def a_providers_account_is_empty(tmp: Path) -> Iterator[Place]:
    with running(with_route(tmp, "quota")) as where:
        yield where


@seed("provider_unreachable")
def a_provider_is_down(tmp: Path) -> Iterator[Place]:
    with running(with_route(tmp, "unreachable")) as where:
        yield where


@seed("part_failed")
def a_part_of_ours_broke(tmp: Path) -> Iterator[Place]:
    with running(with_call(tmp, events=[("ChildFailed", {"child": "reply"})])) as where:
        yield where


@seed("one_way_audio")
def audio_comes_from_one_side_only(tmp: Path) -> Iterator[Place]:
    with running(with_quality(tmp, packetsReceived=0, packetsSent=400, lossPercent=0.0)) as where:
        yield where


@seed("audio_lost")
def a_tenth_of_the_audio_is_lost(tmp: Path) -> Iterator[Place]:
    with running(with_quality(tmp, packetsReceived=900, packetsSent=990, lossPercent=9.1, mos=2.4)) as where:
        yield where


@seed("turns_slow")
def the_model_is_slow(tmp: Path) -> Iterator[Place]:
    metrics = {"wireLatencyAverage": 4100.0, "modelLatencyAverage": 3300.0, "voiceLatencyAverage": 300.0}
    with running(with_call(tmp, artifact={"performanceMetrics": metrics})) as where:
        yield where


@seed("recording_lost")
def recordings_were_lost(tmp: Path) -> Iterator[Place]:
    with running(with_call(tmp, warnings=[{"kind": "MediaWarned", "code": "recording_lost"}])) as where:
        yield where


# --- webhooks, and what it depends on --------------------------------------------------------------------------------


def _server(code: str, cause: Cause, status: int | None = None) -> None:
    def make(tmp: Path) -> Iterator[Place]:
        with running(home(tmp, servers=[("https://hooks.example/in?token=planted", cause, status)])) as where:
            yield where

    make.__name__ = f"a_server_answers_{cause.value}_{status or ''}"
    seed(code)(make)


_server("webhook_failing", Cause.ANSWERED, 500)
_server("webhook_denied", Cause.ANSWERED, 401)
_server("webhook_disabled", Cause.ANSWERED, 410)
_server("webhook_internal_address", Cause.INTERNAL_ADDRESS)
_server("webhook_untrusted", Cause.UNTRUSTED)
_server("webhook_name_not_found", Cause.NAME_NOT_FOUND)


@seed("webhooks_waiting")
def messages_wait_for_an_hour(tmp: Path) -> Iterator[Place]:
    one = Home(tmp / "home")
    one.waiting_ms = one.now_ms - 3_600_000
    with running(one.made()) as where:
        yield where


@seed("dependency_unreachable")
def redis_is_down(tmp: Path) -> Iterator[Place]:
    with running(home(tmp), REDIS_URL=f"redis://:planted@127.0.0.1:{free_port()}/0") as where:
        yield where


@seed("uploads_waiting")
def recordings_wait_for_the_bucket(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    waiting = Shipment(
        "1b1b", "org", Kind.CALLS, Task.STORE, ("recording.wav",), created_ms=one.now_ms - 7_200_000
    )
    FolderLedger(one.folder / "shipments").write(waiting)
    with running(one) as where:
        yield where


@seed("analytics_behind")
def clickhouse_was_away_for_long(tmp: Path) -> Iterator[Place]:
    one = home(tmp)
    _sql(one, f"UPDATE call_notches SET since_ms = {one.now_ms - 7_200_000}")
    with answering({}) as clickhouse, running(one, RUNTIME_ANALYTICS_CLICKHOUSE_URL=clickhouse) as where:
        yield where


@seed("records_left_out")
def records_could_not_be_stored(tmp: Path) -> Iterator[Place]:
    sample = {"name": "aywa_projection_left_out_records_total", "labels": {}, "value": 3.0}
    with running(home(tmp), {**HEALTHY, "/metrics.json": {"metrics": [{"samples": [sample]}]}}) as where:
        yield where


@seed("unknown_setting")
def a_setting_is_misspelt(tmp: Path) -> Iterator[Place]:
    with running(home(tmp), RUNTIME_PUBLICURL="https://voice.example") as where:
        yield where


@seed("key_malformed")
def the_encryption_key_is_none(tmp: Path) -> Iterator[Place]:
    with running(home(tmp), RUNTIME_STORE_ENCRYPTION_KEY="too-short-to-be-one") as where:
        yield where


@seed("webhook_signing.missing")
def a_setting_of_production_is_missing(tmp: Path) -> Iterator[Place]:
    with running(home(tmp), RUNTIME_ENV="production") as where:
        yield where


@seed("not_ready_store")
def the_store_cannot_be_written(tmp: Path) -> Iterator[Place]:
    checks = {"store": {"ok": False, "problem": "SQLite: OperationalError"}, "journal": {"ok": True}}
    answers = {**HEALTHY, "/readyz": {"status": "not ready", "checks": checks}}
    with running(home(tmp), answers) as where:
        yield where


@seed("trunk_down")
def the_trunk_refuses_the_registration(tmp: Path) -> Iterator[Place]:
    trunk = {"id": "t-1", "name": "Ours", "state": "down", "registered": False, "reason": "403 Forbidden"}
    with running(home(tmp), {**HEALTHY, "/trunks": [trunk]}) as where:
        yield where


# --- the tests -------------------------------------------------------------------------------------------------------


def faults(where: Place, tmp: Path) -> list[str]:
    path = tmp / "bundle.tar.gz"
    bundle = made(where)
    assert "planted" not in "".join(bundle.files.values())
    _ = written(bundle, path)
    return [fault.code for fault in faults_of(path)]


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own machine may be busy; and what waits for a lock need not wait for long."""
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.5, 0.5))
    monkeypatch.setattr("aywa.boot.support.rows.BUSY_S", 0.2)


def test_nothing_is_wrong_with_a_runtime_that_is_well(tmp_path: Path) -> None:
    with running(home(tmp_path)) as where:
        assert faults(where, tmp_path) == []


def test_there_are_at_least_twenty_five() -> None:
    assert len(SEEDS) >= 25


@pytest.mark.parametrize("name", SEEDS)
def test_it_is_named(name: str, tmp_path: Path) -> None:
    code, make = SEEDS[name]
    with make(tmp_path) as where:
        found = faults(where, tmp_path)
    assert code in found
    # Others may follow from it, and no more than that; of an empty environment all is missing.
    assert len(found) <= 3 or code.endswith(".missing"), found
