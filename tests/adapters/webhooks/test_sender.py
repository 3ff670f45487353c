"""A delivery's request on the wire: what goes out, what is kept of the answer, and how each failure is called."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aywa.adapters.webhooks.sender import BODY_MAX_BYTES, HttpSender
from aywa.adapters.wire.outbound import Outbound
from aywa.boot.tls import certificate
from aywa.core.outbound import LOOPBACK, NOBODY
from aywa.core.webhook_headers import REDACTED
from aywa.core.webhooks import Cause, Endpoint
from aywa.ports.outbox import EXCERPT_BYTES, Sent

BODY = '{"message":{"type":"hang"}}'
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer s3cret-token", "webhook-id": "msg_1"}
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Far:
    """A server of bytes: answers each request as it is told to, and keeps what it was sent."""

    answer: Answer
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                self.requests.append(head + await reader.readexactly(length))
                await self.answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def said(text: str | bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(text if isinstance(text, bytes) else text.encode())

    return answer


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def far(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Far]:
    made = Far(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await made.serve(reader, writer)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def sender(tls: ssl.SSLContext | None = None, *, guarded: bool = False) -> AsyncIterator[HttpSender]:
    made = HttpSender(Outbound(NOBODY if guarded else LOOPBACK), tls)
    yield made
    await made.close()


async def sent(answer: Answer, timeout_s: float = 5.0) -> tuple[Sent, Far]:
    async with far(answer) as server, sender() as carrier:
        endpoint = Endpoint(f"http://127.0.0.1:{server.port}/hook?x=1", timeout_s=timeout_s)
        return await carrier.send(endpoint, HEADERS, BODY), server


OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Number: 7\r\n\r\nok"


async def test_a_request_goes_out_as_it_was_signed_and_its_answer_is_told_with_its_times() -> None:
    came, server = await sent(said(OK))
    assert (came.outcome.cause, came.outcome.status, came.outcome.accepted) == (Cause.ANSWERED, 200, True)
    [request] = server.requests
    assert request.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\n" + BODY.encode())
    assert b"Authorization: Bearer s3cret-token" in request
    assert (came.excerpt, came.headers["X-Number"]) == ("ok", "7")
    assert came.request_headers["Authorization"] == REDACTED
    assert came.request_headers["webhook-id"] == "msg_1"
    assert came.connect_ms is not None
    assert came.first_byte_ms is not None
    assert came.total_ms is not None
    assert came.total_ms >= came.connect_ms
    assert "s3cret" not in repr(came)


async def test_connections_are_kept_and_a_kept_one_has_no_connect_time() -> None:
    async with far(said(OK)) as server, sender() as carrier:
        endpoint = Endpoint(f"http://127.0.0.1:{server.port}/")
        first = await carrier.send(endpoint, HEADERS, BODY)
        second = await carrier.send(endpoint, HEADERS, BODY)
        assert server.connections == 1
        assert (first.connect_ms is None, second.connect_ms, second.tls_ms) == (False, None, None)


async def test_a_server_that_echoes_our_secret_does_not_have_it_kept() -> None:
    echo = "you sent Bearer s3cret-token, s3cret-token"
    answer = f"HTTP/1.1 401 No\r\nContent-Length: {len(echo)}\r\nX-Echo: s3cret-token\r\nSet-Cookie: a=b\r\n\r\n{echo}"
    came, _ = await sent(said(answer))
    assert came.outcome.status == 401
    assert came.excerpt == f"you sent {REDACTED}, {REDACTED}"
    assert (came.headers["X-Echo"], came.headers["Set-Cookie"]) == (REDACTED, REDACTED)


async def test_a_huge_answer_is_kept_by_its_beginning_and_costs_its_connection() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {10 * BODY_MAX_BYTES}\r\n\r\n".encode()
    came, _ = await sent(said(head + b"x" * 10 * BODY_MAX_BYTES))
    assert came.outcome.accepted
    assert came.excerpt == "x" * EXCERPT_BYTES


@pytest.mark.virtual_time
async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Yes\r\nContent-Length: 100\r\n\r\nsome")
        await hang(writer)

    came, _ = await sent(drip, timeout_s=300.0)
    assert (came.outcome.status, came.excerpt) == (202, "some")


@pytest.mark.parametrize(
    ("answer", "status", "after_s"),
    [
        ("HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, None),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n", 429, 17.0),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 500, None),
        ("HTTP/1.1 204 Fine\r\n\r\n", 204, None),
    ],
)
async def test_every_status_is_told_and_no_redirect_followed(
    answer: str, status: int, after_s: float | None
) -> None:
    came, server = await sent(said(answer))
    assert (came.outcome.status, came.outcome.retry_after_s) == (status, after_s)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (leave, Cause.CUT_SHORT),
        (said("not HTTP at all\r\n\r\n"), Cause.MALFORMED),
        (said("HTTP/1.1 999999 x\r\n\r\n"), Cause.MALFORMED),
    ],
)
async def test_a_server_that_breaks_is_told_as_such(answer: Answer, cause: Cause) -> None:
    came, _ = await sent(answer)
    assert (came.outcome.cause, came.outcome.status) == (cause, None)


@pytest.mark.virtual_time
async def test_a_server_that_hangs_is_given_up_at_its_time() -> None:
    came, server = await sent(hang, timeout_s=7.0)
    assert came.outcome.cause is Cause.TIMED_OUT
    assert len(server.requests) == 1


async def test_who_does_not_listen_is_unreachable() -> None:
    async with far(said(OK)) as server:
        port = server.port
    async with sender() as carrier:
        came = await carrier.send(Endpoint(f"http://127.0.0.1:{port}/"), HEADERS, BODY)
    assert came.outcome.cause is Cause.UNREACHABLE


async def test_an_internal_address_is_refused_before_anything_is_sent() -> None:
    async with far(said(OK)) as server, sender(guarded=True) as carrier:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            came = await carrier.send(Endpoint(f"http://{host}:{server.port}/"), HEADERS, BODY)
            assert came.outcome.cause is Cause.INTERNAL_ADDRESS
        assert server.connections == 0


@pytest.mark.parametrize(
    "url", ["", "hook", "ftp://127.0.0.1/", "http://", "http://[bad", "http://127.0.0.1:99999/"]
)
async def test_what_is_no_address_is_told_as_such(url: str) -> None:
    async with sender() as carrier:
        assert (await carrier.send(Endpoint(url), HEADERS, BODY)).outcome.cause is Cause.BAD_URL


async def test_tls_has_its_time_and_a_certificate_that_nobody_knows_is_untrusted(tmp_path: Path) -> None:
    files = certificate(tmp_path / "tls", "localhost")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(*files)
    known = ssl.create_default_context(cafile=str(files[0]))
    async with far(said(OK), theirs) as server:
        endpoint = Endpoint(f"https://localhost:{server.port}/")
        async with sender(known) as carrier:
            came = await carrier.send(endpoint, HEADERS, BODY)
            assert came.outcome.accepted
            assert came.tls_ms is not None
            assert came.tls_ms > 0
            assert came.dns_ms is not None
        async with sender() as carrier:
            came = await carrier.send(endpoint, HEADERS, BODY)
            assert came.outcome.cause is Cause.UNTRUSTED
