"""Phone calls joined: a softphone against the SIP port, RTP legs on a real media plane, a router and a host that are told
what to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from aywa.boot.host import Host
from aywa.boot.phone import Phone
from aywa.boot.phone_port import PhoneAddress, open_phone_port
from aywa.boot.phone_settings import PhoneSettings
from aywa.core import ended_reasons
from aywa.core.events import LegConnected, LegEnded, MediaEvent
from aywa.media.apart.edge import ApartEdge
from aywa.media.apart.plane import JoinedPlane
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.media import AudioFormat, CloseLeg, LegPlan
from aywa.ports.telephony import (
    Account,
    Answer,
    Gateway,
    InboundInvite,
    OutboundCall,
    Refusal,
    Trunk,
)
from aywa.testing.script import Pause, Step
from aywa.testing.softphone import talk
from aywa.testing.softphone.phone import Phone as Telephone
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone, Talked, report
from tests.media.apart.rig import Rig as Processes
from tests.media.rig import LoudVad

PLAN = CallPlan("call-1", "org", "inboundPhoneCall", {}, AudioFormat.MULAW, 8000, 0)

LAYOUTS = pytest.mark.parametrize("apart", [False, True], ids=["one process", "media apart"])


@dataclass
class FakeHost:
    """Has every call, until it ended it."""

    events: list[MediaEvent] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    notes: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    over: Callable[[str, bool], None] = lambda call_id, connected: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def leg_plan(self, call_id: str) -> LegPlan | None:
        now_s = asyncio.get_running_loop().time()
        return LegPlan(call_id, AudioFormat.MULAW, 8000, now_s, self.post)

    def post(self, event: MediaEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def end(self, call_id: str, reason: str, message: str = "") -> bool:
        self.ends.append((call_id, reason))
        self.messages.append(message)
        self.changed.set()
        return True

    def rang(self, call_id: str) -> None:
        self.rung.append(call_id)
        self.changed.set()

    def note(self, call_id: str, kind: str, data: dict[str, Any]) -> bool:
        self.notes.append((call_id, kind, data))
        return True

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        self.over = tell

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class FakeRouter:
    """Answers what it is told to, when it is let."""

    answer: Answer | Exception = field(default_factory=lambda: PLAN)
    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[InboundInvite] = field(default_factory=list)
    known: Sequence[Trunk] = ()
    referred: OutboundCall | Refusal | Exception = field(default_factory=lambda: Refusal(603))
    redirected: Refusal | None = None

    async def refer(self, org_id: str, call_id: str, target: str) -> OutboundCall | Refusal:
        self.targets = (org_id, call_id, target)
        if isinstance(self.referred, Exception):
            raise self.referred
        return self.referred

    def redirect(self, call: OutboundCall, target: str) -> OutboundCall | Refusal:
        self.targets = (call.org_id, call.call_id, target)
        found = self.redirected
        return replace(call, uri=target) if found is None else found

    async def route(self, invite: InboundInvite) -> Answer:
        self.asked.append(invite)
        await self.let.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def trunks(self) -> Sequence[Trunk]:
        return self.known

    async def accounts(self) -> Sequence[Account]:
        return ()

    def on_change(self, tell: Callable[[], None]) -> None:
        self.tell = tell


@dataclass
class Rig:
    """All of it."""

    phone: Phone
    host: FakeHost
    router: FakeRouter
    plane: Plane | JoinedPlane
    address: PhoneAddress

    @property
    def uri(self) -> str:
        return self.address.uri


@asynccontextmanager
async def rig(
    answer: Answer | Exception = PLAN,
    host_of_port: str = "127.0.0.1",
    *,
    apart: bool = False,
    processes: int = 1,
    **media: Any,
) -> AsyncIterator[Rig]:
    loop = asyncio.get_running_loop()
    plane: Plane | JoinedPlane
    edge: RtpEdge | ApartEdge
    if apart:
        made = Processes(processes, ApartSettings(), RtpSettings(**media))
        plane, edge = made.plane, made.edge
        edge.start()
        await edge.ready()
    else:
        here = plane = Plane(loop, {8000: LoudVad(8000), 16000: LoudVad(16000)})
        edge = RtpEdge(loop, here, RtpSettings(**media))
    host, router = FakeHost(), FakeRouter(answer)
    router.let.set()
    settings = PhoneSettings(port=0)
    phone = Phone(settings, cast(Host, host), plane, edge, ("PCMU", "PCMA"))
    port, address = await open_phone_port(settings, [host_of_port], host_of_port, phone)
    phone.open(port, router)
    try:
        yield Rig(phone, host, router, plane, address)
    finally:
        await phone.close(2.0)
        await port.close()
        await plane.close()
        if isinstance(edge, RtpEdge):
            edge.close()


async def call(uri: str, *steps: Step) -> Talked:
    return await Softphone(Setup()).call(Dial(uri), steps)


@LAYOUTS
async def test_a_call_is_answered_and_ends_when_the_caller_hangs_up(apart: bool) -> None:
    async with rig(apart=apart) as made:
        talked = await call(made.uri, Pause(0.3))
        await made.host.until(lambda: made.host.of(LegEnded))
    assert talked.connected
    assert made.host.of(LegConnected)[0].rate_hz == 8000
    assert [(event.cause, event.leg_id) for event in made.host.of(LegEnded)] == [("closed", "call-1")]
    assert not made.host.ends
    invite = made.router.asked[0]
    assert (invite.called, invite.source, invite.trusted) == ("demo", "127.0.0.1", True)
    assert invite.sip_call_id == (talked.phone.dialog.call_id if talked.phone.dialog else "")


async def test_every_sip_message_of_a_call_is_on_its_record() -> None:
    async with rig() as made:
        await call(made.uri, Pause(0.3))
        await made.host.until(lambda: made.host.of(LegEnded))
    assert {(call_id, kind) for call_id, kind, _ in made.host.notes} == {("call-1", "SipSeen")}
    rungs = [(data["direction"], data["what"]) for _, _, data in made.host.notes]
    # Those from before anybody knew of the call, too.
    assert rungs[0] == ("received", "INVITE")
    for each in (("sent", "180 Ringing"), ("sent", "200 OK"), ("received", "ACK"), ("received", "BYE")):
        assert each in rungs
    assert all(data["remote"].startswith("127.0.0.1:") for _, _, data in made.host.notes)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_over_ipv6(transport: str) -> None:
    async with rig(host_of_port="::1") as made:
        assert made.uri.startswith("sip:demo@[::1]:")
        talked = await Softphone(Setup("::1", transport=transport)).call(Dial(made.uri), [Pause(0.3)])
        await made.host.until(lambda: made.host.of(LegEnded))
    assert talked.connected
    assert talked.phone.audio.arrivals.packets
    assert made.router.asked[0].source == "::1"


@LAYOUTS
async def test_the_brain_hangs_up(apart: bool) -> None:
    async with rig(apart=apart) as made:
        calling = asyncio.create_task(call(made.uri, Pause(5.0)))
        await made.host.until(lambda: made.host.of(LegConnected))
        made.plane.send(CloseLeg("call-1", "assistant-ended-call"))
        told = report(await calling)
        await made.host.until(lambda: made.host.of(LegEnded))
    assert told["ended_by"] == "far side"
    assert "cause=16" in told["signalling"][-1]["detail"]
    assert made.host.of(LegEnded)[0].cause == "local"


async def test_a_caller_who_gives_up_before_there_is_an_answer() -> None:
    async with rig() as made, Telephone(Setup(), lambda pcm: None) as phone:
        made.router.let.clear()
        final = await phone.dial_and_cancel(made.uri, 0.2)
        assert final.status == 487
        made.router.let.set()
        await made.host.until(lambda: made.host.ends)
    assert made.host.ends == [("call-1", ended_reasons.CALLER_GAVE_UP)]
    assert not made.host.events


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Refusal(404, "Not Found"), 404),
        (Refusal(503), 503),
        (RuntimeError("the router broke"), 500),
    ],
)
async def test_a_refusal_is_answered_with(answer: Answer | Exception, status: int) -> None:
    async with rig(answer) as made, Telephone(Setup(), lambda pcm: None) as phone:
        response = await phone.dial_and_cancel(made.uri, 5.0)
    assert response.status == status
    assert bool(response.get("Retry-After")) == (status == 503)


@LAYOUTS
async def test_no_audio_port_is_no_answer(apart: bool) -> None:
    # One pair, which the first call has.
    async with rig(apart=apart, first_port=30_100, last_port=30_101) as made:
        first = asyncio.create_task(call(made.uri, Pause(1.0)))
        await made.host.until(lambda: made.host.of(LegConnected))
        second = await call(made.uri)
        with pytest.raises(CallRefused):
            made.phone.dial(OutboundCall("call-2", "org", uri="sip:x@127.0.0.1:9"))
        assert (await first).connected
    assert second.phone.status == 503


@LAYOUTS
async def test_silence_of_the_far_side_ends_the_call(apart: bool) -> None:
    async with rig(apart=apart, first_packet_s=0.4) as made, Telephone(Setup(), lambda pcm: None) as phone:
        assert await phone.dial(made.uri)
        async with asyncio.timeout(5):
            await phone.ended.wait()
        await made.host.until(lambda: made.host.of(LegEnded))
    assert made.host.of(LegEnded)[0].cause == "no_media"
    assert phone.ended_by == "far side"


@asynccontextmanager
async def answering(*, ring_s: float = 0.1, steps: Sequence[Step] = (Pause(1.0),), refuse: int = 0) -> Any:
    """A phone that is called: its URI, and its call."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    phone = Softphone(Setup(), on_ready=ready.set_result)
    task = asyncio.create_task(phone.call(talk.Answer(5.0, ring_s, refuse), steps))
    yield (await ready).partition(";")[0], task
    await asyncio.wait([task])


