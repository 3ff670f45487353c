"""Each fault of the machine, the folder, the journal and the settings: seen where it is, and not where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from aywa.core.support.faults import Files, named
from aywa.core.support.machine_faults import RULES

MB = 1024 * 1024
NOW = "2026-11-23T12:00:00Z"
RUNS: dict[str, Any] = {"lock": {"held": True}, "there": True}
ANSWERS: dict[str, Any] = {"runtime.json": {"health": {"answered": True}}}


PRODUCTION: dict[str, Any] = {"settings.json": {"settings": {"RUNTIME_ENV": {"value": "production"}}}}
EVICTS: dict[str, Any] = {"code": "redis.evicts", "told": "it evicts"}


def codes(files: Files) -> list[str]:
    return [fault.code for fault in named(files, RULES)]


def folder(**more: Any) -> dict[str, Any]:
    return {"folder.json": more}


def machine(**more: Any) -> dict[str, Any]:
    return {"machine.json": more}


CLICKHOUSE: dict[str, Any] = {
    "settings.json": {"settings": {"RUNTIME_ANALYTICS_CLICKHOUSE_URL": {"set": True}}}
}


def figures(name: str, value: float) -> dict[str, Any]:
    return {"runtime.json": {"metrics": {"values": {name: value}}}}


def settings(value: str) -> dict[str, Any]:
    return {"settings.json": {"settings": {"RUNTIME_CALLS_MAX": {"value": value}}}}


def segment(**more: Any) -> dict[str, Any]:
    return {"name": "00000001.journal", **more}


def journal(**more: Any) -> dict[str, Any]:
    return {"journal.json": {"segments": [segment(**more)]}}


def checkpoint(**more: Any) -> dict[str, Any]:
    return {"journal.json": {"checkpoint": more}}


GOOD: list[Files] = [
    {},
    folder(disk_bytes=1000 * MB, disk_free_bytes=500 * MB, disk_files_free=9),
    folder(disk_bytes=100 * MB, disk_free_bytes=90 * MB),
    machine(memory_bytes=100, memory_free_bytes=50, load=[1.0, 9.0, 9.0], cores=2),
    machine(load=[], cores=2),
    machine(open_files_max=-1),
    machine(open_files_max=100_000) | settings("500"),
    machine(open_files_max=300) | settings("5"),
    machine(open_files_max=1000) | settings("many"),
    machine(time=NOW) | {"store.json": {"newest": "2026-11-23T12:04:00Z"}},
    machine(time="noon") | {"store.json": {"newest": "2027-11-23T12:04:00Z"}},
    folder(there=True, writable=True, lock={"held": True}) | ANSWERS,
    folder(
        files=[
            {"name": "dev-key", "mode": "-rw-------"},
            {"name": "other", "mode": "-rw-r--r--"},
            {"name": "lock"},
        ]
    ),
    folder(models=[{"name": "qwen", "state": "missing"}]),
    journal(records=5),
    journal(damage="cut") | {"folder.json": RUNS} | ANSWERS,
    checkpoint(readable=True, behind_bytes=0),
    checkpoint(readable=True, behind_bytes=5) | ANSWERS,
    {"settings.json": {"settings": {"A": {"usable": True}, "B": {"set": False}}, "unknown": {}}},
    {"reach.json": {"targets": [{"setting": "REDIS_URL", "outcome": "reached"}]}},
    {"findings.json": {"findings": [EVICTS]}},
    folder(shipments={"waiting": 3, "oldest_s": 60}),
    {"store.json": {"untold": {"calls": 9, "oldest_s": 90_000}}},
    {"store.json": {"untold": {"calls": 9, "oldest_s": 60}}} | CLICKHOUSE,
    figures("aywa_journal_lost_records_total", 0),
]
BAD: list[tuple[str, Files]] = [
    ("disk_full", folder(disk_bytes=100_000 * MB, disk_free_bytes=150 * MB)),
    ("disk_full", folder(disk_bytes=100_000_000 * MB, disk_free_bytes=900_000 * MB)),
    ("disk_full", folder(disk_files_free=0)),
    ("memory_short", machine(memory_bytes=1000, memory_free_bytes=20)),
    ("overloaded", machine(load=[7.0, 1, 1], cores=2)),
    ("few_open_files", machine(open_files_max=1024) | settings("500")),
    ("few_open_files", machine(open_files_max=100_000) | folder(lock={"open_files_max": 256})),
    ("clock_behind", machine(time=NOW) | {"store.json": {"newest": "2026-11-23T13:00:00Z"}}),
    ("clock_behind", machine(time=NOW) | journal(changed="2026-11-24T00:00:00.5Z")),
    ("folder_missing", folder(there=False)),
    ("folder_read_only", folder(writable=False)),
    ("not_running", folder(there=True, lock={"held": False})),
    ("stopped", folder(there=True, lock={"held": True, "state": "T"})),
    ("not_answering", folder(there=True, lock={"held": True, "state": "S"})),
    ("key_file_open", folder(files=[{"name": "dev-key", "mode": "-rw-r--r--"}])),
    ("model_damaged", folder(models=[{"name": "qwen", "state": "damaged"}])),
    ("journal_damaged", journal(damage="damaged", at_byte=7, records=3)),
    ("journal_unreadable", journal(damage="unreadable")),
    ("journal_cut", journal(damage="cut")),
    ("checkpoint_broken", checkpoint(readable=False)),
    ("store_behind", checkpoint(behind_bytes=17 * MB) | ANSWERS),
    ("store_behind", checkpoint(behind_bytes=17)),
    (
        "unknown_setting",
        {"settings.json": {"unknown": {"RUNTIME_PUBLICURL": {"nearest": "RUNTIME_PUBLIC_URL"}}}},
    ),
    ("unknown_setting", {"settings.json": {"unknown": {"AYWA_X": {}}}}),
    ("key_malformed", {"settings.json": {"settings": {"RUNTIME_STORE_ENCRYPTION_KEY": {"usable": False}}}}),
    (
        "dependency_unreachable",
        {"reach.json": {"targets": [{"setting": "REDIS_URL", "host": "h", "outcome": "refused"}]}},
    ),
    ("dependency_unreachable", {"reach.json": {"targets": [{"setting": "REDIS_URL", "outcome": "bad_url"}]}}),
    ("redis.evicts", PRODUCTION | {"findings.json": {"findings": [{**EVICTS, "setting": "REDIS_URL"}]}}),
    ("redis.evicts", PRODUCTION | {"findings.json": {"findings": [EVICTS]}}),
    ("uploads_waiting", folder(shipments={"waiting": 3, "oldest_s": 7200})),
    ("analytics_behind", {"store.json": {"untold": {"calls": 9, "oldest_s": 7200}}} | CLICKHOUSE),
    ("journal_losing", figures("aywa_journal_lost_records_total", 3)),
    ("records_left_out", figures("aywa_projection_left_out_records_total", 3)),
    ("section_missing", {"manifest.json": {"missing": {"calls.json": "OSError"}}}),
]


@pytest.mark.parametrize("files", GOOD)
def test_nothing_is_found_where_nothing_is(files: Files) -> None:
    assert codes(files) == []


@pytest.mark.parametrize(("code", "files"), BAD)
def test_a_fault_is_named(code: str, files: Files) -> None:
    found = named(files, RULES)
    assert [fault.code for fault in found] == [code]
    assert found[0].told
