"""Reasons, as others write them."""

from __future__ import annotations

import pytest

from aywa.core.sip import reason
from aywa.core.sip.events import Reason
from aywa.core.sip.headers import Headers


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((), None),
        (('SIP;cause=200;text="Call completed elsewhere"',), Reason("SIP", 200, "Call completed elsewhere")),
        (("SIP;cause=486, q.850 ;cause=17",), Reason("Q.850", 17)),
        (("SIP;cause=603", "SIP;cause=486"), Reason("SIP", 603)),
        (("SIP;cause=x", "SIP", "SIP;cause=1000"), None),
        (('SIP;text="open',), None),
        (('SIP;cause=1, SIP;text="open',), None),
        (('SIP;cause=1;text="' + "x" * 300 + '"',), Reason("SIP", 1, "x" * reason.TEXT_CHARS)),
    ],
)
def test_the_one_that_says_most(values: tuple[str, ...], found: Reason | None) -> None:
    assert reason.read(Headers(("Reason", value) for value in values)) == found
