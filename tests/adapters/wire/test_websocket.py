from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aywa.adapters.wire.websocket import (
    Address,
    Ending,
    Message,
    Refused,
    WebSocket,
    WebSocketSettings,
    connect,
    websocket_url,
)
from aywa.boot.tls import certificate, context
from aywa.ports.errors import Fault, ProviderError
from aywa.testing.fault_proxy import Deed, FaultProxy, NetworkFault, Trouble
from tests.adapters.wire.far import (
    BINARY,
    PING,
    TEXT,
    Peer,
    Script,
    close,
    deaf,
    echo,
    far_side,
    frame,
    swallow,
    text,
)

KEY = "sk-very-secret"
QUICK = WebSocketSettings(connect_s=0.3, close_s=0.1, ping_s=0.02, lost_s=0.06)


class Inbox:
    """Messages by iteration; raises what a bad end means."""

    def __init__(self, connection: WebSocket) -> None:
        self._connection = connection
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        connection.receive(self)

    def received(self, message: Message) -> None:
        self._messages.put_nowait(message)

    def ended(self, ending: Ending) -> None:
        self._messages.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self._messages.get()) is not None:
            yield message
        assert self._connection.ending is not None
        if error := self._connection.ending.error(self._connection.address):
            raise error


def at(url: str, **headers: str) -> Address:
    return Address(
        "vendor", url, headers or {"Authorization": f"Token {KEY}"}, "check THE_KEY", "check THE_URL"
    )


@asynccontextmanager
async def connected(script: Script, settings: WebSocketSettings | None = None) -> AsyncIterator[WebSocket]:
    async with asyncio.timeout(10), far_side(script) as far:
        connection = await connect(at(far.url), settings)
        try:
            yield connection
        finally:
            await connection.close()


async def everything(connection: WebSocket) -> tuple[list[Message], ProviderError | None]:
    """The messages until the end, and its error."""
    got: list[Message] = []
    try:
        async for message in Inbox(connection):
            got += [message]
    except ProviderError as error:
        return got, error
    return got, None


async def broken(script: Script, settings: WebSocketSettings | None = None) -> ProviderError:
    async with connected(script, settings) as connection:
        _, error = await everything(connection)
    assert error is not None
    return error


async def no_connection(script: Script, settings: WebSocketSettings = QUICK) -> ProviderError:
    async with asyncio.timeout(10), far_side(script, upgrade=False) as far:
        with pytest.raises(ProviderError) as error:
            await connect(at(far.url), settings)
    assert KEY not in str(error.value) + repr(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return error.value


# --- a connection ------------------------------------------------------------------------------------------------


async def test_messages_go_both_ways_in_order() -> None:
    async with connected(echo) as connection:
        inbox = aiter(Inbox(connection))
        connection.send_text("häh?")
        connection.send_bytes(b"\x00\xff")
        connection.send_bytes(bytearray(70_000))
        assert await anext(inbox) == "häh?"
        assert await anext(inbox) == b"\x00\xff"
        assert await anext(inbox) == bytes(70_000)


async def test_the_handshake_carries_path_and_headers() -> None:
    async with far_side(echo) as far:
        connection = await connect(at(far.url + "?model=a%20b", Authorization="Token k"))
        await connection.close()
        assert far.peers[0].line == "GET /path?model=a%20b HTTP/1.1"
        assert far.peers[0].headers["authorization"] == "Token k"


async def test_fragments_are_put_together() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(frame(TEXT, "hä".encode()[:2], fin=False) + frame(PING) + frame(0, "hä".encode()[2:]))
        await peer.get()
        await peer.send(frame(BINARY, b"a", fin=False) + frame(0, b"b", fin=False) + frame(0, b"c"))
        await echo(peer)

    async with connected(script) as connection:
        inbox = aiter(Inbox(connection))
        assert await anext(inbox) == "hä"
        assert await anext(inbox) == b"abc"


async def test_what_comes_before_the_receiver_is_kept_for_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(text("early") + close(1000))

    async with connected(script) as connection:
        await asyncio.sleep(0.02)
        got, error = await everything(connection)
        assert got == ["early"]
        assert error is not None
        assert error.code == "closed"


async def test_what_comes_before_the_receiver_is_bounded() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(text("x") * 10)
        await swallow(peer)

    async with connected(script, WebSocketSettings(most_messages=3, close_s=0.1)) as connection:
        await asyncio.sleep(0.02)
        got, error = await everything(connection)
        assert len(got) == 3
        assert error is not None
        assert error.code == "overlong"


async def test_over_tls_the_certificate_counts(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path, "127.0.0.1")
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context(pem, key))
    url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        with pytest.raises(ProviderError) as untrusted:
            await connect(at(url))
        assert untrusted.value.code == "unreachable"
        assert not untrusted.value.retryable
        assert "certificate" in str(untrusted.value)
        trusting = ssl.create_default_context(cafile=str(pem))
        with pytest.raises(ProviderError, match="hung up"):
            await connect(replace(at(url), tls=trusting))
    finally:
        server.close()
        await server.wait_closed()


