"""Calls of a FreeSWITCH: the event socket is real, and so is what joins it; host, router and media sockets are stubs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aywa.boot.freeswitch import FreeSwitch
from aywa.boot.freeswitch_settings import FreeSwitchSettings
from aywa.ports.calls import CallPlan, CallRefused
from aywa.ports.media import AudioFormat, Hold, Part
from aywa.ports.telephony import (
    Answer,
    Forward,
    Gateway,
    InboundInvite,
    OutboundCall,
    Refusal,
    Transfer,
    TransferNews,
    TransferStatus,
    TransferVerb,
    Trunk,
)
from aywa.testing.freeswitch import FORK_FILES, STREAM, FakeChannel, FakeFreeSwitch

TRUNK = Trunk("t", "org", "PBX", (Gateway("10.0.0.5"),), freeswitch="carrier")
CALL = OutboundCall(
    "11111111-0000-4000-8000-000000000001",
    "org",
    TRUNK,
    "+4930123",
    caller_id="+4989",
    caller_name="Front, desk",
)
PLAN = CallPlan(
    "22222222-0000-4000-8000-000000000002", "org", "inboundPhoneCall", {}, AudioFormat.MULAW, 8000, 0
)
MARK = "aywa-test"


class Leg:
    """A media socket's leg."""

    leg_id = ""

    def __init__(self, house: House) -> None:
        self.house = house
        self.keys: list[str] = []
        self.ended: list[tuple[str, str]] = []

    def dtmf_received(self, digit: str) -> None:
        self.keys.append(digit)

    def disconnected(self, cause: str, detail: str = "") -> None:
        self.ended.append((cause, detail))


