"""Who listens to a leg: both sides at their time, at any rate; silence where nothing was; none of it matters to the leg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from aywa.core.audio.frame import FRAME_S, Shorts, shorts
from aywa.media.tap import AHEAD_S, DELAY_S
from aywa.ports.media import (
    TAP_HZ,
    AudioFormat,
    CloseLeg,
    Finish,
    GiveBack,
    HandOver,
    Hold,
    Join,
    LegPlan,
    Play,
    TakeOver,
)
from tests.media.rig import Call, FarSide, Rig, ramp, rig, square

pytestmark = pytest.mark.virtual_time

FRAME_BYTES = TAP_HZ // 50 * 4


class Ears:
    """A sink that keeps what it is given. fail: raises instead."""

    def __init__(self, fail: bool = False) -> None:
        self.frames: list[bytes] = []
        self.fail = fail

    def __call__(self, pcm: bytes) -> None:
        if self.fail:
            raise RuntimeError("deaf")
        self.frames.append(pcm)

    @property
    def sides(self) -> tuple[Shorts, Shorts]:
        both = shorts(b"".join(self.frames)).reshape(-1, 2)
        return both[:, 0], both[:, 1]


def loud(side: Shorts, from_s: float, to_s: float) -> float:
    piece = side[round(from_s * TAP_HZ) : round(to_s * TAP_HZ)].astype(float)
    return float(np.abs(piece).mean()) if piece.size else 0.0


def tapped(at: Rig, call: Call, *, fail: bool = False) -> Ears:
    ears = Ears(fail)
    at.plane.tap(call.plan.leg_id, ears)
    return ears


async def test_both_sides_are_heard_at_their_time_in_frames_of_20_ms() -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        await asyncio.sleep(0.5)
        at.plane.send(Play("leg", 1, square(6000, TAP_HZ // 2)))
        at.plane.send(Finish("leg", 1))
        await call.speak(0.3)
        await asyncio.sleep(1.0)
        party, agent = ears.sides
        assert {len(frame) for frame in ears.frames} == {FRAME_BYTES}
        assert len(ears.frames) == pytest.approx((1.8 - DELAY_S) / FRAME_S, abs=2)
        assert loud(party, 0.0, 0.45) == loud(agent, 0.0, 0.45) == 0.0
        assert loud(party, 0.55, 0.75) > 7000
        assert loud(party, 0.9, 1.5) == 0.0
        assert loud(agent, 0.55, 0.9) > 5500
        assert loud(agent, 1.15, 1.6) == 0.0


@pytest.mark.parametrize(("audio", "rate_hz"), [(AudioFormat.MULAW, 8000), (AudioFormat.PCM16, 24_000)])
async def test_other_rates_are_heard_at_the_same(audio: AudioFormat, rate_hz: int) -> None:
    async with rig() as at:
        call = at.call("leg", audio, rate_hz)
        ears = tapped(at, call)
        at.plane.send(Play("leg", 1, square(6000, rate_hz // 2)))
        await call.speak(0.4)
        await asyncio.sleep(0.3)
        party, agent = ears.sides
        assert {len(frame) for frame in ears.frames} == {FRAME_BYTES}
        assert loud(party, 0.1, 0.35) > 2000
        assert loud(agent, 0.1, 0.45) > 2000


async def test_not_a_sample_is_lost_or_moved() -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        given = ramp(TAP_HZ)
        at.plane.send(Play("leg", 1, given))
        await asyncio.sleep(1.5)
        heard = ears.sides[1]
        assert heard[heard > 0].astype("<i2").tobytes() == given


async def test_jitter_moves_nothing_and_a_gap_is_silence() -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        for number, wait_s in enumerate((0.02, 0.02, 0.05, 0.0, 0.01, 0.02, 0.5, 0.02)):
            await asyncio.sleep(wait_s)
            call.leg.audio_received(ramp(320, number * 320))
        await asyncio.sleep(0.4)
        party = ears.sides[0]
        said = party[party > 0]
        assert said.tolist() == list(range(1, 8 * 320 + 1))
        first = party.tolist().index(6 * 320 + 1)
        before = party.tolist().index(6 * 320)
        assert (first - before) / TAP_HZ == pytest.approx(0.5, abs=0.05)


async def test_what_a_person_takes_back_is_not_heard_by_listeners_either() -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        tap = call.leg._tap
        assert tap is not None
        tap.sent(square(6000, 3200), at.loop.time() + 0.1)
        tap.unheard(at.loop.time() + 0.2)
        tap.unheard(at.loop.time() + 9.0)
        await asyncio.sleep(0.6)
        agent = ears.sides[1]
        assert loud(agent, 0.1, 0.2) == 6000
        assert loud(agent, 0.21, 0.4) == 0.0


async def test_what_is_far_ahead_or_late_is_left_out_and_memory_is_bounded() -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        tap = call.leg._tap
        assert tap is not None
        now = at.loop.time()
        tap.sent(square(6000, round((AHEAD_S + 3) * TAP_HZ)), now)
        tap.sent(square(6000, 320), now + AHEAD_S + 60)
        await asyncio.sleep(1.0)
        tap.sent(square(9000, 320), now)
        await asyncio.sleep(AHEAD_S + 3)
        agent = ears.sides[1]
        assert loud(agent, 0.0, AHEAD_S) == 6000
        assert loud(agent, AHEAD_S + DELAY_S + 0.01, 9.0) == 0.0


async def test_a_loop_that_stood_still_leaves_out_what_it_missed() -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        tap = call.leg._tap
        assert tap is not None
        await asyncio.sleep(0.3)
        before = len(ears.frames)
        tap._next_s -= 5.0
        await asyncio.sleep(0.1)
        assert len(ears.frames) - before < 10


async def test_what_would_leave_by_itself_leaves_one_by_one_while_somebody_listens_or_speaks() -> None:
    class Ahead(FarSide):
        """Frames that are there before their time it would send by itself."""

        begun = 0

        def begin(self, frames: Sequence[bytes], due_s: float, over: Callable[[], None]) -> bool:
            self.begun += 1
            return False

        def left(self) -> int:
            return 0

        def halt(self) -> int:
            return 0

    async with rig() as at:
        plan = LegPlan("ahead", AudioFormat.PCM16, 16_000, at.loop.time(), lambda event: None, paced=True)
        far = Ahead(at.loop.time)
        leg = at.plane.add_leg(plan, far)
        ears = Ears()
        for message in (TakeOver("ahead"), GiveBack("ahead")):
            at.plane.send(message)
        assert not leg.shared
        at.plane.tap("ahead", ears)
        assert leg.shared
        at.plane.send(Play("ahead", 1, square(6000, TAP_HZ)))
        await asyncio.sleep(0.6)
        assert (far.begun, loud(ears.sides[1], 0.2, 0.4)) == (0, 6000)
        at.plane.tap("ahead", None)
        await asyncio.sleep(0.3)
        assert far.begun
        at.plane.send(TakeOver("ahead"))
        assert leg.shared
        leg.stretch_over()


async def test_a_listener_that_fails_is_given_nothing_more_and_the_leg_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call, fail=True)
        await call.speak(0.5)
        ears.fail = False
        await call.speak(0.2)
        assert ears.frames == []
        assert "leg leg failed" in caplog.text
        assert "LegEnded" not in call.names()


async def test_another_listener_takes_the_place_and_none_ends_it() -> None:
    async with rig() as at:
        call = at.call()
        first = tapped(at, call)
        await call.speak(0.3)
        second = tapped(at, call)
        count = len(first.frames)
        await call.speak(0.3)
        assert len(first.frames) == count
        at.plane.tap("leg", None)
        count = len(second.frames)
        assert count
        await call.speak(0.3)
        assert len(second.frames) == count
        at.plane.tap("nobody", second)


@pytest.mark.parametrize("ending", ["closed", "given", "told"])
async def test_it_ends_with_the_brains_leg(ending: str) -> None:
    async with rig() as at:
        call = at.call()
        ears = tapped(at, call)
        await call.speak(0.2)
        if ending == "closed":
            call.leg.disconnected("closed")
        elif ending == "given":
            at.plane.send(HandOver("leg", "other"))
        else:
            at.plane.send(CloseLeg("leg", "over"))
            await asyncio.sleep(0.1)
        count = len(ears.frames)
        await asyncio.sleep(0.5)
        assert len(ears.frames) == count
        call.leg.tap(ears)
        await asyncio.sleep(0.5)
        assert len(ears.frames) == count


async def test_a_leg_that_is_joined_and_one_on_hold_are_heard_as_they_are() -> None:
    async with rig() as at:
        one, two = at.call("one"), at.call("two")
        ears = tapped(at, one)
        at.plane.send(Join("one", "two"))
        await two.speak(0.6)
        await asyncio.sleep(0.3)
        assert loud(ears.sides[1], 0.3, 0.6) > 5000
        at.plane.send(Hold("one", square(3000, TAP_HZ), TAP_HZ))
        heard = len(ears.sides[1]) / TAP_HZ
        await asyncio.sleep(0.8)
        assert 2000 < loud(ears.sides[1], heard + 0.3, heard + 0.6) < 4000