# --- no connection -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "retryable", "mend"),
    [
        ("401 Unauthorized", "unauthorized", False, "check THE_KEY"),
        ("403 Forbidden", "forbidden", False, "check THE_KEY"),
        ("404 Not Found", "not_found", False, "check THE_URL"),
        ("402 Payment Required", "quota", False, "raise the quota"),
        ("429 Too Many Requests", "rate_limited", True, "raise the quota"),
        ("400 Bad Request", "bad_request", False, ""),
        ("418 No", "refused", False, ""),
        ("302 Found", "refused", False, "check THE_URL"),
        ("200 OK", "refused", False, "check THE_URL"),
        ("503 Busy", "unavailable", True, ""),
        ("530 Origin DNS", "unavailable", True, ""),
    ],
)
async def test_a_refused_handshake_says_why(status: str, code: str, retryable: bool, mend: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(
            f"HTTP/1.1 {status}\r\nRetry-After: 7\r\nLocation: http://127.0.0.1:1/\r\n".encode()
            + b"Content-Length: 2\r\n\r\nno"
        )

    error = await no_connection(script)
    assert (error.code, error.retryable, error.retry_after_s) == (code, retryable, 7.0)
    assert str(error).startswith(f"vendor: answered {status[:3]}")
    assert mend in str(error)


async def test_a_date_says_how_long_to_wait_too() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(
            b"HTTP/1.1 503 Busy\r\nretry-after: Wed, 01 Jan 2020 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
        )

    assert (await no_connection(script)).retry_after_s == 0.0


async def test_a_vendor_may_know_better_what_an_answer_means() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad\r\nX-Error: model\r\nContent-Length: 4\r\n\r\nbody")

    def refine(refused: Refused) -> ProviderError:
        assert (refused.status, refused.headers["x-error"], refused.body) == (400, "model", b"body")
        return at("").error("unknown_model", "no such model")

    async with far_side(script, upgrade=False) as far:
        with pytest.raises(ProviderError, match="no such model"):
            await connect(at(far.url), QUICK, refine)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>\r\n\r\n",
        b"\x00\xff\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        b"HTTP/1.1 101 OK\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nX: " + bytes([120]) * 70_000,
    ],
)
async def test_an_answer_that_is_none_is_no_stream(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(answer)
        await swallow(peer)

    error = await no_connection(script)
    assert (error.code, error.retryable) == ("not_a_stream", False)


async def test_a_far_side_that_does_not_answer_is_given_up_and_left() -> None:
    async with far_side(swallow, upgrade=False) as far:
        with pytest.raises(ProviderError) as error:
            await connect(at(far.url), QUICK)
        assert (error.value.code, error.value.retryable) == ("unreachable", True)
        async with asyncio.timeout(1):
            await far.gone.wait()


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_cancelled_connect_leaves_nothing_open(scheme: str) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        task = asyncio.ensure_future(connect(at(f"{scheme}://127.0.0.1:{port}/")))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await gone.wait()


async def test_a_far_side_that_hangs_up_or_is_not_there_is_unreachable() -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    error = await no_connection(script)
    assert (error.code, error.fault, error.retryable) == ("unreachable", Fault.NETWORK, True)
    async with far_side(echo) as far:
        pass
    with pytest.raises(ProviderError) as nobody:
        await connect(at(far.url))
    assert (nobody.value.code, nobody.value.retryable) == ("unreachable", True)
    assert "check THE_URL" in str(nobody.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://127.0.0.1/",
        "ws://",
        "ws:///path",
        "ws://127.0.0.1:99999999/",
        "ws://127.0.0.1:port/",
        "ws://[::1/",
        "ws://127.0.0.1/a b",
        "ws://127.0.0.1/\r\nX: y",
        "ws://127.0.0.1/ü",
        "ws://127.0.0.1/#x",
        "ws://user:pass@127.0.0.1/",
    ],
)
async def test_a_bad_address_is_named_so(url: str) -> None:
    with pytest.raises(ProviderError) as error:
        await connect(at(url), QUICK)
    assert (error.value.code, error.value.retryable) == ("bad_url", False)
    assert "pass" not in str(error.value)


