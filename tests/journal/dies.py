"""A process that puts records of four calls down without pause, says what was told to be on disk, and never ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aywa.journal.segment import body_of, decode
from aywa.journal.writer import JournalSettings, JournalWriter, Written
from tests.journal.stores import said, started

CALLS = ("a", "b", "c", "d")


def tell(written: Written) -> None:
    """One line a batch: the last number of each call in it."""
    last = {r.call_id: r.seq for r in map(decode, map(body_of, written.records))}
    sys.stdout.write(" ".join(f"{call}={seq}" for call, seq in last.items()) + "\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    journal = JournalWriter(folder, tell, JournalSettings(segment_bytes=2_000_000))
    running = asyncio.create_task(journal.run())
    seq = 0
    while not running.done():
        seq += 1
        for call in CALLS:
            journal.append(*(started(call) if seq == 1 else said(seq, "word " * 500, call)))
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
