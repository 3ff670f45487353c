"""What of a customer's may stand in a request within the dialog."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.dialog import Dialog
from aywa.core.sip.fields import parse_address
from aywa.core.sip.in_dialog import (
    BODY_MAX_BYTES,
    HEADER_MAX,
    HEADERS_MAX,
    OWN,
    VERBS,
    Unsendable,
    request_parts,
)
from aywa.core.sip.message import Request, parse
from tests.core.feed import examples


def test_headers_and_body_are_as_they_were_written() -> None:
    fields, body = request_parts("INFO", {"X-Ward": "7"}, "hällo", "text/plain")
    assert (fields, body) == ((("X-Ward", "7"), ("Content-Type", "text/plain")), "hällo".encode())
    assert request_parts("MESSAGE", {}, "", "text/plain") == ((), b"")
    own = request_parts("INFO", {"c": "application/x"}, "x", "text/plain")
    assert own == ((("c", "application/x"),), b"x")


def test_a_notify_says_what_it_tells_of() -> None:
    with pytest.raises(Unsendable, match="Event"):
        request_parts("NOTIFY", {}, "", "text/plain")
    assert request_parts("NOTIFY", {"o": "talk"}, "", "")[0] == (
        ("o", "talk"),
        ("Subscription-State", "active"),
    )
    told = {"Event": "talk", "Subscription-State": "terminated"}
    assert request_parts("NOTIFY", told, "", "")[0] == tuple(told.items())


@pytest.mark.parametrize("name", [*sorted(OWN), "Call-ID", "CSEQ", "v", "f", "t", "i", "m", "l", "k", "x"])
def test_what_makes_the_dialog_is_not_the_customers(name: str) -> None:
    with pytest.raises(Unsendable, match="own"):
        request_parts("INFO", {name: "1"}, "", "")


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\rb", "a\x00b", "a\x7fb", "\ud800"])
def test_a_value_begins_no_other_field(value: str) -> None:
    with pytest.raises(Unsendable, match="line end"):
        request_parts("INFO", {"X-A": value}, "", "")


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-A\r\nVia", "Ä"])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(Unsendable, match="name"):
        request_parts("INFO", {name: "1"}, "", "")


def test_limits() -> None:
    assert len(request_parts("INFO", {}, "x" * BODY_MAX_BYTES, "text/plain")[1]) == BODY_MAX_BYTES
    with pytest.raises(Unsendable, match="8192 bytes"):
        request_parts("INFO", {}, "ä" * (BODY_MAX_BYTES // 2) + "x", "text/plain")
    with pytest.raises(Unsendable, match="characters"):
        request_parts("INFO", {"X-A": "x" * (HEADER_MAX + 1)}, "", "")
    with pytest.raises(Unsendable, match="more than"):
        request_parts("INFO", {f"X-{n}": "x" for n in range(HEADERS_MAX + 1)}, "", "")
    with pytest.raises(Unsendable, match="twice"):
        request_parts("INFO", {"X-A": "1", "x-a": "2"}, "", "")
    with pytest.raises(Unsendable, match="verb"):
        request_parts("BYE", {}, "", "")


@examples(200)
@given(
    st.sampled_from(VERBS),
    st.dictionaries(
        st.sampled_from(["X-A", "Event", "c", "To", "Route", "Subject"]) | st.text(max_size=8),
        st.text(max_size=20),
        max_size=4,
    ),
    st.text(max_size=40),
)
def test_whatever_is_written_changes_nothing_of_the_dialog(
    verb: str, headers: dict[str, str], body: str
) -> None:
    dialog = Dialog(
        "c1", parse_address("<sip:a@x>;tag=1"), parse_address("<sip:b@y>;tag=2"), "sip:b@y", ("sip:p;lr",)
    )
    try:
        fields, data = request_parts(verb, headers, body, "text/plain")
    except Unsendable:
        return
    made = dialog.request(verb, fields, data)
    made.headers.prepend("Via", "SIP/2.0/UDP x;branch=z9hG4bK1")
    made.headers.add("Max-Forwards", "70")
    read = parse(made.encode())
    assert isinstance(read, Request)
    assert (read.method, read.body) == (verb, data)
    assert [
        len(read.headers.get_all(name)) for name in ("via", "from", "to", "call-id", "cseq", "route")
    ] == [1] * 6
    assert (read.call_id, read.from_address.tag, read.to_address.tag) == ("c1", "1", "2")
