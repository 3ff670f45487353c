"""Tokens of addresses: one for each id and secret, and good for no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.equipment.token import TOKEN_LENGTH, address_token, is_token_of

SECRET = b"s" * 32


def test_it_is_short_and_plain() -> None:
    token = address_token(SECRET, "an-assistant")
    assert len(token) == TOKEN_LENGTH
    assert set(token) <= set("0123456789abcdef")


@given(st.text(), st.text(), st.binary(min_size=1))
def test_it_opens_its_own_address_alone(name: str, other: str, secret: bytes) -> None:
    token = address_token(secret, name)
    assert is_token_of(secret, name, token)
    assert is_token_of(secret, other, token) == (
        name.encode("utf-8", "replace") == other.encode("utf-8", "replace")
    )
    assert not is_token_of(secret + b"x", name, token)


@given(st.text())
def test_a_guess_opens_nothing(guess: str) -> None:
    assert is_token_of(SECRET, "an-assistant", guess) == (guess == address_token(SECRET, "an-assistant"))
