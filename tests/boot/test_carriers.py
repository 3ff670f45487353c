"""Where vendors reach this process, as the operator says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from aywa.boot.carriers import LineControl, carriers, govern, public_media_url, public_url
from aywa.boot.errors import CannotStart
from aywa.ports.calls import CallLegs
from aywa.service.carrier_lines import CarrierLines

LEGS = cast(CallLegs, object())


@dataclass
class Remembered:
    """Both sides of `govern`."""

    controls: dict[str, LineControl] = field(default_factory=dict)
    keys: list[tuple[str, str]] = field(default_factory=list)

    def govern(self, call_id: str, control: LineControl) -> None:
        self.controls[call_id] = control

    def forget(self, call_id: str) -> None:
        del self.controls[call_id]

    def send_keys(self, call_id: str, digits: str) -> bool:
        self.keys.append((call_id, digits))
        return True


def test_what_a_socket_cannot_carry_the_vendor_is_told() -> None:
    remembered = Remembered()
    lines = cast(CarrierLines, remembered)
    govern(lines, remembered)
    lines.began("c1")
    remembered.controls["c1"].hang_up("done")
    assert remembered.controls["c1"].send_keys("12")
    assert remembered.keys == [("c1", "12")]
    lines.gone("c1")
    assert remembered.controls == {}


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
