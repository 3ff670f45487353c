"""Deletes calls whose time is over (artifactPlan.retentionDays): what was said, shown and recorded of them. Refuses to delete one
of which something is still to be told, and to tell anybody that it has: an id, an assistant and the times stay on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import CallDocuments, CallFiles, Document
from aywa.service.clock import Clock, now_ms

_log = structlog.get_logger("aywa.service.keeping")

LOOK_S = 15.0
"""How long it rests between two looks."""
SETTLED_MS = 10_000
"""So long after its time a call is left alone: the last of its files may be on its way to the disk."""
AT_ONCE = 50
SWEPT_EVERY = 240
"""Looks between two sweeps over this machine's files."""
SWEPT_AT_ONCE = 500


class Keeping:
    """`run` as a task. files: where calls' artifacts lie. there: the calls that have any on this machine. removed: told when
    calls went, for what else this process has of them."""

    def __init__(
        self,
        documents: CallDocuments,
        files: CallFiles | None,
        clock: Clock = now_ms,
        there: Callable[[], Sequence[str]] = lambda: (),
        removed: Callable[[], None] = lambda: None,
    ) -> None:
        self._documents = documents
        self._files = files
        self._clock = clock
        self._there = there
        self._removed = removed

    async def run(self) -> None:
        """Until cancelled."""
        looks = 0
        while True:
            try:
                if looks % SWEPT_EVERY == 0:
                    await self.sweep()
                await self.remove_expired()
                looks += 1
            except StoreUnavailable as error:
                _log.warning("retention_waits", reason=str(error))
            await asyncio.sleep(LOOK_S)

    async def remove_expired(self) -> int:
        """All that are due; answers how many went. Raises StoreUnavailable."""
        count = 0
        while documents := await self._documents.expired(self._clock() - SETTLED_MS, AT_ONCE):
            gone = [await self._remove(document) for document in documents]
            count += sum(gone)
            if not all(gone):
                # Another process is at them.
                break
        if count:
            self._removed()
        return count

    async def sweep(self) -> int:
        """Removes this machine's files of calls that went while it, or the process that removed them, was not there; answers of
        how many. Raises StoreUnavailable."""
        ids, count = await asyncio.to_thread(self._there), 0
        for start in range(0, len(ids), SWEPT_AT_ONCE):
            for call in await self._documents.gone(ids[start : start + SWEPT_AT_ONCE]):
                await self._forget(call.org_id, call.id)
                count += 1
        return count

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _remove(self, document: Document) -> bool:
        # The files first: while the call is there, whoever is killed in between is followed by somebody who goes on.
        await self._forget(document.org_id, document.id)
        gone = await self._documents.delete(document.org_id, document.id, self._clock(), expired=True)
        if gone is None:
            return False
        _log.info("call_expired", call_id=document.id, org_id=document.org_id)
        return True

    async def _forget(self, org_id: str, call_id: str) -> None:
        if self._files is not None:
            await self._files.remove(org_id, call_id)
