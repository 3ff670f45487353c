"""bench/sip.py to its end, with a few calls of sipp: what it measures is a telephone that answers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLS = 30


@pytest.mark.parametrize("kind", ["signalling", "legs"])
async def test_every_call_is_answered_and_over(kind: str) -> None:
    command = (sys.executable, "bench/sip.py", "--calls", str(CALLS), "--rate", "30", "--only", kind)
    ran = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(ran.communicate(), 60)
    assert ran.returncode == 0
    row = json.loads(out)[kind]
    assert (row["succeeded"], row["failed"], row["left"]) == (CALLS, 0, 0)