@LAYOUTS
async def test_a_call_that_goes_out(apart: bool) -> None:
    async with rig(apart=apart) as made, answering() as (uri, task):
        made.phone.dial(OutboundCall("call-1", "org", uri=uri, caller_id="+4930123", digits="7"))
        talked = await task
        await made.host.until(lambda: made.host.of(LegEnded))
    assert talked.connected
    assert [key.key for key in talked.phone.audio.keys] == ["7"]
    assert made.host.of(LegEnded)[0].cause == "closed"


async def test_a_call_through_a_trunk_that_was_written_a_moment_ago() -> None:
    async with rig() as made, answering() as (uri, task):
        trunk = Trunk("trunk-1", "org", "one", (Gateway("127.0.0.1", int(uri.rpartition(":")[2])),))
        made.phone.dial(OutboundCall("call-1", "org", trunk, user="123", caller_id="456"))
        talked = await task
    assert talked.connected
    assert talked.phone.log.entries[0].detail == "sip:456@127.0.0.1"


async def test_a_refused_call_has_its_reason() -> None:
    async with rig() as made, answering(refuse=486) as (uri, _):
        made.phone.dial(OutboundCall("call-1", "org", uri=uri))
        await made.host.until(lambda: made.host.ends)
    assert made.host.ends == [("call-1", ended_reasons.BUSY)]
    assert made.host.messages == ["the far side answered 486 Refused"]
    assert made.host.rung == ["call-1"]


