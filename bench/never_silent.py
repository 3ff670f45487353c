"""Is the caller ever left in silence? Seeded calls on the virtual clock, with faults at every provider step.

Each call is one number: `python -m aywa.boot.simulation --seed N` plays it again and prints what happened. Judged by an
independent checker on what the media plane let out and what the caller said.

gaps_unexplained: calls with more than 3 s without a sound and without a reason. stuck_calls: that did not end, or raised.
recovery_ms_p99: from a failure that was waited out (or from the end of the turn, if later) to the next sound. broken: calls
by what else did not hold; `watched`: in which the engine's own watch found its promise broken. Prints {"gaps_unexplained",
"stuck_calls", "recovery_ms_p99", "calls_per_s", ..., "samples"}.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

import numpy as np

from aywa.boot.simulation import play

CALLS = 10_000
SHOWN = 10


def main() -> None:
    """Plays and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seed", type=int, default=0, help="the first call's number")
    asked = parser.parse_args()
    broken: Counter[str] = Counter()
    seeds: dict[str, list[int]] = {}
    recoveries_s: list[float] = []
    faults: Counter[str] = Counter()
    said_s = 0.0
    began_s = time.perf_counter()
    for seed in range(asked.seed, asked.seed + asked.calls):
        played = play(seed)
        recoveries_s += played.recoveries_s
        said_s += played.ended_s
        faults.update(step.partition(".")[0] for _, step, _ in played.scenario.faults.drawn)
        kinds = {v.kind for v in played.violations}
        # What the engine's own watch found out.
        kinds |= (
            {"watched"} if any(r.data.get("decision") == "promise_broken" for r in played.records) else set()
        )
        kinds |= {"gap"} if any(kind.startswith("gap.") for kind in kinds) else set()
        kinds |= {"stopped"} if kinds & {"stuck", "crash"} else set()
        for kind in kinds:
            broken[kind] += 1
            seeds.setdefault(kind, []).append(seed)
    took_s = time.perf_counter() - began_s
    for kind, count in broken.most_common():
        sys.stderr.write(f"{kind}: {count} calls, the first {seeds[kind][:SHOWN]}\n")
    figures = {
        "gaps_unexplained": broken["gap"],
        "stuck_calls": broken["stopped"],
        "recovery_ms_p99": round(1000 * float(np.percentile(recoveries_s, 99)), 1) if recoveries_s else None,
        "calls_per_s": round(asked.calls / took_s, 1),
        "times_real_time": round(said_s / took_s),
        "faults": dict(faults),
        "broken": dict(broken),
        "seeds": {kind: some[:SHOWN] for kind, some in seeds.items()},
        "samples": {
            "gaps_unexplained": asked.calls,
            "stuck_calls": asked.calls,
            "recovery_ms_p99": len(recoveries_s),
        },
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
