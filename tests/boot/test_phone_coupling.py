"""Callers who are forwarded and transferred: two softphones, a SIP port, RTP legs on a real media plane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from aywa.boot.phone_coupling import ringing
from aywa.core.events import DtmfReceived, LegConnected, LegEnded, VoiceStarted
from aywa.ports.calls import CallRefused
from aywa.ports.media import CloseLeg, Play
from aywa.ports.telephony import (
    Forward,
    OutboundCall,
    Transfer,
    TransferNews,
    TransferStatus,
    TransferVerb,
)
from aywa.testing.script import Keys, Pause, Say, Step
from aywa.testing.softphone.lines import Place
from aywa.testing.softphone.message import Message, parameter
from aywa.testing.softphone.phone import Phone as Telephone
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone, Talked
from tests.boot.test_phone import LAYOUTS, Rig, answering, call, rig


def tone(hz: int, seconds: float) -> bytes:
    at = np.arange(round(8000 * seconds)) / 8000
    return bytes(np.rint(8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())


def hears(talked: Talked, hz: int) -> float:
    """For how long it heard that tone."""
    heard = 0.0
    for frame in talked.record.received:
        samples = np.frombuffer(frame.pcm, "<i2").astype(float)
        if np.abs(samples).mean() < 300:
            continue
        at = np.arange(samples.size) / 8000
        share = np.abs(np.exp(-2j * np.pi * hz * at) @ samples) / (np.abs(samples).mean() * samples.size)
        heard += samples.size / 8000 * (share > 0.5)
    return heard


def forward(uri: str, ring_s: float = 10.0) -> Forward:
    return Forward(OutboundCall("call-1", "org", uri=uri, ring_s=ring_s, digits="42"), "reason")


class News:
    """What a transfer tells."""

    def __init__(self) -> None:
        self.told: list[TransferNews] = []

    def __call__(self, news: TransferNews) -> None:
        self.told.append(news)

    @property
    def statuses(self) -> list[TransferStatus]:
        return [news.status for news in self.told]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - a softphone's log tells nobody
            await asyncio.sleep(0.02)


async def in_call(made: Rig, steps: Sequence[Step]) -> asyncio.Task[Talked]:
    calling = asyncio.create_task(call(made.uri, *steps))
    await made.host.until(lambda: made.host.of(LegConnected))
    return calling


# --- forwarded -------------------------------------------------------------------------------------------------------


@LAYOUTS
async def test_a_forwarded_caller_and_whom_he_reaches_hear_each_other(apart: bool) -> None:
    spoken = (Pause(0.3), Say(tone(700, 1.0)), Pause(0.5))
    async with (
        answering(steps=spoken) as (uri, task),
        rig(forward(uri), apart=apart, processes=2) as made,
    ):
        caller = await call(made.uri, Pause(0.3), Say(tone(500, 1.0)), Pause(3.0))
        callee = await task
    assert caller.connected
    assert callee.connected
    assert 0.8 <= hears(callee, 500) <= 1.2
    assert 0.8 <= hears(caller, 700) <= 1.2
    assert hears(caller, 500) == hears(callee, 700) == 0
    # The one hung up, and so the other was.
    assert caller.phone.ended_by == "far side"
    assert [key.key for key in callee.phone.audio.keys] == ["4", "2"]
    assert not made.host.events


async def test_a_forwarded_caller_hangs_up() -> None:
    async with answering(steps=(Pause(5.0),)) as (uri, task), rig(forward(uri)) as made:
        caller = await call(made.uri, Pause(0.9), Keys("7"), Pause(0.5))
        callee = await task
    assert caller.connected
    assert callee.phone.ended_by == "far side"
    assert "7" in [key.key for key in callee.phone.audio.keys]


@pytest.mark.parametrize(("refused", "status"), [(486, 486), (404, 404), (401, 480)])
async def test_nobody_takes_a_forwarded_caller(refused: int, status: int) -> None:
    async with answering(refuse=refused) as (uri, _), rig(forward(uri)) as made:
        caller = await call(made.uri)
    assert caller.phone.status == status


async def test_a_forwarded_caller_gives_up() -> None:
    async with (
        answering(ring_s=4.0) as (uri, task),
        rig(forward(uri)) as made,
        Telephone(Setup(), lambda pcm: None) as phone,
    ):
        response = await phone.dial_and_cancel(made.uri, 0.5)
        callee = await task
    assert response.status == 487
    assert not callee.connected


async def test_there_is_no_port_for_whom_he_is_forwarded_to() -> None:
    async with rig(forward("sip:x@127.0.0.1:9"), first_port=30_200, last_port=30_201) as made:
        taken = made.phone._edge.reserve("127.0.0.1")
        caller = await call(made.uri)
        taken.release()
    assert caller.phone.status == 503


# --- transferred, with us in between ---------------------------------------------------------------------------------


@LAYOUTS
async def test_a_transfer_that_is_answered(apart: bool) -> None:
    news = News()
    spoken = (Pause(0.3), Say(tone(700, 0.6)), Keys("5"), Pause(0.3))
    async with rig(apart=apart, processes=2) as made, answering(ring_s=0.6, steps=spoken) as (uri, task):
        calling = await in_call(made, (Pause(1.2), Say(tone(500, 0.6)), Pause(5.0)))
        to = OutboundCall("call-1", "org", uri=uri)
        made.phone.transfer(Transfer(to, TransferVerb.DIAL, tone(900, 0.1), 8000), news)
        with pytest.raises(CallRefused, match="is being transferred"):
            made.phone.transfer(Transfer(to, TransferVerb.DIAL), news)
        await until(lambda: news.told)
        # Its assistant has nothing to say any more.
        made.plane.send(Play("call-1", 1, tone(900, 1.0)))
        made.plane.send(CloseLeg("call-1", "over"))
        callee, caller = await task, await calling
        await made.host.until(lambda: len(made.host.of(LegEnded)) == 2)
    assert news.statuses == [TransferStatus.CONNECTED, TransferStatus.COMPLETED]
    assert made.host.of(LegEnded)[0].cause == "forwarded"
    assert 0.4 <= hears(callee, 500) <= 0.8
    assert 0.4 <= hears(caller, 700) <= 0.8
    # The music stopped when it was answered.
    assert 0.3 <= hears(caller, 900) <= 1.2
    assert hears(callee, 900) == 0
    assert [key.key for key in caller.phone.audio.keys] == ["5"]
    assert not made.host.of(DtmfReceived)
    assert not made.host.ends


@pytest.mark.parametrize(
    ("refused", "ring_s", "status"),
    [
        (486, 10.0, TransferStatus.BUSY),
        (404, 10.0, TransferStatus.FAILED),
        (0, 0.4, TransferStatus.NO_ANSWER),
    ],
)
async def test_a_call_goes_on_when_its_transfer_fails(
    refused: int, ring_s: float, status: TransferStatus
) -> None:
    news = News()
    async with rig() as made, answering(refuse=refused, ring_s=0.1 if refused else 9.0) as (uri, task):
        calling = await in_call(made, (Pause(0.2), Pause(3.0)))
        to = OutboundCall("call-1", "org", uri=uri, ring_s=ring_s)
        made.phone.transfer(Transfer(to, TransferVerb.DIAL), news)
        await until(lambda: news.told)
        made.plane.send(Play("call-1", 1, tone(900, 0.4)))
        caller = await calling
        await task
    assert news.statuses == [status]
    assert hears(caller, 900) >= 0.3
    assert [event.cause for event in made.host.of(LegEnded)] == ["closed"]


async def test_the_caller_hangs_up_before_anybody_answers() -> None:
    news = News()
    async with rig() as made, answering(ring_s=9.0) as (uri, task):
        calling = await in_call(made, (Pause(0.8),))
        made.phone.transfer(Transfer(OutboundCall("call-1", "org", uri=uri), TransferVerb.DIAL), news)
        caller, callee = await calling, await task
        await made.host.until(lambda: made.host.of(LegEnded))
    assert news.statuses == [TransferStatus.CANCELLED]
    assert not callee.connected
    # He heard it ring.
    assert hears(caller, 425) > 0.2
    assert made.host.of(LegEnded)[0].cause == "closed"


async def test_who_can_be_transferred() -> None:
    async with rig(first_port=30_210, last_port=30_211) as made:
        with pytest.raises(CallRefused, match="not a phone call that runs here"):
            made.phone.transfer(Transfer(OutboundCall("call-2", "org", uri="sip:x@127.0.0.1:9")), News())
        calling = await in_call(made, (Pause(0.5),))
        to = OutboundCall("call-1", "org", uri="sip:x@127.0.0.1:9")
        for _ in range(2):
            with pytest.raises(CallRefused, match="no port"):
                made.phone.transfer(Transfer(to, TransferVerb.DIAL), News())
        assert (await calling).connected


# --- transferred by the caller's own side ----------------------------------------------------------------------------


async def test_a_caller_s_side_that_takes_a_transfer() -> None:
    news = News()
    async with rig() as made:
        calling = await in_call(made, (Pause(5.0),))
        made.phone.transfer(Transfer(OutboundCall("call-1", "org", uri="sip:other@127.0.0.1:9")), news)
        caller = await calling
        await made.host.until(lambda: len(made.host.of(LegEnded)) == 2)
    assert news.statuses == [TransferStatus.COMPLETED]
    assert caller.phone.log.first_s("asked to call") is not None
    assert caller.phone.ended_by == "far side"
    assert made.host.of(LegEnded)[0].cause == "forwarded"


class Unwilling(Telephone):
    """Takes a REFER, and tells of its failure; or hangs up upon it."""

    news = b"SIP/2.0 486 Busy Here\r\n"
    hangs_up = False

    async def _referred(self, request: Message, source: Place) -> None:
        await self._respond(request, 202, "Accepted", place=source)
        state = "active;expires=60" if self.news.startswith(b"SIP/2.0 1") else "terminated"
        headers = [
            ("Event", "refer"), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0"),
        ]  # fmt: skip
        await self._ask("NOTIFY", headers, self.news)
        if self.hangs_up:
            await self.hang_up()


async def test_a_call_goes_on_when_the_caller_s_side_fails() -> None:
    news = News()
    async with rig() as made, Unwilling(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        made.phone.transfer(Transfer(OutboundCall("call-1", "org", uri="sip:other@127.0.0.1:9")), news)
        await until(lambda: news.told)
        assert not phone.ended.is_set()
        assert not made.host.of(LegEnded)
        await phone.hang_up()
        await made.host.until(lambda: made.host.of(LegEnded))
    assert news.statuses == [TransferStatus.BUSY]
    assert made.host.of(LegEnded)[0].cause == "closed"


async def test_whoever_hangs_up_after_taking_it_was_forwarded() -> None:
    news = News()
    async with rig() as made, Unwilling(Setup(), lambda pcm: None) as phone:
        phone.news, phone.hangs_up = b"SIP/2.0 100 Trying\r\n", True
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        made.phone.transfer(Transfer(OutboundCall("call-1", "org", uri="sip:other@127.0.0.1:9")), news)
        await made.host.until(lambda: len(made.host.of(LegEnded)) == 2)
    assert news.statuses == [TransferStatus.COMPLETED]
    assert made.host.of(LegEnded)[0].cause == "forwarded"


# --- sent on by the far side -------------------------------------------------------------------------------------------


@LAYOUTS
async def test_a_far_side_that_may_sends_the_call_on(apart: bool) -> None:
    async with (
        rig(apart=apart) as made,
        answering(steps=(Pause(1.0),)) as (uri, task),
        Telephone(Setup(), lambda pcm: None) as phone,
    ):
        made.router.referred = OutboundCall("call-1", "org", uri=uri)
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        assert await phone.refer(uri) == 202
        async with asyncio.timeout(5):
            await phone.ended.wait()
        # The same call, with the same leg, and somebody else in it.
        assert not made.host.of(LegEnded)
        made.plane.send(Play("call-1", 1, tone(900, 0.5)))
        talked = await task
        await made.host.until(lambda: made.host.of(LegEnded))
        notes = [entry.detail for entry in phone.log.entries if entry.what == "NOTIFY"]
    assert made.router.targets[:2] == ("org", "call-1")
    assert talked.connected
    assert hears(talked, 900) >= 0.3
    assert notes[-1] == "SIP/2.0 200 OK"
    assert [event.cause for event in made.host.of(LegEnded)] == ["closed"]


async def test_a_far_side_that_may_not_is_refused() -> None:
    async with rig() as made, Telephone(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        assert await phone.refer("sip:premium@127.0.0.1:9") == 603
        assert not phone.ended.is_set()


async def test_a_call_stays_when_whom_it_is_sent_to_does_not_answer() -> None:
    async with (
        rig() as made,
        answering(refuse=486) as (uri, task),
        Telephone(Setup(), lambda pcm: None) as phone,
    ):
        made.router.referred = OutboundCall("call-1", "org", uri=uri)
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        assert await phone.refer(uri) == 202
        await task
        await until(lambda: any("486" in entry.detail for entry in phone.log.entries))
        assert not phone.ended.is_set()
        assert not made.host.of(LegEnded)


async def test_a_router_that_breaks_refuses() -> None:
    async with rig() as made, Telephone(Setup(), lambda pcm: None) as phone:
        made.router.referred = RuntimeError("broken")
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        assert await phone.refer("sip:x@127.0.0.1:9") == 500
        assert not phone.ended.is_set()


async def test_no_call_comes_of_a_refer_that_cannot_be_dialled() -> None:
    async with rig() as made, Telephone(Setup(), lambda pcm: None) as phone:
        made.router.referred = OutboundCall("call-1", "org", uri="sip:x@127.0.0.1:9", ring_s=0.3)
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        assert await phone.refer("sip:x@127.0.0.1:9") == 202
        await until(lambda: any("SIP/2.0 4" in entry.detail for entry in phone.log.entries))
        assert not phone.ended.is_set()


async def test_somebody_else_takes_the_far_side_s_place() -> None:
    """An attended transfer, of which we see the INVITE with Replaces only."""
    async with (
        rig() as made,
        Telephone(Setup(), lambda pcm: None) as phone,
        asyncio.timeout(10),
    ):
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        dialog = phone.dialog
        assert dialog is not None
        tags = f"to-tag={parameter(dialog.theirs, 'tag')};from-tag={parameter(dialog.ours, 'tag')}"
        replaces = ("Replaces", f"{dialog.call_id};{tags}")
        calling = asyncio.create_task(
            Softphone(Setup()).call(Dial(made.uri, [replaces]), [Pause(0.3), Say(tone(500, 0.3)), Pause(0.8)])
        )
        await phone.ended.wait()
        made.plane.send(Play("call-1", 1, tone(900, 0.5)))
        talked = await calling
        await made.host.until(lambda: made.host.of(LegEnded))
    assert talked.connected
    assert hears(talked, 900) >= 0.3
    assert phone.ended_by == "far side"
    assert made.host.of(VoiceStarted)
    assert [event.cause for event in made.host.of(LegEnded)] == ["closed"]
    assert len(made.router.asked) == 1


def test_the_ringing_tone() -> None:
    samples = np.abs(np.frombuffer(ringing(), "<i2").astype(int))
    assert samples.size == 5 * 8000
    assert samples[:8000].mean() > 1000
    assert not samples[8000:].any()


class Ignorant(Telephone):
    """Knows no REFER."""

    async def _referred(self, request: Message, source: Place) -> None:
        await self._respond(request, 405, "Method Not Allowed", place=source)


async def test_a_side_that_knows_no_transfers_says_so() -> None:
    news = News()
    async with rig() as made, Ignorant(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(made.uri)
        await made.host.until(lambda: made.host.of(LegConnected))
        made.phone.transfer(Transfer(OutboundCall("call-1", "org", uri="sip:other@127.0.0.1:9")), news)
        await until(lambda: news.told)
        assert [(each.status, each.sip_status, each.refused) for each in news.told] == [
            (TransferStatus.FAILED, 405, True)
        ]
        await phone.hang_up()
        await made.host.until(lambda: made.host.of(LegEnded))


async def test_a_caller_waits_with_the_music_that_is_set() -> None:
    news = News()
    async with rig() as made, answering(ring_s=1.0) as (uri, task):
        made.phone.music, made.phone.music_hz = tone(900, 0.5), 8000
        calling = await in_call(made, (Pause(2.0),))
        made.phone.transfer(Transfer(OutboundCall("call-1", "org", uri=uri), TransferVerb.DIAL), news)
        await until(lambda: news.told)
        caller = await calling
        await task
    assert hears(caller, 900) > 0.5
    assert hears(caller, 425) == 0
