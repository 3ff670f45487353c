"""Who owns a call, run after run under faults: prints what came of it, by fault.

python -m tests.faults.lease_faults --seed 1000 --runs 1000
python -m tests.faults.lease_faults --seed 1 --runs 40 --files
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults import lease_world
from tests.faults.lease_world import Result

TELLING: Final = {
    "pause": "a node stopped for a while",
    "kill": "a node killed",
    "flush": "Redis emptied",
    "redis": "Redis away",
    "database": "database away",
    "answer": "database's answers lost",
    "no_redis": "one cut off from Redis",
    "no_database": "one cut off from the database",
    "no_answer": "answers to one lost",
    "": "all",
}
COLUMNS: Final = ("takes", "refused", "unanswered", "stale", "doubles", "lost", "left")


def table_by_fault(found: Sequence[Result]) -> str:
    """What came of them; a run with two kinds of faults is in two lines."""
    heads = "".join(name.upper().rjust(12) for name in ("runs", "faults", *COLUMNS))
    lines = ["FAULT".ljust(32) + heads]
    for kind, telling in TELLING.items():
        own = [one for one in found if not kind or kind in one.faults]
        faults = sum(one.faults.count(kind) if kind else len(one.faults) for one in own)
        sums = (sum(getattr(one, name) for one in own) for name in COLUMNS)
        lines.append(telling.ljust(32) + "".join(str(n).rjust(12) for n in (len(own), faults, *sums)))
    return "\n".join([*lines, *(f"broken: {one}" for one in found if not one.good)])


async def _runs(seeds: range, *, files: bool) -> list[Result]:
    if not files:
        return await lease_world.in_memory(seeds)
    with tempfile.TemporaryDirectory(prefix="aywa-leases-") as folder:
        return await lease_world.over_files(seeds, Path(folder))


def main() -> None:
    """Ends with 1 when a run was not good."""
    parser = argparse.ArgumentParser(description="Who owns a call, under faults.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--files", action="store_true", help="over the shipped store, a file each")
    asked = parser.parse_args()
    found = asyncio.run(_runs(range(asked.seed, asked.seed + asked.runs), files=asked.files))
    print(table_by_fault(found))
    if not all(one.good for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
