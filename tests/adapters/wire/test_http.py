"""The HTTP of all adapters, against bare TCP. What each vendor makes of it is in the contracts."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aywa.adapters.wire.http import (
    MAX_LINE_BYTES,
    PROBE_S,
    REFUSAL_MAX_BYTES,
    RETRY_AFTER_MAX_S,
    UNHEARD_S,
    HttpRoute,
    Names,
    Refusal,
    ServerEvent,
    retry_after_s,
)
from aywa.adapters.wire.reserve import SPARE_LEAST
from aywa.boot.tls import certificate, context
from aywa.ports.errors import CODES, Fault, ProviderError
from aywa.testing.fault_proxy import FaultProxy, NetworkFault
from aywa.testing.vendors.server import SimulatedVendors
from tests.adapters.llm.far import CUT, END, HOLD, Far, Step, far_side, head, piece, plain

NAMES = Names(key="VENDOR_KEY", url="VENDOR_URL", target="VENDOR_VOICE", kind="voice")
SECRET = "very-secret"
REFUSALS = {"no_money": Refusal("quota", Fault.CONFIG, retryable=False, mend="pay")}


@asynccontextmanager
async def route(*answers: Sequence[Step], **more: Any) -> AsyncIterator[tuple[HttpRoute, Far]]:
    async with far_side(*answers) as far:
        made = HttpRoute("vendor", far.url, NAMES, refusals=REFUSALS, **more)
        try:
            yield made, far
        finally:
            await made.close()


async def events(http: HttpRoute) -> list[ServerEvent]:
    async with asyncio.timeout(10), http.ask("POST", "/x", body={}) as answer:
        return [event async for event in answer.events()]


async def failed(http: HttpRoute, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        async with asyncio.timeout(10), http.ask("POST", "/x", **more) as answer:
            _ = [chunk async for chunk in answer.chunks()]
    assert error.value.code in CODES
    assert SECRET not in repr(error.value)
    return error.value


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the far side counts, it does not tell
            await asyncio.sleep(0.002)


# --- asking ------------------------------------------------------------------------------------------------------


async def test_a_request_is_as_it_was_asked_for() -> None:
    async with route([plain("200 OK", "audio/pcm", b"\1\2")], headers={"Authorization": "Bearer k"}) as (
        http,
        far,
    ):
        async with http.ask("POST", "/speech", body={"a": "ü"}, headers={"X-More": "1"}) as answer:
            assert b"".join([chunk async for chunk in answer.chunks()]) == b"\1\2"
            assert (answer.content_type, answer.header("Content-Length")) == ("audio/pcm", "2")
            assert answer.header("None") == ""
        async with http.ask("GET", "/voices") as answer:
            _ = [chunk async for chunk in answer.chunks()]
    first, second = far.requests
    assert (first.line, first.body) == ("POST /v1/speech HTTP/1.1", {"a": "ü"})
    assert first.headers["authorization"] == "Bearer k"
    assert first.headers["x-more"] == "1"
    # A compressed stream would come in gusts.
    assert first.headers["accept-encoding"] == "identity"
    assert "cookie" not in first.headers
    assert (second.line, second.body) == ("GET /v1/voices HTTP/1.1", None)
    assert http.waited == 1


async def test_a_cookie_is_not_kept() -> None:
    async with route([plain("200 OK", "text/plain", b"x", "Set-Cookie: a=b")]) as (http, far):
        for _ in range(2):
            async with http.ask("GET", "/") as answer:
                await answer.drain()
        assert ["cookie" in request.headers for request in far.requests] == [False, False]


async def test_a_redirect_is_not_followed() -> None:
    async with far_side([plain("200 OK", "text/plain", b"x")]) as other:
        moved = [plain("307 Temporary Redirect", "text/html", b"", f"Location: {other.url}/x")]
        async with route(moved, headers={"Authorization": SECRET}) as (http, _):
            error = await failed(http)
        assert (error.code, error.mend) == ("refused", "check VENDOR_URL")
        assert other.requests == []


# --- events ------------------------------------------------------------------------------------------------------


async def test_events_with_names_comments_and_both_line_ends() -> None:
    text = b": hello\nevent: one\ndata: 1\n\nid: 7\ndata:2\r\n\r\nevent:three\r\ndata:  3 \r\ndata:\ndata: 4\n\ndata: cut"
    async with route([head(), piece(text), END]) as (http, _):
        assert await events(http) == [
            ServerEvent("one", b"1"),
            ServerEvent("", b"2"),
            ServerEvent("three", b"3"),
            ServerEvent("three", b"4"),
        ]


@given(st.data())
def test_where_the_packets_are_cut_does_not_matter(data: st.DataObject) -> None:
    text = b"event: a\r\ndata: {}\r\n\r\ndata: \xff\xfe\n\n: x\ndata: 3\n\n"
    cuts = sorted(set(data.draw(st.lists(st.integers(1, len(text) - 1), max_size=6))))
    pieces = [piece(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    async def told() -> list[ServerEvent]:
        async with route([head(), *pieces, END]) as (http, _):
            return await events(http)

    assert asyncio.run(told()) == [
        ServerEvent("a", b"{}"),
        ServerEvent("", b"\xff\xfe"),
        ServerEvent("", b"3"),
    ]


@pytest.mark.parametrize("line", [b"data: ", b"x"])
async def test_a_line_without_an_end_is_given_up(line: bytes) -> None:
    endless = [head(), piece(line)] + [piece(b"x" * 65_536)] * (2 * MAX_LINE_BYTES // 65_536)
    async with route([*endless, HOLD]) as (http, _):
        with pytest.raises(ProviderError, match="too long") as error:
            await events(http)
        assert error.value.code == "malformed"


async def test_a_long_line_is_taken() -> None:
    async with route([head(), piece(b"data: " + b"x" * 500_000 + b"\n\n"), END]) as (http, _):
        (event,) = await events(http)
        assert len(event.data) == 500_000


# --- bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (plain("200 OK", "application/json", b"{not json"), "malformed"),
        (plain("200 OK", "application/json", b'"\xff"'), "malformed"),
        (plain("200 OK", "application/json", b"[" * 900), "malformed"),
        (plain("200 OK", "application/json", b"[" + b" " * 2000 + b"]"), "overlong"),
        (plain("200 OK", "text/html", b"<html>"), "not_a_stream"),
    ],
)
async def test_a_body_that_is_none(answer: bytes, code: str) -> None:
    async with route([answer]) as (http, _):
        with pytest.raises(ProviderError) as error:
            async with http.ask("GET", "/") as got:
                await got.json(1000)
        assert error.value.code == code


async def test_a_body() -> None:
    async with (
        route([plain("200 OK", "application/json", b'{"a": 1}')]) as (http, _),
        http.ask("GET", "/") as answer,
    ):
        assert await answer.json(1000) == {"a": 1}


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "fault", "retryable", "mend"),
    [
        (400, "bad_request", Fault.CONFIG, False, ""),
        (401, "unauthorized", Fault.CONFIG, False, "check VENDOR_KEY"),
        (402, "quota", Fault.CONFIG, False, "the account behind VENDOR_KEY needs credit"),
        (403, "forbidden", Fault.CONFIG, False, "check that the key may use this voice"),
        (404, "not_found", Fault.CONFIG, False, "check VENDOR_URL and VENDOR_VOICE"),
        (408, "refused", Fault.CONFIG, True, ""),
        (422, "refused", Fault.CONFIG, False, ""),
        (429, "rate_limited", Fault.CONFIG, True, "raise the quota, or wait"),
        (204, "refused", Fault.CONFIG, False, "check VENDOR_URL"),
        (301, "refused", Fault.CONFIG, False, "check VENDOR_URL"),
        (500, "unavailable", Fault.PROVIDER, True, ""),
        (529, "unavailable", Fault.PROVIDER, True, ""),
    ],
)
async def test_a_status_says_whose_fault_it_is(
    status: int, code: str, fault: Fault, retryable: bool, mend: str
) -> None:
    async with route([plain(f"{status} X", "text/plain", b"" if status == 204 else SECRET.encode())]) as (
        http,
        _,
    ):
        error = await failed(http)
    assert (error.code, error.fault, error.retryable, error.mend) == (code, fault, retryable, mend)
    assert str(error).startswith(f"vendor: answered {status}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"code": "no_money", "message": "very-secret"}}',
        b'{"error": {"type": "no_money"}}',
        b'{"detail": {"status": "no_money"}}',
        b'{"err_code": "no_money"}',
        b'{"error": "no_money"}',
        b'{"error": {"code": "other", "type": "no_money"}}',
    ],
)
async def test_the_vendors_code_says_more_than_the_status(body: bytes) -> None:
    async with route([plain("400 X", "application/json", body)]) as (http, _):
        error = await failed(http)
        assert (error.code, error.mend) == ("quota", "pay")
        assert "no_money" in str(error)
        # The connection serves on.
        await failed(http)
        assert http.waited == 1


@pytest.mark.parametrize(
    "answer",
    [
        [plain("400 X", "application/json", b'{"error": {"code": "very-secret"}}')],
        [plain("400 X", "application/json", b'{"error": [1]}')],
        [plain("400 X", "application/json", b"[" * 10_000)],
        [plain("400 X", "text/html", b"<html>very-secret")],
        [head("400 X"), piece(b"x" * 2 * REFUSAL_MAX_BYTES), HOLD],
        [head("400 X"), piece(b"x"), HOLD],
        [head("400 X"), piece(b"x"), CUT],
    ],
)
async def test_what_else_a_refusal_may_hold(answer: list[Step]) -> None:
    async with route(answer) as (http, _):
        error = await failed(http)
        assert (error.code, str(error)) == ("bad_request", "vendor: answered 400")


async def test_an_adapter_may_look_itself() -> None:
    seen: list[object] = []

    def inspect(status: int, body: object) -> Refusal | None:
        seen.append((status, body))
        return (
            Refusal("unknown_voice", Fault.CONFIG, retryable=False, mend="check voiceId")
            if len(seen) == 1
            else None
        )

    async with route([plain("400 X", "application/json", b'{"a": 1}')]) as (http, _):
        assert (await failed(http, inspect=inspect)).code == "unknown_voice"
        assert (await failed(http, inspect=inspect)).code == "bad_request"
    assert seen[0] == (400, {"a": 1})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "1e99"}, RETRY_AFTER_MAX_S),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "20ms"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "later"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "2s",
            },
            3600.0,
        ),
    ],
)
def test_how_long_to_leave_it_alone(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(CIMultiDict(headers)) == expected


def test_a_date_to_wait_for() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    waits_s = retry_after_s(CIMultiDict({"Retry-After": date}))
    assert waits_s is not None
    assert 55 < waits_s <= 60


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([b"HTTP/1.1 banana\r\n\r\n", HOLD], "unreachable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", HOLD], "unreachable"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", HOLD], "unreachable"),
        ([head(), b"zz\r\n", HOLD], "unreachable"),
        ([head(), piece(b"x"), b"zz\r\n", HOLD], "cut_short"),
        ([head(), piece(b"x"), CUT], "cut_short"),
        ([CUT], "unreachable"),
    ],
)
async def test_nothing_of_the_library_hangs_on_a_failure(answer: list[Step], code: str) -> None:
    # Its exceptions hold the request with its headers, and so the key.
    async with route(answer, headers={"Authorization": SECRET}) as (http, _):
        error = await failed(http)
    assert (error.code, error.fault, error.retryable) == (code, Fault.NETWORK, True)
    assert (error.__cause__, error.__context__) == (None, None)


# --- wrong settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "code", "mend"),
    [
        ({"Authorization": "Bearer very-secret\n"}, "bad_key", "check VENDOR_KEY"),
        ({"xi-api-key": "very-secret\0"}, "bad_key", "check VENDOR_KEY"),
        ({"X-Other": "very-secret\r\n"}, "bad_request", "check its headers"),
        ({"X Other": "very-secret"}, "bad_request", "check its headers"),
        ({"": "very-secret"}, "bad_request", "check its headers"),
    ],
)
async def test_headers_that_cannot_be_sent(headers: dict[str, str], code: str, mend: str) -> None:
    async with route([plain("200 OK", "text/plain", b"")], headers=headers) as (http, far):
        error = await failed(http)
        assert (error.code, error.fault, error.retryable, error.mend) == (code, Fault.CONFIG, False, mend)
        assert far.requests == []


@pytest.mark.parametrize(
    "url",
    ["", "nowhere", "ftp://host/", "http://", "http://[::1", "http://h:99999/", "http://" + "a" * 70 + ".b/"],
)
async def test_addresses_that_are_none(url: str) -> None:
    http = HttpRoute("vendor", url, NAMES, headers={"Authorization": SECRET})
    try:
        error = await failed(http)
        assert (error.code, error.fault, error.mend) == ("bad_url", Fault.CONFIG, "check VENDOR_URL")
        await http.warm()
    finally:
        await http.close()


async def test_over_tls_the_certificate_counts(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path, "127.0.0.1")
    async with SimulatedVendors(tls=context(pem, key)) as vendors:
        suspicious = HttpRoute("vendor", vendors.url, NAMES)
        trusting = HttpRoute("vendor", vendors.url, NAMES, tls=ssl.create_default_context(cafile=str(pem)))
        try:
            await suspicious.warm()
            error = await failed(suspicious)
            assert (error.code, error.fault, error.retryable) == ("unreachable", Fault.CONFIG, False)
            assert "certificate" in str(error)
            assert "VENDOR_URL" in error.mend
            await trusting.warm()
            made = vendors.connections
            async with trusting.ask("GET", "/_counters") as answer:
                assert (await answer.json(1000))["connections"] == made
            assert trusting.waited == 0
        finally:
            await suspicious.close()
            await trusting.close()


# --- connections -------------------------------------------------------------------------------------------------


async def test_so_many_connections_are_warm() -> None:
    async with route([plain("200 OK", "text/plain", b"x")]) as (http, far):
        await http.warm(3)
        await http.warm(2)
        assert (far.connections, http.connections) == (3, 3)

        async def asked() -> None:
            async with http.ask("GET", "/") as answer:
                await answer.drain()

        await asyncio.gather(asked(), asked(), asked())
        await asked()
        assert http.waited == 0
        # Three were in use at once, so others are spare.
        assert http.connections == 3 + SPARE_LEAST


async def test_warming_can_be_cancelled() -> None:
    async with route([HOLD]) as (http, _):
        warming = asyncio.create_task(http.warm(5))
        await asyncio.sleep(0)
        warming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await warming


async def test_an_answer_that_is_left_costs_its_connection_only() -> None:
    async with route([head(), piece(b"x"), HOLD], [plain("200 OK", "text/plain", b"y")]) as (http, far):
        async with http.ask("GET", "/") as answer:
            assert await anext(answer.chunks()) == b"x"
        async with asyncio.timeout(5):
            await far.gone.wait()
        async with http.ask("GET", "/") as answer:
            assert await anext(answer.chunks()) == b"y"
        assert http.waited == 1
        # The one that was lost was replaced.
        assert http.connections == 2 + SPARE_LEAST


async def test_connections_beyond_what_is_used_of_late_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SimulatedVendors() as vendors:
        http = HttpRoute("vendor", vendors.url, NAMES)

        async def asked() -> int:
            async with http.ask("GET", "/_counters") as answer:
                return int((await answer.json(10_000))["open"])

        try:
            _ = await asyncio.gather(*(asked() for _ in range(6)))
            await until(lambda: vendors.open_connections == 6 + SPARE_LEAST)
            monkeypatch.setattr("aywa.adapters.wire.reserve.PEAK_S", 0.0)
            left = [await asked() for _ in range(8)]
            await until(lambda: vendors.open_connections == 1 + SPARE_LEAST)
            assert left == sorted(left, reverse=True)
            assert len(set(left)) > 3
            assert http.waited == 6
        finally:
            await http.close()


async def test_a_far_side_that_keeps_no_connection_is_not_dialled_again_at_once() -> None:
    dialled = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        http = HttpRoute("vendor", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", NAMES)
        try:
            await http.warm()
            await until(lambda: dialled == SPARE_LEAST and not http._open)
            _ = await failed(http)
            # Only the request's own.
            assert (dialled, http.waited) == (SPARE_LEAST + 1, 1)
        finally:
            await http.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_closing_stops_what_is_being_dialled(scheme: str) -> None:
    async with FaultProxy("http://127.0.0.1:9", NetworkFault(half_open=True)) as proxy:
        http = HttpRoute("vendor", proxy.url.replace("http", scheme), NAMES)
        warming = asyncio.create_task(http.warm())
        await until(lambda: proxy.connections == SPARE_LEAST)
        async with asyncio.timeout(1):
            await http.close()
            await warming
        await http.warm()
        await until(lambda: proxy.open == 0)


async def test_closing_twice_and_asking_afterwards() -> None:
    async with route([plain("200 OK", "text/plain", b"x")]) as (http, far):
        await http.close()
        await http.close()
        assert (await failed(http)).code == "closed"
        assert far.connections == 0


async def test_a_connection_asks_whether_it_still_stands() -> None:
    async with route([head(), piece(b"x"), HOLD]) as (http, _), http.ask("GET", "/") as answer:
        assert answer._response.connection is not None
        connected = answer._response.connection.transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if sys.platform == "linux":
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == PROBE_S
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNHEARD_S * 1000
