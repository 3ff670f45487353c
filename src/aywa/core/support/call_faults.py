"""Faults of the store, the calls, the webhooks and the running process, as a bundle shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from aywa.core.support.faults import Fault, Files, at, figure, is_running, number, rows

LOSS_PERCENT_MOST = 5.0
MOS_LEAST = 3.0
WIRE_MS_MOST = 2500.0
WAITING_S_MOST = 900.0
WORKER_DIED = "worker-died"
_SIP_REASONS = {
    "407-proxy-authentication-required": "the trunk wants another user or password",
    "403-forbidden": "the trunk forbids the call: ask the carrier which numbers may be called, and from which",
    "503-service-unavailable": "the trunk has no room: ask the carrier, or add a gateway",
    "408-request-timeout": "nobody answered there: look at addresses, ports and firewalls (aywa trunk check)",
    "outbound-call-failed-to-connect": "the trunk could not be reached: aywa trunk check says more",
}
_STORE_MENDS = {
    "missing": "restore it from a backup; what is in the journal comes back by itself",
    "damaged": "stop the runtime, keep the file, restore the backup; what is in the journal comes back by itself",
    "locked": "another program holds a lock on the database: end it (fuser aywa.db)",
    "refused": "the database takes no connection: start it, or mend RUNTIME_STORE_POSTGRES_URL",
    "denied": "user or password are wrong: mend RUNTIME_STORE_POSTGRES_URL",
    "no_tables": "the database has no tables yet: start the runtime once, or aywa migrate",
}
_PROVIDER_MENDS = {
    "unauthorized": "the key is wrong, or was revoked: enter it again (aywa providers check)",
    "bad_key": "the key is wrong: enter it again (aywa providers check)",
    "forbidden": "the account may not use it: ask the provider for access",
    "quota": "the account has no credit left: top it up",
    "rate_limited": "too many requests at a time: ask for a higher limit, or add a fallback route",
    "unknown_model": "the model's name is wrong: mend the assistant",
    "unknown_voice": "the voice's id is wrong: mend the assistant",
}
_OUTAGE = (
    "the provider, or the network to it, was down: add a fallback route; aywa providers check tries it now"
)
_WEBHOOK_MENDS = {
    "name_not_found": "the server's name is not known to DNS: mend its address",
    "unreachable": "nobody listens there, or a firewall stands between",
    "untrusted": "its certificate is not valid: renew it, or have it signed by a known authority",
    "timed_out": "the server answers too late: let it answer first and work after",
    "internal_address": "it is an internal address: allow it with RUNTIME_INTERNAL_ALLOW if it is yours",
    "cannot_sign": "the secret or credential that signs is gone: enter it again",
    "bad_url": "its address is none: mend it",
}


def store_unreadable(files: Files) -> Iterator[Fault]:
    """It cannot be read, or not by this release."""
    problem = at(files, "store.json", "problem")
    journalled = at(files, "journal.json", "there") is True
    if problem == "missing" and not journalled and at(files, "store.json", "kind") == "sqlite":
        return
    if problem:
        mend = _STORE_MENDS.get(str(problem), "look at the database's own log")
        yield Fault(f"store_{problem}", f"the store cannot be read: {problem}", mend)
    if at(files, "store.json", "check") == "damaged":
        yield Fault("store_damaged", "the database file is damaged", _STORE_MENDS["damaged"])
    if at(files, "store.json", "too_new") is True:
        revision, head = (at(files, "store.json", name) for name in ("revision", "head"))
        told = f"the store has schema {revision}, and this release knows up to {head}"
        yield Fault(
            "store_too_new", told, "start the newer release, or restore the backup from before the update"
        )


def secrets_closed(files: Files) -> Iterator[Fault]:
    """A key was rotated away, or rows were moved."""
    without, altered = (number(files, "store.json", "sealed", name) for name in ("without_key", "altered"))
    if without:
        told = f"{without:.0f} stored secrets were sealed with a key that is not set"
        mend = "name the old key in RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS, or enter the secrets again"
        yield Fault("secrets_without_key", told, mend)
    if altered:
        told = f"{altered:.0f} stored secrets do not open: they were altered, or belong to another row"
        yield Fault("secrets_altered", told, "restore the backup, or enter them again")


def calls_left_open(files: Files) -> Iterator[Fault]:
    """Nobody is there who could end them."""
    count = number(files, "store.json", "open_calls")
    if count and not is_running(files):
        told = f"{count:.0f} calls have not ended, and no runtime runs"
        yield Fault("calls_left_open", told, "start the runtime: it ends them in the record")


# --- calls -----------------------------------------------------------------------------------------------------------


def calls_ended_badly(files: Files) -> Iterator[Fault]:
    """Reasons that are ours or the trunk's."""
    reasons = Counter(
        str(row.get("reason")) for row in rows(files, "calls.json", "newest") if row.get("reason")
    )
    for reason, count in reasons.items():
        if reason.endswith(WORKER_DIED):
            told = f"{count} of the newest calls ended because the runtime's process did"
            yield Fault(
                "process_died", told, "look for what ended it: out of memory (dmesg), a restart, a crash"
            )
        for word, mend in _SIP_REASONS.items():
            if reason.endswith(word) and "sip" in reason:
                yield Fault("trunk_refuses", f"{count} of the newest calls ended with {reason}", mend)


