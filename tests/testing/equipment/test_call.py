"""A caller behind equipment against a peer whose delays are known, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aywa.testing.equipment import check, report
from aywa.testing.equipment.audiosocket import AudioSocketEquipment
from aywa.testing.equipment.base import Facts
from aywa.testing.equipment.call import Called, EquipmentCaller, Faults
from aywa.testing.equipment.check import Finding
from aywa.testing.equipment.ear import EarSettings
from aywa.testing.equipment.known import facts_for
from aywa.testing.equipment.line import LineRefused, open_line, with_query
from aywa.testing.equipment.twilio import TwilioEquipment
from aywa.testing.script import BargeIn, Keys, Pause, Say, Step, WaitReply
from tests.testing.equipment.peer import Peer, TcpPeer, serving, serving_tcp, tone

pytestmark = pytest.mark.virtual_time


async def place(peer: Peer, *steps: Step, ear: EarSettings | None = None, **options: Any) -> Called:
    equipment = TwilioEquipment(facts_for("twilio", Facts(secret="s")), ear=ear)
    async with serving(peer):
        return await EquipmentCaller(equipment, peer.url, **options).call(steps)


async def test_a_call_is_spoken_heard_and_ended() -> None:
    peer = Peer()
    steps: list[Step] = []
    called = await place(
        peer,
        WaitReply(),
        Say(tone(1.0), "q"),
        WaitReply(),
        Keys("5#"),
        on_step=steps.append,
        headers={"X-More": "1"},
    )
    measures = report.measure(called)
    # 25 silent frames are waited for, and the 26th lets the reply out.
    assert measures.replies_ms[-1] == pytest.approx(26 * 20 - 20, abs=0.5)
    assert (measures.gaps_ms, measures.violations, measures.clears) == ((), (), 0)
    assert measures.marks == len(peer.marks) == (100 + 40) // 5
    assert measures.marks_open == 0
    assert measures.played_ms == pytest.approx(2800)
    assert measures.ahead_ms == pytest.approx(120, abs=0.5)
    assert peer.keys == ["5", "#"]
    assert (called.ended_by, peer.over, called.close_code) == ("caller", "stop", 1000)
    assert called.closed_after_s is not None
    assert [type(step) for step in steps] == [WaitReply, Say, WaitReply, Keys]
    assert peer.headers["X-More"] == "1"
    assert "X-Twilio-Signature" in peer.headers


async def test_marks_are_answered_when_they_are_true() -> None:
    peer = Peer(greeting=50)
    called = await place(peer, WaitReply(), ear=EarSettings(delay_s=0.1))
    begun_s = called.record.received[0].at_s
    # The first five frames, and then five more each time: after the delay, by the ear's clock.
    assert [at_s - begun_s for at_s, _ in peer.marks] == pytest.approx(
        [0.1 * n for n in range(1, 11)], abs=0.002
    )


async def test_a_barge_in_is_cleared_and_what_was_cleared_is_not_heard() -> None:
    called = await place(Peer(greeting=200), BargeIn(tone(0.6), 1.0, "barge"), WaitReply())
    measures = report.measure(called)
    (stop,) = measures.stops
    # Cleared with the fifth voiced frame: 80 ms after the first.
    assert stop.clear_ms == pytest.approx(80, abs=1)
    assert stop.stop_ms == pytest.approx(80, abs=21)
    assert measures.cleared_ms > 60
    assert measures.played_ms + measures.cleared_ms == pytest.approx(len(called.arrivals) * 20, abs=0.5)


async def test_a_runtime_that_hangs_up_ends_the_script() -> None:
    called = await place(Peer(hang_up_after=40), Pause(60))
    assert called.ended_by == "runtime"
    assert called.record.closed_s - called.record.opened_s == pytest.approx(0.8, abs=0.1)


async def test_a_call_that_is_refused_is_told_with_its_status() -> None:
    called = await place(Peer(refuse=404), Pause(1))
    assert called.refused is not None
    assert called.refused.status == 404
    (door,) = check.findings(called, None)
    assert (door.what, door.good) == ("door", False)
    assert "--assistant" in door.mend
    assert report.as_json(called, None)["connected"] is False


async def test_nobody_there() -> None:
    called = await EquipmentCaller(TwilioEquipment(), "ws://127.0.0.1:9/media/x").call([Pause(1)])
    assert called.refused is not None
    assert called.refused.status == 0
    with pytest.raises(LineRefused):
        await open_line("tcp://127.0.0.1:9")
    with pytest.raises(LineRefused, match="is no ws://"):
        await open_line("http://127.0.0.1:9")


async def test_faults_swap_hold_back_and_keep_quiet() -> None:
    swapped = Peer(greeting=0)
    await place(swapped, Pause(0.4), faults=Faults(swap_every=4))
    assert swapped.chunks[:10] == [1, 2, 3, 5, 4, 6, 7, 8, 10, 9]
    bursts = Peer(greeting=0)
    await place(bursts, Pause(0.4), faults=Faults(burst_frames=10))
    assert bursts.chunks == list(range(1, 21))
    mute = Peer(greeting=50)
    called = await place(mute, Pause(2), faults=Faults(mute=True))
    assert mute.marks == []
    assert report.measure(called).marks == 10


async def test_hanging_up_from_outside() -> None:
    equipment = TwilioEquipment()
    async with serving(Peer(greeting=0)) as peer:
        caller = EquipmentCaller(equipment, peer.url)
        caller._on_step = lambda step: caller.hang_up()
        called = await caller.call([Pause(60)])
    assert called.ended_by == "caller"
    assert len(called.record.sent) <= 2


async def test_bytes_go_over_tcp_both_ways() -> None:
    equipment = AudioSocketEquipment(facts_for("audiosocket"))
    async with serving_tcp(TcpPeer()) as peer:
        called = await EquipmentCaller(equipment, peer.url).call([Pause(0.5), Keys("#"), Pause(5)])
    assert called.ended_by == "runtime"
    assert equipment.hung_up
    assert peer.ended
    measures = report.measure(called)
    assert (measures.violations, measures.hung_up) == ((), True)
    assert measures.played_ms >= 400
    stop = next(check._marks(equipment, measures))
    assert stop.good is None


async def test_a_half_closed_and_a_broken_line() -> None:
    peer = TcpPeer()
    async with serving_tcp(peer):
        line = await open_line(peer.url)
        line.stop_sending()
        assert [message async for message in line.messages()] == []
        await line.close()
        cut = await open_line(peer.url)
        await cut.cut()
    assert peer.ended


async def test_a_web_socket_can_be_cut_and_half_closed() -> None:
    async with serving(Peer()) as peer:
        for how in ("stop_sending", "cut"):
            line = await open_line(peer.url)
            if how == "cut":
                await line.cut()
            else:
                line.stop_sending()
                assert [message async for message in line.messages()] == []
            await line.close()
            await line.send("nobody hears it")


def test_more_in_a_query() -> None:
    assert with_query("ws://h/p?a=1", {"b": "2 3"}) == "ws://h/p?a=1&b=2+3"
    assert with_query("ws://h/p", {}) == "ws://h/p"


# --- what the runtime says of itself ------------------------------------------------------------------------------


def entry(kind: str, position: int = 0) -> dict[str, Any]:
    return {"kind": kind, "details": {"position": position}}


@pytest.mark.parametrize(
    ("entries", "heard"),
    [
        ("", 0),
        ("started 0 finished 800", 800),
        ("started 0 dropped 300", 300),
        ("started 0 paused 300 resumed 250 finished 800", 850),
        ("started 0 paused 300 dropped 300", 300),
        ("started 0 starved 300 resumed 300 finished 900", 900),
        ("started 0 dropped 100 started 0 finished 200", 300),
    ],
)
def test_what_the_runtime_says_was_heard_is_added_up(entries: str, heard: int) -> None:
    words = entries.split()
    timeline = [entry(f"playout-{what}", int(at)) for what, at in zip(words[::2], words[1::2], strict=True)]
    assert report.told_samples([{"kind": "user", "details": None}, *timeline]) == heard


# --- the verdict ----------------------------------------------------------------------------------------------------


async def checked(
    peer: Peer, timeline: Sequence[dict[str, Any]] | None = None
) -> tuple[Called, dict[str, Finding]]:
    equipment = TwilioEquipment(facts_for("twilio"))
    async with serving(peer):
        called = await EquipmentCaller(equipment, peer.url).call(check.script(tone(1.5), equipment))
    found = list(check.findings(called, report.measure(called), timeline))
    return called, {finding.what: finding for finding in found}


async def test_a_good_runtime_passes() -> None:
    called, found = await checked(Peer(greeting=300))
    bad = [finding for finding in found.values() if finding.good is False]
    assert bad == []
    assert set(found) == {
        "door",
        "protocol",
        "greeting",
        "reply",
        "marks",
        "barge-in",
        "pace",
        "position",
        "end",
    }
    assert found["position"].good is None
    told = report.as_json(called, report.measure(called))
    assert told["violations"] == []
    assert told["barge_ins"][0]["clear_ms"] == pytest.approx(80, abs=1)


async def test_the_position_told_is_held_against_the_ear() -> None:
    called, _ = await checked(Peer(greeting=300))
    truth = called.equipment.ear.played_samples(called.record.closed_s)
    for told, good in ((truth, True), (truth + 8 * 25, False)):
        timeline = [entry("playout-started"), entry("playout-finished", told), entry("dtmf-received")]
        found = {one.what: one for one in check.findings(called, report.measure(called), timeline)}
        assert found["position"].good is good
        assert found["keys"].good is True


async def test_what_the_equipment_itself_was_late_by_is_not_the_runtimes() -> None:
    called, _ = await checked(Peer(greeting=300))
    truth = called.equipment.ear.played_samples(called.record.closed_s)
    timeline = [entry("playout-started"), entry("playout-finished", truth + 8 * 25)]
    for late_ms, position, pace in ((2.0, False, False), (15.0, None, True)):
        measures = replace(report.measure(called), late_ms=late_ms, gaps_ms=(30.0,))
        found = {one.what: one for one in check.findings(called, measures, timeline)}
        assert found["position"].good is position
        assert found["pace"].good is pace


async def test_a_runtime_that_does_not_stop_does_not_pass() -> None:
    _, found = await checked(Peer(greeting=300, stop=None))
    assert found["barge-in"].good is False


async def test_a_runtime_that_says_nothing_does_not_pass() -> None:
    _, found = await checked(Peer(greeting=0, reply=0))
    assert found["sound"].good is False
    assert found["marks"].good is False
    assert found["barge-in"].good is None


async def test_gaps_losses_and_violations_do_not_pass() -> None:
    called, _ = await checked(Peer(greeting=300))
    measures = report.measure(called)
    for worse, what in (
        (replace(measures, gaps_ms=(40.0,)), "pace"),
        (replace(measures, dropped_ms=20.0), "pace"),
        (replace(measures, violations=("a", "b", "c", "d", "a")), "protocol"),
        (replace(measures, replies_ms=(None,)), "reply"),
    ):
        found = {one.what: one for one in check.findings(called, worse)}
        assert found[what].good is False


def test_the_tone_of_these_tests_is_heard() -> None:
    assert np.max(np.abs(np.frombuffer(tone(0.02), "<i2"))) > 7000
