"""Who may bring calls to an address: near or far, through a proxy or a page, with whose signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest

from aywa.adapters.transports.equipment.codec import Handshake
from aywa.boot.equipment_proof import FORWARDED, is_near, is_signed, networks, signature_of
from aywa.ports.carriers import CarrierAccount

NEAR = networks(("127.0.0.0/8", "::1/128", "10.1.0.0/16"))
SHOWN = Handshake(
    "twilio", "desk", headers={"host": "voice.example.com"}, target="/media/twilio/desk", remote="127.0.0.1"
)
TOKEN = "an-auth-token"


def signed(url: str, key: str = TOKEN) -> str:
    return base64.b64encode(hmac.new(key.encode(), url.encode(), hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    ("remote", "near"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.1.2.3", True),
        ("10.1.2.3%eth0", True),
        ("10.2.0.1", False),
        ("203.0.113.7", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("somewhere", False),
    ],
)
def test_near_is_what_the_operator_calls_near(remote: str, near: bool) -> None:
    assert is_near(SHOWN.of(remote), NEAR) == near


@pytest.mark.parametrize("header", [*FORWARDED, "origin"])
def test_nothing_is_near_that_came_through_a_proxy_or_from_a_page(header: str) -> None:
    assert not is_near(replace(SHOWN, headers={header: "x"}), NEAR)


def test_a_twilio_signature_is_one_of_the_address_as_twilio_wrote_it() -> None:
    account = CarrierAccount("twilio", keys={"twilioAuthToken": TOKEN})
    good = signed("wss://voice.example.com/media/twilio/desk")
    shown = replace(SHOWN, headers={"host": "voice.example.com", "x-twilio-signature": good})
    assert signature_of(shown) == good
    assert is_signed(shown, account, "", 0)
    assert is_signed(shown, account, "wss://voice.example.com", 0)
    assert not is_signed(shown, account, "wss://other.example.com", 0)
    assert not is_signed(replace(shown, target="/media/twilio/other"), account, "", 0)
    assert not is_signed(shown, CarrierAccount("twilio"), "", 0)
    assert not is_signed(shown, CarrierAccount("twilio", keys={"twilioAuthToken": "other"}), "", 0)
    assert not is_signed(replace(shown, headers={"x-twilio-signature": good}), account, "", 0)


def test_a_proxy_may_say_by_which_name_it_was_reached() -> None:
    account = CarrierAccount("twilio", keys={"twilioAuthToken": TOKEN})
    good = signed("wss://voice.example.com/media/twilio/desk")
    headers = {"host": "127.0.0.1:8081", "x-forwarded-host": "voice.example.com", "x-twilio-signature": good}
    assert is_signed(replace(SHOWN, headers=headers), account, "", 0)


def test_a_signature_of_one_vendor_is_none_of_another() -> None:
    headers = {"host": "h", "authorization": "Bearer a.b.c"}
    assert signature_of(replace(SHOWN, headers=headers)) == ""
    vonage = replace(SHOWN, protocol="vonage", headers=headers)
    assert signature_of(vonage) == "Bearer a.b.c"
    for protocol in ("vonage", "signalwire", "plivo", "telnyx", "jambonz"):
        given = replace(SHOWN, protocol=protocol, headers=headers | {"x-plivo-signature-v3": "x"})
        assert not is_signed(
            given, CarrierAccount(protocol, keys={"authToken": "a", "signatureSecret": "b"}), "", 0
        )
