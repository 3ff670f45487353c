"""Batches reach the store in order and once, whatever the store, the disk and the process do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.stores.sqlite import open_sqlite
from aywa.core.record import CallRecord
from aywa.journal import projector as module
from aywa.journal.projector import Projector
from aywa.journal.segment import encode
from aywa.journal.writer import JournalWriter, Written
from aywa.ports.journal import StoreUnavailable
from tests.journal.dies import CALLS
from tests.journal.stores import MemoryStore, ended, framed, said, started

virtual_time = pytest.mark.virtual_time


@contextlib.asynccontextmanager
async def projecting(projector: Projector) -> AsyncIterator[None]:
    running = asyncio.create_task(projector.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def put(folder: Path, *records: tuple[Any, ...], file: int = 1) -> Written:
    """Appends a batch to a journal file, as the writer does."""
    path = folder / f"{file:08d}.journal"
    with path.open("ab") as journal:
        journal.write(framed(*records))
        return Written([encode(*r) for r in records], path, journal.tell())


def checkpoint(folder: Path) -> tuple[str, int]:
    stored = json.loads((folder / "projected.json").read_text())
    return stored["file"], stored["offset"]


@virtual_time
async def test_batches_are_applied_in_order_and_remembered(tmp_path: Path) -> None:
    store, projector = MemoryStore(), Projector(MemoryStore(), tmp_path)
    projector = Projector(store, tmp_path)
    batches = [put(tmp_path, started(), said(2)), put(tmp_path, said(3)), put(tmp_path, ended(4))]
    async with projecting(projector):
        for batch in batches:
            projector.take(batch)
        await projector.drained()
    # What waits together is stored together.
    assert store.batches == [[1, 2, 3, 4]]
    assert store.messages("call-1") == ["word 2", "word 3"]
    assert store.documents["call-1"].last_seq == 4
    assert store.documents["call-1"].document["endedReason"] == "customer-ended-call"
    assert checkpoint(tmp_path) == ("00000001.journal", batches[-1].end)


@virtual_time
async def test_what_may_not_be_kept_never_reaches_the_store_and_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = MemoryStore()
    told: list[CallRecord] = []

    async def over(record: CallRecord) -> None:
        told.append(record)

    projector = Projector(store, tmp_path, over)
    journal = JournalWriter(tmp_path, projector.take)
    writing = asyncio.create_task(journal.run())
    began = {"call_id": "call-1", "org_id": "org-1", "epoch_ms": 0}
    began |= {"assistant": {"compliancePlan": {"hipaaEnabled": True}}, "variables": {"name": "word of mouth"}}
    async with projecting(projector):
        journal.append("call-1", "org-1", 1, 0.0, "event", "CallStarted", began)
        journal.append(*said(2))
        journal.append(*ended(3))
        journal.turn_over()
        journal.append("call-1", "org-1", 4, 4.0, "note", "WordsWithheld", {"reason": "compliance_plan"})
        await asyncio.sleep(1.0)
        await projector.drained()
        await journal.close()
    await writing
    assert len(store.rows) == 4
    assert "word" not in str(store.rows)
    assert store.documents["call-1"].document["messages"] == []
    assert store.documents["call-1"].document["endedReason"] == "customer-ended-call"
    # Whoever tells others of the call has all of it.
    assert told[0].messages[0]["message"] == "word 2"
    assert not any(b"word 2" in path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240 - a test


@virtual_time
async def test_writer_and_projector_together(tmp_path: Path) -> None:
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    journal = JournalWriter(tmp_path, projector.take)
    writing = asyncio.create_task(journal.run())
    async with projecting(projector):
        journal.append(*started())
        for seq in range(2, 50):
            journal.append(*said(seq))
            await asyncio.sleep(0.03)
        await asyncio.sleep(0.2)
        await projector.drained()
        assert len(store.rows) == 49
        await journal.close()
    await writing
    assert [*itertools.chain(*store.batches)] == list(range(1, 50))


@virtual_time
async def test_a_store_that_is_away_is_asked_again_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    store = MemoryStore(down=6)
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started(), said(2)))
        await asyncio.sleep(1.0)
        assert projector.unavailable == "scripted to be away"
        assert not (tmp_path / "projected.json").exists()
        projector.take(put(tmp_path, said(3)))
        await projector.drained()
        # 0.1 + 0.2 + 0.4 + ... + 3.2 s
        assert asyncio.get_running_loop().time() == pytest.approx(6.3)
        assert projector.unavailable is None
    assert store.batches == [[1, 2], [3]]
    assert store.messages("call-1") == ["word 2", "word 3"]


@virtual_time
async def test_the_waits_have_a_limit(tmp_path: Path) -> None:
    store = MemoryStore(down=20)
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started()))
        await projector.drained()
    assert asyncio.get_running_loop().time() < 20 * module.RETRY_MAX_S


@virtual_time
async def test_a_long_absence_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", 1000)
    store = MemoryStore(down=8)
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started()))
        for seq in range(2, 202):
            projector.take(put(tmp_path, said(seq), file=1 if seq < 150 else 2))
            await asyncio.sleep(0.01)
        held = [b for b in projector._batches if b.records is not None]
        assert sum(len(r) for b in held for r in b.records or ()) <= 1000
        assert len(projector._batches) < len(held) + 4
        await projector.drained()
    assert [*itertools.chain(*store.batches)] == list(range(1, 202))
    assert len(store.messages("call-1")) == 200
    assert checkpoint(tmp_path)[0] == "00000002.journal"


@virtual_time
async def test_a_transaction_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_RECORDS", 10)
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    batch = put(tmp_path, started(), *(said(seq) for seq in range(2, 36)))
    async with projecting(projector):
        projector.take(batch)
        await projector.drained()
    assert [len(b) for b in store.batches] == [10, 10, 10, 5]


@virtual_time
async def test_one_call_that_the_store_cannot_keep_does_not_stop_the_others(tmp_path: Path) -> None:
    store = MemoryStore(poison="b")
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started("a"), started("b"), said(2, call_id="a"), said(2, call_id="b")))
        projector.take(put(tmp_path, said(3, call_id="a")))
        await projector.drained()
    assert store.messages("a") == ["word 2", "word 3"]
    assert "b" not in store.documents
    assert projector.problem == "call b: UnicodeError from the store"
    assert projector.left_out == 2


@virtual_time
async def test_a_record_that_cannot_be_folded_is_kept_as_an_event_and_named(tmp_path: Path) -> None:
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    strange = ("call-1", "org-1", 2, 0.2, "command", "RecordTurn", {"parts_ms": None})
    async with projecting(projector):
        projector.take(put(tmp_path, started(), strange, said(3)))
        await projector.drained()
    assert projector.problem == "call call-1, record 2 (RecordTurn): AttributeError"
    assert ("call-1", 2) in store.rows
    assert store.messages("call-1") == ["word 3"]


@virtual_time
async def test_a_late_record_of_a_call_that_was_forgotten_does_not_empty_its_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDED_KEPT", 2)
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        for number in range(5):
            call = f"call-{number}"
            projector.take(put(tmp_path, started(call), said(2, call_id=call), ended(3, call)))
        await projector.drained()
        assert projector.followed == 2
        stored = {"artifact": "recording", "base_url": "/call/call-0"}
        projector.take(put(tmp_path, ("call-0", "org-1", 4, 9.0, "note", "ArtifactStored", stored)))
        await projector.drained()
    document = store.documents["call-0"].document
    assert store.messages("call-0") == ["word 2"]
    assert document["endedReason"] == "customer-ended-call"
    assert document["artifact"]["stereoRecordingUrl"] == "/call/call-0/stereo-recording"


@virtual_time
async def test_it_tells_of_a_call_that_has_ended_once_its_records_are_in_the_store(tmp_path: Path) -> None:
    store = MemoryStore(down=2)
    told: list[tuple[str, int]] = []

    async def note(record: CallRecord) -> None:
        told.append((record.call_id, len(store.rows)))

    projector = Projector(store, tmp_path, note)
    async with projecting(projector):
        projector.take(put(tmp_path, started("a"), started("b"), ended(2, "a")))
        await projector.drained()
    assert told == [("a", 3)]


# --- after a crash -------------------------------------------------------------------------------------------------


@virtual_time
async def test_what_comes_late_of_a_call_that_was_deleted_is_not_followed_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDED_KEPT", 1)
    store = MemoryStore()
    projector = Projector(store, tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started(), said(2), ended(3), started("call-2")))
        projector.take(put(tmp_path, started("call-3"), ended(2, "call-3")))
        await projector.drained()
        store.rows.clear()
        projector.take(
            put(tmp_path, ("call-1", "org-1", 4, 0.4, "note", "CallClosed", {}), said(2, call_id="call-2"))
        )
        await projector.drained()
    # The one that goes on, and the last that has ended.
    assert projector.followed == 2


@virtual_time
async def test_recovery_begins_at_the_checkpoint_and_goes_on_with_the_calls_it_finds(tmp_path: Path) -> None:
    store = MemoryStore()
    first = Projector(store, tmp_path)
    async with projecting(first):
        first.take(put(tmp_path, started(), said(2)))
        await first.drained()
    # On disk, and never projected: the process died.
    put(tmp_path, said(3))
    put(tmp_path, said(4), file=2)
    assert await Projector(store, tmp_path).recover() == []
    assert store.batches == [[1, 2], [3], [4]]
    assert store.messages("call-1") == ["word 2", "word 3", "word 4"]
    assert checkpoint(tmp_path) == ("00000002.journal", len(framed(said(4))))
    assert await Projector(store, tmp_path).recover() == []
    assert len(store.batches) == 3


@virtual_time
async def test_the_end_that_is_added_after_a_crash_keeps_the_document(tmp_path: Path) -> None:
    store = MemoryStore()
    put(tmp_path, started(), said(2), said(3))
    projector = Projector(store, tmp_path)
    await projector.recover()
    [(call_id, org_id)] = await store.unended()
    record = await projector.call(call_id)
    assert (record.org_id, record.last_seq) == (org_id, 3)
    async with projecting(projector):
        projector.take(put(tmp_path, ended(record.last_seq + 1), file=2))
        await projector.drained()
    assert store.messages("call-1") == ["word 2", "word 3"]
    assert await store.unended() == []


@virtual_time
async def test_applying_everything_again_changes_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    put(tmp_path, started(), *(said(seq) for seq in range(2, 20)), ended(20))
    await Projector(store, tmp_path).recover()
    before = dict(store.rows), dict(store.documents)
    (tmp_path / "projected.json").unlink()
    await Projector(store, tmp_path).recover()
    assert (store.rows, store.documents) == before


@virtual_time
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"file": "00000001.journal"}',
        '{"file": "00000001.journal", "offset": -7}',
        '{"file": "00000001.journal", "offset": "x"}',
        # Its file was removed, and the numbers began anew.
        '{"file": "00000044.journal", "offset": 12}',
    ],
)
async def test_a_checkpoint_that_cannot_be_true_counts_for_nothing(tmp_path: Path, text: str) -> None:
    store = MemoryStore()
    put(tmp_path, started(), said(2))
    (tmp_path / "projected.json").write_text(text)
    assert await Projector(store, tmp_path).recover() == []
    assert store.messages("call-1") == ["word 2"]


@virtual_time
async def test_a_damaged_file_is_read_as_far_as_it_goes_and_named(tmp_path: Path) -> None:
    store = MemoryStore()
    put(tmp_path, started(), said(2))
    size = put(tmp_path, said(3)).end
    put(tmp_path, said(4))
    put(tmp_path, said(5), file=2)
    path = tmp_path / "00000001.journal"
    data = bytearray(path.read_bytes())
    data[size - 1] ^= 1
    path.write_bytes(bytes(data) + framed(said(9))[:20])
    problems = await Projector(store, tmp_path).recover()
    start = size - len(framed(said(3)))
    assert problems == [
        f"00000001.journal: damaged at byte {start}: the checksum differs",
        f"00000001.journal: damaged at byte {len(data)}: the last record is cut",
    ]
    assert store.messages("call-1") == ["word 2", "word 4", "word 5"]


@virtual_time
async def test_two_bad_records_in_a_row_end_the_file_but_not_the_recovery(tmp_path: Path) -> None:
    store = MemoryStore()
    whole = put(tmp_path, started()).end
    put(tmp_path, said(2), said(3), said(4))
    put(tmp_path, said(5), file=2)
    path = tmp_path / "00000001.journal"
    data = bytearray(path.read_bytes())
    step = len(framed(said(2)))
    for place in (whole + 20, whole + step + 20):
        data[place] ^= 0xFF
    path.write_bytes(data)
    problems = await Projector(store, tmp_path).recover()
    assert len(problems) == 2
    assert store.messages("call-1") == ["word 5"]


@virtual_time
async def test_a_store_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    store = MemoryStore()
    put(tmp_path, started(), said(2))
    await Projector(store, tmp_path).recover()
    put(tmp_path, said(3))
    store.down = 3
    assert await Projector(store, tmp_path).recover() == []
    assert store.messages("call-1") == ["word 2", "word 3"]


async def test_a_process_that_is_killed_while_it_writes_loses_nothing_that_it_had_told(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.journal.dies", str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(4)]
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    assert await process.wait() == -9
    # The last line may be cut as well.
    whole = [one for one in lines if one.endswith(b"\n")][-1]
    told = {call: int(seq) for call, seq in (pair.split("=") for pair in whole.decode().split())}
    assert set(told) == set(CALLS)

    store = await open_sqlite(tmp_path / "aywa.db")
    try:
        problems = await Projector(store, folder).recover()
        assert all("the last record is cut" in problem for problem in problems)
        assert len(problems) <= 1
        for call, seq in told.items():
            events = await store.events(None, call)
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            assert len(events) >= seq
            assert (await Projector(store, folder).call(call)).last_seq == len(events)
    finally:
        await store.close()


@virtual_time
async def test_files_that_are_in_the_store_are_removed_and_the_one_being_written_stays(
    tmp_path: Path,
) -> None:
    projector = Projector(MemoryStore(), tmp_path)
    async with projecting(projector):
        projector.take(put(tmp_path, started(), file=1))
        projector.take(put(tmp_path, said(2), file=2))
        await projector.drained()
    assert [name for name in os.listdir(tmp_path) if name.endswith(".journal")] == ["00000002.journal"]


@virtual_time
async def test_a_batch_without_a_changed_document_keeps_its_events_when_the_store_refuses_another(
    tmp_path: Path,
) -> None:
    class Picky(MemoryStore):
        async def apply(self, records: Any, projections: Any, deliveries: Any = (), fence: Any = None) -> Any:
            if any(r.call_id == "bad" for r in records):
                raise RuntimeError("no")
            return await super().apply(records, projections, deliveries, fence)

    store = Picky()
    projector = Projector(store, tmp_path)
    quiet: tuple[Any, ...] = ("call-1", "org-1", 2, 0.2, "event", "Woken", {})
    bad: tuple[Any, ...] = ("bad", "org-1", 1, 0.2, "event", "Woken", {})
    async with projecting(projector):
        projector.take(put(tmp_path, started(), file=1))
        projector.take(put(tmp_path, quiet, bad, file=1))
        await projector.drained()
    assert store.batches == [[1, 2]]
    assert projector.left_out == 1


@virtual_time
@pytest.mark.parametrize("seed", range(2))
async def test_a_store_that_is_away_for_a_minute_has_every_record_once_afterwards(
    tmp_path: Path, seed: int
) -> None:
    """With answers that are lost on the way: what was written is written again, and is there once."""
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    gone_s = 5.0 + 10.0 * chance.random()

    class Away(MemoryStore):
        lost = 0

        async def apply(self, records: Any, projections: Any, deliveries: Any = (), fence: Any = None) -> Any:
            if gone_s <= loop.time() < gone_s + 60.0:
                raise StoreUnavailable("away")
            told = await super().apply(records, projections, deliveries, fence)
            if chance.random() < 0.2:
                self.lost += 1
                raise StoreUnavailable("the answer was lost")
            return told

    store = Away()
    projector = Projector(store, tmp_path)
    journal = JournalWriter(tmp_path, projector.take)
    writing = asyncio.create_task(journal.run())
    calls = [f"call-{n}" for n in range(5)]
    last = {call: 200 + chance.randrange(100) for call in calls}
    unavailable = 0
    async with projecting(projector):
        for seq in range(1, max(last.values()) + 1):
            for call in calls:
                if seq == 1:
                    journal.append(*started(call))
                elif seq < last[call]:
                    journal.append(*said(seq, call_id=call))
                elif seq == last[call]:
                    journal.append(*ended(seq, call))
            await asyncio.sleep(0.3 + 0.2 * chance.random())
            unavailable += projector.unavailable is not None
        await asyncio.sleep(1.0)
        await projector.drained()
        await journal.close()
    await writing
    assert loop.time() > gone_s + 60.0
    assert unavailable > 50
    assert store.lost > 0
    assert store.rows.keys() == {(call, seq) for call in calls for seq in range(1, last[call] + 1)}
    assert {call: store.documents[call].last_seq for call in calls} == last
    assert {store.documents[call].document["status"] for call in calls} == {"ended"}
    assert projector.unavailable is None
    assert projector.left_out == 0