@dataclass
class House:
    """Everything around the calls."""

    answer: Answer = PLAN
    fake: FakeFreeSwitch = field(default_factory=FakeFreeSwitch)
    switch: FreeSwitch = field(init=False)
    port: int = 0
    ended: list[tuple[str, str]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    ringing: list[str] = field(default_factory=list)
    invites: list[InboundInvite] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    legs: dict[str, Leg] = field(default_factory=dict)
    controls: dict[str, Any] = field(default_factory=dict)
    news: list[TransferNews] = field(default_factory=list)
    tell_over: Callable[[str, bool], None] = lambda call_id, connected: None

    # --- the host of calls ---

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        self.ended.append((call_id, reason))
        return True

    def rang(self, call_id: str) -> None:
        self.ringing.append(call_id)

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        self.tell_over = tell

    def give_away(self, call_id: str) -> bool:
        self.given.append(call_id)
        return True

    # --- the media sockets ---

    def govern(self, call_id: str, control: Any) -> None:
        self.controls[call_id] = control

    def forget(self, call_id: str) -> None:
        self.controls.pop(call_id, None)

    def leg(self, call_id: str) -> Any:
        return self.legs.get(call_id)

    # --- the media plane ---

    def send(self, message: Any) -> None:
        self.sent.append(message)

    # --- the router ---

    async def route(self, invite: InboundInvite) -> Answer:
        self.invites.append(invite)
        return self.answer

    # --- for the tests ---

    def tell(self, news: TransferNews) -> None:
        self.news.append(news)

    def audio(self, channel: FakeChannel, command: str, arguments: list[str]) -> None:
        """A module connects its media socket at once."""
        call_id = channel.variables.get("aywa_call_id", "")
        if arguments[0] == "start":
            self.legs[call_id] = Leg(self)
        else:
            self.legs.pop(call_id, None)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():  # noqa: ASYNC110 - a FreeSWITCH tells nobody what it has done
                await asyncio.sleep(0.002)

    async def settled(self) -> None:
        """What was begun is carried out."""
        async with asyncio.timeout(5):
            while self.switch._tasks:
                await asyncio.wait(self.switch._tasks)

    async def call(self, number: str = "+4930", **variables: str) -> FakeChannel:
        return await self.fake.call(("127.0.0.1", self.port), number, "+4989", variables)

    async def talking(self) -> tuple[FakeChannel, Leg]:
        """A call that came, and has its audio."""
        channel = await self.call()
        await self.until(lambda: PLAN.call_id in self.legs)
        await self.settled()
        return channel, self.legs[PLAN.call_id]

    async def dialled(self, call: OutboundCall = CALL) -> tuple[FakeChannel, Leg]:
        """A call that went out, was answered, and has its audio."""
        self.switch.dial(call)
        await self.until(lambda: call.call_id in self.legs)
        await self.settled()
        return self.fake.channels[call.call_id], self.legs[call.call_id]


def settings_of(house: House, **more: Any) -> FreeSwitchSettings:
    made = FreeSwitchSettings(
        host="127.0.0.1",
        port=house.fake.port,
        password="ClueCon",
        listen_port=0,
        orgs=("org",),
        patience_s=0.05,
    )
    return replace(made, **more)


@asynccontextmanager
async def running(answer: Answer = PLAN, connect: bool = True, **more: Any) -> AsyncIterator[House]:
    house = House(answer)
    house.fake.audio = house.audio
    usages = more.pop("usages", None)
    if usages is not None:
        house.fake.usages = usages
    await house.fake.start()
    settings = settings_of(house, **({} if connect else {"host": ""}), **more)
    any_house: Any = house
    switch = house.switch = FreeSwitch(
        settings,
        any_house,
        any_house,
        any_house,
        lambda name, call_id: f"ws://127.0.0.1:1/media/{name}/{call_id}/tok",
        MARK,
    )
    switch.client.settings = replace(switch.client.settings, retry_s=0.02)
    try:
        house.port = await switch.open(any_house) or 0
        if connect:
            await house.until(lambda: switch.client.connected and switch.audio.found)
            await house.settled()
        yield house
    finally:
        await switch.close(1.0)
        await house.fake.close()


# --- calls that come ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connect", [True, False])
async def test_a_call_that_comes_is_answered_and_heard(connect: bool) -> None:
    async with running(connect=connect) as house:
        channel, leg = await house.talking()
        assert (house.invites[0].called, house.invites[0].caller, house.invites[0].source) == (
            "+4930",
            "+4989",
            "127.0.0.1",
        )
        assert channel.answer == "answered"
        # What an earlier process left is ended by the next; a caller in the dialplan must not be.
        assert "presence_data" not in channel.variables
        address = f"ws://127.0.0.1:1/media/audio_fork/{PLAN.call_id}/tok?rate=8000&back=stream"
        assert channel.ran[-1] == ("uuid_audio_fork", f"start {address} mono 8k aywa {{}} 1 1 8000")
        house.fake.presses(channel, "5")
        await house.until(lambda: leg.keys == ["5"])
        house.fake.hangs_up(channel)
        await house.until(lambda: leg.ended)
        assert leg.ended == [("closed", "FreeSWITCH hung up with NORMAL_CLEARING")]
        # The leg's own end is the call's: the caller hung up.
        assert house.ended == []
        assert PLAN.call_id not in house.controls


async def test_the_agent_hangs_up() -> None:
    async with running() as house:
        channel, _ = await house.talking()
        house.controls[PLAN.call_id].hang_up("assistant-ended-call")
        house.controls[PLAN.call_id].hang_up("again")
        await channel.over.wait()
        assert channel.cause == "NORMAL_CLEARING"
        assert [command for command, _ in channel.ran].count("uuid_kill") == 1


async def test_the_agent_presses_keys() -> None:
    async with running() as house:
        channel, _ = await house.talking()
        control = house.controls[PLAN.call_id]
        assert control.send_keys("12w#")
        assert not control.send_keys("1; x")
        await house.settled()
        assert ("uuid_send_dtmf", "12w#") in channel.ran


@pytest.mark.parametrize(
    ("status", "cause"), [(404, "UNALLOCATED_NUMBER"), (503, "NORMAL_TEMPORARY_FAILURE"), (480, "NO_ANSWER")]
)
async def test_a_call_for_nobody_is_sent_away(status: int, cause: str) -> None:
    async with running(Refusal(status)) as house:
        channel = await house.call()
        async with asyncio.timeout(5):
            await channel.over.wait()
        assert (channel.cause, channel.answer) == (cause, "ringing")


async def test_a_router_that_breaks_is_a_call_refused() -> None:
    async with running() as house:
        house.answer = None  # type: ignore[assignment]

        async def broken(invite: InboundInvite) -> Answer:
            raise RuntimeError("broken")

        house.route = broken  # type: ignore[method-assign]
        channel = await house.call()
        async with asyncio.timeout(5):
            await channel.over.wait()
        assert channel.cause == "NORMAL_TEMPORARY_FAILURE"


async def test_nobody_answers_here_and_the_caller_goes_on_elsewhere() -> None:
    async with running(Forward(replace(CALL, user="+4940"), "reason")) as house:
        channel = await house.call()
        await house.until(lambda: any(name == "bridge" for name, _ in channel.ran))
        assert ("set", "hangup_after_bridge=true") in channel.ran
        assert ("bridge", "sofia/gateway/carrier/+4940") in channel.ran


async def test_the_caller_gives_up_before_there_is_an_answer() -> None:
    async with running() as house:
        may = asyncio.Event()
        was = house.route

        async def slow(invite: InboundInvite) -> Answer:
            await may.wait()
            return await was(invite)

        house.route = slow  # type: ignore[method-assign]
        channel = await house.call()
        await house.until(lambda: house.switch._lines)
        house.fake.hangs_up(channel, "ORIGINATOR_CANCEL")
        await house.until(lambda: not house.switch._lines)
        may.set()
        await house.until(lambda: house.ended)
        assert house.ended == [(PLAN.call_id, "call.ringing.sip-inbound-caller-hungup-before-call-connect")]


async def test_a_trunk_that_breaks_is_told_as_such() -> None:
    async with running() as house:
        channel, leg = await house.talking()
        house.fake.hangs_up(channel, "NORMAL_TEMPORARY_FAILURE")
        await house.until(lambda: leg.ended)
        assert house.ended == [(PLAN.call_id, "call.in-progress.sip-completed-call")]


# --- calls that go out -------------------------------------------------------------------------------------------------


async def test_a_call_that_goes_out() -> None:
    async with running() as house:
        channel, leg = await house.dialled(
            replace(CALL, digits="42", headers=(("X-Order", "4711"),), ring_s=20)
        )
        command = next(line for line in house.fake.commands if line.startswith("originate"))
        assert command.endswith("sofia/gateway/carrier/+4930123 &park()")
        assert channel.caller_name == "Front desk"
        assert house.ringing == [CALL.call_id]
        wanted = {"originate_timeout": "20", "presence_data": MARK, "sip_h_X-Order": "4711"}
        assert wanted.items() <= channel.variables.items()
        assert ("uuid_send_dtmf", "42") in channel.ran
        house.fake.presses(channel, "1")
        await house.until(lambda: leg.keys)
        house.fake.hangs_up(channel)
        await house.until(lambda: leg.ended)
        assert house.ended == []


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("USER_BUSY", "customer-busy"),
        ("NO_ANSWER", "customer-busy"),
        ("GATEWAY_DOWN", "call.in-progress.error-providerfault-outbound-sip-503-service-unavailable"),
    ],
)
async def test_nobody_answers_a_call_that_goes_out(what: str, reason: str) -> None:
    async with running() as house:
        house.fake.dialled = lambda channel, dial: what
        house.switch.dial(CALL)
        await house.until(lambda: house.ended)
        expected = "customer-did-not-answer" if what == "NO_ANSWER" else reason
        assert house.ended == [(CALL.call_id, expected)]
        await house.settled()
        assert not house.switch._lines


