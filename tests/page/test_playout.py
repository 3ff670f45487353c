"""The page's jitter buffer, in a real browser but on rendered time: nothing depends on how busy the machine is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import Browser

from tests.page.browser import Visit, visit
from tests.page.runtime import FRAME_S, LEAD_S, FakeRuntime
from tests.page.sounds import Floats, babble, likeness

WIRE_HZ = 16_000
PLAYED_HZ = 48_000
FRAME = round(FRAME_S * WIRE_HZ)

RENDER = """async ([seconds, rate, events]) => {
    const context = new OfflineAudioContext(1, seconds * rate, rate);
    for (const file of ["/talk/resampler.js", "/talk/playout-worklet.js", "/ear-worklet.js"]) {
        await context.audioWorklet.addModule(file);
    }
    const node = new AudioWorkletNode(context, "playout", { numberOfInputs: 0, outputChannelCount: [1] });
    const news = [];
    node.port.onmessage = ({ data }) => news.push(data);
    node.connect(context.destination);
    // What comes back from a second worklet on the same thread has come after what was posted before it.
    const echo = new AudioWorkletNode(context, "ear");
    const arrived = () => new Promise((resolve) => {
        echo.port.onmessage = ({ data }) => data === "arrived" && resolve();
        echo.port.postMessage("arrived");
    });
    const batches = Map.groupBy(events, ([at]) => Math.ceil(at * rate / 128));
    for (const [quantum, batch] of batches) {
        context.suspend(quantum * 128 / rate).then(async () => {
            for (const [, pcm] of batch) {
                node.port.postMessage(pcm ? { pcm: Int16Array.from(pcm).buffer } : { flush: true });
            }
            await arrived();
            context.resume();
        });
    }
    const buffer = await context.startRendering();
    return { heard: [...buffer.getChannelData(0)], news };
}"""


@dataclass
class Rendered:
    heard: Floats
    news: list[dict[str, Any]]

    @property
    def gaps(self) -> int:
        return max(int(entry["gaps"]) for entry in self.news)

    @property
    def starts(self) -> list[float]:
        return [entry["at"] for entry in self.news if entry["what"] == "started"]

    def sounds_between(self, first_s: float, last_s: float) -> bool:
        stretch = self.heard[round(first_s * PLAYED_HZ) : round(last_s * PLAYED_HZ)]
        return bool(np.max(np.abs(stretch)) > 0.001)


Event = tuple[float, list[int] | None]


def sent(sound: npt.NDArray[np.float64], at_s: float, lead_s: float = LEAD_S) -> list[Event]:
    """Frames as the runtime sends them: the first few at once, then one for each that was played."""
    pcm = np.round(sound * 32767).astype(int)
    frames = [pcm[at : at + FRAME] for at in range(0, pcm.size, FRAME)]
    return [(at_s + max(0.0, n * FRAME_S - lead_s), frame.tolist()) for n, frame in enumerate(frames)]


@pytest.fixture
async def seen(browser: Browser, runtime: FakeRuntime) -> AsyncIterator[Visit]:
    async with visit(browser, runtime.url) as open_page:
        yield open_page


async def render(seen: Visit, seconds: float, events: list[Event], rate: int = PLAYED_HZ) -> Rendered:
    answer = await seen.page.evaluate(RENDER, [seconds, rate, events])
    return Rendered(np.asarray(answer["heard"], float), answer["news"])


@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_paced_frames_are_played_whole_and_soon(seen: Visit, rate: int) -> None:
    said = babble(1.5, WIRE_HZ, seed=3)
    rendered = await render(seen, 2, sent(said, 0.1), rate)
    assert rendered.gaps == 0
    assert rendered.starts == [pytest.approx(0.1, abs=0.06)]
    expected = np.interp(np.arange(round(1.5 * rate)) / rate, np.arange(said.size) / WIRE_HZ, said)
    assert likeness(rendered.heard, expected) >= 0.98


async def test_a_late_frame_is_a_gap_and_makes_the_next_talkspurt_wait_longer(seen: Visit) -> None:
    first, second = babble(0.5, WIRE_HZ), babble(0.5, WIRE_HZ, seed=2)
    late = [(at + (0.12 if at > 0.35 else 0), frame) for at, frame in sent(first, 0.1)]
    rendered = await render(seen, 3, late + sent(second, 2.0))
    assert rendered.gaps == 1
    assert len(rendered.starts) == 3
    assert rendered.starts[2] - 2.0 > rendered.starts[0] - 0.1 + 0.01


async def test_silence_between_talkspurts_is_no_gap(seen: Visit) -> None:
    rendered = await render(seen, 2, sent(babble(0.5, WIRE_HZ), 0.1) + sent(babble(0.5, WIRE_HZ), 1.0))
    assert rendered.gaps == 0
    assert len(rendered.starts) == 2


async def test_a_single_frame_is_heard_too(seen: Visit) -> None:
    rendered = await render(seen, 0.5, sent(np.full(FRAME, 0.4), 0.1))
    assert rendered.sounds_between(0.1, 0.2)


async def test_a_flush_silences_at_once_and_without_a_click(seen: Visit) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(WIRE_HZ) / WIRE_HZ)
    rendered = await render(seen, 2, [*sent(tone, 0.1, lead_s=1.0), (0.5, None)])
    assert rendered.sounds_between(0.4, 0.49)
    assert not rendered.sounds_between(0.51, 2)
    steepest = 0.5 * 2 * np.pi * 200 / PLAYED_HZ
    assert np.max(np.abs(np.diff(rendered.heard[round(0.2 * PLAYED_HZ) :]))) < 2 * steepest


async def test_after_a_flush_the_next_reply_is_played(seen: Visit) -> None:
    tone = np.full(WIRE_HZ // 2, 0.4)
    rendered = await render(seen, 2, [*sent(tone, 0.1, lead_s=1.0), (0.2, None), *sent(tone, 0.25)])
    assert rendered.gaps == 0
    assert rendered.sounds_between(0.35, 0.7)
