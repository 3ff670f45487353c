from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.uri import (
    URI_MAX_CHARS,
    OtherUri,
    SipUri,
    TelUri,
    Unreadable,
    bare_host,
    escape_user,
    host_text,
    parse_uri,
    read_number,
    unescape,
)
from tests.core.feed import examples


def sip(text: str) -> SipUri:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return uri


def tel(text: str) -> TelUri:
    uri = parse_uri(text)
    assert isinstance(uri, TelUri)
    return uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:example.org", SipUri("example.org")),
        ("SIP:anna@Example.org:5070", SipUri("Example.org", "anna", 5070)),
        (
            "sips:anna:word@[2001:db8::1]:5061",
            SipUri("[2001:db8::1]", "anna", 5061, secure=True, password="word"),
        ),
        ("sip:a@b;Transport=TCP;lr", SipUri("b", "a", params={"transport": "TCP", "lr": None})),
        ("sip:a@b;lr=", SipUri("b", "a", params={"lr": ""})),
        ("sip:a@b;x=1;x=2", SipUri("b", "a", params={"x": "1"})),
        ("sip:a@b;%6Cr", SipUri("b", "a", params={"lr": None})),
        ("sip:a@b?Subject=hi&Reply-To=c", SipUri("b", "a", headers=(("Subject", "hi"), ("Reply-To", "c")))),
        ("sip:b;a=1?h=", SipUri("b", params={"a": "1"}, headers=(("h", ""),))),
        # The user part may hold what elsewhere parts things, and an @ only escaped.
        ("sip:q;w=e/r?t%40y@host", SipUri("host", "q;w=e/r?t%40y")),
        ("sip:*31#@media_edge", SipUri("media_edge", "*31#")),
        ("tel:+1-202-555-0111;ext=9", TelUri("+1-202-555-0111", {"ext": "9"})),
        ("tel:911", TelUri("911")),
        ("isbn:3-598-21500-2", OtherUri("isbn", "3-598-21500-2")),
        ("blocks.extensible://192.0.2.9:77", OtherUri("blocks.extensible", "//192.0.2.9:77")),
    ],
)
def test_a_uri_is_read_and_written(text: str, uri: object) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(str(parse_uri(text))) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna@example.org",
        "sip:",
        "sip:@host",
        "sip:anna@",
        "sip:an na@host",
        "sip:anna@host, sip:bert@host",
        "sip:a@b@c",
        "sip:a%4@b",
        "sip:a:se cret@b",
        "sip:müller@host",
        "sip:host:99999",
        "sip:host:port",
        "sip:host;",
        "sip:host;=1",
        "sip:host;a=\x00",
        "sip:host?",
        "sip:host?name",
        "sip:host?=value",
        "sip:host?a=<>",
        "tel:not a number",
        "tel:+1;x y",
        "http://a b",
        "http:<b>",
        "1sip:host",
        "sip:" + "a" * URI_MAX_CHARS,
    ],
)
def test_what_is_no_uri_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_uri(text)
    assert text == "" or text not in str(caught.value)


def test_the_parts_are_given_as_they_are_meant() -> None:
    uri = sip("sips:j%c3%bcrgen%20@b;transport=TLS;lr")
    assert (uri.scheme, uri.user_text, uri.transport, uri.loose) == ("sips", "jürgen ", "tls", True)
    bare = sip("sip:b")
    assert (bare.scheme, bare.user_text, bare.transport, bare.loose) == ("sip", "", None, False)
    assert unescape("%ff") == "\ufffd"
    assert (tel("tel:+49(30)1.2").digits, tel("tel:1").scheme) == ("+49301.2".replace(".", ""), "tel")
    assert escape_user("jürgen @") == "j%C3%BCrgen%20%40"
    assert "word" not in repr(sip("sip:anna:word@b"))


@pytest.mark.parametrize(
    ("host", "written", "bare"), [("::1", "[::1]", "::1"), ("[::1]", "[::1]", "::1"), ("A.b", "A.b", "a.b")]
)
def test_hosts(host: str, written: str, bare: str) -> None:
    assert (host_text(host), bare_host(host)) == (written, bare)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # RFC 3261 19.1.4, with names of our own.
        ("sip:%61nna@here.example;transport=TCP", "sip:anna@HERE.example;Transport=tcp"),
        ("sip:clara@here.example", "sip:clara@here.example;newparam=5"),
        ("sip:clara@here.example;security=on", "sip:clara@here.example;lr"),
        ("sip:h;m=x?a=1&b=2", "sip:h;m=X?B=2&A=1"),
        ("tel:+1-20-2", "tel:+1(20)2"),
        ("tel:1;ext=%39", "tel:1;ext=9"),
        ("urn:x", "URN:x"),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert parse_uri(one).same(parse_uri(other))
    assert parse_uri(other).same(parse_uri(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:Anna@h", "sip:anna@h"),
        ("sip:anna@h", "sip:anna@h:5060"),
        ("sip:anna@h", "sips:anna@h"),
        ("sip:anna@h", "sip:anna@i"),
        ("sip:h", "sip:h;user=phone"),
        ("sip:h", "sip:h;maddr=i"),
        ("sip:h;x=1", "sip:h;x=2"),
        ("sip:h;x", "sip:h;x=2"),
        ("sip:h?a=1", "sip:h?a=2"),
        ("sip:a%3Bb@h", "sip:a;b@h"),
        ("sip:a:b@h", "sip:a@h"),
        ("tel:1", "tel:2"),
        ("tel:1;ext=1", "tel:1"),
        ("sip:1", "tel:1"),
        ("tel:1", "urn:1"),
        ("urn:1", "urn:2"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not parse_uri(one).same(parse_uri(other))
    assert not parse_uri(other).same(parse_uri(one))


def test_numbers_are_plain_digits_up_to_a_bound() -> None:
    assert read_number("0068", 255) == 68
    assert read_number("000", 9) == 0
    for text in ("", "-1", "+1", " 1", "1_0", "٣", "256", "9" * 100_000):
        with pytest.raises(Unreadable):
            read_number(text, 255)


@examples(100)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for start in ("", "sip:", "tel:"):
        try:
            uri = parse_uri(start + text)
        except Unreadable:
            continue
        assert parse_uri(str(uri)).same(uri)


@examples(100)
@given(st.text(min_size=1, max_size=40))
def test_any_name_can_stand_before_the_at(name: str) -> None:
    encodable = name.encode("utf-8", "replace").decode()
    assert sip(f"sip:{escape_user(name)}@h").user_text == encodable