async def redirecting(phone: Telephone, to: str) -> None:
    assert await phone.wait_for_call(5)
    await phone.reject(302, "Moved Temporarily", contact=to)


async def test_a_call_that_is_sent_on_rings_where_it_may() -> None:
    async with rig() as made, answering() as (uri, task), Telephone(Setup(), lambda pcm: None) as first:
        sending = asyncio.create_task(redirecting(first, uri))
        made.phone.dial(OutboundCall("call-1", "org", uri=first.uri))
        talked = await task
        await sending
        await made.host.until(lambda: made.host.of(LegEnded))
    assert talked.connected
    assert made.router.targets == ("org", "call-1", uri)
    assert not made.host.ends


async def test_a_call_that_is_sent_where_it_may_not_go_ends_with_the_reason() -> None:
    async with rig() as made, Telephone(Setup(), lambda pcm: None) as first:
        made.router.redirected = Refusal(302, message="nobody listed that")
        sending = asyncio.create_task(redirecting(first, "sip:+490900@192.0.2.66"))
        made.phone.dial(OutboundCall("call-1", "org", uri=first.uri))
        await made.host.until(lambda: made.host.ends)
        await sending
    assert made.host.ends == [("call-1", ended_reasons.OUTBOUND_FAILED)]
    assert made.host.messages == ["the far side answered 302 Moved Temporarily; nobody listed that"]


async def test_the_public_address_is_told_to_whom_it_is_of_use() -> None:
    async with rig() as made, answering() as (uri, task):
        made.phone.reached_at("203.0.113.9")
        assert made.phone.port.public_host == "203.0.113.9"
        made.phone.dial(OutboundCall("call-1", "org", uri=uri))
        talked = await task
    # This machine is told its own.
    assert talked.connected
    assert talked.phone.audio.far is not None
    assert talked.phone.audio.far.host == "127.0.0.1"


async def test_a_call_that_is_not_wanted_any_more_stops_ringing() -> None:
    async with rig() as made, answering(ring_s=3.0) as (uri, task):
        made.phone.dial(OutboundCall("call-1", "org", uri=uri))
        await asyncio.sleep(0.3)
        made.host.over("call-1", False)
        talked = await task
    assert talked.phone.ended_by == "far side"
    assert not talked.connected


async def test_a_call_that_rings_in_vain_was_not_answered_by_the_customer() -> None:
    async with rig() as made, answering(ring_s=3.0) as (uri, task):
        made.phone.dial(OutboundCall("call-1", "org", uri=uri, ring_s=0.4))
        await made.host.until(lambda: made.host.ends)
        talked = await task
    assert made.host.ends == [("call-1", ended_reasons.ANSWERED_NOT)]
    assert talked.phone.ended_by == "far side"


async def test_after_the_end_nothing_is_dialled() -> None:
    async with rig() as made:
        await made.phone.close(1.0)
        with pytest.raises(CallRefused):
            made.phone.dial(OutboundCall("call-1", "org", uri="sip:x@127.0.0.1:9"))
