"""Clients that do what they must not, against the real runtime: each gets a clear error or a clean end with a published
reason, the call is stored, nothing is leaked, and a good call beside them does not notice."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from aywa.boot.runtime import Runtime
from aywa.boot.settings import LLM_RULES, RuntimeSettings
from aywa.boot.speech import open_speech
from tests.e2e.client import FRAME, QUIET, Api, Client, api, client, eventually, speaking
from tests.e2e.dev import Dev, Held, held

LONG = "One moment, please. " * 40
TALKS: Mapping[str, Any] = {
    **QUIET,
    "firstMessageMode": "assistant-speaks-first",
    "firstMessage": LONG,
}
NO_AUDIO = "call.in-progress.error-assistant-did-not-receive-customer-audio"
LOST = "phone-call-provider-closed-websocket"
# Pools that are not full yet may grow: of threads, and of the store's connections, some of which have a thread each. One for each
# of the calls here would be more.
POOL_THREADS = 6
STORE_FDS = 24
NEVER = "call.in-progress.error-providerfault-transport-never-connected"


@pytest.fixture
async def caller(runtime: Dev) -> AsyncIterator[Api]:
    async with api(runtime.url, runtime.key) as one:
        yield one


# --- what they do ------------------------------------------------------------------------------------------------


async def sends_odd_bytes(api: Api) -> None:
    """Half samples and empty frames: told what is wrong, and shown the door when it goes on."""
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        await one.socket.send(FRAME[:-1])
        error = await one.told("error", code="malformed_frame")
        assert "639 bytes" in error["message"]
        await one.socket.send(b"")
        await one.told("error", message="audio of 0 bytes is not a whole number of samples")
        await one.socket.send(FRAME)
        await keeps_sending(one, [b"\0"] * 60)
        assert await one.closed() == 1007
    call = await api.ended(call_id)
    assert call["endedReason"] == NO_AUDIO
    assert "malformed" in call["endedMessage"]
    assert any(warning["code"] == "malformed_frame" for warning in call["warnings"])


async def sends_an_oversized_frame(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        await keeps_sending(one, [bytes(1_000_000)])
        assert await one.closed() == 1009
    call = await api.ended(call_id)
    assert call["endedReason"] == NO_AUDIO
    assert "1009" in call["endedMessage"]


async def sends_an_oversized_message_in_fragments(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        await keeps_sending(one, [[bytes(60_000)] * 100])
        assert await one.closed() == 1009
    assert (await api.ended(call_id))["endedReason"] == NO_AUDIO


async def sends_reserved_bits(api: Api) -> None:
    """Breaks the protocol itself (RFC 6455, 5.2)."""
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        one.socket.transport.write(b"\xa2\x80" + bytes(4))
        assert await one.closed() == 1002
    assert (await api.ended(call_id))["endedReason"] == NO_AUDIO


async def sends_garbage_text(api: Api) -> None:
    """Is told so, and may go on: the call is as it was."""
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        for text in ('{"type":', "null", "[1]", "NaN", "[" * 50_000, '"say"', "\0"):
            one.texts.clear()
            await one.socket.send(text)
            await one.told("error", code="malformed_frame")
        await one.socket.send(json.dumps({"type": "say", "content": "Still here."}))
        await one.heard(10)
    call = await api.ended(call_id)
    assert call["endedReason"] == "customer-ended-call"


async def sends_text_that_is_not_utf8(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        one.socket.transport.write(Frame(Opcode.TEXT, b"\xff\xfe{}").serialize(mask=True))
        assert await one.closed() == 1007
    assert (await api.ended(call_id))["endedReason"] == NO_AUDIO


async def sends_unknown_controls(api: Api) -> None:
    """Unknown types, and known ones with the wrong things in them."""
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        for message in (
            {},
            {"type": "dance"},
            {"type": None},
            {"type": ["say"]},
            {"type": {"say": 1}},
            {"type": "say"},
            {"type": "say", "content": 7},
            {"type": "say", "content": " "},
            {"type": "add-message"},
            {"type": "add-message", "message": "hello"},
            {"type": "add-message", "message": {"role": ["user"], "content": 3}},
            {"type": "control", "control": 2**70},
            {"type": "\ud800"},
        ):
            one.texts.clear()
            await one.socket.send(json.dumps(message))
            await one.told("error")
        await one.socket.send(json.dumps({"type": "add-message", "message": {"role": [], "content": "Hm."}}))
        await one.socket.send(json.dumps({"type": "say", "content": "Still here."}))
        await one.heard(10)
        await one.socket.send(json.dumps({"type": "end-call"}))
        await one.told("status-update", status="ended", endedReason="customer-ended-call")
        assert await one.closed() == 1000
    assert (await api.ended(call_id))["endedReason"] == "customer-ended-call"


async def floods_with_controls(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        await keeps_sending(one, ['{"type":"dance"}'] * 1200)
        assert await one.closed() == 1008
    call = await api.ended(call_id)
    assert call["endedReason"] == NO_AUDIO
    assert "flooded" in call["endedMessage"]


async def sends_a_minute_at_once(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        await keeps_sending(one, [FRAME] * 3000)
        await one.told("error", code="flooded")
        assert await one.closed() == 1008
    call = await api.ended(call_id)
    assert call["endedReason"] == NO_AUDIO
    assert "flooded" in call["endedMessage"]
    assert any(warning["code"] == "audio_ahead" for warning in call["warnings"])


async def sends_slowly(api: Api) -> None:
    """A third of real time: the call goes on, and what is said in it is recognised as far as it can be."""
    call_id, url = await api.place(QUIET)
    async with client(url) as one, speaking(one, pace=0.3):
        await one.told("status-update", status="in-progress")
        await one.socket.send(json.dumps({"type": "say", "content": "Are you still there?"}))
        await one.heard(30)
    assert (await api.ended(call_id))["endedReason"] == "customer-ended-call"


async def disappears(api: Api) -> None:
    """In the middle of a reply, without a close frame, with a reset."""
    call_id, url = await api.place(TALKS)
    async with client(url) as one:
        await one.heard(20)
        one.socket.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        one.abort()
        await one.socket.wait_closed()
    call = await api.ended(call_id)
    assert call["endedReason"] == LOST
    assert call["messages"][0]["role"] == "bot"
    assert call["messages"][0]["message"].startswith("One")
    assert len(call["messages"][0]["message"]) < len(LONG) / 2


async def disappears_at_the_handshake(api: Api) -> None:
    call_id, url = await api.place({**QUIET, "customerJoinTimeoutSeconds": 1})
    host, _, port = url.split("/")[2].partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /" + call_id.encode() + b"/transport HTTP/1.1\r\nHost: x\r\n")
    await writer.drain()
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    assert (await api.ended(call_id))["endedReason"] == NEVER


async def never_reads(api: Api) -> None:
    """Until what is not taken fills every buffer; then it is cut off."""
    call_id, url = await api.place(TALKS)
    async with deaf(url):
        call = await api.ended(call_id, within_s=40)
    assert call["endedReason"] == LOST
    assert "unread" in call["endedMessage"]
    assert any(warning["code"] == "unread" for warning in call["warnings"])


@asynccontextmanager
async def deaf(url: str) -> AsyncIterator[Client]:
    """A client that takes nothing off its socket, whose buffer is small."""
    host, _, port = url.split("/")[2].partition(":")
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, (host, int(port)))
        async with client(url, listens=False, max_queue=1, sock=own) as one:
            one.socket.transport.pause_reading()
            yield one


async def does_not_answer_the_close(api: Api) -> None:
    """It is asked to close, and does not: the runtime does not wait for ever, and keeps the recording."""
    call_id, url = await api.place(TALKS)
    async with client(url) as one:
        await one.heard(20)
        one.socket.transport.pause_reading()
        await one.socket.send('{"type":"end-call"}')
        call = await api.ended(call_id)
        assert call["endedReason"] == "customer-ended-call"
        one.abort()

    async def recording() -> object:
        _, stored = await api.ask("GET", f"/call/{call_id}")
        return stored["artifact"].get("recordingUrl")

    await eventually(recording, why="the recording was not put on record")


async def connects_twice(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    async with client(url) as one:
        await one.told("status-update", status="in-progress")
        with pytest.raises(InvalidStatus) as refused:
            async with client(url):
                pass
        assert refused.value.response.status_code == 409
        assert json.loads(refused.value.response.body or b"")["message"] == "the call is connected"
        await one.socket.send(json.dumps({"type": "say", "content": "I am still here."}))
        await one.heard(10)
    assert (await api.ended(call_id))["endedReason"] == "customer-ended-call"
    await is_refused(url, 404)


async def has_the_wrong_token(api: Api) -> None:
    call_id, url = await api.place(QUIET)
    bare, _, token = url.partition("?token=")
    for wrong in ("", "?token=", "?token=x", f"?token={token}x", f"?token={token[:-1]}", "?token=%ff%00é"):
        await is_refused(bare + wrong, 401)
    await is_still_waiting(api, call_id, url)


async def calls_nobody(api: Api) -> None:
    """Calls that are not there, and paths that are none."""
    call_id, url = await api.place(QUIET)
    root, token = url.partition(f"/{call_id}")[0], url.partition("?")[2]
    other = "00000000-0000-4000-8000-000000000000"
    for path in (
        f"/{other}/transport",
        "/",
        "/transport",
        "/%2e%2e/transport",
        f"/{call_id}",
        "/" + "a" * 3000,
    ):
        await is_refused(f"{root}{path}?{token}", 404)
    await is_still_waiting(api, call_id, url)


async def never_connects(api: Api) -> None:
    call_id, url = await api.place({**QUIET, "customerJoinTimeoutSeconds": 1})
    call = await api.ended(call_id)
    assert (call["endedReason"], call["endedMessage"]) == (NEVER, "nobody connected in time")
    await is_refused(url, 404)


async def asks_with_http(api: Api) -> None:
    """A browser's address bar instead of a WebSocket; and TLS where there is none."""
    call_id, url = await api.place(QUIET)
    async with api.http.get(url.replace("ws://", "http://")) as answer:
        assert answer.status == 426
    host, _, port = url.split("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300) + b"\r\n\r\n")
    assert b"101" not in await asyncio.wait_for(reader.read(100), 20)
    writer.close()
    await writer.wait_closed()
    await is_still_waiting(api, call_id, url)


async def is_deleted_meanwhile(api: Api) -> None:
    """The call goes, and its files do not come back when it ends."""
    call_id, url = await api.place(TALKS)
    async with client(url) as one:
        await one.heard(20)
        status, _ = await api.ask("DELETE", f"/call/{call_id}")
        assert status == 200
        await one.told("status-update", status="ended", endedReason="call-deleted")
        assert await one.closed() == 1000
    assert (await api.ask("GET", f"/call/{call_id}"))[0] == 404


async def keeps_sending(one: Client, messages: list[Any]) -> None:
    """As fast as it can, until the door is shut."""
    try:
        for message in messages:
            await one.socket.send(message)
    except ConnectionClosed:
        pass


async def is_still_waiting(api: Api, call_id: str, url: str) -> None:
    """Whoever has the right token is let in."""
    async with client(url) as one:
        await one.told("status-update", status="in-progress")
    assert (await api.ended(call_id))["endedReason"] == "customer-ended-call"


async def is_refused(url: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with client(url):
            pass
    assert refused.value.response.status_code == status
    body = json.loads(refused.value.response.body or b"")
    assert body["statusCode"] == status
    assert body["message"]


Bad = Callable[[Api], Awaitable[None]]
QUICK: list[Bad] = [
    sends_odd_bytes, sends_an_oversized_frame, sends_an_oversized_message_in_fragments, sends_reserved_bits,
    sends_garbage_text, sends_text_that_is_not_utf8, sends_unknown_controls, floods_with_controls,
    sends_a_minute_at_once, sends_slowly, disappears, disappears_at_the_handshake, connects_twice,
    has_the_wrong_token, calls_nobody, never_connects, asks_with_http, is_deleted_meanwhile,
]  # fmt: skip
SLOW: list[Bad] = [never_reads, does_not_answer_the_close]


@pytest.mark.parametrize("bad", QUICK, ids=lambda bad: bad.__name__)
async def test_a_client_that(bad: Bad, caller: Api) -> None:
    await bad(caller)


# --- all at once, beside a good one ------------------------------------------------------------------------------


@pytest.fixture
async def question(tmp_path: Path) -> Path:
    """A question for which the receptionist has an answer, as PCM16 at 16 kHz."""
    async with open_speech(voice=True) as speech:
        spoken = await speech.say(("What are your opening hours?",), 16000)
    path = tmp_path / "question.pcm"
    path.write_bytes(spoken)
    return path


async def good_call(runtime: Dev, question: Path, rounds: int) -> dict[str, Any]:
    """As the other process saw it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.good_caller", runtime.url, runtime.key, str(question), str(rounds),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        told, _ = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    result: dict[str, Any] = json.loads(told)
    return result


async def all_at_once(api: Api, bads: list[Bad]) -> None:
    outcomes = await asyncio.gather(*(bad(api) for bad in bads), return_exceptions=True)
    failed = {
        bad.__name__: outcome
        for bad, outcome in zip(bads, outcomes, strict=True)
        if isinstance(outcome, BaseException)
    }
    assert not failed, failed


async def test_a_good_call_does_not_notice_them_and_nothing_is_leaked(
    runtime: Dev, caller: Api, question: Path
) -> None:
    # What is made once and kept (threads, pages of memory) must not look like a leak.
    await all_at_once(caller, QUICK)
    before = await settled(runtime)

    async with asyncio.TaskGroup() as group:
        calling = group.create_task(good_call(runtime, question, 2))
        _ = group.create_task(all_at_once(caller, [*QUICK, *SLOW, *QUICK]))
    good = calling.result()
    assert good["ended_reason"] == "customer-ended-call"
    assert len(good["latency_ms"]) == 2
    assert all(latency is not None and latency < 1500 for latency in good["latency_ms"]), good
    assert good["frames"] > 100
    # What the caller itself was late for (a busy machine) is not the runtime's doing.
    assert good["largest_hole_ms"] - good["own_lateness_ms"] <= 100, good

    after = await let_go(runtime, before)
    assert after.fds <= before.fds, (before, after)
    assert after.store_fds <= STORE_FDS, (before, after)
    connections = max(0, after.store_fds - before.store_fds) // 2
    assert after.threads <= before.threads + POOL_THREADS + connections, (before, after)
    assert after.rss_mb - before.rss_mb < 30, (before, after)
    assert "Traceback" not in runtime.log
    assert "Task exception" not in runtime.log


async def let_go(runtime: Dev, before: Held) -> Held:
    """What it holds when that is no more than before, or after 30 s."""
    seen: list[Held] = []

    async def is_as_before() -> bool:
        seen.append(held(runtime.pid))
        return seen[-1].fds <= before.fds and seen[-1].threads <= before.threads + POOL_THREADS

    with suppress(AssertionError):
        await eventually(is_as_before, 30)
    return seen[-1]


async def settled(runtime: Dev) -> Held:
    """What the runtime holds when it has let go of what was: the same in some looks in a row."""
    seen: list[Held] = []

    async def is_still() -> bool:
        seen.append(held(runtime.pid))
        return len({(look.fds, look.store_fds, look.threads) for look in seen[-10:]}) == 1 and len(seen) >= 10

    await eventually(is_still, 30, "the runtime did not settle")
    return seen[-1]


# --- in this process, where tasks can be counted -----------------------------------------------------------------


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Runtime]:
    """The whole runtime in the test's own loop."""
    thresholds = gc.get_threshold()
    settings = RuntimeSettings(port=0, media_port=0, data=tmp_path / "home", llm=LLM_RULES)
    one = Runtime(settings)
    try:
        await one.start()
        await one.ready()
        yield one
    finally:
        await one.stop()
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_no_task_and_no_file_outlives_a_bad_call(inside: Runtime) -> None:
    async with api(inside.addresses.api, inside.first.key) as caller:
        await all_at_once(caller, QUICK)
        await eventually(lambda: is_calm(names_of_tasks()), why="the first round left tasks")
        files = open_files()
        await all_at_once(caller, QUICK)
        await eventually(lambda: is_calm(names_of_tasks()), why=f"tasks were left: {names_of_tasks()}")

        async def are_closed() -> bool:
            return not open_files() - files

        with suppress(AssertionError):
            await eventually(are_closed)
        assert not open_files() - files


async def is_calm(tasks: set[str]) -> bool:
    standing = {
        "journal",
        "projector",
        "courier",
        "http",
        "schedule",
        "node",
        "readiness",
        "metrics",
        "loop lag",
        "keeping",
    }
    standing |= {"local-models", "local-models-stderr"}
    return tasks <= standing


def names_of_tasks() -> set[str]:
    """Without those that answer a request, which come and go with this test's own."""
    return {task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-")}


def open_files() -> Counter[str]:
    """What this process has open; a socket or a pipe by its kind alone. Not the store: it opens its connections, a bounded
    number of them, as they are needed, and keeps them."""
    links: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links[os.readlink(entry).partition(":[")[0]] += 1
    return Counter({link: count for link, count in links.items() if ".db" not in link})
