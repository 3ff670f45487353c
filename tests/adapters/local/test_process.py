"""The child may die, hang, talk nonsense or never start: every request is answered and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aywa.adapters.local.engine import open_local
from aywa.adapters.local.process import ChildProcess
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import SttOptions
from aywa.ports.tts import TtsOptions
from tests.adapters.local.speech import silence

ECHO = """
import os, sys, time
from aywa.adapters.local.wire import messages, pack, write
say = lambda **message: write(1, pack(message))
stream = messages(0)
plan = next(stream)
print("noise of a library", file=sys.stderr, flush=True)
say(**{"is": "ready", "role": "echo", "ms": 1})
for message in stream:
    number, do = message["id"], message["do"]
    if do == "die": print("last words", file=sys.stderr, flush=True); os._exit(3)
    if do == "cancel": say(**{"id": 0, "is": "piece"}); continue
    if do == "hang": say(**{"id": number, "is": "piece", "at": 1}); continue
    if do == "babble": write(1, b"x" * 1000); continue
    if do == "stop reading": time.sleep(1000)
    if do == "fail": say(**{"id": number, "is": "error", "message": "no"}); continue
    say(**{"id": number, "is": "piece", "text": message["text"]})
    say(**{"id": number, "is": "end"})
"""


@asynccontextmanager
async def running(
    code: str = ECHO, back_off_s: tuple[float, ...] = (0.0, 0.0)
) -> AsyncIterator[ChildProcess]:
    child = ChildProcess({}, ["echo"], command=[sys.executable, "-c", code], back_off_s=back_off_s)
    child.start()
    try:
        async with asyncio.timeout(20):
            yield child
    finally:
        await child.close()
        assert child.pid is None


async def test_it_answers() -> None:
    async with running() as child:
        answers = await asyncio.gather(*(child.ask("echo", "say", text=str(n)) for n in range(50)))
        assert [answer["text"] for answer in answers] == [str(n) for n in range(50)]
        assert child.last_lines == ("noise of a library",)
        assert child.rss_mb() > 1


async def test_its_death_fails_what_was_asked_and_it_comes_back() -> None:
    async with running() as child:
        await child.ready()
        first = child.pid
        waiting = asyncio.ensure_future(child.ask("echo", "hang"))
        with pytest.raises(ProviderError) as failure:
            await child.ask("echo", "die")
        error = failure.value
        assert (error.code, error.fault, error.retryable) == ("engine_died", Fault.RUNTIME, True)
        assert "last words" in str(error)
        with pytest.raises(ProviderError, match="the child ended"):
            await waiting
        assert (await child.ask("echo", "say", text="back"))["text"] == "back"
        assert child.pid != first
        assert child.deaths == 1


async def test_a_child_that_keeps_dying_is_given_up() -> None:
    async with running("import sys; sys.exit('cannot begin')") as child:
        with pytest.raises(ProviderError) as failure:
            await child.ask("echo", "say", text="x")
        assert failure.value.code == "engine_died"
        assert not failure.value.retryable
        assert "cannot begin" in str(failure.value)
        assert child.deaths == 3


async def test_nonsense_is_a_death() -> None:
    async with running() as child:
        with pytest.raises(ProviderError) as failure:
            await child.ask("echo", "babble")
        assert failure.value.code == "engine_died"
        assert (await child.ask("echo", "say", text="back"))["text"] == "back"


async def test_a_failed_request_does_not_touch_the_others() -> None:
    async with running() as child:
        with pytest.raises(ProviderError) as failure:
            await child.ask("echo", "fail")
        assert failure.value.code == "engine_failed"
        assert (await child.ask("echo", "say", text="on"))["text"] == "on"
        assert child.deaths == 0


async def test_a_cancelled_request_is_forgotten() -> None:
    async with running() as child:
        pieces = child.stream("echo", "hang")
        await anext(pieces)
        await pieces.aclose()
        assert (await child.ask("echo", "say", text="on"))["text"] == "on"


async def test_a_child_that_does_not_read_is_busy() -> None:
    async with running() as child:
        asks = [asyncio.ensure_future(child.ask("echo", "stop reading"))]
        asks += [asyncio.ensure_future(child.ask("echo", "say", text="x" * 1_000_000)) for _ in range(40)]
        done, waiting = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
        for ask in waiting:
            ask.cancel()
        await asyncio.wait(asks)
        codes = {getattr(ask.exception(), "code", None) for ask in done}
        assert codes == {"engine_busy"}


async def test_closing_fails_what_was_asked() -> None:
    async with running() as child:
        waiting = asyncio.ensure_future(child.ask("echo", "hang"))
        await child.ready()
        for _ in range(3):
            await asyncio.sleep(0)
        await child.close()
        with pytest.raises(ProviderError) as failure:
            await waiting
        assert failure.value.code == "engine_closed"


async def test_closing_before_it_is_ready() -> None:
    async with running("import time; time.sleep(1000)"):
        await asyncio.sleep(0)


async def test_nothing_is_left_open() -> None:
    before = _open_files()
    for _ in range(3):
        async with running() as child:
            await child.ready()
    assert _open_files() <= before


async def test_the_child_ends_with_its_parent(models: Path) -> None:
    parent = (
        "import asyncio, os\n"
        "from pathlib import Path\n"
        "from aywa.adapters.local.engine import open_local\n"
        "async def main():\n"
        f"    engine = await open_local(Path({str(models)!r}), roles=('turn',), llm='rules')\n"
        "    await engine.ready()\n"
        "    print(engine.child.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    await asyncio.to_thread(_wait_for_the_end, int(out))


async def test_a_killed_engine_serves_again(models: Path) -> None:
    engine = await open_local(models, roles=("stt", "tts"), llm="rules")
    try:
        await engine.ready()
        stream = await engine.stt.open(SttOptions(16000))
        assert engine.child.pid is not None
        os.kill(engine.child.pid, signal.SIGKILL)
        stream.voice(True)
        stream.feed(silence(1))
        stream.voice(False)
        async with asyncio.timeout(10):
            with pytest.raises(ProviderError) as failure:
                async for _ in stream.results():
                    pass
            assert failure.value.code == "engine_died"
            await stream.close()
            assert [chunk async for chunk in engine.tts.synthesize("Back again.", TtsOptions(8000))]
    finally:
        await engine.close()


async def test_a_missing_model_is_named_and_the_others_serve(tmp_path: Path) -> None:
    engine = await open_local(tmp_path, roles=("stt", "tts"), llm="rules")
    try:
        with pytest.raises(ProviderError) as failure:
            await engine.stt.open(SttOptions(16000))
        assert failure.value.code == "model_broken"
        assert str(tmp_path) in str(failure.value)
        assert [chunk async for chunk in engine.tts.synthesize("Still here.", TtsOptions(8000))]
    finally:
        await engine.close()


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _wait_for_the_end(pid: int) -> None:
    """Of a process that is no child of ours."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            assert select.select([handle], [], [], 5.0)[0], f"process {pid} lives on"
        finally:
            os.close(handle)
