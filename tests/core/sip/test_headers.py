from __future__ import annotations

import pytest

from aywa.core.sip.headers import Headers, canonical
from aywa.core.sip.uri import Unreadable


def test_names_compare_without_case_and_in_their_compact_forms() -> None:
    headers = Headers([("v", "1"), ("X-Own", "2"), ("VIA", "3")])
    assert headers.get("Via") == "1"
    assert headers.get_all("v") == ["1", "3"]
    assert headers.get("x-own") == "2"
    assert headers.get("Y-Own") is None
    assert "X-OWN" in headers
    assert 7 not in headers
    assert canonical("M") == "contact"


def test_fields_keep_their_order_and_their_spelling() -> None:
    headers = Headers([("f", "1"), ("Via", "2"), ("X", "3"), ("Via", "4")])
    headers.prepend("Via", "0")
    headers.prepend("First", "!")
    headers.add("Content-Length", "9")
    assert headers.lines() == ["First: !", "f: 1", "Via: 0", "Via: 2", "X: 3", "Via: 4"]
    assert list(headers)[:2] == [("First", "!"), ("f", "1")]
    assert len(headers) == 7


def test_a_field_is_set_in_place_and_once() -> None:
    headers = Headers([("A", "1"), ("To", "2"), ("B", "3"), ("t", "4")])
    headers.set("To", "5")
    headers.set("New", "6")
    assert list(headers) == [("A", "1"), ("To", "5"), ("B", "3"), ("New", "6")]


def test_a_list_is_set_in_place() -> None:
    headers = Headers([("A", "1"), ("Via", "2"), ("B", "3"), ("v", "4")])
    headers.set_list("Via", ["x", "y"])
    headers.set_list("Route", ["r"])
    assert list(headers) == [("A", "1"), ("Via", "x"), ("Via", "y"), ("B", "3"), ("Route", "r")]
    headers.remove("v")
    headers.remove("nothing")
    assert headers.get_all("via") == []


def test_lists_over_several_fields() -> None:
    headers = Headers([("Require", "100REL, a b"), ("require", "timer,,"), ("Via", "<a")])
    assert headers.get_list("require") == ["100REL", "a b", "timer"]
    assert headers.tokens("Require") == {"100rel", "timer"}
    assert headers.get_list("Via") == ["<a"]
    with pytest.raises(Unreadable):
        Headers([("Route", "<a, b")]).get_list("Route")


def test_a_copy_is_its_own() -> None:
    headers = Headers([("A", "1")])
    copied = headers.copy()
    assert copied == headers
    copied.add("B", "2")
    assert copied != headers
    assert headers != 5


def test_no_value_begins_another_field() -> None:
    headers = Headers([("X-Name", " anna\r\nVia: evil\n")])
    assert headers.lines() == ["X-Name: anna  Via: evil"]
    for name in ("", "X Name", "X:", "X\r\nY", "Ü"):
        with pytest.raises(ValueError):
            headers.add(name, "1")


def test_what_opens_an_account_is_not_shown() -> None:
    shown = repr(Headers([("Authorization", "Digest x"), ("PROXY-Authorization", "Digest x"), ("To", "me")]))
    assert "Digest" not in shown
    assert "me" in shown
