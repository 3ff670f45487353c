"""20,000 whole calls one after the other, a hundred at a time: does anything grow?

One runtime with its API, media plane, journal, projector, store and outbox, on a clock that passes as fast as the work is done
(bench/compressed.py); scripted providers, and the customer's server in the same process. Each call is asked for over HTTP, is
greeted, speaks, has a tool run, interrupts, and ends in one of several ways; its report is awaited, and it is deleted. One in
eight speaks over a real WebSocket, the others to the plane itself.

After every SAMPLE calls, when all are over and everything is delivered: resident memory (after a full collection, and free memory
given back), open files, tasks, threads. The first WARM_UP calls fill caches and count for nothing; the slope is the least squares
of the rest.

Prints {"slope_mb_per_1000", "files_grown", "tasks_grown", "threads_grown", "unreported", ... "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import re
import sys
import tempfile
import time
import tracemalloc
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

from aywa.boot.memory import use_one_heap
from bench.compressed import CompressedLoop

CALLS = 20_000
AT_ONCE = 100
SAMPLE = 500
WARM_UP = 4_000
QUIET_S = 600.0
"""On the loop's clock: so long may it take until the last call's deliveries have come."""

_perf = time.perf_counter


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds when no call runs. blocks: pieces of memory that Python has given out. native_mb: what others than
    Python have, of glibc's heaps; sqlite_mb: what SQLite has, of that. -1: not to be known."""

    calls: int
    rss_mb: float
    blocks: int
    native_mb: float
    sqlite_mb: float
    files: int
    tasks: int
    threads: int


def sample(calls: int) -> Sample:
    """Now."""
    for _ in range(2):
        gc.collect()
    if LIBC is not None:
        LIBC.malloc_trim(0)
    rolled = Path("/proc/self/smaps_rollup").read_text()
    found = re.search(r"^Rss:\s+(\d+) kB", rolled, re.MULTILINE)
    assert found is not None
    files, threads = (len(list(Path("/proc/self", name).iterdir())) for name in ("fd", "task"))
    return Sample(
        calls,
        int(found[1]) / 1024,
        sys.getallocatedblocks(),
        native_mb(),
        sqlite_mb(),
        files,
        len(asyncio.all_tasks()),
        threads,
    )


def native_mb() -> float:
    """What is given out of all of glibc's heaps: what they hold, less what is free in them."""
    if LIBC is None:
        return -1.0
    with tempfile.NamedTemporaryFile("r") as report:
        stream = LIBC.fopen(report.name.encode(), b"w")
        LIBC.malloc_info(0, ctypes.c_void_p(stream))
        LIBC.fclose(ctypes.c_void_p(stream))
        # After the last heap come the sums.
        sums = report.read().rpartition("</heap>")[2]
    size = {kind: int(of) for kind, of in re.findall(r'<total type="(\w+)" count="\d+" size="(\d+)"', sums)}
    held = re.search(r'<system type="current" size="(\d+)"', sums)
    assert held is not None
    return (int(held[1]) - size["fast"] - size["rest"] + size.get("mmap", 0)) / 2**20


def sqlite_mb() -> float:
    """What SQLite has: its connections' pages and statements."""
    if SQLITE is None:
        return -1.0
    used: int = SQLITE.sqlite3_memory_used()
    return used / 2**20


def _library(name: str, **answers: Any) -> ctypes.CDLL | None:
    """One that this process has; None where there is none. answers: what its functions answer, where that is no int."""
    try:
        found = ctypes.CDLL(name)
        for function, answer in answers.items():
            getattr(found, function).restype = answer
    except (OSError, AttributeError):
        return None
    return found


LIBC = _library("libc.so.6", fopen=ctypes.c_void_p, malloc_info=ctypes.c_int)
SQLITE = _library("libsqlite3.so.0", sqlite3_memory_used=ctypes.c_int64)


def slope(samples: Sequence[Sample], after: int) -> float:
    """MB for a thousand calls, by least squares."""
    taken = [each for each in samples if each.calls >= after]
    mean_x = sum(each.calls for each in taken) / len(taken)
    mean_y = sum(each.rss_mb for each in taken) / len(taken)
    over = sum((each.calls - mean_x) * (each.rss_mb - mean_y) for each in taken)
    under = sum((each.calls - mean_x) ** 2 for each in taken)
    return 1000 * over / under


def grown(samples: Sequence[Sample], after: int, name: str) -> int:
    """Between the middle of the first half past the warm-up and of the second: at a look one may just come or go."""
    values = [getattr(each, name) for each in samples if each.calls >= after]
    half = len(values) // 2
    return int(median_low(values[half:]) - median_low(values[:half]))