async def test_a_call_that_ends_while_it_rings_is_not_let_ring() -> None:
    async with running() as house:
        house.fake.dialled = lambda channel, dial: "ring"
        house.switch.dial(CALL)
        await house.until(lambda: CALL.call_id in house.fake.channels)
        channel = house.fake.channels[CALL.call_id]
        house.tell_over(CALL.call_id, False)
        async with asyncio.timeout(5):
            await channel.over.wait()
        assert channel.cause == "ORIGINATOR_CANCEL"


async def test_one_that_is_answered_after_it_was_ended_is_ended_then() -> None:
    async with running() as house:
        house.fake.dialled = lambda channel, dial: "ring"
        house.switch.dial(CALL)
        # Before FreeSWITCH has the channel.
        house.tell_over(CALL.call_id, False)
        await house.until(lambda: CALL.call_id in house.fake.channels)
        channel = house.fake.channels[CALL.call_id]
        house.fake.picks_up(channel)
        async with asyncio.timeout(5):
            await channel.over.wait()
        assert CALL.call_id not in house.legs


async def test_who_may_not_and_what_cannot_be_called() -> None:
    async with running() as house:
        with pytest.raises(CallRefused, match="RUNTIME_FREESWITCH_ORGS"):
            house.switch.dial(replace(CALL, org_id="other"))
        with pytest.raises(CallRefused, match="cannot be sent"):
            house.switch.dial(replace(CALL, user="+49,sofia/x"))
        assert not any(line.startswith("originate") for line in house.fake.commands)
    with pytest.raises(CallRefused, match=r"closed by us|connected"):
        house.switch.dial(CALL)


