from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.esl.event import Event, array, json_event, plain_event
from tests.core.feed import examples

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True)
FIELDS = st.dictionaries(NAMES, st.text(max_size=30), max_size=8)


def lines(fields: dict[str, str]) -> bytes:
    return "".join(f"{name}: {quote(value, safe='+/ ')}\n" for name, value in fields.items()).encode()


@examples(150)
@given(FIELDS, st.text(max_size=30))
def test_a_plain_event_and_a_json_event_say_the_same(fields: dict[str, str], body: str) -> None:
    given = {name: value for name, value in fields.items() if name != "Content-Length"}
    raw = body.encode("utf-8", "replace")
    text = raw.decode()
    tail = f"Content-Length: {len(raw)}\n\n".encode() + raw
    plain = plain_event(lines(given) + tail)
    as_json = json_event(json.dumps(given | {"_body": text}).encode())
    assert as_json is not None
    for name, value in given.items():
        assert plain.get(name) == as_json.get(name) == value
    assert plain.body == as_json.body == text


@examples(150)
@given(FIELDS)
def test_one_field_is_found_as_all_of_them_are(fields: dict[str, str]) -> None:
    data = lines(fields)
    for name, value in fields.items():
        assert plain_event(data).get(name) == plain_event(data).fields[name] == value
    assert plain_event(data).fields == fields


@examples(200)
@given(st.binary(max_size=300), st.text(max_size=10))
def test_nothing_raises(data: bytes, name: str) -> None:
    plain = plain_event(data)
    one = plain.get(name, "-")
    assert plain.fields.get(name, "-") == one or "\n" in name or ":" in name
    found = json_event(data)
    assert found is None or isinstance(found.get(name), str)


def test_what_is_asked_of_an_event() -> None:
    event = plain_event(b"Event-Name: DTMF\nUnique-ID: u-1\nUnique-ID: u-2\nvariable_a_b: x%20y\nBad\n\n")
    assert (event.name, event.uuid, event.variable("a_b"), event.variable("c")) == ("DTMF", "u-1", "x y", "")
    assert event.get("Bad", "none") == "none"
    assert event.fields["Unique-ID"] == "u-1"
    assert event.fields is event.fields
    assert event.get("Unique-ID") == "u-1"
    assert repr(event) == "Event('DTMF', 'u-1')"
    # The last line may have no end.
    assert plain_event(b"A: 1\nB: 2").get("B") == "2"


@pytest.mark.parametrize(("length", "body"), [(b"2", "ab"), (b"x", ""), (b"9999999999", ""), (b"9", "abc")])
def test_a_body_is_as_long_as_it_says(length: bytes, body: str) -> None:
    assert plain_event(b"Content-Length: " + length + b"\n\nabc").body == body


def test_without_a_body() -> None:
    assert plain_event(b"A: 1\n\n").body == ""
    assert Event().get("A") == ""


@pytest.mark.parametrize("data", [b"", b"[]", b"3", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_no_event(data: bytes) -> None:
    assert json_event(data) is None


def test_values_of_json_are_texts() -> None:
    event = json_event(b'{"a": ["x", "y", 3], "b": 7, "c": null, "d": {"e": 1}, "_body": 3}')
    assert event is not None
    assert [event.get(name) for name in "abcd"] == ["ARRAY::x|:y", "7", "", ""]
    assert event.body == ""
    assert array(event.get("a")) == ["x", "y"]
    assert (array("x"), array("")) == (["x"], [])
