"""A media process's side by itself: a brain that does not read, one that is gone, and orders that cannot be followed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aywa.core.rtp.plan import Codec, StreamPlan
from aywa.media.apart.messages import Frames, Message, of_message
from aywa.media.apart.pipe import Pipe, open_pipe
from aywa.media.apart.serving import PORT_BYTES, Serving
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import Play
from tests.media.apart.rig import until
from tests.media.rig import LoudVad, square
from tests.media.rtp.test_edge import HOST, Phone
from tests.media.rtp.test_ports import free_range

PACKET = b"\x80\x00" + b"\0" * 10 + b"\x90" * 160


@dataclass
class Brain:
    """The other end, which reads only when it is asked to."""

    serving: Serving
    pipe: Pipe
    stream: socket.socket
    handles: socket.socket
    phone: Phone
    port: int
    frames: Frames = field(default_factory=Frames)
    number: int = 0

    def open(self, *, sockets: bool = True) -> None:
        if sockets:
            pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
            for opened, port in zip(pair, (self.port, self.port + 1), strict=True):
                opened.bind((HOST, port))
            socket.send_fds(
                self.handles, [self.port.to_bytes(PORT_BYTES)], [opened.fileno() for opened in pair]
            )
            for opened in pair:
                opened.close()
        plan = StreamPlan(Codec.PCMU, 0, {0: Codec.PCMU}, remote=self.phone.address)
        self.serving.take({
            "do": "open", "leg": "leg", "host": HOST, "port": self.port, "plan": plan.to_dict(),
            "epoch_s": asyncio.get_running_loop().time(), "signalling_host": HOST, "recording": None,
        })  # fmt: skip

    def say(self) -> None:
        header = bytearray(PACKET)
        header[2:4] = (self.number & 0xFFFF).to_bytes(2)
        header[4:8] = (self.number * 160).to_bytes(4)
        self.number += 1
        self.phone.audio.sendto(header, (HOST, self.port))

    async def read(self) -> list[Message]:
        """What has come, at least something."""
        data = await asyncio.get_running_loop().sock_recv(self.stream, 1 << 16)
        return self.frames.push(data)

    async def read_until(self, kind: str, name: str = "") -> Message:
        async with asyncio.timeout(5):
            while True:
                for message in await self.read():
                    if message["is"] == kind and name in message.get("kind", ""):
                        return message


@asynccontextmanager
async def brain(**settings: float) -> AsyncIterator[Brain]:
    loop = asyncio.get_running_loop()
    theirs, stream = socket.socketpair()
    their_handles, handles = socket.socketpair()
    stream.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    first = free_range(2)
    plane = Plane(loop, {8000: LoudVad(8000)})
    edge = RtpEdge(loop, plane, RtpSettings(first_port=first, last_port=first + 3, drain_s=0.02))
    apart = replace(ApartSettings(stop_s=0.5), **settings)  # type: ignore[arg-type]
    serving = Serving(loop, plane, edge, their_handles, apart)
    pipe = await open_pipe(loop, theirs, serving.take)
    serving.open(pipe)
    phone = Phone()
    try:
        yield Brain(serving, pipe, stream, handles, phone, first)
    finally:
        phone.close()
        stream.close()
        handles.close()
        async with asyncio.timeout(5):
            await serving.over.wait()
        await asyncio.sleep(0)


async def test_a_brain_that_does_not_read_holds_nothing_up() -> None:
    async with brain(behind_bytes=4000) as opened:
        opened.open()
        opened.serving.take(of_message(Play("leg", 1, square(8000, 8000 * 4))))
        async with asyncio.timeout(20):
            while opened.pipe.waiting_bytes <= 4000:
                opened.say()
                await asyncio.sleep(0.02)
        _ = opened.phone.heard()
        for _ in range(50):
            opened.say()
            await asyncio.sleep(0.02)
        # A second of replies left all the same, and no more waits than may.
        assert len(opened.phone.heard()) >= 45
        assert opened.pipe.waiting_bytes <= 4000 + 2000
        warned = await opened.read_until("event", "MediaWarned")
        assert warned["data"]["code"] == "brain_behind"


async def test_a_brain_that_never_reads_is_given_up() -> None:
    async with brain(behind_bytes=1000, stuck_bytes=4000) as opened:
        opened.open()
        for _ in range(400):
            opened.serving.take({"do": "digit", "leg": "leg", "digit": "1"})
        async with asyncio.timeout(5):
            await opened.serving.over.wait()
        assert opened.pipe.lost.done()


async def test_a_brain_that_is_gone_ends_the_legs() -> None:
    async with brain() as opened:
        opened.open()
        opened.say()
        await opened.read_until("audio")
        opened.stream.close()
        async with asyncio.timeout(5):
            await opened.serving.over.wait()
        # Nobody listens at its ports any more.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, opened.port))


async def test_a_leg_whose_sockets_did_not_come_is_refused() -> None:
    async with brain() as opened:
        opened.open(sockets=False)
        refused = await opened.read_until("refused")
        assert refused["leg"] == "leg"


async def test_orders_for_nobody_and_nonsense_hurt_nobody() -> None:
    async with brain() as opened:
        for message in (
            {"do": "digit", "leg": "gone", "digit": "1"},
            {"do": "end", "leg": "gone", "cause": "closed", "detail": ""},
            {"do": "change", "leg": "gone", "plan": {}},
            {"do": "sing"},
        ):
            opened.serving.take(message)
        opened.open()
        connected = await opened.read_until("event", "LegConnected")
        assert connected["leg"] == "leg"
        opened.serving.take({"do": "close"})
        ended = await opened.read_until("event", "LegEnded")
        assert ended["data"]["cause"] == "local"
        await until(lambda: opened.pipe.lost.done())
