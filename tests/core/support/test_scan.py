"""The last look finds what the redaction let through, however it is written."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.core.support.scan import Leak, leaks

SECRET = 'kK9"\\é/+ zZ3 plus'
DATA = SECRET.encode()


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        json.dumps([SECRET]),
        json.dumps([json.dumps([SECRET])]),
        json.dumps([SECRET], ensure_ascii=False),
        json.dumps([f"line\n\t{SECRET}\x7f"]).replace("/", "\\/"),
        quote(SECRET),
        quote(SECRET, safe="").replace("%C3%A9%2F%2B", "%c3%a9%2f%2b"),
        quote_plus(SECRET),
        f"x{DATA.hex()}y",
        f"0{DATA.hex().upper()}",
        base64.b64encode(b"user:" + DATA).decode(),
        base64.urlsafe_b64encode(b"us" + DATA + b"more").decode(),
        quote(base64.b64encode(DATA).decode(), safe=""),
        json.dumps([base64.b64encode(json.dumps([SECRET]).encode()).decode()]),
    ],
)
def test_a_secret_is_found_as_it_is_written(text: str) -> None:
    assert Leak("a.json", "a secret of this runtime") in leaks({"a.json": text, "b.json": "{}"}, [SECRET])


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("abcXYZ019-_", min_size=8, max_size=40), st.binary(max_size=9), st.binary(max_size=9))
def test_in_whatever_it_is_encoded_with(secret: str, before: bytes, after: bytes) -> None:
    data = before + secret.encode() + after
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode()):
        assert leaks({"a": json.dumps(["x", text.decode()])}, [secret])


def test_a_short_one_only_where_it_stands_alone() -> None:
    assert leaks({"a": '["pin 1234"]'}, ["1234"]) == [Leak("a", "a secret of this runtime")]
    assert leaks({"a": "[912345, 1.12345]"}, ["1234"]) == []


def test_what_looks_like_a_secret_is_told_by_its_kind() -> None:
    text = json.dumps({"sk-ant-api03-abcdefghijklmno": [{"a": "Bearer abcdefgh"}, 5, None]})
    kinds = {leak.what for leak in leaks({"a": text}, [])}
    assert {"what looks like a secret (anthropic)", "what looks like a secret (bearer)"} <= kinds
    assert {leak.what for leak in leaks({"a": "no JSON\npassword=geheim1"}, [])} == {
        "what looks like a secret (assignment)"
    }


def test_nothing_in_what_is_clean() -> None:
    assert leaks({"a": '{"a": ["100 % plain + simple \\\\ text"]}'}, [SECRET, "1234"]) == []
