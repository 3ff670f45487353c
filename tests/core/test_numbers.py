from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.numbers import (
    RESERVED,
    VARIABLE_LENGTH_MAX,
    VARIABLES_MAX,
    SipAddress,
    dialled,
    is_dialable,
    is_e164,
    is_listed,
    number_key,
    sip_address,
    variables_of,
)


@pytest.mark.parametrize(
    ("text", "e164", "dialable"),
    [
        ("+4930123456", True, True),
        ("+10", True, True),
        ("4930123456", False, True),
        ("+0123456", False, True),
        ("+1234567890123456", False, True),
        ("*72#", False, True),
        ("support", False, True),
        ("+49 30", False, False),
        ("1", False, False),
        ("+49\r\n30", False, False),
        ("+4930\n", False, False),
        ("a@b", False, False),
        ("\u0661\u0662\u0663", False, False),
    ],
)
def test_what_is_a_number(text: str, e164: bool, dialable: bool) -> None:
    assert (is_e164(text), is_dialable(text)) == (e164, dialable)


@pytest.mark.parametrize(
    "spelling", ["+4930123", "004930123", "4930123", "+49 (30) 1-23", "+49.30.123", "+49/30/123"]
)
def test_one_number_in_many_spellings_is_one(spelling: str) -> None:
    assert number_key(spelling) == "4930123"


def test_a_name_is_the_same_in_any_case() -> None:
    assert number_key(" Support-Line ") == "support-line"
    assert number_key("Support") != number_key("Supper")
    assert number_key("12") == "12"


@given(st.from_regex(r"[1-9][0-9]{2,14}", fullmatch=True), st.integers(1, 14))
def test_every_spelling_has_the_digits_for_its_key(digits: str, place: int) -> None:
    spaced = f"{digits[:place]} {digits[place:]}"
    assert {number_key(before + each) for before in ("", "+", "00") for each in (digits, spaced)} == {digits}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:demo@pbx.example.com", SipAddress("sip", "demo", "pbx.example.com", None)),
        ("SIPS:Demo@PBX:5061", SipAddress("sips", "Demo", "pbx", 5061)),
        ("sip:10.0.0.1", SipAddress("sip", "", "10.0.0.1", None)),
        ("sip:a@[2001:db8::1]:5060", SipAddress("sip", "a", "[2001:db8::1]", 5060)),
        (
            "sip:+49@h;transport=tcp;user=phone;lr",
            SipAddress("sip", "+49", "h", None, ";transport=tcp;user=phone;lr"),
        ),
        ("tel:+4930", None),
        ("sip:", None),
        ("sip:a@", None),
        ("sip:a:secret@host", None),
        ("sip:a@host?Replaces=x", None),
        ("sip:a@host:0", None),
        ("sip:a@host:70000", None),
        ("sip:a@host\r\nX: y", None),
        ("sip:a@host\n", None),
        ("sip:a b@host", None),
        ("sip:a@ho st", None),
        ("<sip:a@host>", None),
    ],
)
def test_what_is_a_sip_uri(text: str, address: SipAddress | None) -> None:
    assert sip_address(text) == address


@given(st.text(max_size=200))
def test_no_text_breaks_it_and_nothing_that_ends_a_line_gets_through(text: str) -> None:
    for given_text in (text, f"sip:{text}", f"sip:a@{text}", f"sip:{text}@host"):
        address = sip_address(given_text)
        if address is not None:
            assert not set('\r\n <>"?') & set(given_text)


@pytest.mark.parametrize(
    ("plus", "prefix", "expected"),
    [(True, "", "+4930"), (False, "", "4930"), (False, "99#", "99#4930"), (True, "7", "7+4930")],
)
def test_a_trunk_gets_it_as_it_wants_it(plus: bool, prefix: str, expected: str) -> None:
    assert dialled("+4930", leading_plus=plus, tech_prefix=prefix) == expected


@pytest.mark.parametrize(
    ("destination", "listed", "expected"),
    [
        ("+4930123", ["+49"], True),
        ("+4930123", ["+48", "0049 30"], False),
        ("004930123", ["+49"], True),
        ("+1900123", ["+49"], False),
        ("+1900123", ["+"], False),
        ("+1900123", [""], False),
        ("*72123", ["+49"], False),
        ("*72123", ["*72"], True),
        ("reception", ["recep*"], True),
        ("reception", ["*"], False),
        ("+4930123", ["sip:*"], False),
        ("sip:a@pbx.example.com", ["sip:pbx.example.com"], True),
        ("sip:a@pbx.example.com", ["SIP:*.Example.com"], True),
        ("sip:a@badexample.com", ["sip:*.example.com"], False),
        ("sip:a@pbx.example.com:5070", ["sip:*"], True),
        ("sip:+4930@carrier", ["+49"], False),
    ],
)
def test_what_is_listed(destination: str, listed: list[str], expected: bool) -> None:
    assert is_listed(destination, listed) is expected


def test_x_headers_become_variables() -> None:
    found = variables_of(
        [
            ("X-Order-Id", "5"),
            ("Subject", "no"),
            ("x-name", "Ann"),
            ("X-NAME", "Bob"),
            ("X-", "none"),
            ("X-1st", "a digit first"),
            ("X-Customer", "not he"),
            ("X-Phone-Number", "nor that"),
        ]
    )
    assert found == {"order-id": "5", "order_id": "5", "Order-Id": "5", "name": "Ann"}


@given(
    st.lists(st.tuples(st.text(max_size=80).map("X-".__add__) | st.text(max_size=9), st.text(max_size=2000)))
)
def test_a_stranger_s_headers_are_bounded(headers: list[tuple[str, str]]) -> None:
    found = variables_of([*headers, *((f"X-n{n}", "v" * 2000) for n in range(100))])
    assert len(found) <= 3 * VARIABLES_MAX
    assert all(len(value) <= VARIABLE_LENGTH_MAX for value in found.values())
    assert not RESERVED & {name.lower().replace("-", "").replace("_", "") for name in found}
