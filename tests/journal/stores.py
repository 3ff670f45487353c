"""A projection store in memory, which can be taken away, and the journal's records for tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.core.leases import Fence, admits
from aywa.core.webhooks import Delivery
from aywa.journal.segment import encode
from aywa.ports.journal import CallProjection, JournalRecord, StoreUnavailable


@dataclass
class MemoryStore:
    """owners: whose a call is, by which token. down: how many more questions are refused. poison: the call whose batch breaks the
    store in no way it declares."""

    rows: dict[tuple[str, int], JournalRecord] = field(default_factory=dict)
    documents: dict[str, CallProjection] = field(default_factory=dict)
    batches: list[list[int]] = field(default_factory=list)
    down: int = 0
    poison: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    owners: dict[str, tuple[str, int]] = field(default_factory=dict)

    async def apply(
        self,
        records: Sequence[JournalRecord],
        projections: Sequence[CallProjection],
        deliveries: Sequence[Delivery] = (),
        fence: Fence | None = None,
    ) -> Collection[str]:
        self._ask()
        if any(r.call_id == self.poison for r in records):
            raise UnicodeError("a value that this store cannot keep")
        self.batches.append([r.seq for r in records])
        told = {record.call_id for record in records}
        refused = {
            call_id for call_id, held in self.owners.items() if fence is not None and not admits(*held, fence)
        } & told
        self.deliveries += [delivery for delivery in deliveries if delivery.call_id not in refused]
        for record in records:
            if record.call_id not in refused:
                self.rows.setdefault((record.call_id, record.seq), record)
        for projection in projections:
            old = self.documents.get(projection.call_id)
            if projection.call_id not in refused and (old is None or projection.last_seq > old.last_seq):
                self.documents[projection.call_id] = projection
        return refused

    async def events(self, org_id: str | None, call_id: str) -> list[JournalRecord]:
        self._ask()
        return [r for (call, _), r in sorted(self.rows.items()) if call == call_id]

    async def unended(self) -> list[tuple[str, str]]:
        return [(c, p.org_id) for c, p in self.documents.items() if p.document["status"] != "ended"]

    def _ask(self) -> None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("scripted to be away")

    def messages(self, call_id: str) -> list[str]:
        """What the call's document says was said."""
        return [m["message"] for m in self.documents[call_id].document["messages"]]


def started(call_id: str = "call-1") -> tuple[Any, ...]:
    """The first record of a call, as `append` takes it."""
    return (call_id, "org-1", 1, 0.0, "event", "CallStarted", {"epoch_ms": 1_700_000_000_000})


def said(seq: int, text: str = "", call_id: str = "call-1") -> tuple[Any, ...]:
    """A later record of a call: words that were heard."""
    message = {"role": "user", "message": text or f"word {seq}"}
    return (call_id, "org-1", seq, seq / 10, "command", "RecordMessage", {"message": message})


def ended(seq: int, call_id: str = "call-1") -> tuple[Any, ...]:
    """The last record of a call."""
    end = {"reason": "customer-ended-call", "message": ""}
    return (call_id, "org-1", seq, seq / 10, "command", "EndCall", end)


def framed(*records: tuple[Any, ...]) -> bytes:
    """The records as they stand in a file."""
    return b"".join(encode(*record) for record in records)