async def test_a_key_that_cannot_be_sent_is_bad() -> None:
    for key, code in (("a\r\nX: y", "bad_key"), ("k\0", "bad_key"), ("ключ", "bad_key")):
        with pytest.raises(ProviderError) as error:
            await connect(at("ws://127.0.0.1:1/", Authorization=key))
        assert error.value.code == code
        assert key not in str(error.value)
    with pytest.raises(ProviderError, match="a header holds") as other:
        await connect(at("ws://127.0.0.1:1/", **{"X-Mine": "a\nb"}))
    assert other.value.code == "bad_request"


def test_an_address_does_not_show_its_secrets() -> None:
    assert KEY not in repr(at(f"ws://h/?token={KEY}"))


# --- how it ends -------------------------------------------------------------------------------------------------


async def test_a_close_by_the_far_side_tells_code_and_reason() -> None:
    endings: list[Ending] = []

    class Taker:
        def received(self, message: Message) -> None:
            raise AssertionError(message)

        def ended(self, ending: Ending) -> None:
            endings.append(ending)

    async def script(peer: Peer) -> None:
        await peer.send(close(1011, "NET-0001 secret\x01"))
        assert (await peer.get_close())[0] == 1000

    async with connected(script) as connection:
        connection.receive(Taker())
        await asyncio.sleep(0.02)
        assert endings == [Ending("closed", 1011, "NET-0001 secret")]
        assert not connection.is_open
        connection.send_text("in vain")
        connection.send_bytes(b"in vain")
        error = endings[0].error(connection.address)
        assert error is not None
        assert (error.code, error.retryable) == ("closed", True)
        assert "1011" in str(error)
        assert "secret" not in str(error) + repr(endings)


async def test_a_cut_or_a_reset_is_retryable() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(text("one"))
        peer.reset()

    error = await broken(script)
    assert (error.code, error.fault, error.retryable) == ("cut_short", Fault.NETWORK, True)
    for deed in (Deed.CUT, Deed.RESET):
        async with asyncio.timeout(10), far_side(echo) as far, FaultProxy(far.url) as proxy:
            connection = await connect(at(proxy.url))
            proxy.do(deed)
            _, cut = await everything(connection)
            assert cut is not None
            assert cut.code == "cut_short"


