"""Cartesia's wire."""

from __future__ import annotations

from typing import Any

from aywa.adapters.tts.cartesia import CartesiaTts
from tests.contracts.tts import KEY, TtsContract


class TestContract(TtsContract):
    route = "cartesia.websocket"

    def make(self, url: str, key: str = KEY, **settings: Any) -> CartesiaTts:
        return CartesiaTts(key, url, **settings)
