"""How a process of ours keeps its memory, asked of glibc itself."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys, threading
from aywa.boot.memory import use_one_heap
if sys.argv[1] == "one":
    use_one_heap()
barrier = threading.Barrier(5)
def work():
    kept = [bytearray(10_000) for _ in range(50)]
    barrier.wait()
    barrier.wait()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
barrier.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
barrier.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heaps")
def test_threads_have_one_heap_and_not_one_each() -> None:
    def heaps(which: str) -> int:
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT, which], check=True, capture_output=True, text=True
        )
        return len(re.findall(r"<heap nr=", ran.stdout))

    assert heaps("one") == 1
    assert heaps("many") > 1
