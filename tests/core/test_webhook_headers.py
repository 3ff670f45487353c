from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.webhook_headers import (
    HEADERS_MAX,
    REDACTED,
    VALUE_MAX,
    is_secret_header,
    secrets_in,
    shown_answer,
    shown_request,
    without,
)


def test_of_a_request_only_what_is_known_to_be_harmless_is_shown() -> None:
    sent = {
        "Content-Type": "application/json",
        "Webhook-Id": "msg_1",
        "Authorization": "Bearer s3cret",
        "X-Vapi-Secret": "s3cret",
        "X-Anything": "who knows",
    }
    assert shown_request(sent) == {
        "Content-Type": "application/json",
        "Webhook-Id": "msg_1",
        "Authorization": REDACTED,
        "X-Vapi-Secret": REDACTED,
        "X-Anything": REDACTED,
    }


def test_of_an_answer_what_looks_secret_is_hidden_and_our_secrets_wherever_they_are() -> None:
    came = [("Server", "x"), ("Set-Cookie", "a=b"), ("X-Echo", "you said Bearer s3cret"), ("X-Api-Key", "k")]
    secrets = secrets_in({"Authorization": "Bearer s3cret", "Content-Type": "application/json"})
    assert secrets == ("Bearer s3cret", "s3cret")
    assert shown_answer(came, secrets) == {
        "Server": "x",
        "Set-Cookie": REDACTED,
        "X-Echo": f"you said {REDACTED}",
        "X-Api-Key": REDACTED,
    }


@pytest.mark.parametrize(
    "name", ["Authorization", "Proxy-Authenticate", "set-cookie", "X-CSRF-Token", "sessionid"]
)
def test_a_header_is_secret_by_its_name(name: str) -> None:
    assert is_secret_header(name)
    assert not is_secret_header("Content-Length")


def test_what_is_kept_is_bounded() -> None:
    many = [(f"h{number}", "x" * (VALUE_MAX + 1)) for number in range(HEADERS_MAX + 10)]
    kept = shown_answer(many, ())
    assert len(kept) == HEADERS_MAX
    assert kept["h0"] == "x" * VALUE_MAX + "…"


def test_words_too_short_to_be_secrets_stay() -> None:
    assert secrets_in({"X-Own": "abc", "X-Other": "a b"}) == ()
    assert without("an abc", secrets_in({"X-Own": "abc"})) == "an abc"


@given(st.text(min_size=4, max_size=20), st.text(max_size=40), st.text(max_size=40))
def test_no_secret_is_left_in_a_text(secret: str, before: str, behind: str) -> None:
    shown = without(before + secret + behind, secrets_in({"X-Own": secret}))
    assert secret not in shown.replace(REDACTED, "\n") or secret in REDACTED