async def run(options: argparse.Namespace, loop: CompressedLoop) -> dict[str, Any]:
    """Every call."""
    # Not before the clocks are in place: much keeps the clock that it finds when it is imported.
    from bench.soak_calls import open_house

    began_s = _perf()
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="aywa-soak-") as folder:
        async with open_house(Path(folder), options.at_once) as house:
            done = 0
            before: tracemalloc.Snapshot | None = None
            held: Held | None = None
            while done < options.calls:
                many = min(options.sample, options.calls - done)
                await house.calls(done, many)
                done += many
                await house.quiet(QUIET_S)
                samples.append(sample(done))
                tell(samples[-1], _perf() - began_s, loop.passed_s)
                if options.trace and done >= options.trace_from:
                    before = compare(before)
                elif options.types:
                    held = compare_types(held)
            counts = house.counts()
    after = min(options.warm_up, options.calls // 2)
    return {
        "slope_mb_per_1000": round(slope(samples, after), 4),
        **{f"{name}_grown": grown(samples, after, name) for name in ("files", "tasks", "threads")},
        **counts,
        "rss_mb_first": round(samples[0].rss_mb, 1),
        "rss_mb_last": round(samples[-1].rss_mb, 1),
        "wall_s": round(_perf() - began_s),
        "called_s": round(loop.passed_s),
        "measured": [asdict(each) for each in samples],
        "samples": options.calls,
    }


def tell(one: Sample, wall_s: float, clock_s: float) -> None:
    """Progress, for a person."""
    sys.stderr.write(
        f"{one.calls:6} calls  {one.rss_mb:7.2f} MB  {one.native_mb:.1f} native  {one.sqlite_mb:.1f} SQLite"
        f"  {one.blocks} blocks  {one.files} files  {one.tasks} tasks"
        f"  {one.threads} threads  after {wall_s:.0f} s ({clock_s:.0f} s of calls)\n"
    )
    sys.stderr.flush()


Held = tuple[Counter[str], dict[int, tuple[int, str]]]
"""How many there are of each type, and by its identity how much each container holds, and what it is."""


def compare_types(before: Held | None) -> Held:
    """Says of which types there are more than at the last look, and which containers hold more; answers what there is.

    A dict of plain strings and numbers is not among what the collector keeps track of: it is found at whoever has it."""
    gc.unfreeze()
    tracked = gc.get_objects()
    gc.freeze()
    types = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in tracked)
    sizes: dict[int, tuple[int, str]] = {}
    for owner in tracked:
        for each in (owner, *gc.get_referents(owner)):
            if isinstance(each, dict | set | list | deque) and id(each) not in sizes and len(each) > 50:
                first = next(iter(each), None)
                sizes[id(each)] = (
                    len(each),
                    f"{type(each).__qualname__} of {type(first).__qualname__} in {_named(owner)}",
                )
    if before is not None:
        more = types - before[0]
        sys.stderr.write("".join(f"    {count:+} {name}\n" for name, count in more.most_common(15)))
        longer = (
            (length - before[1].get(one, (0, ""))[0], length, name) for one, (length, name) in sizes.items()
        )
        for by, length, name in sorted(longer, reverse=True)[:12]:
            if by > 0:
                sys.stderr.write(f"    {by:+} to {length} in a {name}\n")
    return types, sizes


def _named(owner: object) -> str:
    """Of which object: the attributes of one are in a dict of its own."""
    if isinstance(owner, dict):
        return f"a dict with {sorted(str(each)[:20] for each in list(owner)[:6])}"
    return f"{type(owner).__module__}.{type(owner).__qualname__}"


def compare(before: tracemalloc.Snapshot | None) -> tracemalloc.Snapshot | None:
    """Says what has grown since the second look."""
    if not tracemalloc.is_tracing():
        tracemalloc.start(12)
        return None
    now = tracemalloc.take_snapshot()
    if before is None:
        return now
    for each in now.compare_to(before, "traceback")[:12]:
        sys.stderr.write(f"{each.size_diff:+} B in {each.count_diff:+} blocks\n")
        sys.stderr.write("\n".join(each.traceback.format()[-8:]) + "\n")
    return before


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="calls between two looks")
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help="calls that count for nothing")
    parser.add_argument("--types", action="store_true", help="say of what there are more after each look")
    parser.add_argument("--trace", action="store_true", help="say where memory grew (slow)")
    parser.add_argument("--trace-from", type=int, default=0, help="from so many calls on")
    options = parser.parse_args()
    if options.calls < 4 * options.sample:
        parser.error("a slope needs four looks: --calls must be at least four times --sample")
    use_one_heap()
    made: list[CompressedLoop] = []

    def factory() -> CompressedLoop:
        made.append(CompressedLoop())
        made[0].install()
        return made[0]

    for name in [name for name in os.environ if name.startswith(("RUNTIME_", "OPENAI_", "VOICE_PIPELINE_"))]:
        del os.environ[name]
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(run(options, runner.get_loop()))  # type: ignore[arg-type]
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
