"""A sound over HTTP: fetched, refused when it is no sound, too long, late or inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aywa.adapters.sounds import http as module
from aywa.adapters.sounds.http import HttpSounds
from aywa.adapters.wire.outbound import Outbound
from aywa.core.outbound import LOOPBACK
from aywa.ports.errors import ProviderError
from tests.core.audio.test_wav import wav

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answer], Awaitable[str]]]:
    servers: list[TestServer] = []

    async def start(answer: Answer) -> str:
        app = web.Application()
        app.router.add_get("/{name}", answer)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/room.wav"))

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def sounds() -> AsyncIterator[HttpSounds]:
    made = HttpSounds(Outbound(LOOPBACK), 60.0, timeout_s=2.0)
    yield made
    await made.close()


async def refused(sounds: HttpSounds, url: str) -> str:
    with pytest.raises(ProviderError) as error:
        _ = await sounds.fetch(url)
    assert url not in str(error.value)
    return error.value.code


Serve = Callable[[Answer], Awaitable[str]]


async def test_a_file_is_fetched_and_read(serve: Serve, sounds: HttpSounds) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path != "/moved.wav":
            raise web.HTTPFound("/moved.wav")
        return web.Response(body=wav([1, 2, 3], 16000))

    pcm, rate_hz = await sounds.fetch(await serve(answer))
    assert (len(pcm), rate_hz) == (6, 16000)


async def test_what_is_no_sound_is_refused(serve: Serve, sounds: HttpSounds) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"<html>", status=200 if "room" in request.path else 404)

    url = await serve(answer)
    assert await refused(sounds, url) == "malformed"
    assert await refused(sounds, url.replace("room", "gone")) == "refused"


async def test_what_is_too_long_or_late_is_given_up(
    serve: Serve, sounds: HttpSounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "late" in request.path:
            await over.wait()
        return web.Response(body=wav([0] * 5000))

    url = await serve(answer)
    assert await refused(sounds, url) == "overlong"
    hasty = HttpSounds(Outbound(LOOPBACK), 60.0, timeout_s=0.05)
    assert await refused(hasty, url.replace("room", "late")) == "deadline"
    await hasty.close()
    over.set()


@pytest.mark.parametrize("url", ["ftp://here/room.wav", "office noise", "", "http://", "file:///etc/passwd"])
async def test_an_address_that_is_none(sounds: HttpSounds, url: str) -> None:
    with pytest.raises(ProviderError) as error:
        _ = await sounds.fetch(url)
    assert error.value.code in ("bad_url", "unreachable")


async def test_nothing_inside_is_asked(serve: Serve) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=wav([1]))

    url = await serve(answer)
    guarded = HttpSounds(Outbound(), 60.0)
    assert await refused(guarded, url) == "refused"
    assert await refused(guarded, url.replace("127.0.0.1", "localhost")) == "refused"
    assert asked == []
    await guarded.close()


async def test_a_server_that_is_not_there(serve: Serve, sounds: HttpSounds, unused_tcp_port: int) -> None:
    assert await refused(sounds, f"http://127.0.0.1:{unused_tcp_port}/room.wav") == "unreachable"
