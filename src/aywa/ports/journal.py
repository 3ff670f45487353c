"""The journal's record, and what the projector needs of a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aywa.core.leases import Fence
from aywa.core.webhooks import Delivery


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One event or command of one call. seq: 1, 2, 3 ... within the call. at_s: seconds since the call's epoch.
    kind: the record's class name (VoiceStarted, StartReply, RecordDecision, CallQueued, CallEnded ...). data: its fields,
    JSON-able except bytes. role: "event", "command" or "note"."""

    call_id: str
    org_id: str
    seq: int
    at_s: float
    role: str
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallProjection:
    """A call's document after a batch. document: the fields that the calls table's JSON takes over (shallow replace:
    status, startedAt, endedAt, endedReason, endedMessage, messages, artifact, costs ...). last_seq: the last record it holds."""

    call_id: str
    org_id: str
    last_seq: int
    document: Mapping[str, Any]


class ProjectionStore(Protocol):
    """Idempotent by (call id, seq): applying a batch twice changes nothing."""

    async def apply(
        self,
        records: Sequence[JournalRecord],
        projections: Sequence[CallProjection],
        deliveries: Sequence[Delivery] = (),
        fence: Fence | None = None,
    ) -> Collection[str]:
        """Writes event rows, call documents and what the outbox is to send, in one transaction. Answers the calls that the fence
        does not admit (core.leases.admits), of which nothing was written; without one nothing is asked. Raises
        StoreUnavailable."""

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        """A call's records in order. org_id None: whatever the organisation (internal use)."""

    async def unended(self) -> list[tuple[str, str]]:
        """(call id, org id) of calls that have begun, or should have, and whose stored status is not ended."""


class StoreUnavailable(Exception):
    """The store cannot be reached or written right now; the caller keeps what it has and tries again."""


class Journal(Protocol):
    """Where a call's events and commands are put on record before anything else is told. Never waits, never raises."""

    def append(
        self, call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object
    ) -> None:
        """data: a mapping or a dataclass; bytes are kept as they are."""
