from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser

from aywa.testing.sound import write_wav
from tests.page.browser import chromium
from tests.page.runtime import ASSISTANT_ID, PUBLIC_KEY, FakeRuntime, serving
from tests.page.sounds import babble

MICROPHONE_HZ = 48_000
MICROPHONE_S = 12.0


def recorded(folder: Path, silence_s: float) -> Path:
    path = folder / "mic.wav"
    samples = np.concatenate(
        [np.zeros(round(silence_s * MICROPHONE_HZ)), babble(MICROPHONE_S, MICROPHONE_HZ)]
    )
    path.write_bytes(write_wav(np.round(samples * 32767).astype("<i2"), MICROPHONE_HZ))
    return path


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the caller says: 48 kHz, because Chromium plays nothing else faithfully as a microphone."""
    return recorded(tmp_path_factory.mktemp("microphone"), silence_s=0)


@pytest.fixture
def microphone_muted_at_first(tmp_path: Path) -> Path:
    return recorded(tmp_path, silence_s=7)


@pytest.fixture
async def runtime() -> AsyncIterator[FakeRuntime]:
    config = {
        "publicKey": PUBLIC_KEY,
        "assistantId": ASSISTANT_ID,
        "assistantName": "Bluebird reception",
        "callUrl": "/call/web",
    }
    silence = write_wav(np.zeros((8000, 2), "<i2"), 16_000)
    async with serving(FakeRuntime(config=config, recording=silence)) as fake:
        yield fake


@pytest.fixture
async def browser(microphone: Path) -> AsyncIterator[Browser]:
    async with chromium(microphone) as open_browser:
        yield open_browser
