"""The recogniser of the child process keeps the contract, also when it stands behind a simulated vendor's wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aywa.adapters.local.engine import LocalEngine
from aywa.adapters.stt.deepgram import DeepgramStt
from aywa.ports.stt import SttOptions
from aywa.testing.vendors.server import SimulatedVendors
from tests.adapters.local.speech import SAID, prompt
from tests.contracts.stt import HearingContract, Speech

ONE, TWO = "conf-onlyperson", "conf-getpin"


def said(name: str, rate_hz: int) -> tuple[bytes, str]:
    return prompt(name, rate_hz), SAID[name]


class TestLocal(HearingContract):
    @pytest.fixture
    def speech(self, ears: LocalEngine) -> Speech:
        return Speech(ears.stt, SttOptions(16000), said(ONE, 16000), said(TWO, 16000))


class TestBehindTheWire(HearingContract):
    """People's voices, by the local recogniser, over Deepgram's wire."""

    @pytest.fixture
    async def speech(self, ears: LocalEngine) -> AsyncIterator[Speech]:
        async with asyncio.timeout(60), SimulatedVendors(stt=ears.stt) as vendors:
            stt = DeepgramStt("sim-key", base_url=vendors.url)
            yield Speech(stt, SttOptions(8000), said(ONE, 8000), said(TWO, 8000))
            await stt.close()
