"""The talk page against a small runtime of the tests' own: what it shows, how it ends, what it says when things fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.accessibility import contrast_faults, markup_faults
from tests.page.browser import DESKTOP, PHONE, PLAIN_MICROPHONE, Visit, chromium, visit
from tests.page.runtime import ASSISTANT_ID, CALL_ID, PUBLIC_KEY, Call, FakeRuntime
from tests.page.scene import TURNS, play_scene

OTHER_ASSISTANT = "7d9e0000-0000-4000-8000-0000000000ab"


async def start(page: Page, runtime: FakeRuntime) -> Call:
    await page.get_by_role("button", name="Start").click()
    return await runtime.call()


async def state_is(page: Page, state: str) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", state)


async def hang_up(page: Page) -> None:
    await page.get_by_role("button", name="Hang up").click()
    await state_is(page, "ended")


async def notice_says(page: Page, *texts: str) -> None:
    for text in texts:
        await expect(page.get_by_role("alert")).to_contain_text(text)


# --- a call ------------------------------------------------------------------------------------------------------


async def test_a_call_is_asked_for_with_the_public_key(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("Bluebird reception")
        await expect(seen.page.locator("#where")).to_have_text("Everything runs on this machine")
        await start(seen.page, runtime)
        await state_is(seen.page, "live")
        await hang_up(seen.page)
    assert runtime.asked == [(f"Bearer {PUBLIC_KEY}", {"assistantId": ASSISTANT_ID})]


async def test_the_address_can_name_an_assistant_and_a_key(browser: Browser, runtime: FakeRuntime) -> None:
    runtime.config = None
    address = f"{runtime.url}?assistant={OTHER_ASSISTANT}#key=a-key-from-the-address"
    async with visit(browser, address) as seen:
        seen.expected = ("403",)
        await start(seen.page, runtime)
        await hang_up(seen.page)
    assert runtime.asked == [("Bearer a-key-from-the-address", {"assistantId": OTHER_ASSISTANT})]


async def test_a_model_elsewhere_is_told(browser: Browser, runtime: FakeRuntime) -> None:
    assert runtime.config is not None
    runtime.config["model"] = {"name": "gpt-4.1", "local": False}
    async with visit(browser, runtime.url) as seen:
        await expect(seen.page.locator("#where")).to_contain_text("words go to gpt-4.1")


async def test_both_sides_are_written_down(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await play_scene(call)
        lines = seen.page.get_by_role("log").locator(".line")
        await expect(lines).to_have_count(8)
        await expect(lines.nth(0).locator(".who")).to_have_text("Bluebird reception")
        await expect(lines.nth(0).locator(".said")).to_have_text(
            "Bluebird Dental, good morning. How can I help you?"
        )
        await expect(lines.nth(1).locator(".who")).to_have_text("You")
        await expect(lines.nth(7).locator(".said")).to_be_empty()
        await expect(lines.nth(7).locator(".guess")).to_have_text("no that's all thank")
        await hang_up(seen.page)


async def test_an_interruption_keeps_both_sides_in_order(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        said = {"role": "assistant", "transcriptType": "partial", "transcript": "We are open from"}
        await call.tell("transcript", **said)
        await call.tell("transcript", role="user", transcriptType="partial", transcript="wait")
        await call.tell("user-interrupted", turnId="1")
        heard = {"role": "assistant", "transcriptType": "final", "transcript": "We are open from eight"}
        await call.tell("transcript", **heard)
        await call.tell("transcript", role="user", transcriptType="final", transcript="Wait, on Sunday?")
        lines = seen.page.get_by_role("log").locator(".line .said")
        await expect(lines).to_have_text(["We are open from eight", "Wait, on Sunday?"])
        await expect(seen.page.locator(".line").first).to_contain_class("cut")
        await hang_up(seen.page)


async def test_the_floor_is_shown(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        for holder, shown in (("caller", "You"), ("assistant", "Bluebird reception"), ("none", "Nobody")):
            await call.tell("floor", holder=holder)
            await expect(seen.page.locator("#floor-text")).to_have_text(shown)
        await hang_up(seen.page)


async def test_every_turn_gets_its_waterfall(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await play_scene(call)
        rows = seen.page.locator(".turn")
        await expect(rows).to_have_count(3)
        await expect(rows.locator(".total")).to_have_text([f"{sum(turn.values())} ms" for turn in TURNS])
        await expect(rows.nth(1)).to_contain_text("Model 512")
        await expect(seen.page.locator("#latency-summary")).to_have_text("median 650 ms over 3 turns")
        second = rows.nth(1).locator(".part")
        widths = await second.evaluate_all("parts => parts.map(part => part.getBoundingClientRect().width)")
        assert widths[2] / widths[0] == pytest.approx(512 / 420, rel=0.05)
        totals = await rows.evaluate_all(
            "rows => rows.map(row => row.querySelector('.part:last-child').getBoundingClientRect().right"
            " - row.querySelector('.bar').getBoundingClientRect().left)"
        )
        assert totals[1] > totals[0] > totals[2]
        await hang_up(seen.page)


async def test_the_microphones_level_moves(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        await start(seen.page, runtime)
        meter = seen.page.get_by_role("meter", name="Microphone")
        await seen.page.wait_for_function(
            "() => Number(document.getElementById('level').getAttribute('aria-valuenow')) > 20"
        )
        await hang_up(seen.page)
        await expect(meter).to_have_attribute("aria-valuenow", "0")


async def test_the_page_keeps_to_one_machine(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        await start(seen.page, runtime)
        await hang_up(seen.page)
        await expect(seen.page.get_by_role("link", name="Download")).to_be_visible()
        # The runtime named its media port by number; the page was opened by name and kept to that.
        assert seen.hosts == {"localhost"}


async def test_a_muted_microphone_is_noticed_until_it_is_heard(
    runtime: FakeRuntime, microphone_muted_at_first: Path
) -> None:
    async with (
        chromium(microphone_muted_at_first) as browser,
        visit(browser, runtime.url, before=PLAIN_MICROPHONE) as seen,
    ):
        await start(seen.page, runtime)
        await notice_says(seen.page, "The microphone gives no sound at all")
        await expect(seen.page.get_by_role("alert")).to_be_hidden()
        await hang_up(seen.page)


# --- the end -----------------------------------------------------------------------------------------------------


async def test_hanging_up_ends_the_call_and_offers_the_recording(
    browser: Browser, runtime: FakeRuntime, tmp_path: Path
) -> None:
    runtime.recording_is_late = 2
    async with visit(browser, runtime.url) as seen:
        seen.expected = ("404",)
        call = await start(seen.page, runtime)
        await call.until_frames(10)
        await hang_up(seen.page)
        await expect(seen.page.locator("#state-text")).to_have_text("Call ended: You hung up.")
        async with seen.page.expect_download() as download:
            await seen.page.get_by_role("link", name="Download the recording").click()
        saved = tmp_path / "saved.wav"
        await (await download.value).save_as(saved)
        assert (await download.value).suggested_filename == f"aywa-call-{CALL_ID}.wav"
    assert saved.read_bytes() == runtime.recording
    assert call.texts == [{"type": "end-call"}]
    await call.closed.wait()


async def test_a_runtime_that_does_not_answer_the_hang_up_holds_nobody(
    browser: Browser, runtime: FakeRuntime
) -> None:
    runtime.answers_end_call = False
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await hang_up(seen.page)
        await call.closed.wait()


async def test_the_runtime_can_end_the_call(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await call.end("silence-timed-out")
        await expect(seen.page.locator("#state-text")).to_have_text("Call ended: Nobody spoke for a while.")
        await expect(seen.page.get_by_role("button", name="Start")).to_be_enabled()
        await expect(seen.page.get_by_role("alert")).to_be_hidden()


async def test_a_call_that_failed_says_so(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await call.end("pipeline-error-custom-llm-llm-failed", recording_url=None)
        await notice_says(seen.page, "pipeline-error-custom-llm-llm-failed", f"aywa timeline {CALL_ID}")


async def test_a_second_call_begins_with_a_clean_page(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        await play_scene(await start(seen.page, runtime))
        await hang_up(seen.page)
        await expect(seen.page.get_by_role("link", name="Download")).to_be_visible()
        await start(seen.page, runtime)
        await state_is(seen.page, "live")
        await expect(seen.page.locator(".line, .turn")).to_have_count(0)
        await expect(seen.page.get_by_role("link", name="Download")).to_be_hidden()
        await hang_up(seen.page)


# --- faults ------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[int, Any, tuple[str, ...]]] = [
    (401, "Invalid key.", ("refused this page's key", "after the # sign")),
    (404, "Couldn't get assistant.", ("no such assistant", "Couldn't get assistant.")),
    (400, ["assistantId must be a UUID"], ("no such assistant", "assistantId must be a UUID")),
    (429, "Over the limit.", ("All lines are busy",)),
    (503, "The model process is starting.", ("not ready", "The model process is starting.")),
    (500, "Disk full.", ("could not make the call (500)", "Disk full.")),
]


async def test_a_refused_call_is_explained(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, f"{runtime.url}?assistant={OTHER_ASSISTANT}") as seen:
        seen.expected = tuple(str(status) for status, _, _ in REFUSALS)
        for status, message, texts in REFUSALS:
            runtime.refuse_with = (status, {"message": message, "error": "No", "statusCode": status})
            await seen.page.get_by_role("button", name="Start").click()
            await notice_says(seen.page, *texts)
            await state_is(seen.page, "idle")


MICROPHONES = [
    ("NotFoundError", "There is no microphone"),
    ("NotReadableError", "Another program may be using it"),
    ("NotAllowedError", "site settings"),
]
BROKEN = """navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException('no', window.microphoneFault);
};"""


async def test_a_microphone_that_fails_is_explained(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url, before=BROKEN) as seen:
        for name, text in MICROPHONES:
            await seen.page.evaluate("name => { window.microphoneFault = name; }", name)
            await seen.page.get_by_role("button", name="Start").click()
            await notice_says(seen.page, text)
            await state_is(seen.page, "idle")
    assert runtime.asked == []


async def test_a_browser_that_refuses_the_microphone_is_explained(runtime: FakeRuntime) -> None:
    async with chromium(None) as browser, visit(browser, runtime.url) as seen:
        await seen.page.get_by_role("button", name="Start").click()
        await notice_says(seen.page, "The microphone is blocked for this page")


async def test_plain_http_from_elsewhere_is_explained(microphone: Path, runtime: FakeRuntime) -> None:
    assert runtime.config is not None
    runtime.config["mediaPort"] = runtime.media_port
    elsewhere = f"http://desk.example:{runtime.page_port}/"
    async with (
        chromium(microphone, "--host-resolver-rules=MAP desk.example 127.0.0.1") as browser,
        visit(browser, elsewhere) as seen,
    ):
        await notice_says(
            seen.page,
            f"-L {runtime.page_port}:127.0.0.1:{runtime.page_port}",
            f"-L {runtime.media_port}:127.0.0.1:{runtime.media_port}",
            f"http://localhost:{runtime.page_port}/",
        )
        assert seen.hosts == {"desk.example"}
        seen.hosts.clear()


async def test_a_runtime_that_is_gone_is_explained(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        seen.expected = ("ERR_INTERNET_DISCONNECTED",)
        await seen.context.set_offline(True)
        await seen.page.get_by_role("button", name="Start").click()
        await notice_says(seen.page, "The runtime does not answer", "aywa dev")


async def test_a_call_that_breaks_is_explained(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await state_is(seen.page, "live")
        assert call.socket._writer is not None
        transport = call.socket._writer.transport
        assert transport is not None
        transport.abort()
        await notice_says(seen.page, "The connection to the runtime was lost", "1006")
        await state_is(seen.page, "ended")


async def test_sound_that_cannot_get_through_is_explained(browser: Browser, runtime: FakeRuntime) -> None:
    runtime.has_media = False
    async with visit(browser, runtime.url) as seen:
        seen.expected = ("503",)
        await seen.page.get_by_role("button", name="Start").click()
        port = runtime.media_port
        await notice_says(seen.page, "did not open", f"-L {port}:127.0.0.1:{port}")
        await state_is(seen.page, "idle")


async def test_faults_told_by_the_runtime_are_shown_and_the_call_goes_on(
    browser: Browser, runtime: FakeRuntime
) -> None:
    async with visit(browser, runtime.url) as seen:
        call = await start(seen.page, runtime)
        await call.tell("error", code="recording_lost", message="The disk is full.")
        await notice_says(seen.page, "The disk is full.", "recording_lost")
        await state_is(seen.page, "live")
        await call.socket.send_str("this is not JSON")
        await call.tell("of-a-kind-nobody-knows")
        await hang_up(seen.page)


# --- hands, eyes, small screens ----------------------------------------------------------------------------------


async def test_the_keyboard_is_enough(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        button = seen.page.get_by_role("button")
        await seen.page.keyboard.press("Tab")
        await expect(button).to_be_focused()
        outline = await button.evaluate("node => getComputedStyle(node).outlineStyle")
        assert outline == "solid"
        for start_key, stop_key in (("Space", "Escape"), ("Enter", "Enter"), ("Space", "Space")):
            await seen.page.keyboard.press(start_key)
            call = await runtime.call()
            await state_is(seen.page, "live")
            await expect(button).to_be_focused()
            await seen.page.keyboard.press(stop_key)
            await state_is(seen.page, "ended")
            await call.closed.wait()


async def test_escape_gives_up_a_call_that_is_not_yet_made(browser: Browser, runtime: FakeRuntime) -> None:
    never = "navigator.mediaDevices.getUserMedia = () => new Promise((give) => { window.giveMicrophone = give; });"
    late = "giveMicrophone(new MediaStream([new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0]]))"
    async with visit(browser, runtime.url, before=never) as seen:
        await seen.page.get_by_role("button", name="Start").click()
        await state_is(seen.page, "asking")
        await seen.page.keyboard.press("Escape")
        await state_is(seen.page, "idle")
        await seen.page.evaluate(late)
        await expect(seen.page.get_by_role("alert")).to_be_hidden()
    assert runtime.asked == []


async def test_a_phone_shows_everything_and_keeps_the_button_in_reach(
    browser: Browser, runtime: FakeRuntime
) -> None:
    async with visit(browser, runtime.url, PHONE) as seen:
        call = await start(seen.page, runtime)
        await play_scene(call)
        await call.tell("error", code="a_long_code_" * 8, message="Something went wrong somewhere.")
        await expect(seen.page.locator(".turn")).to_have_count(3)
        for place in ("0", "document.body.scrollHeight"):
            await seen.page.evaluate(f"window.scrollTo(0, {place})")
            await expect(seen.page.get_by_role("button", name="Hang up")).to_be_in_viewport(ratio=1)
        assert await seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        box = await seen.page.get_by_role("button", name="Hang up").bounding_box()
        assert box is not None
        assert box["height"] >= 48
        await hang_up(seen.page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_has_a_name_and_can_be_read(
    browser: Browser, runtime: FakeRuntime, scheme: str, tmp_path: Path
) -> None:
    async with visit(browser, runtime.url, DESKTOP, color_scheme=scheme, reduced_motion="reduce") as seen:
        await _check(seen)
        call = await start(seen.page, runtime)
        await play_scene(call)
        await call.tell("error", code="recording_lost", message="The disk is full.")
        await expect(seen.page.locator(".turn")).to_have_count(3)
        await _check(seen)
        await seen.page.screenshot(path=tmp_path / f"live-{scheme}.png")
        await hang_up(seen.page)
        await expect(seen.page.get_by_role("link", name="Download")).to_be_visible()
        await _check(seen)
        await seen.page.screenshot(path=tmp_path / f"ended-{scheme}.png")


async def test_the_checks_themselves_find_faults(browser: Browser, runtime: FakeRuntime) -> None:
    async with visit(browser, runtime.url) as seen:
        await seen.page.evaluate("document.documentElement.style.setProperty('--quiet', '#999')")
        await seen.page.evaluate("document.getElementById('call-button-text').remove()")
        assert any("Ready" in fault for fault in await contrast_faults(seen.page))
        assert any("no name: <button" in fault for fault in await markup_faults(seen.page))


async def _check(seen: Visit) -> None:
    assert await contrast_faults(seen.page) == []
    assert await markup_faults(seen.page) == []
