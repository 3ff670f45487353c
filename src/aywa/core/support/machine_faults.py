"""Faults of the machine, the data folder, the journal and the settings, as a bundle shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from aywa.core.support.faults import Fault, Files, answers, at, figure, is_running, number, rows

DISK_LEAST_BYTES = 200 * 1024 * 1024
DISK_LEAST_SHARE = 0.01
MEMORY_LEAST_SHARE = 0.03
CLOCK_S = 300.0
WAITING_S = 3600.0
BEHIND_BYTES = 16 * 1024 * 1024
SPARE_FILES, FILES_PER_CALL, CALLS_MAX = 256, 8, 50
"""As boot.open_files asks for them."""
LOAD_MOST = 3.0
_SECRET_FILES = frozenset(("dev-key", "talk-key", "store-key", "sip-password", "media-secret"))


def disk_full(files: Files) -> Iterator[Fault]:
    """There is no room for journal and recordings."""
    free, size = number(files, "folder.json", "disk_free_bytes"), number(files, "folder.json", "disk_bytes")
    if (
        free is not None
        and size
        and ((free < DISK_LEAST_BYTES and free < size / 2) or free < size * DISK_LEAST_SHARE)
    ):
        told = f"{free / 2**20:.0f} MB of {size / 2**20:.0f} MB are free where the data lie"
        yield Fault("disk_full", told, "make room, or move the data folder (AYWA_HOME) to a larger disk")
    if number(files, "folder.json", "disk_files_free") == 0:
        yield Fault(
            "disk_full", "no more files can be made where the data lie", "remove files, or move AYWA_HOME"
        )


def memory_short(files: Files) -> Iterator[Fault]:
    """The system will end processes."""
    free, size = (
        number(files, "machine.json", "memory_free_bytes"),
        number(files, "machine.json", "memory_bytes"),
    )
    if free is not None and size and free < size * MEMORY_LEAST_SHARE:
        yield Fault(
            "memory_short",
            f"{free / 2**20:.0f} MB of memory are left",
            "give the machine more memory, or fewer calls (RUNTIME_CALLS_MAX)",
        )


def overloaded(files: Files) -> Iterator[Fault]:
    """More work than processors."""
    load, cores = at(files, "machine.json", "load"), number(files, "machine.json", "cores")
    now = figure(load[0]) if isinstance(load, list) and load else None
    if now is not None and cores and now > LOAD_MOST * cores:
        told = f"{now:.1f} processes want to run at a time, on {cores:.0f} processors"
        yield Fault(
            "overloaded", told, "find what else runs on the machine, or take fewer calls (RUNTIME_CALLS_MAX)"
        )


def few_open_files(files: Files) -> Iterator[Fault]:
    """Calls will be refused for lack of sockets."""
    limit = number(files, "folder.json", "lock", "open_files_max")
    limit = number(files, "machine.json", "open_files_max") if limit is None else limit
    calls_max = _calls_max(files)
    wanted = SPARE_FILES + FILES_PER_CALL * calls_max
    if limit is not None and 0 <= limit < wanted:
        told = f"the process may open {limit:.0f} files, and {calls_max} calls need {wanted}"
        yield Fault("few_open_files", told, f"raise the limit to {wanted} (ulimit -n, LimitNOFILE)")


def _calls_max(files: Files) -> int:
    text = at(files, "settings.json", "settings", "RUNTIME_CALLS_MAX", "value")
    return int(text) if isinstance(text, str) and text.isdecimal() else CALLS_MAX


def clock_behind(files: Files) -> Iterator[Fault]:
    """Something was written in the future."""
    now_s = _epoch_s(at(files, "machine.json", "time"))
    times = [at(files, "store.json", "newest")]
    times += [row.get("changed") for row in rows(files, "journal.json", "segments")]
    newest_s = max((_epoch_s(time) or 0.0 for time in times), default=0.0)
    if now_s is not None and newest_s > now_s + CLOCK_S:
        told = f"what was written last is {newest_s - now_s:.0f} s in the future of this machine's clock"
        yield Fault("clock_behind", told, "set the clock, and keep it (chrony, systemd-timesyncd)")


def _epoch_s(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, AttributeError):
        return None


# --- the folder ------------------------------------------------------------------------------------------------------


def folder_unusable(files: Files) -> Iterator[Fault]:
    """It is not there, or cannot be written."""
    if at(files, "folder.json", "there") is False:
        yield Fault(
            "folder_missing", "there is no data folder", "set AYWA_HOME to the folder that the runtime uses"
        )
    elif at(files, "folder.json", "writable") is False:
        yield Fault(
            "folder_read_only", "the data folder cannot be written", "mend its owner, or mount it for writing"
        )


def not_running(files: Files) -> Iterator[Fault]:
    """Nobody is there, or somebody who does not answer."""
    if answers(files) or at(files, "folder.json", "there") is not True:
        return
    problem = at(files, "runtime.json", "health", "problem") or "no answer"
    if at(files, "folder.json", "lock", "held") is not True:
        told = f"no runtime holds the data folder, and none answers ({problem})"
        yield Fault("not_running", told, "start it: aywa serve (or aywa dev); its log says why it ended")
    elif at(files, "folder.json", "lock", "state") == "T":
        yield Fault("stopped", "the runtime's process is stopped (SIGSTOP)", "continue it: kill -CONT PID")
    else:
        told = f"a runtime holds the data folder, but does not answer ({problem})"
        mend = "name its address with --url (AYWA_URL); if that is right it hangs: take its stack (py-spy dump), restart it"
        yield Fault("not_answering", told, mend)


def open_key_files(files: Files) -> Iterator[Fault]:
    """Other users of the machine can read secrets."""
    for row in rows(files, "folder.json", "files"):
        mode, name = row.get("mode"), row.get("name")
        if name in _SECRET_FILES and isinstance(mode, str) and mode[4:] != "------":
            told = f"{name} can be read by others ({mode})"
            yield Fault("key_file_open", told, f"chmod 600 {name}, and make a new one: it may be known")


def models_damaged(files: Files) -> Iterator[Fault]:
    """What is not there is fetched; what is damaged is not right by itself."""
    for row in rows(files, "folder.json", "models"):
        if row.get("state") == "damaged":
            name = row.get("name")
            yield Fault("model_damaged", f"the files of model {name} are damaged", f"aywa models pull {name}")


# --- the journal -----------------------------------------------------------------------------------------------------


def journal_damaged(files: Files) -> Iterator[Fault]:
    """A file that cannot be read to its end."""
    segments = rows(files, "journal.json", "segments")
    for row in segments:
        damage, name = row.get("damage"), row.get("name")
        if damage == "damaged":
            told = f"journal file {name} is damaged at byte {row.get('at_byte')}, after {row.get('records')} records"
            yield Fault(
                "journal_damaged", told, "what stands before it is kept at the next start; test the disk"
            )
        elif damage == "unreadable":
            yield Fault(
                "journal_unreadable", f"journal file {name} cannot be read", "mend its owner, test the disk"
            )
        elif damage == "cut" and not is_running(files):
            told = f"journal file {name} ends within a record: the process was killed, or the disk was full"
            yield Fault("journal_cut", told, "nothing is to be done: the next start reads what is whole")


def checkpoint_broken(files: Files) -> Iterator[Fault]:
    """How far the store is cannot be read, or it is far behind."""
    checkpoint = at(files, "journal.json", "checkpoint") or {}
    if at(checkpoint, "readable") is False:
        told = "journal/projected.json cannot be read: all of the journal is projected again"
        yield Fault(
            "checkpoint_broken",
            told,
            "nothing is to be done: what is there already is left as it is; test the disk",
        )
    behind = number(checkpoint, "behind_bytes") or 0.0
    if behind > BEHIND_BYTES:
        told = f"the store is {behind / 2**20:.0f} MB behind the journal"
        yield Fault(
            "store_behind", told, "see what the store's own fault is; it catches up by itself when it answers"
        )
    elif behind and not is_running(files):
        told = f"{behind:.0f} bytes of the journal are not in the store yet"
        yield Fault("store_behind", told, "start the runtime: it brings them in")


# --- the settings ----------------------------------------------------------------------------------------------------


def settings_wrong(files: Files) -> Iterator[Fault]:
    """One that nobody reads, or a key that is none."""
    unknown = at(files, "settings.json", "unknown") or {}
    for name in unknown:
        nearest = at(unknown, name, "nearest")
        mend = f"{nearest} may be meant" if nearest else "aywa config list has the names"
        yield Fault("unknown_setting", f"{name} is set, and nobody reads it", mend)
    settings = at(files, "settings.json", "settings") or {}
    for name in settings:
        if at(settings, name, "usable") is False:
            yield Fault(
                "key_malformed", f"{name} holds no key of 32 bytes", f"{name}=$(openssl rand -base64 32)"
            )


def unreachable(files: Files) -> Iterator[Fault]:
    """Something that it depends on takes no connection."""
    for row in rows(files, "reach.json", "targets"):
        outcome = row.get("outcome")
        if outcome != "reached":
            where = f"{row.get('host')} port {row.get('port')}" if row.get("host") else "its address"
            told = f"{row.get('setting')}: {where} cannot be reached ({outcome})"
            mends = {
                "name_not_found": "the name is not known to DNS here: mend the setting, or DNS",
                "refused": "nobody listens there: start the server, or mend the port",
                "timed_out": "something swallows it: look at firewalls and routes",
                "bad_url": "it is no address: aywa config explain NAME shows how one looks",
            }
            yield Fault(
                "dependency_unreachable", told, mends.get(str(outcome), "look at the network between the two")
            )


def things_waiting(files: Files) -> Iterator[Fault]:
    """For the bucket, or for analytics: nothing is lost, and somebody should know."""
    oldest_s = number(files, "folder.json", "shipments", "oldest_s") or 0.0
    if oldest_s > WAITING_S:
        waiting = number(files, "folder.json", "shipments", "waiting") or 0.0
        told = f"the artifacts of {waiting:.0f} calls or files wait for the bucket, the oldest for {oldest_s / 60:.0f} minutes"
        yield Fault("uploads_waiting", told, "aywa doctor asks the bucket, and says what it refuses")
    untold_s = number(files, "store.json", "untold", "oldest_s") or 0.0
    wanted = at(files, "settings.json", "settings", "RUNTIME_ANALYTICS_CLICKHOUSE_URL", "set") is True
    if wanted and untold_s > WAITING_S:
        calls = number(files, "store.json", "untold", "calls") or 0.0
        told = f"{calls:.0f} calls wait to be told to ClickHouse, the oldest for {untold_s / 60:.0f} minutes"
        yield Fault(
            "analytics_behind", told, "start ClickHouse, or mend its address: they follow by themselves"
        )


def records_refused(files: Files) -> Iterator[Fault]:
    """Counted by the running process."""
    for name, code, what in (
        ("aywa_journal_lost_records_total", "journal_losing", "records could not be written to the journal"),
        (
            "aywa_projection_left_out_records_total",
            "records_left_out",
            "records could not be stored, for good",
        ),
    ):
        count = number(files, "runtime.json", "metrics", "values", name)
        if count:
            yield Fault(code, f"{count:.0f} {what} since the process began", "/readyz and its log say why")


def told_before(files: Files) -> Iterator[Fault]:
    """What the checks before a start in production found."""
    if at(files, "settings.json", "settings", "RUNTIME_ENV", "value") != "production":
        return
    for row in rows(files, "findings.json", "findings"):
        told = f"{row.get('setting')}: {row.get('told')}" if row.get("setting") else str(row.get("told"))
        yield Fault(str(row.get("code")), told, "aywa doctor --prod prints the line that mends it")


def sections_missing(files: Files) -> Iterator[Fault]:
    """What could not be collected hangs, or is broken."""
    missing = at(files, "manifest.json", "missing") or {}
    for name in missing:
        told = f"{name} could not be collected: {at(missing, name)}"
        yield Fault("section_missing", told, "what it is about hangs, or is broken: look there first")


RULES = (
    disk_full,
    memory_short,
    overloaded,
    few_open_files,
    clock_behind,
    folder_unusable,
    not_running,
    open_key_files,
    models_damaged,
    journal_damaged,
    checkpoint_broken,
    settings_wrong,
    unreachable,
    things_waiting,
    records_refused,
    told_before,
    sections_missing,
)