# --- audio -------------------------------------------------------------------------------------------------------------


async def test_without_a_module_there_is_no_call() -> None:
    async with running(connect=False, usages={}) as house:
        channel = await house.call()
        await house.until(lambda: house.ended)
        async with asyncio.timeout(5):
            await channel.over.wait()
        assert house.ended == [(PLAN.call_id, "call.in-progress.error-sip-inbound-call-failed-to-connect")]


@pytest.mark.parametrize(
    ("usages", "audio", "command"),
    [
        ({"uuid_audio_stream": STREAM}, "auto", "uuid_audio_stream"),
        ({"uuid_audio_stream": STREAM, "uuid_audio_fork": FORK_FILES}, "auto", "uuid_audio_stream"),
        ({"uuid_audio_fork": FORK_FILES}, "auto", "uuid_audio_fork"),
        ({"uuid_audio_stream": STREAM, "uuid_audio_fork": FORK_FILES}, "audio_fork", "uuid_audio_fork"),
    ],
)
async def test_the_module_that_is_there_and_wanted(usages: dict[str, str], audio: str, command: str) -> None:
    async with running(usages=usages, audio=audio) as house:
        channel, _ = await house.talking()
        name, argument = next(
            (name, argument) for name, argument in channel.ran if name.startswith("uuid_audio")
        )
        assert name == command
        assert ("back=files" in argument) == (command == "uuid_audio_fork")
        if command == "uuid_audio_stream":
            assert channel.variables["STREAM_PLAYBACK"] == "true"


async def test_a_module_that_writes_files_has_them_played() -> None:
    async with running(usages={"uuid_audio_fork": FORK_FILES}) as house:
        channel, _ = await house.talking()
        house.fake.tells(channel, "mod_audio_fork::play_audio", '{"file": "/tmp/a_1.r8"}')
        house.fake.tells(channel, "mod_audio_fork::kill_audio", "")
        await house.until(lambda: ("uuid_break", "all") in channel.ran)
        assert ("uuid_broadcast", "/tmp/a_1.r8 aleg") in channel.ran


async def test_audio_that_does_not_get_through_ends_the_call() -> None:
    async with running() as house:
        house.fake.audio = lambda channel, command, arguments: None
        channel = await house.call()
        await house.until(lambda: any(name == "uuid_audio_fork" for name, _ in channel.ran))
        house.fake.tells(channel, "mod_audio_fork::connect_failed", '{"reason": "refused"}')
        await house.until(lambda: house.ended)
        async with asyncio.timeout(5):
            await channel.over.wait()


# --- passed on ---------------------------------------------------------------------------------------------------------


def onward(call_id: str, verb: TransferVerb) -> Transfer:
    return Transfer(replace(CALL, call_id=call_id, user="+4940"), verb)