def routes_failing(files: Files) -> Iterator[Fault]:
    """A provider said no, or nothing."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows(files, "calls.json", "routes"):
        if row.get("code") and row.get("what") in ("RouteFailed", "ReplyFailed", "RouteSwitched"):
            counts[str(row.get("route") or row.get("kind") or "a provider"), str(row["code"])] += int(
                figure(row.get("count")) or 0
            )
    for (route, code), count in counts.items():
        if code != "cancelled":
            told = f"{route} failed {count} times with {code}"
            yield Fault(f"provider_{code}", told, _PROVIDER_MENDS.get(code, _OUTAGE))


def children_failing(files: Files) -> Iterator[Fault]:
    """A part of ours broke inside of calls."""
    for row in rows(files, "calls.json", "routes"):
        # One that has a code said so on purpose: work that was shed under load, a provider's refusal.
        if row.get("what") == "ChildFailed" and not row.get("code"):
            told = f"a part of calls failed {row.get('count')} times: {row.get('route') or 'unnamed'}"
            yield Fault("part_failed", told, "this is a fault of the runtime: send us the bundle")


def audio_bad(files: Files) -> Iterator[Fault]:
    """Packets are lost, or come one way only."""
    lossy, silent = [], []
    for row in rows(files, "calls.json", "newest"):
        loss, mos = figure(row.get("loss_percent")), figure(row.get("mos"))
        received, sent = figure(row.get("packets_received")), figure(row.get("packets_sent"))
        if received == 0 and (sent or 0) > 0:
            silent.append(row)
        elif (loss is not None and loss > LOSS_PERCENT_MOST) or (mos is not None and mos < MOS_LEAST):
            lossy.append(row)
    if silent:
        told = f"in {len(silent)} of the newest calls no audio came from the far side"
        mend = (
            "open the media ports (RUNTIME_MEDIA_PORTS) for UDP, and set RUNTIME_MEDIA_PUBLIC_IP behind NAT"
        )
        yield Fault("one_way_audio", told, mend)
    if lossy:
        told = (
            f"in {len(lossy)} of the newest calls more than {LOSS_PERCENT_MOST:.0f} % of the audio was lost"
        )
        yield Fault("audio_lost", told, "look at the line to the trunk: Wi-Fi, VPN, an overloaded router")


def turns_slow(files: Files) -> Iterator[Fault]:
    """And which part of them takes the time."""
    slow = []
    parts: Counter[str] = Counter()
    for row in rows(files, "calls.json", "newest"):
        wire_ms = figure(row.get("wire_ms"))
        if wire_ms is not None and wire_ms > WIRE_MS_MOST:
            slow.append(wire_ms)
            for name in ("endpointing", "transcriber", "model", "voice"):
                parts[name] += round(figure(row.get(f"{name}_ms")) or 0.0)
    if slow:
        part, spent_ms = parts.most_common(1)[0]
        told = (
            f"in {len(slow)} of the newest calls an answer took {sum(slow) / len(slow):.0f} ms; most of it the {part}"
            f" ({spent_ms / len(slow):.0f} ms)"
        )
        yield Fault(
            "turns_slow",
            told,
            f"try another {part}, or one that is nearer; aywa timeline CALL_ID has each turn",
        )


def calls_incomplete(files: Files) -> Iterator[Fault]:
    """What of calls was lost."""
    counts: Counter[str] = Counter()
    for row in rows(files, "calls.json", "newest"):
        for code, count in (at(row, "warnings") or {}).items():
            counts[code] += int(figure(count) or 0)
    for code in ("JournalLost", "recording_lost"):
        if counts[code]:
            what = "records" if code == "JournalLost" else "recordings"
            told = f"{what} of calls were lost ({counts[code]} warnings)"
            yield Fault(
                "records_lost" if code == "JournalLost" else code,
                told,
                "the disk refused: make room, test it",
            )


# --- webhooks --------------------------------------------------------------------------------------------------------


def webhooks_failing(files: Files) -> Iterator[Fault]:
    """Servers that do not take their messages."""
    for row in rows(files, "webhooks.json", "servers"):
        problem, told = (
            str(row.get("problem")),
            f"{row.get('host')}: {row.get('count')} messages, {row.get('problem')}",
        )
        if problem in _WEBHOOK_MENDS:
            yield Fault(f"webhook_{problem}", told, _WEBHOOK_MENDS[problem])
        elif problem in ("status_401", "status_403"):
            yield Fault(
                "webhook_denied", told, "the server does not take our signature: enter its secret again"
            )
        elif problem.startswith("status_5"):
            yield Fault(
                "webhook_failing",
                told,
                "the server fails: see its log; aywa webhooks replay sends them again",
            )
        elif problem.startswith("status_4"):
            yield Fault("webhook_refused", told, "the server refuses them: aywa webhooks show has its answer")
    for row in rows(files, "webhooks.json", "disabled"):
        told = f"{row.get('host')} answered 410 at {row.get('since')}, and is sent nothing since"
        yield Fault("webhook_disabled", told, "enable it again when it is there (aywa webhooks enable)")


def webhooks_waiting(files: Files) -> Iterator[Fault]:
    """A backlog that grows old."""
    oldest_s, waiting = (
        number(files, "webhooks.json", "oldest_waiting_s"),
        number(files, "webhooks.json", "waiting"),
    )
    if oldest_s is not None and oldest_s > WAITING_S_MOST:
        told = f"{waiting or 0:.0f} messages wait, the oldest for {oldest_s / 60:.0f} minutes"
        yield Fault(
            "webhooks_waiting",
            told,
            "see which server fails (aywa webhooks list --status waiting), or start the runtime",
        )


# --- the running process ---------------------------------------------------------------------------------------------


def not_ready(files: Files) -> Iterator[Fault]:
    """What it says of itself."""
    checks: Any = at(files, "runtime.json", "readiness", "checks") or {}
    for name in checks:
        if at(checks, name, "ok") is False:
            told = f"{name} is not ready: {at(checks, name, 'problem')}"
            yield Fault(
                f"not_ready_{name}", told, "the line says what is missing; calls are refused meanwhile"
            )


def trunks_down(files: Files) -> Iterator[Fault]:
    """Telephone lines that do not answer."""
    for row in rows(files, "runtime.json", "trunks", "list"):
        if row.get("state") == "down":
            told = f"trunk {row.get('id')} is down: {row.get('reason') or 'it does not answer'}"
            yield Fault("trunk_down", told, "aywa trunk check ID tries it and says what to mend")


RULES = (
    store_unreadable,
    secrets_closed,
    calls_left_open,
    calls_ended_badly,
    routes_failing,
    children_failing,
    audio_bad,
    turns_slow,
    calls_incomplete,
    webhooks_failing,
    webhooks_waiting,
    not_ready,
    trunks_down,
)
