"""What an INVITE of ours says of who calls whom."""

from __future__ import annotations

import pytest

from aywa.core.sip.dial import ANONYMOUS, NOWHERE, Dial, address_of, fields_for, sender_of
from aywa.core.sip.trunk import Gateway, Trunk
from tests.core.sip.network import media

TRUNK = Trunk("t", (Gateway("gw.example"),), username="acme")


@pytest.mark.parametrize(
    ("text", "trunk", "address", "sender"),
    [
        ("sip:x@y", None, "sip:x@y", "sip:x@y"),
        ("sip:x@y", TRUNK, "sip:x@y", "sip:x@y"),
        ("tel:+4930", None, "tel:+4930", "tel:+4930"),
        ("+4930", TRUNK, "sip:+4930@gw.example", "sip:+4930@gw.example"),
        ("+4930", None, NOWHERE, ANONYMOUS),
        ("", TRUNK, "sip:gw.example", "sip:acme@gw.example"),
        ("a\r\nX: y", TRUNK, "sip:a%0D%0AX%3A%20y@gw.example", "sip:a%0D%0AX%3A%20y@gw.example"),
    ],
)
def test_addresses(text: str, trunk: Trunk | None, address: str, sender: str) -> None:
    assert address_of(text, trunk) == address
    assert sender_of(text, trunk) == sender


def test_fields() -> None:
    dial = Dial(
        "1",
        media(),
        asserted="2",
        diversion="sip:3@x",
        replaces="r",
        headers=(("X-A", "1"),),
        password="hidden",
    )
    assert fields_for(dial, TRUNK) == (
        ("P-Asserted-Identity", "<sip:2@gw.example>"),
        ("Diversion", "<sip:3@x>"),
        ("Replaces", "r"),
        ("X-A", "1"),
    )
    assert fields_for(Dial("1", media()), None) == ()
    assert "hidden" not in repr(dial)