async def test_a_caller_is_handed_over_at_once() -> None:
    async with running() as house:
        channel, _ = await house.talking()
        assert house.switch.has(PLAN.call_id)
        house.switch.transfer(onward(PLAN.call_id, TransferVerb.REFER), house.tell)
        await house.until(lambda: house.news)
        assert house.news == [TransferNews(TransferStatus.COMPLETED)]
        assert house.given == [PLAN.call_id]
        await house.settled()
        steps = "'m:^:set:hangup_after_bridge=true^bridge:sofia/gateway/carrier/+4940' inline"
        assert ("uuid_transfer", steps) in channel.ran
        assert ("uuid_audio_fork", "stop aywa") in channel.ran
        # Whoever comes after this process leaves it alone.
        assert "presence_data" not in channel.variables
        house.fake.hangs_up(channel)
        await house.until(lambda: not house.switch._lines)
        assert house.ended == []


async def test_a_caller_waits_until_somebody_answers() -> None:
    async with running() as house:
        channel, _ = await house.talking()
        house.fake.dialled = lambda other, dial: "ring"
        house.switch.transfer(onward(PLAN.call_id, TransferVerb.DIAL), house.tell)
        assert isinstance(house.sent[-1], Hold)
        with pytest.raises(CallRefused, match="being transferred"):
            house.switch.transfer(onward(PLAN.call_id, TransferVerb.DIAL), house.tell)
        await house.until(lambda: len(house.fake.channels) == 2)
        callee = next(one for one in house.fake.channels.values() if one is not channel)
        assert not house.news
        house.fake.picks_up(callee)
        await house.until(lambda: house.news)
        assert house.news == [TransferNews(TransferStatus.CONNECTED, 200)]
        assert (channel.other, house.given) == (callee.uuid, [PLAN.call_id])
        house.fake.hangs_up(callee)
        await house.until(lambda: len(house.news) == 2)
        assert house.news[1].status is TransferStatus.COMPLETED
        async with asyncio.timeout(5):
            await channel.over.wait()


@pytest.mark.parametrize(
    ("cause", "status"), [("USER_BUSY", TransferStatus.BUSY), ("UNALLOCATED_NUMBER", TransferStatus.FAILED)]
)
async def test_nobody_takes_him_and_the_agent_goes_on(cause: str, status: TransferStatus) -> None:
    async with running() as house:
        channel, leg = await house.talking()
        house.fake.dialled = lambda other, dial: cause
        house.switch.transfer(onward(PLAN.call_id, TransferVerb.DIAL), house.tell)
        await house.until(lambda: house.news)
        assert house.news[0].status is status
        assert isinstance(house.sent[-1], Part)
        assert not house.given
        house.fake.presses(channel, "3")
        await house.until(lambda: leg.keys)


async def test_the_caller_hangs_up_while_he_waits() -> None:
    async with running() as house:
        channel, leg = await house.talking()
        house.fake.dialled = lambda other, dial: "ring"
        house.switch.transfer(onward(PLAN.call_id, TransferVerb.DIAL), house.tell)
        await house.until(lambda: len(house.fake.channels) == 2)
        callee = next(one for one in house.fake.channels.values() if one is not channel)
        house.fake.hangs_up(channel)
        await house.until(lambda: house.news)
        assert house.news[0].status is TransferStatus.CANCELLED
        async with asyncio.timeout(5):
            await callee.over.wait()
        assert leg.ended


async def test_a_call_that_is_not_here_is_not_passed_on() -> None:
    async with running() as house:
        assert not house.switch.has("other")
        with pytest.raises(CallRefused, match="not one of FreeSWITCH's"):
            house.switch.transfer(onward("other", TransferVerb.REFER), house.tell)


# --- connections come and go ---------------------------------------------------------------------------------------------


async def test_a_call_outlives_the_event_socket() -> None:
    async with running() as house:
        channel, leg = await house.dialled()
        await house.fake.cut()
        await house.until(lambda: house.switch.client.connected)
        house.fake.presses(channel, "9")
        await house.until(lambda: leg.keys == ["9"])
        assert house.ended == []
        house.fake.hangs_up(channel)
        await house.until(lambda: leg.ended)


