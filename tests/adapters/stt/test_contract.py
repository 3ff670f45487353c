"""Every recogniser behind a wire keeps the contract."""

from __future__ import annotations

import pytest

from aywa.adapters.stt.custom_transcriber import CustomTranscriberStt
from aywa.adapters.stt.deepgram import DeepgramStt
from aywa.ports.stt import Stt
from tests.contracts.stt import SttContract, Wire

_DEEPGRAM = {
    (400, ""): ("bad_request", False),
    (402, "ASR_PAYMENT_REQUIRED"): ("quota", False),
    (403, "INSUFFICIENT_PERMISSIONS"): ("forbidden", False),
    (429, "TOO_MANY_REQUESTS"): ("rate_limited", True),
    (500, ""): ("unavailable", True),
}


def _deepgram(url: str, key: str) -> Stt:
    return DeepgramStt(key, base_url=url)


def _flux(url: str, key: str) -> Stt:
    return DeepgramStt(key, "flux-general-en", url)


def _custom(url: str, key: str) -> Stt:
    return CustomTranscriberStt(url + "/custom-transcriber", secret=key)


class TestNovaAt8(SttContract):
    @pytest.fixture
    def wire(self) -> Wire:
        return Wire("deepgram.listen", _deepgram, _DEEPGRAM, 8000, warms=True)


class TestNovaAt16(SttContract):
    @pytest.fixture
    def wire(self) -> Wire:
        return Wire("deepgram.listen", _deepgram, _DEEPGRAM, 16000, warms=True)


class TestFlux(SttContract):
    @pytest.fixture
    def wire(self) -> Wire:
        return Wire("deepgram.flux", _flux, _DEEPGRAM, 8000, warms=True)


class TestCustomTranscriber(SttContract):
    @pytest.fixture
    def wire(self) -> Wire:
        refusals = {(403, ""): ("forbidden", False), (503, ""): ("unavailable", True)}
        return Wire("custom-transcriber", _custom, refusals, 16000)
