"""Scanners learn nothing and are soon not heard any more, while whoever may call goes on calling."""

from __future__ import annotations

import asyncio
import random
from statistics import median

import pytest

from aywa.core.sip.endpoint import Limits
from aywa.core.sip.guard import BURST, LIMIT, Fault
from aywa.testing.script import Pause
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone
from tests.hostile.conftest import PASSWORD, well_answered
from tests.hostile.scanner import GIVES_UP, PATIENCE_S, Scanner, words
from tests.hostile.stranger import address, stranger
from tests.peers.runtime import PhoneRuntime

# Names that may exist on a telephone system; of these only `demo` does on ours.
NAMES = ("demo", "100", "1000", "admin", "test", "nobody-has-this-name")
GUESSES = ["100", "1234", "demo", "demo123", "password", "secret", "letmein", "0000"]
DISGUISE = "Telephone 1.0"
WITHIN_S = 3.0
REFLECTED_SHARE = Limits().reflected_share


def banned(runtime: PhoneRuntime, host: str) -> bool:
    return any("sip_banned" in line and host in line for line in runtime.dev.log.splitlines())


async def test_who_calls_itself_a_scanner_hears_nothing_at_all(besieged: PhoneRuntime) -> None:
    async with stranger(besieged.place) as line:
        found = await Scanner(line).sweep(3)
        later = await Scanner(line, DISGUISE).sweep(1)
        assert found.statuses == [0, 0, 0]
        # Not under another name either.
        assert later.statuses == [0]
        assert line.heard_bytes == 0
        assert banned(besieged, line.own[0])


async def test_a_sweep_is_answered_in_the_same_words_and_not_for_long(besieged: PhoneRuntime) -> None:
    loop = asyncio.get_running_loop()
    async with stranger(besieged.place) as line:
        began_s = loop.time()
        found = await Scanner(line, DISGUISE).sweep(10 * int(BURST))
        assert set(found.statuses[:-GIVES_UP]) == {200}
        assert found.statuses[-GIVES_UP:] == [0] * GIVES_UP
        assert loop.time() - began_s < WITHIN_S + GIVES_UP * PATIENCE_S
        assert line.heard_bytes <= REFLECTED_SHARE * line.sent_bytes
        assert banned(besieged, line.own[0])


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "SUBSCRIBE", "MESSAGE"])
async def test_a_name_that_exists_is_answered_like_one_that_does_not(
    method: str, besieged: PhoneRuntime
) -> None:
    async with stranger(besieged.place) as line:
        found = await Scanner(line, DISGUISE).names(method, NAMES)
        told = {
            words(answer, name)
            for name, answer in zip(NAMES, found.answers, strict=True)
            if answer is not None
        }
    assert None not in found.answers
    assert len(told) == 1, told
    assert set(found.statuses) == {401}


async def test_it_takes_no_longer_either(besieged: PhoneRuntime) -> None:
    took: dict[str, list[float]] = {"demo": [], "nobody": []}
    for _ in range(12):
        # Three guesses each, of an address that is not banned for them; in an order that says nothing.
        for name in random.sample(sorted(took), 2):
            async with stranger(besieged.place) as line:
                found = await Scanner(line, DISGUISE).passwords(name, GUESSES[:3])
            assert set(found.statuses) == {401}
            took[name] += found.took_s
    demo, nobody = (median(each) for each in took.values())
    # Far less than any network hides; a look-up that one of them is spared would be seen in a process as small as this.
    assert abs(demo - nobody) < 0.002, took


async def test_guessing_a_password_ends_before_the_right_one_comes(besieged: PhoneRuntime) -> None:
    loop = asyncio.get_running_loop()
    async with stranger(besieged.place) as line:
        calling = asyncio.create_task(well_answered(besieged, talk_s=2.0))
        began_s = loop.time()
        found = await Scanner(line, DISGUISE).passwords("demo", [*GUESSES, PASSWORD])
        assert 200 not in found.statuses
        assert 0 in found.statuses
        most = int(LIMIT / Fault.WRONG_PASSWORD.weight)
        assert found.statuses.index(0) <= most
        assert loop.time() - began_s < WITHIN_S
        assert banned(besieged, line.own[0])
        # With the right password, but from there, it is too late; and whoever has it elsewhere comes in.
        late = await Scanner(line, DISGUISE).passwords("demo", [PASSWORD])
        assert late.answers == []
        await calling
    setup = Setup(host=address(), username="demo", password=PASSWORD)
    talked = await Softphone(setup).call(Dial(besieged.uri), [Pause(0.5)])
    assert talked.connected


async def test_a_forged_scan_does_not_end_a_call_in_its_name(besieged: PhoneRuntime) -> None:
    host = address()
    setup = Setup(host=host, username="demo", password=PASSWORD)
    async with stranger(besieged.place, host) as forger:
        calling = asyncio.create_task(Softphone(setup).call(Dial(besieged.uri), [Pause(3.0)]))
        await asyncio.sleep(1.0)
        await Scanner(forger).sweep(2)
        assert banned(besieged, host)
        talked = await calling
    assert talked.connected
    assert talked.phone.ended_by == "caller"
    # Its BYE was heard.
    assert any(entry.detail == "200 to BYE" for entry in talked.phone.log.entries)