async def test_what_happened_meanwhile_is_asked() -> None:
    async with running() as house:
        _, leg = await house.dialled()
        house.fake.dialled = lambda channel, dial: "ring"
        ringing = replace(CALL, call_id="33333333-0000-4000-8000-000000000003")
        house.switch.dial(ringing)
        await house.until(lambda: ringing.call_id in house.fake.channels)
        await house.fake.cut()
        # Nobody is told of these.
        house.fake.hangs_up(house.fake.channels[CALL.call_id])
        house.fake.channels[ringing.call_id].answer = "answered"
        await house.until(lambda: leg.ended)
        await house.until(lambda: ringing.call_id in house.legs)
        assert house.ended == [(CALL.call_id, "sip-outbound-carrier-released-call")]


async def test_a_freeswitch_that_was_started_anew_has_none_of_the_calls() -> None:
    async with running() as house:
        _, leg = await house.dialled()
        port = house.fake.port
        await house.fake.close()
        await house.fake.start(port)
        await house.until(lambda: leg.ended)
        assert house.ended == [(CALL.call_id, "sip-outbound-carrier-released-call")]
        await house.settled()
        again, _ = await house.dialled(replace(CALL, call_id="44444444-0000-4000-8000-000000000004"))
        assert again.answer == "answered"


async def test_one_that_only_rang_is_given_up_in_time() -> None:
    async with running() as house:
        house.fake.dialled = lambda channel, dial: "ring"
        house.switch.dial(CALL)
        await house.until(lambda: CALL.call_id in house.fake.channels)
        await house.fake.close()
        await house.until(lambda: house.ended)
        assert house.ended == [(CALL.call_id, "call.in-progress.error-sip-outbound-call-failed-to-connect")]


async def test_a_call_that_came_goes_on_without_its_own_connection() -> None:
    async with running() as house:
        channel, leg = await house.talking()
        await house.fake.cut()
        await house.until(lambda: house.switch.client.connected)
        await house.settled()
        house.fake.presses(channel, "8")
        await house.until(lambda: leg.keys == ["8"])
        house.controls[PLAN.call_id].hang_up("done")
        async with asyncio.timeout(5):
            await channel.over.wait()


async def test_a_caller_who_went_on_in_the_dialplan_is_left_to_it() -> None:
    async with running() as house:
        channel, _ = await house.talking()
        channel.variables["current_application"] = "voicemail"
        await house.fake.cut()
        await house.until(lambda: house.ended)
        assert house.ended == [(PLAN.call_id, "call.in-progress.sip-completed-call")]
        house.tell_over(PLAN.call_id, True)
        await house.settled()
        assert ("uuid_audio_fork", "stop aywa") in channel.ran
        assert not channel.over.is_set()
    # Nor does the end of the runtime end him.
    assert not channel.over.is_set()


async def test_without_a_connection_of_ours_its_own_is_all_there_is() -> None:
    async with running(connect=False) as house:
        _, leg = await house.talking()
        await house.fake.cut()
        await house.until(lambda: leg.ended)
        assert house.ended == [(PLAN.call_id, "call.in-progress.sip-completed-call")]


@pytest.mark.parametrize("orphans", ["hangup", "100@public"])
async def test_what_an_earlier_process_left_is_seen_to(orphans: str) -> None:
    async with running(orphans=orphans) as house:
        channel, _ = await house.talking()
        left = FakeChannel("55555555-0000-4000-8000-000000000005", {"presence_data": MARK})
        other = FakeChannel("66666666-0000-4000-8000-000000000006", {"presence_data": f"{MARK}x"})
        house.fake.channels |= {left.uuid: left, other.uuid: other}
        await house.switch._end_orphans()
        if orphans == "hangup":
            assert left.cause == "NORMAL_TEMPORARY_FAILURE"
        else:
            assert ("uuid_transfer", "100 XML public") in left.ran
        assert not other.ran
        assert channel.uuid in house.fake.channels
