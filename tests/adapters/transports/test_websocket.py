"""The media port against a client of another make (the websockets package), on both event loops."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aywa.adapters.transports.websocket import (
    Refusal,
    WebSocketSettings,
    WebSocketTransport,
    unacknowledged_bytes,
)
from aywa.core.events import ClientMessageReceived, LegConnected, LegEnded, MediaEvent, MediaWarned
from aywa.media.plane import Plane
from aywa.media.settings import MediaSettings
from aywa.ports.media import AudioFormat, CloseLeg, Finish, LegPlan, Play, SendText
from tests.media.rig import LoudVad

PATIENCE_S = 10


@dataclass
class Site:
    """A running media port, what its legs said, and how to call it."""

    plane: Plane
    transport: WebSocketTransport
    port: int = 0
    scheme: str = "ws"
    events: list[MediaEvent] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    formats: dict[str, tuple[AudioFormat, int]] = field(default_factory=dict)

    def open_call(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> LegPlan | Refusal:
        self.asked.append((path, query, headers))
        _, leg_id, _ = path.split("/")
        if leg_id == "unknown":
            return Refusal(404, {"message": "no such call", "error": "Not Found", "statusCode": 404})
        if leg_id == "broken":
            raise RuntimeError("a secret")
        if query.get("token") != "right":
            return Refusal(
                401, {"message": "the token is not valid", "error": "Unauthorized", "statusCode": 401}
            )
        audio, rate_hz = self.formats.get(leg_id, (AudioFormat.PCM16, 16000))
        return LegPlan(leg_id, audio, rate_hz, asyncio.get_running_loop().time(), self.post)

    def post(self, event: MediaEvent) -> None:
        self.events.append(event)
        self.news.set()

    def url(self, leg_id: str = "call", token: str = "right") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{leg_id}/transport?token={token}"

    async def until(self, kind: type[Any], count: int = 1) -> Any:
        """The count-th event of the kind, once it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [event for event in self.events if isinstance(event, kind)]
                if len(found) >= count:
                    return found[count - 1]
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def site(
    tls: ssl.SSLContext | None = None,
    settings: WebSocketSettings | None = None,
    media: MediaSettings | None = None,
) -> AsyncIterator[Site]:
    plane = Plane(asyncio.get_running_loop(), {8000: LoudVad(8000), 16000: LoudVad(16000)}, media)
    transport = WebSocketTransport(
        plane, lambda path, query, headers: here.open_call(path, query, headers), settings
    )
    here = Site(plane, transport, scheme="wss" if tls else "ws")
    here.port = await transport.start("127.0.0.1", 0, tls)
    try:
        yield here
    finally:
        await plane.close()
        await transport.close()


