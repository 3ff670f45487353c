"""Takes the picture of the talk page for the documentation: python -m tests.page.screenshot FILE.png"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.async_api import expect

from aywa.testing.sound import write_wav
from tests.page.browser import chromium, visit
from tests.page.runtime import ASSISTANT_ID, PUBLIC_KEY, FakeRuntime, serving
from tests.page.scene import play_scene
from tests.page.sounds import babble

LIMIT_BYTES = 200_000


async def take(picture: Path, microphone: Path) -> None:
    config = {"publicKey": PUBLIC_KEY, "assistantId": ASSISTANT_ID, "callUrl": "/call/web"}
    spoken = np.round(babble(2.0, 16_000) * 32767).astype("<i2").tobytes()
    async with (
        serving(FakeRuntime(config=config)) as runtime,
        chromium(microphone) as browser,
        visit(browser, runtime.url) as seen,
    ):
        await seen.page.get_by_role("button", name="Start").click()
        call = await runtime.call()
        await call.until_frames(25)
        await call.say(spoken)
        await play_scene(call)
        await expect(seen.page.locator(".turn")).to_have_count(3)
        await expect(seen.page.locator("#t-received")).to_have_text("2.0 s")
        await seen.page.mouse.move(0, 0)
        await seen.page.screenshot(path=picture)
        await call.end("customer-ended-call", recording_url=None)


def main() -> None:
    picture = Path(sys.argv[1])
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        microphone = Path(folder) / "mic.wav"
        microphone.write_bytes(write_wav(np.round(babble(8, 48_000) * 32767).astype("<i2"), 48_000))
        asyncio.run(take(picture, microphone))
    size = picture.stat().st_size
    print(f"{picture}: {size} bytes")
    if size > LIMIT_BYTES:
        sys.exit(f"that is more than {LIMIT_BYTES}")


if __name__ == "__main__":
    main()
