"""The guide to carriers, held against the code: settings, what vendors can do, why calls end."""

from __future__ import annotations

import re

import pytest

from aywa.adapters.carriers.exotel import Exotel
from aywa.adapters.carriers.plivo import Plivo
from aywa.adapters.carriers.signalwire import SignalWire
from aywa.adapters.carriers.telnyx import Telnyx
from aywa.adapters.carriers.twilio import Twilio
from aywa.adapters.carriers.vonage import Vonage
from aywa.boot.carriers import PUBLIC_MEDIA_URL, PUBLIC_URL
from aywa.core.ended_reasons import of_carrier
from aywa.ports.carriers import Carrier, Outcome
from aywa.service.carrier_lines import ASKED_S
from tests.docs.test_commands import ROOT

GUIDE = (ROOT / "docs" / "guides" / "carriers.md").read_text("utf-8")
CARRIERS: dict[str, Carrier] = {
    "Twilio": Twilio(),
    "SignalWire": SignalWire(),
    "Telnyx": Telnyx(),
    "Plivo": Plivo(),
    "Vonage": Vonage(),
    "Exotel": Exotel(),
}


def row(name: str) -> list[str]:
    found = re.search(rf"^\| {name} \|(.*)\|$", GUIDE, re.MULTILINE)
    assert found is not None, name
    return [each.strip() for each in found[1].split("|")]


def test_the_settings_are_those_of_the_code() -> None:
    assert set(re.findall(r"`(RUNTIME_PUBLIC_\w+)`", GUIDE)) == {PUBLIC_URL, PUBLIC_MEDIA_URL}


@pytest.mark.parametrize("name", CARRIERS)
def test_what_a_vendor_can_do_is_said_so(name: str) -> None:
    abilities = CARRIERS[name].abilities
    _, out, transfer, keys, ends = row(name)
    assert (out == "API") is abilities.places
    by_markup = "markup" if abilities.asks else "API"
    assert transfer == (by_markup if abilities.passes_on else "applet behind")
    assert (keys == "API") is abilities.keys
    assert ends == ("markup" if abilities.asks else "API" if abilities.ends else "the socket's end")


def test_every_reason_of_a_carrier_stands_in_the_guide() -> None:
    told = set(re.findall(r"`([a-z.-]+)`", GUIDE))
    for vendor in ("twilio", "telnyx", "signalwire"):
        for outcome in Outcome:
            for connected in (True, False):
                reason = of_carrier(vendor, outcome.value, outbound=True, connected=connected)
                assert reason in told, reason
    assert of_carrier("twilio", "completed", outbound=False, connected=False) in told


def test_the_patience_of_the_guide_is_the_code_s() -> None:
    assert f"within {ASKED_S:g} s" in GUIDE
