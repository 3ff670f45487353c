"""Where vendors reach this process, as the operator says it."""

from __future__ import annotations

from typing import cast

import pytest

from aywa.boot.carriers import carriers, public_media_url, public_url
from aywa.boot.errors import CannotStart
from aywa.ports.calls import CallLegs

LEGS = cast(CallLegs, object())


def test_every_vendor_is_there_by_its_name() -> None:
    parts = carriers(LEGS, "", lambda: "ws://127.0.0.1:8081")
    names = {"exotel", "plivo", "signalwire", "telnyx", "twilio", "vonage"}
    assert names <= set(parts.carriers)
    assert all(carrier.vendor == name for name, carrier in parts.carriers.items())
    assert parts.media_url() == "ws://127.0.0.1:8081"


def test_the_operator_says_where_vendors_reach_us(monkeypatch: pytest.MonkeyPatch) -> None:
    assert public_url() == public_media_url() == ""
    monkeypatch.setenv("RUNTIME_PUBLIC_URL", " https://voice.example.com/ ")
    monkeypatch.setenv("RUNTIME_PUBLIC_MEDIA_URL", "wss://voice.example.com/audio")
    assert public_url() == "https://voice.example.com"
    parts = carriers(LEGS, public_url(), lambda: "ws://127.0.0.1:8081")
    assert parts.media_url() == "wss://voice.example.com/audio"
    assert parts.public_url == "https://voice.example.com"


@pytest.mark.parametrize(
    "given",
    [
        "voice.example.com",
        "wss://a",
        "https://",
        "https://u:p@a",
        "https://a?b",
        "https://a:x",
        "https://a:0",
        "https://ä",
    ],
)
def test_an_address_that_is_none_says_so(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_PUBLIC_URL", given)
    with pytest.raises(CannotStart, match="RUNTIME_PUBLIC_URL"):
        public_url()
