from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.message import Request, Response, respond_to
from aywa.core.sip.redirect import MOST_REDIRECTS, targets
from aywa.core.sip.uri import SipUri, TelUri, parse_uri
from tests.core.sip.lines import asked


def moved(*contacts: str) -> Response:
    invite: Request = asked("INVITE")
    return respond_to(invite, 302, tag="far", headers=[("Contact", each) for each in contacts])


def to(*contacts: str, tried: tuple[str, ...] = (), secure: bool = False) -> tuple[str, ...]:
    return targets(moved(*contacts), tried, secure=secure)


def test_the_most_liked_come_first_and_equals_in_their_order() -> None:
    assert to("<sip:a@x>;q=0.2", "<sip:b@x>", "<sip:c@x>;q=0.9, <sip:d@x>;q=1.0") == (
        "sip:b@x",
        "sip:d@x",
        "sip:c@x",
        "sip:a@x",
    )
    assert to("<sip:a@x>;q=high", "<sip:b@x>;q=1.5", "<sip:c@x>;q=0.123456", "<sip:d@x>;q=0.5") == (
        "sip:a@x",
        "sip:b@x",
        "sip:c@x",
        "sip:d@x",
    )


def test_what_was_tried_is_not_tried_again_and_nothing_twice() -> None:
    assert to("<sip:a@x>", "<sip:b@x>", "<sip:b@x>", tried=("sip:a@x",)) == ("sip:b@x",)
    assert to() == ()


def test_a_redirect_does_not_write_into_our_request() -> None:
    assert to("<sip:a@x;transport=tcp?Replaces=1&X-Toll=free>") == ("sip:a@x;transport=tcp",)


@pytest.mark.parametrize(
    "contact", ["<mailto:a@x>", "<https://x/>", "<sip:a:secret@x>", "<sip:a@x;method=REFER>"]
)
def test_what_cannot_be_called_is_no_target(contact: str) -> None:
    assert to(contact) == ()
    assert to("<tel:+4930123>", "<sip:a@x;method=INVITE>") == ("tel:+4930123", "sip:a@x;method=INVITE")


def test_a_call_that_must_be_secure_goes_nowhere_else() -> None:
    assert to("<sip:a@x>", "<sips:b@x>", "<tel:+1>", secure=True) == ("sips:b@x",)


def test_there_are_not_many() -> None:
    assert len(to(*(f"<sip:{number}@x>" for number in range(20)))) == MOST_REDIRECTS


uris = st.sampled_from(["sip:a@x", "sips:b@y", "tel:+49301", "sip:c@z?H=1", "mailto:m@x", "sip:d@x;q=1"])


@given(
    st.lists(st.tuples(uris, st.sampled_from(["", ";q=0.1", ";q=1", ";q=x"])), max_size=9),
    st.sets(uris, max_size=3),
    st.booleans(),
)
def test_whatever_is_answered_the_targets_are_few_new_and_callable(
    contacts: list[tuple[str, str]], tried: set[str], secure: bool
) -> None:
    found = to(*(f"<{uri}>{more}" for uri, more in contacts), tried=tuple(tried), secure=secure)
    assert len(found) == len(set(found)) <= MOST_REDIRECTS
    assert not tried & set(found)
    for each in found:
        uri = parse_uri(each)
        assert isinstance(uri, SipUri | TelUri)
        assert not getattr(uri, "headers", ())
        assert not secure or (isinstance(uri, SipUri) and uri.secure)
