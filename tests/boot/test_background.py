"""What sounds under calls is made once, kept for a while, and made anew after a failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from aywa.boot.background import FRESH_S, KEPT, LOUDEST_DB, BackgroundSounds, sound_of
from aywa.core.audio.frame import shorts
from aywa.core.audio.room import office
from aywa.ports.errors import Fault, ProviderError

LOUD = np.full(16000, 20000, "<i2").tobytes()


@dataclass
class Shelf:
    """Where sounds come from."""

    fails: int = 0
    asked: list[str] = field(default_factory=list)
    now: float = 0.0

    async def fetch(self, url: str) -> tuple[bytes, int]:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise ProviderError("x", "unreachable", "gone", fault=Fault.NETWORK, retryable=False)
        return LOUD, 16000

    def sounds(self) -> BackgroundSounds:
        return BackgroundSounds(self.fetch, lambda: self.now)


@pytest.mark.parametrize(
    ("wanted", "sound"),
    [
        (None, ""),
        ("off", ""),
        ("", ""),
        (7, ""),
        ("office", "office"),
        ("https://x/y.wav", "https://x/y.wav"),
    ],
)
def test_what_an_assistant_wants(wanted: Any, sound: str) -> None:
    assert sound_of({"backgroundSound": wanted}) == sound


async def test_the_office_is_ours() -> None:
    shelf = Shelf()
    assert await shelf.sounds().of("office", 8000) == office(8000)
    assert shelf.asked == []


async def test_calls_that_begin_together_have_it_fetched_once_and_it_is_fitted() -> None:
    shelf = Shelf()
    sounds = shelf.sounds()
    first, second = await asyncio.gather(sounds.of("u", 8000), sounds.of("u", 8000))
    assert first == second
    assert shelf.asked == ["u"]
    samples = shorts(first)
    assert len(samples) == pytest.approx(8000, abs=100)
    level = 20 * np.log10(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) / 32767)
    assert level <= LOUDEST_DB + 0.5


async def test_it_is_fetched_anew_after_a_while_and_after_a_failure() -> None:
    shelf = Shelf(fails=1)
    sounds = shelf.sounds()
    with pytest.raises(ProviderError):
        _ = await sounds.of("u", 8000)
    _ = await sounds.of("u", 8000)
    shelf.now = FRESH_S + 1
    _ = await sounds.of("u", 8000)
    _ = await sounds.of("u", 8000)
    assert len(shelf.asked) == 3


async def test_only_so_many_are_kept() -> None:
    shelf = Shelf()
    sounds = shelf.sounds()
    for number in range(KEPT + 1):
        _ = await sounds.of(str(number), 16000)
    _ = await sounds.of("0", 16000)
    _ = await sounds.of(str(KEPT), 16000)
    assert shelf.asked.count("0") == 2
    assert shelf.asked.count(str(KEPT)) == 1


async def test_a_caller_who_is_gone_does_not_take_it_from_the_others() -> None:
    shelf = Shelf()
    sounds = shelf.sounds()
    gone = asyncio.create_task(sounds.of("u", 8000))
    other = asyncio.create_task(sounds.of("u", 8000))
    await asyncio.sleep(0)
    gone.cancel()
    assert await other
    await sounds.close()


async def test_what_is_being_made_is_given_up_at_the_end() -> None:
    shelf = Shelf()
    sounds = shelf.sounds()
    waiting = asyncio.create_task(sounds.of("u", 8000))
    await asyncio.sleep(0)
    await sounds.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
