"""The talk page in a real Chromium, talking with the real runtime: its microphone is a WAV with a question in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, expect

from aywa.boot.speech import open_speech
from aywa.testing.sound import write_wav
from tests.e2e.dev import Dev
from tests.page.browser import chromium, visit

MICROPHONE_HZ = 48_000
GREETING_S = 8.0
REPLY_MS = 30_000
RESULTS = Path(__file__).parents[2] / "test-results"


@pytest.fixture
async def question(tmp_path: Path) -> Path:
    async with open_speech(voice=True) as speech:
        spoken = await speech.say((GREETING_S, "What are your opening hours?", 2.0), MICROPHONE_HZ)
    path = tmp_path / "question.wav"
    # A room is never quite silent; a microphone that is gets a warning from the page.
    room = np.random.default_rng(5).integers(-8, 9, len(spoken) // 2)
    samples = np.clip(np.frombuffer(spoken, "<i2") + room, -32768, 32767).astype("<i2")
    path.write_bytes(write_wav(samples, MICROPHONE_HZ))
    return path


def tracks(recording: bytes) -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], ...]:
    """Left and right of a stereo WAV of PCM16."""
    data = recording.index(b"data") + 8
    both = np.frombuffer(recording[data : data + (len(recording) - data) // 4 * 4], "<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


async def listen_and_hang_up(page: Page) -> None:
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator(".line.assistant").first).to_contain_text("Robin", timeout=REPLY_MS)
    await expect(page.locator(".line.caller .said")).to_contain_text("hours", timeout=REPLY_MS)
    await expect(page.locator(".line.assistant").nth(1)).to_contain_text("open", timeout=REPLY_MS)
    await expect(page.locator(".turn")).to_have_count(1)
    await expect(page.locator("#floor-text")).to_have_text("Nobody", timeout=REPLY_MS)
    await expect(page.get_by_role("alert")).to_be_hidden()
    await page.screenshot(path=RESULTS / "talk-page.png")
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.locator("#state-text")).to_have_text("Call ended: You hung up.")


async def test_a_question_is_asked_and_answered_in_the_browser(
    runtime: Dev, question: Path, tmp_path: Path
) -> None:
    address = f"http://localhost:{runtime.port}/"
    async with chromium(question) as browser, visit(browser, address) as seen:
        await listen_and_hang_up(seen.page)
        call_id = await seen.page.locator("#t-call").inner_text()
        played = await seen.page.locator("#t-received").inner_text()
        await expect(seen.page.get_by_role("link", name="Download")).to_be_visible(timeout=15_000)
        async with seen.page.expect_download() as download:
            await seen.page.get_by_role("link", name="Download").click()
        await (await download.value).save_as(tmp_path / "recording.wav")

    assert float(played.split()[0]) > 2
    caller, assistant = tracks((tmp_path / "recording.wav").read_bytes())
    assert np.max(np.abs(caller)) > 1000
    assert np.max(np.abs(assistant)) > 1000
    assert runtime.call(call_id)["endedReason"] == "customer-ended-call"
