"""Two softphones call each other over real sockets, on a clock that jumps: signalling, audio, keys, hold, refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from aywa.testing.script import Hold, Keys, Pause, Say, Step, WaitReply
from aywa.testing.softphone.message import PCMA, PCMU, Message
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.softphone.talk import Answer, Dial, Softphone, Talked, report
from aywa.testing.softphone.transactions import Transactions
from aywa.testing.wire import level_dbfs

pytestmark = pytest.mark.virtual_time

QUIET = Pause(1.5)


def tone(seconds: float, hz: float = 440.0) -> bytes:
    wave = 8000 * np.sin(np.arange(round(seconds * 8000)) * 2 * np.pi * hz / 8000)
    return bytes(wave.astype("<i2").tobytes())


async def talk(
    caller: Sequence[Step],
    callee: Sequence[Step],
    setup: Setup | None = None,
    answer: Answer | None = None,
    dial: Dial | None = None,
) -> tuple[Talked, Talked]:
    setup = setup or Setup(seed=1)
    waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    called = Softphone(replace(setup, seed=2), on_ready=waiting.set_result)
    answering = asyncio.create_task(called.call(answer or Answer(), callee))
    begin = replace(dial or Dial(""), uri=await waiting)
    return await Softphone(setup).call(begin, caller), await answering


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("payload", [PCMU, PCMA])
async def test_speech_goes_both_ways(transport: str, payload: int) -> None:
    setup = Setup(seed=1, transport=transport, payloads=(payload,))
    caller, callee = await talk(
        [Say(tone(1.0)), WaitReply(), Pause(0.2)], [Pause(1.5), Say(tone(0.5)), QUIET], setup
    )
    for talked in (caller, callee):
        assert talked.connected
        assert report(talked)["codec"] == {PCMU: "PCMU", PCMA: "PCMA"}[payload]
        loud = b"".join(frame.pcm for frame in talked.record.received if frame.audible)
        assert level_dbfs(loud) == pytest.approx(level_dbfs(tone(1.0)), abs=0.5)
    heard = report(caller)["heard"]
    assert [spurt["end_ms"] - spurt["start_ms"] for spurt in heard] == [pytest.approx(500, abs=20)]
    (turn,) = report(caller)["turns"]
    assert turn["latency_ms"] == pytest.approx(520, abs=60)
    assert report(caller)["ended_by"] == "caller"
    assert report(callee)["ended_by"] == "far side"
    assert report(callee)["rtp"]["lost"] == 0


async def test_keys_arrive_once_each() -> None:
    _, callee = await talk([Pause(0.2), Keys("12#"), Pause(0.5)], [Pause(3.0)])
    assert [key["key"] for key in report(callee)["keys_heard"]] == ["1", "2", "#"]


async def test_hold_silences_the_far_side() -> None:
    caller, callee = await talk([Pause(0.5), Hold(1.0), Pause(0.5)], [Pause(3.0)])
    changes = [row["detail"] for row in report(callee)["signalling"] if row["what"] == "media changed"]
    assert changes == ["sendonly", "sendrecv"]
    assert report(caller)["rtp"]["longest_gap_ms"] == pytest.approx(1000, abs=100)


async def test_a_refusal_is_told() -> None:
    caller, callee = await talk([], [], answer=Answer(refuse=486))
    told = report(caller)
    assert (told["answered"], told["status"], told["opened_ms"]) == (False, 486, None)
    assert report(callee)["status"] == 486


async def test_giving_up_cancels() -> None:
    caller, callee = await talk([], [], answer=Answer(ring_s=5.0), dial=Dial("", ring_s=1.0))
    assert report(caller)["status"] == 487
    assert not report(callee)["answered"]


async def test_nobody_there() -> None:
    async with Phone(Setup(seed=3), lambda pcm: None) as gone:
        uri = gone.uri
    talked = await Softphone(Setup(seed=1)).call(Dial(uri), [])
    assert report(talked)["error"] == "no answer to INVITE within 32 s"
    refused = await Softphone(Setup(seed=1, transport="tcp")).call(Dial(uri), [])
    assert "cannot be reached" in report(refused)["error"]


async def test_options_are_answered() -> None:
    async with Phone(Setup(seed=3), lambda pcm: None) as one, Phone(Setup(seed=4), lambda pcm: None) as other:
        answer: Message = await one.ask("OPTIONS", other.uri)
    assert answer.status == 200
    assert "INVITE" in answer.get("Allow")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_where_nothing_answers_that_is_told_after_two_seconds(transport: str) -> None:
    loop = asyncio.get_running_loop()
    told: list[tuple[tuple[str, int], float]] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    # It takes everything and says nothing, like a firewall.
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    place = server.sockets[0].getsockname()[:2]
    phone = Softphone(Setup(transport=transport), on_quiet=lambda place: told.append((place, loop.time())))
    began_s = loop.time()
    talked = await phone.call(Dial(f"sip:nobody@127.0.0.1:{place[1]}", ring_s=3.0), [])
    server.close()
    await server.wait_closed()
    assert [where for where, _ in told] == [place]
    assert told[0][1] == pytest.approx(began_s + 2.0)
    assert [entry.what for entry in talked.phone.log.entries].count("no answer yet") == 1
    assert talked.error


class AnsweringLine:
    """Rings at once and answers late. No socket: the clock that jumps does not wait for one."""

    transport = "udp"
    local = ("127.0.0.1", 5060)

    def __init__(self, transactions: Transactions, request: Message) -> None:
        self.transactions = transactions
        self.request = request

    async def reach(self, to: tuple[str, int]) -> tuple[str, int]:
        return self.local

    async def send(self, data: bytes, to: tuple[str, int]) -> None:
        self.answer("180 Ringing")

    async def close(self) -> None:
        """Nothing is open."""

    def answer(self, status: str) -> None:
        self.transactions.came_back(Message(f"SIP/2.0 {status}", list(self.request.headers)))


async def test_who_is_answered_at_once_is_told_nothing() -> None:
    told: list[object] = []
    transactions = Transactions(told.append)
    via = ("Via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1")
    request = Message("INVITE sip:a@127.0.0.1 SIP/2.0", [via, ("CSeq", "1 INVITE")])
    line = transactions.line = AnsweringLine(transactions, request)
    answers = transactions.ask(request, ("127.0.0.1", 9))
    assert (await anext(answers)).status == 180
    await asyncio.sleep(10.0)
    line.answer("200 OK")
    assert (await anext(answers)).status == 200
    assert not told