@pytest.mark.parametrize(
    "wrong",
    [
        frame(TEXT, b"\xff\xfe"),
        frame(TEXT, b"x", rsv=4),
        frame(0, b"x"),
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
        frame(5, b"x"),
        b"\x81\x81aaaaa",
    ],
)
async def test_a_broken_protocol_is_malformed(wrong: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(wrong)
        await swallow(peer)

    assert (await broken(script, QUICK)).code == "malformed"


async def test_a_message_that_is_too_big_is_not_taken() -> None:
    async def big(peer: Peer) -> None:
        await peer.send(frame(BINARY, bytes(5_000)))
        await swallow(peer)

    async def endless(peer: Peer) -> None:
        await peer.send(frame(TEXT, bytes(900), fin=False))
        while True:
            await peer.send(frame(0, bytes(900), fin=False))

    for script in (big, endless):
        error = await broken(script, WebSocketSettings(most_message_bytes=4_000, close_s=0.1))
        assert (error.code, error.retryable) == ("overlong", True)


async def test_a_far_side_that_does_not_read_is_bounded() -> None:
    settings = WebSocketSettings(most_waiting_bytes=50_000, send_buffer_bytes=4_096, close_s=0.1)
    async with connected(deaf, settings) as connection:
        inbox = Inbox(connection)
        most = 0
        # What the two kernels take is a few megabytes.
        for _ in range(20_000):
            connection.send_bytes(bytes(1_000))
            most = max(most, connection.waiting_bytes)
            if not connection.is_open:
                break
            await asyncio.sleep(0)
        assert connection.ending == Ending("slow")
        assert most < 60_000
        with pytest.raises(ProviderError) as error:
            await anext(aiter(inbox))
        assert (error.value.code, error.value.retryable) == ("slow", True)


async def test_silence_is_asked_and_then_given_up() -> None:
    async with connected(echo, QUICK) as connection:
        await asyncio.sleep(0.15)
        assert connection.is_open
    assert (await broken(swallow, QUICK)).code == "cut_short"


@pytest.mark.parametrize("script", [echo, swallow, deaf])
async def test_close_takes_less_than_a_second_whatever_the_far_side_does(script: Script) -> None:
    async with far_side(script) as far:
        connection = await connect(at(far.url))
        connection.send_bytes(bytes(200_000))
        began_s = time.monotonic()
        await connection.close()
        assert time.monotonic() - began_s < 1
        assert connection.ending == Ending("left")
        await connection.close()
        if script is not deaf:
            async with asyncio.timeout(1):
                await far.gone.wait()


async def test_closing_ends_the_iteration_quietly() -> None:
    async with connected(echo) as connection:
        reading = asyncio.ensure_future(everything(connection))
        await asyncio.sleep(0)
        await connection.close()
        assert await reading == ([], None)


async def test_a_cancelled_close_cuts() -> None:
    async with far_side(swallow) as far:
        connection = await connect(at(far.url))
        closing = asyncio.ensure_future(connection.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        async with asyncio.timeout(1):
            await far.gone.wait()


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.vendor.com", "wss://api.vendor.com/v1"),
        ("http://127.0.0.1:80/x/", "ws://127.0.0.1:80/x/v1"),
        ("wss://h", "wss://h/v1"),
        (" h:1 ", "wss://h:1/v1"),
        ("ftp://h", "ftp://h/v1"),
    ],
)
def test_a_base_becomes_an_address_of_a_websocket(base: str, url: str) -> None:
    assert websocket_url(base, "/v1") == url


# --- through trouble ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 50, 150])
async def test_a_handshake_that_is_cut_is_unreachable(after: int) -> None:
    async with far_side(echo) as far, FaultProxy(far.url) as proxy:
        for deed in (Deed.CUT, Deed.RESET):
            proxy.plan.append(
                NetworkFault(down=Trouble(deed, after) if after < 150 else None, refuse=after == 150)
            )
            with pytest.raises(ProviderError) as error:
                await connect(at(proxy.url), QUICK)
            assert (error.value.code, error.value.retryable) == ("unreachable", True)
