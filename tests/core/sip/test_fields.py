from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.fields import (
    CSEQ_MAX,
    SECONDS_MAX,
    Address,
    CSeq,
    Via,
    parse_address,
    parse_addresses,
    parse_cseq,
    parse_params,
    parse_seconds,
    parse_value,
    parse_via,
    quote,
    split_list,
    unquote,
    write_params,
)
from aywa.core.sip.uri import SipUri, Unreadable
from tests.core.feed import examples

# What may stand in a field that was read: no ends of lines.
LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b ,,c", ["a", "b", "c"]),
        ('"a, \\" b" <sip:x,y>;p=",", c', ['"a, \\" b" <sip:x,y>;p=","', "c"]),
    ],
)
def test_lists_are_parted_outside_quotes_and_brackets(value: str, members: list[str]) -> None:
    assert split_list(value) == members


@pytest.mark.parametrize("value", ['a, "b', "a, <b", "a>, b", '"a" "b, c'])
def test_a_list_with_something_left_open_is_refused(value: str) -> None:
    with pytest.raises(Unreadable):
        split_list(value)


def test_a_list_of_open_quotes_costs_no_more_than_its_length() -> None:
    with pytest.raises(Unreadable):
        split_list("," + '"\\' * 500_000)


@examples(100)
@given(LINES)
def test_quoting_is_undone(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted[1:-1]) == text
    assert split_list(f"{quoted}, {quoted}") == [quoted, quoted]


def test_nothing_quoted_can_end_the_line() -> None:
    assert quote('a\r\nVia: "x"') == '"a  Via: \\"x\\""'


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (";a;B=c ; d = e", {"a": None, "b": "c", "d": "e"}),
        (';a="x;\\"y"', {"a": 'x;"y'}),
        (";icid=abc==;rport=", {"icid": "abc==", "rport": ""}),
        (";a=1;a=2", {"a": "1"}),
        (";received=2001:db8::1", {"received": "2001:db8::1"}),
    ],
)
def test_parameters(text: str, params: dict[str, str | None]) -> None:
    assert parse_params(text) == params
    assert parse_params(write_params(params)) == params


@pytest.mark.parametrize("text", ["a", ";", ";;a", ";=b", ';a="b', ";a=<b>", ";a,b"])
def test_parameters_that_are_none(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_params(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:a@b;tag=1", Address("sip:a@b", "", {"tag": "1"})),
        (" <sip:a@b;lr>;tag=1 ", Address("sip:a@b;lr", "", {"tag": "1"})),
        ("A. Name<sip:a@b>", Address("sip:a@b", "A. Name")),
        ('"A \\"B\\", C" <sip:a@b>', Address("sip:a@b", 'A "B", C')),
        ("Weber, Ännchen <sip:a@b>", Address("sip:a@b", "Weber, Ännchen")),
        ("<sip:a@b?Replaces=x>", Address("sip:a@b?Replaces=x")),
        ('"" <tel:+1>', Address("tel:+1")),
    ],
)
def test_an_address_is_read_and_written(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        '"open <sip:a@b>',
        '"name" sip:a@b',
        'half" <sip:a@b>',
        "x> <sip:a@b>",
        "<sip:a@b",
        "< sip:a@b >",
        "<sip:a@b> x",
        "<sip:a@b>;;",
        "<>",
        "sip:a@b?Route=c",
        "sip:a@b,sip:c@d",
        "<sip:<a>@b>",
    ],
)
def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_address(text)


def test_an_address_can_be_given_other_parameters() -> None:
    address = parse_address("Anna <sip:a@b>;x=1")
    assert address.tag is None
    assert address.with_tag("t").tag == "t"
    assert str(address.with_params(y=None)) == '"Anna" <sip:a@b>;x=1;y'
    assert address.without_params() == Address("sip:a@b", "Anna")
    assert address.parsed_uri == SipUri("b", "a")


def test_all_addresses_of_a_field() -> None:
    assert [each.uri for each in parse_addresses(["<sip:a@b>, sip:c@d", "<sip:e,f@g>"])] == [
        "sip:a@b",
        "sip:c@d",
        "sip:e,f@g",
    ]


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP h", Via("UDP", "h")),
        (
            "sip / 2.0 / tcp  [2001:db8::1] : 5070 ; branch = z9hG4bKa",
            Via("TCP", "[2001:db8::1]", 5070, {"branch": "z9hG4bKa"}),
        ),
        ("SIP/7.0/X-NEW h:1;rport", Via("X-NEW", "h", 1, {"rport": None}, "7.0")),
    ],
)
def test_a_via_is_read_and_written(text: str, via: Via) -> None:
    assert parse_via(text) == via
    assert parse_via(str(via)) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "HTTP/2.0/UDP h",
        "SIP/2.0 h",
        "SIP/2.0/UDP h:0x1",
        "SIP/2.0/UDP h:70000",
        "SIP/2.0/UDP h;;,",
    ],
)
def test_a_via_that_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_via(text)


@pytest.mark.parametrize(
    ("branch", "unique"),
    [(None, False), ("z9hG4bK", False), ("390skd", False), ("z9hG4bKx", True), ("Z9HG4BKx", True)],
)
def test_only_a_branch_behind_the_cookie_is_unique(branch: str | None, unique: bool) -> None:
    via = Via("UDP", "H").with_params(branch=branch)
    assert (via.branch, via.unique_branch, via.sent_by) == (branch, unique, ("h", None))


def test_sequence_numbers() -> None:
    assert parse_cseq(f"0{CSEQ_MAX}  INVITE") == CSeq(CSEQ_MAX, "INVITE")
    assert str(CSeq(1, "BYE")) == "1 BYE"
    for text in ("", "1", "INVITE 1", f"{CSEQ_MAX + 1} BYE", "1 BYE x", "-1 BYE"):
        with pytest.raises(Unreadable):
            parse_cseq(text)


def test_a_word_with_parameters() -> None:
    assert parse_value("Application/SDP ; q=1") == ("application/sdp", {"q": "1"})
    assert parse_value("refer") == ("refer", {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        (" 0120 (I am in a meeting)", 120),
        ("18;duration=3", 18),
        ("9" * 30, SECONDS_MAX),
        ("5000000000", SECONDS_MAX),
        ("soon", 7),
        ("-1", 7),
        ("", 7),
        (None, 7),
    ],
)
def test_seconds_are_read_as_far_as_they_can_be(text: str | None, seconds: int) -> None:
    assert parse_seconds(text, 7) == seconds


@examples(100)
@given(LINES)
def test_any_value_is_read_or_refused(text: str) -> None:
    for read in (parse_address, parse_via, parse_cseq, parse_params, parse_value):
        for start in ("", "<sip:a@b>", "SIP/2.0/UDP h", ";a="):
            try:
                read(start + text)
            except Unreadable:
                continue


@examples(100)
@given(LINES, st.dictionaries(st.sampled_from(["tag", "q", "+sip.instance"]), LINES))
def test_what_we_write_is_what_is_read(display: str, params: dict[str, str | None]) -> None:
    address = Address("sip:a@b", display.strip(" \t"), params)
    assert parse_address(str(address)) == address
