"""The page's sound: what the microphone takes reaches the runtime, what the runtime says is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, Page, expect

from aywa.testing.sound import Floats, Sound, read_wav, resample
from tests.page.browser import EARS, PLAIN_MICROPHONE, visit
from tests.page.runtime import FRAME_BYTES, Call, FakeRuntime
from tests.page.sounds import babble, likeness

WIRE_HZ = 16_000
TO_THE_WIRE = ((48_000, 16_000), (44_100, 16_000), (96_000, 16_000))
HEARD_AT_LEAST = "seconds => window.witness.heard.length >= seconds * window.witness.rate"


@pytest.fixture
def spoken(microphone: Path) -> Sound:
    return read_wav(microphone.read_bytes())


async def start(page: Page, runtime: FakeRuntime) -> Call:
    await page.get_by_role("button", name="Start").click()
    return await runtime.call()


async def hang_up(page: Page) -> None:
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "ended")


async def heard_by(page: Page) -> Floats:
    heard = await page.evaluate("window.witness.heard")
    rate = await page.evaluate("window.witness.rate")
    return resample(np.asarray(heard, np.float32), rate, WIRE_HZ)


def as_pcm(sound: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    return np.round(sound * 32767).astype("<i2").tobytes()


async def test_the_microphone_arrives_as_it_is(browser: Browser, runtime: FakeRuntime, spoken: Sound) -> None:
    async with visit(browser, runtime.url, before=PLAIN_MICROPHONE) as seen:
        call = await start(seen.page, runtime)
        await call.until_frames(250)
        await hang_up(seen.page)

    assert {len(frame) for _, frame in call.frames} == {FRAME_BYTES}
    first, last = call.frames[25][0], call.frames[249][0]
    assert (249 - 25) / (last - first) == pytest.approx(50, rel=0.05)

    whole = resample(spoken.samples, spoken.rate_hz, WIRE_HZ)
    arrived = [b"".join(frame for _, frame in call.frames[at : at + 50]) for at in range(50, 250, 50)]
    # The best but one second: a busy machine loses a frame of its pretended microphone now and then.
    assert sorted(likeness(whole, np.frombuffer(second, "<i2")) for second in arrived)[1] >= 0.95


async def test_the_browser_is_asked_to_take_out_echo_and_noise(
    browser: Browser, runtime: FakeRuntime
) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await call.until_frames(10)
        asked = await seen.page.evaluate("window.witness.asked")
        await hang_up(seen.page)
    wanted = {"echoCancellation": True, "noiseSuppression": True, "autoGainControl": True}
    assert asked == {"audio": {"channelCount": 1, **wanted}, "video": False}


async def test_what_the_runtime_says_is_heard(browser: Browser, runtime: FakeRuntime) -> None:
    said = babble(3.0, WIRE_HZ, seed=3)
    async with visit(browser, runtime.url, before=EARS) as seen:
        call = await start(seen.page, runtime)
        await call.say(as_pcm(said))
        await expect(seen.page.locator("#t-first-sound")).to_contain_text("ms")
        await expect(seen.page.locator("#t-received")).to_have_text("3.0 s")
        await seen.page.wait_for_function(HEARD_AT_LEAST, arg=3.7)
        heard = await heard_by(seen.page)
        await hang_up(seen.page)
    # Piece by piece: a busy machine may be late with one, and must be allowed to.
    pieces = [likeness(heard, said[at : at + WIRE_HZ // 2]) for at in range(0, said.size, WIRE_HZ // 2)]
    assert float(np.median(pieces)) >= 0.95


async def test_the_change_of_rate_keeps_speech_and_lets_no_image_through(
    browser: Browser, runtime: FakeRuntime
) -> None:
    measure = """async ([from, to, hz]) => {
        await import('/talk/resampler.js');
        const resampler = new Resampler(from, to);
        const input = Float32Array.from({ length: from }, (_, n) => Math.sin(2 * Math.PI * hz * n / from));
        const output = [];
        for (let at = 0; at < from; at += 128) output.push(...resampler.process(input.subarray(at, at + 128)));
        const steady = output.slice(to / 10);
        return [output.length, Math.sqrt(2 * steady.reduce((sum, x) => sum + x * x, 0) / steady.length)];
    }"""
    async with visit(browser, runtime.url) as seen:
        for rates in (*TO_THE_WIRE, (16_000, 48_000), (16_000, 44_100)):
            for hz in (200, 1000, 3400, 6000):
                length, gain = await seen.page.evaluate(measure, [*rates, hz])
                assert length == pytest.approx(rates[1], rel=0.01)
                assert gain == pytest.approx(1.0, abs=0.01), (rates, hz)
        for rates in TO_THE_WIRE:
            for hz in (8200, 9000, 12_000, 15_900):
                _, gain = await seen.page.evaluate(measure, [*rates, hz])
                assert gain < 0.001, (rates, hz)