async def refused(url: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as answer:
        await connect(url)
    response = answer.value.response
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, json.loads(response.body or b"{}")


async def received(client: ClientConnection, count: int) -> list[str | bytes]:
    async with asyncio.timeout(PATIENCE_S):
        return [await client.recv() for _ in range(count)]


async def heard_of(client: ClientConnection, count_bytes: int) -> list[bytes]:
    """Messages until they hold so much."""
    messages: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        while sum(map(len, messages)) < count_bytes:
            message = await client.recv()
            assert isinstance(message, bytes)
            messages.append(message)
    return messages


async def close_code(client: ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionClosed):
            async for _ in client:
                pass
    return client.close_code


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on each of the two loops, and looks for tasks it left behind."""

    async def watched(main: Coroutine[Any, Any, None]) -> None:
        await main
        for _ in range(20):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def runner(main: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(watched(main))

    return runner


Run = Callable[[Coroutine[Any, Any, None]], None]


# --- the handshake ---------------------------------------------------------------------------------------------


def test_who_may_not_connect_is_told_why(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            status, body = await refused(here.url(token="wrong"))
            assert (status, body["message"]) == (401, "the token is not valid")
            assert (await refused(here.url("unknown")))[0] == 404
            assert here.events == []

    run(main())


def test_a_call_is_connected_once(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()):
            status, body = await refused(here.url())
            assert (status, body["error"], body["statusCode"]) == (409, "Conflict", 409)

    run(main())


def test_a_call_that_cannot_be_opened_tells_nothing_of_why(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with site() as here:
            with caplog.at_level(logging.CRITICAL):
                status, body = await refused(here.url("broken"))
            assert status == 500
            assert "secret" not in json.dumps(body)

    run(main())


def test_connections_have_a_limit(run: Run) -> None:
    async def main() -> None:
        async with site(settings=WebSocketSettings(most_connections=1)) as here, connect(here.url("a")):
            assert (await refused(here.url("b")))[0] == 503

    run(main())


def test_what_is_no_websocket_is_answered_as_http(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"GET /call/transport?token=right HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert answer.startswith(b"HTTP/1.1 426 ")
            assert here.events == []
            writer.close()
            await writer.wait_closed()

    run(main())


def test_path_query_and_headers_are_handed_over(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            async with connect(here.url("a%20b") + "&x=1%262", additional_headers={"X-Key": "v"}):
                pass
            path, query, headers = here.asked[0]
            assert (path, query) == ("/a b/transport", {"token": "right", "x": "1&2"})
            assert headers["x-key"] == "v"

    run(main())


# --- audio and text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audio", "rate_hz", "frame_bytes"),
    [(AudioFormat.PCM16, 16000, 640), (AudioFormat.MULAW, 8000, 160), (AudioFormat.PCM16, 24000, 960)],
)
def test_audio_goes_both_ways_in_whole_frames(
    run: Run, audio: AudioFormat, rate_hz: int, frame_bytes: int
) -> None:
    async def main() -> None:
        async with site() as here:
            here.formats["call"] = (audio, rate_hz)
            async with connect(here.url()) as client:
                await here.until(LegConnected)
                heard: list[bytes] = []
                all_heard = asyncio.Event()

                def hear(pcm: bytes) -> None:
                    heard.append(pcm)
                    if len(heard) == 3:
                        all_heard.set()

                here.plane.listen("call", hear, rate_hz)
                for _ in range(3):
                    await client.send(bytes(frame_bytes))
                await asyncio.wait_for(all_heard.wait(), PATIENCE_S)
                assert [len(pcm) for pcm in heard] == [rate_hz // 50 * 2] * 3
                here.plane.send(Play("call", 1, b"\1\0" * (rate_hz // 10)))
                here.plane.send(Finish("call", 1))
                messages = await heard_of(client, 5 * frame_bytes)
                # The first frame leaves at once with its lead, the others two by two.
                assert [len(message) for message in messages] == [4 * frame_bytes, frame_bytes]

    run(main())


def test_messages_go_both_ways(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await client.send('{"type": "end-call"}')
            assert await here.until(ClientMessageReceived) == ClientMessageReceived(
                "call", {"type": "end-call"}
            )
            here.plane.send(SendText("call", '{"type": "hé"}'))
            assert await received(client, 1) == ['{"type": "hé"}']
            await client.send("nonsense")
            assert json.loads((await received(client, 1))[0])["code"] == "malformed_frame"

    run(main())


def test_fragments_are_one_message(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await client.send(['{"type"', ': "sa', 'y"}'])
            assert await here.until(ClientMessageReceived) == ClientMessageReceived("call", {"type": "say"})
            heard = asyncio.Event()
            here.plane.listen("call", lambda pcm: heard.set() if len(pcm) == 640 else None, 16000)
            await client.send([bytes(300), bytes(340)])
            await asyncio.wait_for(heard.wait(), PATIENCE_S)

    run(main())


def test_a_frame_of_the_largest_size_is_taken(run: Run) -> None:
    async def main() -> None:
        async with site(media=MediaSettings(ahead_s=5)) as here, connect(here.url()) as client:
            heard = asyncio.Event()
            here.plane.listen("call", lambda pcm: heard.set() if len(pcm) == 65_536 else None, 16000)
            await client.send(bytes(65_536))
            await asyncio.wait_for(heard.wait(), PATIENCE_S)

    run(main())


def test_over_tls(run: Run, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        server, client_side = tls
        async with site(tls=server) as here, connect(here.url(), ssl=client_side) as client:
            await here.until(LegConnected)
            here.plane.send(Play("call", 1, bytes(6400)))
            assert len(b"".join(await heard_of(client, 6400))) == 6400
            await client.send("{}")
            await here.until(ClientMessageReceived)

    run(main())


# --- ends ------------------------------------------------------------------------------------------------------


def test_the_client_closes(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            async with connect(here.url()) as client:
                await client.close(1000, "bye")
            assert await here.until(LegEnded) == LegEnded("call", "closed", "1000 bye")
            assert client.close_code == 1000
            async with connect(here.url()):
                await here.until(LegConnected, 2)

    run(main())


def test_the_client_closes_with_a_code_of_its_own(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            async with connect(here.url()) as client:
                await client.close(4001)
            assert await here.until(LegEnded) == LegEnded("call", "closed", "4001")

    run(main())


def test_we_close(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await here.until(LegConnected)
            here.plane.send(CloseLeg("call", "the call has ended " + "é" * 100))
            assert await close_code(client) == 1000
            assert client.close_reason.startswith("the call has ended é")  # type: ignore[union-attr]
            assert (await here.until(LegEnded)).cause == "local"

    run(main())


def test_shutdown_closes_everybody(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            clients = [await connect(here.url(str(number))) for number in range(3)]
            await here.until(LegConnected, 3)
            # Somebody reads, or nobody answers the close.
            codes = asyncio.gather(*map(close_code, clients))
            await here.plane.close()
            await here.transport.close()
            await here.transport.close()
            assert await codes == [1012] * 3

    run(main())


def cut(client: ClientConnection) -> None:
    """The machine is gone: a reset, no goodbye."""
    linger = struct.pack("ii", 1, 0)
    client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.transport.abort()


def test_the_client_disappears(run: Run) -> None:
    async def main() -> None:
        async with site() as here:
            client = await connect(here.url())
            await here.until(LegConnected)
            cut(client)
            assert (await here.until(LegEnded)).cause == "lost"
            await client.wait_closed()

    run(main())


def test_the_client_disappears_without_a_packet(run: Run) -> None:
    async def main() -> None:
        brief = WebSocketSettings(ping_s=0.1, lost_s=0.4, sweep_s=0.05)
        async with site(settings=brief) as here:
            silent = await connect(here.url("silent"))
            alive = await connect(here.url("alive"))
            await here.until(LegConnected, 2)
            silent.transport.pause_reading()
            end = await here.until(LegEnded)
            assert (end.leg_id, end.cause) == ("silent", "lost")
            assert "sign of life" in end.detail
            assert here.plane.has_leg("alive")
            silent.transport.abort()
            await silent.wait_closed()
            await alive.close()

    run(main())


def test_the_usual_settings_find_a_vanished_client_within_30_s() -> None:
    usual = WebSocketSettings()
    assert usual.lost_s + usual.sweep_s <= 30
    assert usual.ping_s + usual.sweep_s < usual.lost_s


def test_a_client_that_does_not_answer_a_close_is_cut(run: Run) -> None:
    async def main() -> None:
        async with site(settings=WebSocketSettings(close_s=0.1)) as here:
            client = await connect(here.url())
            await here.until(LegConnected)
            client.transport.pause_reading()
            here.plane.send(CloseLeg("call", "bye"))
            assert (await here.until(LegEnded)).cause == "local"
            client.transport.abort()
            await client.wait_closed()

    run(main())


# --- what a client may not do ----------------------------------------------------------------------------------


def test_an_oversized_frame_ends_the_leg(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await client.send(bytes(65_538))
            assert await close_code(client) == 1009
            end = await here.until(LegEnded)
            assert end.cause == "malformed"
            assert "1009" in end.detail

    run(main())


def test_an_oversized_message_in_fragments_ends_the_leg(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await client.send([bytes(40_000), bytes(40_000)])
            assert await close_code(client) == 1009
            assert (await here.until(LegEnded)).cause == "malformed"

    run(main())


def raw_frame(first: int, payload: bytes) -> bytes:
    """A masked frame, byte by byte; the mask is zero."""
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(0x81, b"\xff\xfe")], 1007),
        ([(0x80, b"lost")], 1002),
        ([(0x01, b"{"), (0x81, b"{}")], 1002),
        ([(0xC2, bytes(640 % 100))], 1002),
        ([(0x83, b"")], 1002),
    ],
    ids=["not-utf8", "continues-nothing", "interrupts-a-message", "compressed", "unknown-opcode"],
)
def test_a_broken_protocol_ends_the_leg(run: Run, frames: list[tuple[int, bytes]], code: int) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await here.until(LegConnected)
            for first, payload in frames:
                client.transport.write(raw_frame(first, payload))
            # What comes after it is not heard.
            client.transport.write(raw_frame(0x81, b"{}"))
            assert await close_code(client) == code
            assert (await here.until(LegEnded)).cause == "malformed"
            assert not any(isinstance(event, ClientMessageReceived) for event in here.events)

    run(main())


def test_too_many_malformed_frames_end_the_leg(run: Run) -> None:
    async def main() -> None:
        async with site(media=MediaSettings(malformed=3)) as here, connect(here.url()) as client:
            for _ in range(3):
                await client.send(b"\0")
            assert await close_code(client) == 1007
            assert (await here.until(LegEnded)).cause == "malformed"

    run(main())


def test_a_flood_ends_the_leg(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            for _ in range(12):
                await client.send(bytes(32_000))
            assert await close_code(client) == 1008
            assert (await here.until(LegEnded)).cause == "flooded"

    run(main())


def test_a_client_that_never_reads_is_warned_of_and_ended(run: Run) -> None:
    async def main() -> None:
        impatient = replace(MediaSettings(), unread_s=0.2, unread_for_s=0.2, chores_s=0.1, lead_s=60.0)
        async with site(settings=WebSocketSettings(close_s=0.1), media=impatient) as here:
            client = await connect(here.url())
            await here.until(LegConnected)
            client.transport.pause_reading()
            receive_bytes = client.transport.get_extra_info("socket").getsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF
            )
            for reply_id in range(1, 4 + 4 * receive_bytes // 1_900_000):
                here.plane.send(Play("call", reply_id, bytes(1_900_000)))
                here.plane.send(Finish("call", reply_id))
            assert (await here.until(MediaWarned)).code == "unread"
            assert (await here.until(LegEnded)).cause == "unread"
            client.transport.abort()
            await client.wait_closed()

    run(main())


def test_a_pong_and_a_close_without_a_code_are_no_offence(run: Run) -> None:
    async def main() -> None:
        async with site() as here, connect(here.url()) as client:
            await here.until(LegConnected)
            client.transport.write(raw_frame(0x8A, b"unasked"))
            await asyncio.wait_for(await client.ping(), PATIENCE_S)
            client.transport.write(raw_frame(0x88, b""))
            assert await here.until(LegEnded) == LegEnded("call", "closed", "0")

    run(main())


def test_a_port_that_was_never_opened_can_be_closed(run: Run) -> None:
    async def main() -> None:
        plane = Plane(asyncio.get_running_loop(), {16000: LoudVad(16000)})
        await WebSocketTransport(plane, lambda path, query, headers: Refusal(404, {})).close()
        await plane.close()

    run(main())


def test_what_the_kernel_holds_is_counted_where_it_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(bytes(1000))
        assert unacknowledged_bytes(ours) >= 1000
        monkeypatch.setattr("sys.platform", "elsewhere")
        assert unacknowledged_bytes(ours) == 0
    monkeypatch.undo()
    assert unacknowledged_bytes(ours) == 0


# --- help ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for localhost, and a client's that trusts it."""
    certificate, key = _self_signed(tmp_path_factory.mktemp("tls"))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(certificate))
    client.check_hostname = False
    return server, client


def _self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths
