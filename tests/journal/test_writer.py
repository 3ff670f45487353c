"""The journal is on disk within 200 ms, a full disk stops no call, and what is lost is said."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aywa.journal import writer as module
from aywa.journal.segment import JournalDamaged, body_of, decode, read_segment
from aywa.journal.writer import JournalSettings, JournalWriter, Written
from aywa.ports.journal import JournalRecord
from tests.journal.stores import ended, said, started

pytestmark = pytest.mark.virtual_time


@contextlib.asynccontextmanager
async def writing(
    folder: Path, settings: JournalSettings | None = None
) -> AsyncIterator[tuple[JournalWriter, list[Written]]]:
    told: list[Written] = []
    journal = JournalWriter(folder, told.append, settings)
    running = asyncio.create_task(journal.run())
    try:
        yield journal, told
    finally:
        await journal.close()
        await running


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def on_disk(folder: Path) -> list[JournalRecord]:
    return [placed.record for path in files(folder) for placed in read_segment(path)]


def told_records(told: list[Written]) -> list[JournalRecord]:
    return [decode(body_of(framed)) for written in told for framed in written.records]


@pytest.fixture
def no_room() -> Iterator[Any]:
    """Sets how large a file of this process may become: the next write past it is cut short, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


async def test_a_record_is_on_disk_within_200_ms_and_then_told(tmp_path: Path) -> None:
    async with writing(tmp_path) as (journal, told):
        for round_ in range(3):
            journal.append(*said(2 * round_ + 1))
            await asyncio.sleep(0.05)
            journal.append(*said(2 * round_ + 2))
            await asyncio.sleep(0.2)
            assert [r.seq for r in on_disk(tmp_path)] == list(range(1, 2 * round_ + 3))
            assert told_records(told) == on_disk(tmp_path)
            await asyncio.sleep(5)
        assert told[-1].path.stat().st_size == told[-1].end


async def test_close_writes_the_rest_and_what_comes_after_is_lost_and_counted(tmp_path: Path) -> None:
    async with writing(tmp_path) as (journal, told):
        journal.append(*started())
    assert [r.seq for r in on_disk(tmp_path)] == [1]
    assert len(told) == 1
    journal.append(*said(2))
    assert journal.lost_records == 1


async def test_close_without_a_run(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, lambda written: None)
    journal.append(*started())
    await journal.close()
    assert [r.seq for r in on_disk(tmp_path)] == [1]


async def test_a_run_that_is_cancelled_in_the_middle_of_a_write_still_tells_of_it(tmp_path: Path) -> None:
    told: list[Written] = []
    journal = JournalWriter(tmp_path, told.append)
    running = asyncio.create_task(journal.run())
    journal.append(*started())
    await asyncio.sleep(module.FLUSH_S)
    while not files(tmp_path):  # noqa: ASYNC110 - nobody tells when the thread has begun; the clock stands meanwhile
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.append(*said(2))
    await journal.close()
    assert [r.seq for r in told_records(told)] == [r.seq for r in on_disk(tmp_path)] == [1, 2]


async def test_a_file_that_is_full_is_followed_by_the_next(tmp_path: Path) -> None:
    async with writing(tmp_path, JournalSettings(segment_bytes=200)) as (journal, told):
        for seq in range(1, 13):
            journal.append(*said(seq))
            await asyncio.sleep(0.2)
    assert [p.name for p in files(tmp_path)][:3] == [
        "00000001.journal",
        "00000002.journal",
        "00000003.journal",
    ]
    assert [r.seq for r in on_disk(tmp_path)] == list(range(1, 13))
    assert [w.path.name for w in told] == sorted(w.path.name for w in told)
    for path in files(tmp_path):
        assert max(w.end for w in told if w.path == path) == path.stat().st_size


async def test_what_comes_after_a_turn_over_is_in_a_file_of_its_own(tmp_path: Path) -> None:
    async with writing(tmp_path) as (journal, told):
        journal.turn_over()
        journal.append(*started())
        journal.append(*said(2))
        journal.turn_over()
        journal.turn_over()
        journal.append(*said(3))
        await asyncio.sleep(0.5)
        # Nothing follows yet: there is no file for it.
        journal.turn_over()
        await asyncio.sleep(0.5)
        assert [[p.record.seq for p in read_segment(path)] for path in files(tmp_path)] == [[1, 2], [3]]
        journal.append(*ended(4))
    assert [len(written.records) for written in told] == [2, 1, 1]
    assert len(files(tmp_path)) == 3
    assert journal.lost_records == 0
    journal.turn_over()
    assert journal.lost_records == 0


async def test_a_turn_over_waits_until_the_disk_takes_something(tmp_path: Path, no_room: Any) -> None:
    async with writing(tmp_path) as (journal, _):
        journal.append(*started())
        await asyncio.sleep(0.5)
        no_room(0)
        journal.turn_over()
        journal.append(*said(2))
        await asyncio.sleep(2.5)
        assert journal.refused is not None
        no_room(None)
        await asyncio.sleep(2.5)
        assert [record.seq for record in on_disk(tmp_path)] == [1, 2]
        assert journal.refused is None


async def test_an_earlier_process_files_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "00000007.journal").write_bytes(b"theirs")
    (tmp_path / "²3.journal").write_bytes(b"not a number")
    async with writing(tmp_path) as (journal, told):
        # One more appears after this writer has counted.
        (tmp_path / "00000008.journal").write_bytes(b"theirs too")
        journal.append(*started())
    assert (tmp_path / "00000007.journal").read_bytes() == b"theirs"
    assert (tmp_path / "00000008.journal").read_bytes() == b"theirs too"
    assert told[0].path.name == "00000009.journal"


async def test_a_long_backlog_is_written_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_BYTES", 1000)
    async with writing(tmp_path) as (journal, told):
        for seq in range(1, 101):
            journal.append(*said(seq))
    assert len(told) > 5
    assert max(sum(map(len, w.records)) for w in told) < 1300
    assert [r.seq for r in told_records(told)] == list(range(1, 101)) == [r.seq for r in on_disk(tmp_path)]


# --- the disk refuses ----------------------------------------------------------------------------------------------


async def test_a_full_disk_stops_no_call_and_everything_is_written_when_there_is_room_again(
    tmp_path: Path, no_room: Any
) -> None:
    async with writing(tmp_path) as (journal, told):
        journal.append(*started())
        await asyncio.sleep(0.2)
        [path] = files(tmp_path)
        # Room for half a record more: the system takes that half, and says so only by what `write` answers.
        no_room(path.stat().st_size + 40)
        for seq in range(2, 30):
            journal.append(*said(seq))
            await asyncio.sleep(0.2)
            assert [r.seq for r in on_disk(tmp_path)] == [1], "half a batch stays"
        assert journal.refused == "File too large"
        assert journal.lost_records == 0
        no_room(None)
        await asyncio.sleep(module.RETRY_S + 0.2)
        assert journal.refused is None
        assert [r.seq for r in on_disk(tmp_path)] == list(range(1, 30))
    assert [r.seq for r in told_records(told)] == list(range(1, 30))


async def test_half_a_batch_that_cannot_be_taken_back_ends_its_file(
    tmp_path: Path, no_room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(tmp_path) as (journal, told):
        journal.append(*started())
        await asyncio.sleep(0.2)

        def refuse(size: int) -> int:
            raise OSError(errno.EIO, "no")

        monkeypatch.setattr(journal, "_file", _Wrapped(journal._file, truncate=refuse))
        no_room(told[0].end + 40)
        journal.append(*said(2))
        await asyncio.sleep(0.2)
        no_room(None)
        await asyncio.sleep(module.RETRY_S + 0.2)
        journal.append(*said(3))
    first, second = files(tmp_path)
    with pytest.raises(JournalDamaged, match="cut"):
        list(read_segment(first))
    assert [p.record.seq for p in read_segment(second)] == [2, 3]
    assert [r.seq for r in told_records(told)] == [1, 2, 3]


async def test_a_folder_that_cannot_be_written_and_a_file_that_cannot_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "journal"
    folder.write_text("in the way")
    async with writing(folder, JournalSettings(segment_bytes=1)) as (journal, told):
        journal.append(*started())
        await asyncio.sleep(0.5)
        assert journal.refused
        folder.unlink()
        await asyncio.sleep(module.RETRY_S + 0.2)
        assert [r.seq for r in on_disk(folder)] == [1]
        real = journal._file
        assert real is not None

        def refuse() -> None:
            real.close()
            raise OSError(errno.EIO, "no")

        monkeypatch.setattr(journal, "_file", _Wrapped(real, close=refuse))
        journal.append(*said(2))
        await asyncio.sleep(0.2)
    assert [r.seq for r in on_disk(folder)] == [1, 2]
    assert len(told) == 2


async def test_past_the_limit_records_are_lost_counted_and_said_in_the_call(
    tmp_path: Path, no_room: Any
) -> None:
    settings = JournalSettings(kept_bytes=1000, reserve_bytes=1000)
    async with writing(tmp_path, settings) as (journal, told):
        journal.append(*started("a"))
        journal.append(*started("b"))
        await asyncio.sleep(0.2)
        no_room(told[0].end)
        for seq in range(2, 102):
            journal.append(*said(seq, call_id="a"))
            await asyncio.sleep(0.02)
        kept = 101 - journal.lost_records
        assert 5 < kept < 15
        journal.append(*said(2, call_id="b"))
        journal.append(*ended(102, call_id="a"))
        no_room(None)
        await asyncio.sleep(module.RETRY_S + 0.5)
        journal.append(*said(3, call_id="b"))
    assert journal.lost_records == 100 - kept + 2
    records = on_disk(tmp_path)
    [lost] = [r for r in records if r.kind == "JournalLost" and r.call_id == "a"]
    # In the place of the first that was lost, and before the end, which used the reserve.
    assert lost.seq == kept + 1
    assert lost.data["records"] == 101 - kept
    assert [r.seq for r in records if r.call_id == "a"] == [*range(1, kept + 2), 102]
    assert [(r.seq, r.kind) for r in records if r.call_id == "b"] == [
        (1, "CallStarted"),
        (2, "JournalLost"),
        (3, "RecordMessage"),
    ]
    assert told_records(told) == records


async def test_what_cannot_be_written_at_the_close_is_counted(tmp_path: Path, no_room: Any) -> None:
    async with writing(tmp_path) as (journal, told):
        journal.append(*started())
        await asyncio.sleep(0.2)
        no_room(told[0].end)
        journal.append(*said(2))
        journal.append(*said(3))
    assert journal.lost_records == 2
    no_room(None)
    assert [r.seq for r in on_disk(tmp_path)] == [1]


async def test_append_never_raises(tmp_path: Path) -> None:
    async with writing(tmp_path) as (journal, _):
        for seq, data in enumerate([{"n": 2**70}, {"s": "\ud800"}, {"o": object()}], 1):
            journal.append("c", "o", seq, 0.0, "event", "ClientMessageReceived", data)
    assert [r.seq for r in on_disk(tmp_path)] == [1, 2, 3]


class _Wrapped:
    """A file of which one method does something else."""

    def __init__(self, file: Any, **methods: Any) -> None:
        self._file = file
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
