"""AES-256-GCM under the operator's key: what is sealed opens in its place, with its key, whole, and in no other way."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.secrets.aes_gcm import AesGcmVault, BadKey, key_id, read_key
from aywa.ports.secrets import CannotOpen, Sealed

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
PLACE = ("org", "credential", "id", "secrets")
places = st.lists(st.text(max_size=8), min_size=1, max_size=4).map(tuple)


@given(st.binary(max_size=200), places)
def test_what_is_sealed_opens_in_its_place(plain: bytes, place: tuple[str, ...]) -> None:
    vault = AesGcmVault(KEY)
    sealed = vault.seal(plain, place)
    assert vault.open(sealed, place) == plain
    assert sealed.key_id == key_id(KEY)
    assert len(sealed.blob) == 1 + 12 + len(plain) + 16


@given(places, places)
def test_it_opens_in_no_other_place(place: tuple[str, ...], other: tuple[str, ...]) -> None:
    vault = AesGcmVault(KEY)
    sealed = vault.seal(b"secret", place)
    if other != place:
        with pytest.raises(CannotOpen, match="altered, or belongs elsewhere"):
            vault.open(sealed, other)


def test_where_one_part_ends_and_the_next_begins_counts() -> None:
    vault = AesGcmVault(KEY)
    with pytest.raises(CannotOpen):
        vault.open(vault.seal(b"secret", ("ab", "c")), ("a", "bc"))


def test_every_altered_bit_is_noticed() -> None:
    vault = AesGcmVault(KEY)
    sealed = vault.seal(b"secret", PLACE)
    for at in range(len(sealed.blob)):
        altered = bytearray(sealed.blob)
        altered[at] ^= 1
        with pytest.raises(CannotOpen):
            vault.open(Sealed(sealed.key_id, bytes(altered)), PLACE)
        with pytest.raises(CannotOpen):
            vault.open(Sealed(sealed.key_id, sealed.blob[:at]), PLACE)


def test_the_same_is_never_sealed_the_same() -> None:
    vault = AesGcmVault(KEY)
    blobs = {vault.seal(b"secret", PLACE).blob for _ in range(200)}
    assert len(blobs) == 200
    assert not any(b"secret" in blob for blob in blobs)


def test_a_previous_key_still_opens_and_the_current_one_seals() -> None:
    old = AesGcmVault(KEY).seal(b"secret", PLACE)
    rotated = AesGcmVault(OTHER, [KEY])
    assert rotated.open(old, PLACE) == b"secret"
    assert rotated.seal(b"secret", PLACE).key_id == key_id(OTHER)
    with pytest.raises(CannotOpen, match=f"key {key_id(KEY)}, which is not set .*_PREVIOUS"):
        AesGcmVault(OTHER).open(old, PLACE)


def test_another_key_under_the_same_name_opens_nothing() -> None:
    sealed = AesGcmVault(KEY).seal(b"secret", PLACE)
    with pytest.raises(CannotOpen, match="altered"):
        AesGcmVault(OTHER).open(Sealed(key_id(OTHER), sealed.blob), PLACE)


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        f"  {KEY.hex()}\n",
        base64.b64encode(OTHER).decode(),
        base64.urlsafe_b64encode(OTHER).decode().rstrip("="),
    ],
)
def test_a_key_is_read_from_hex_and_base64(text: str) -> None:
    assert read_key(text, "KEY") in (KEY, OTHER)


@pytest.mark.parametrize(
    "text", ["short", "zz" * 32, "a" * 63, base64.b64encode(bytes(31)).decode(), "!" * 44, "\u00e9" * 44]
)
def test_a_malformed_key_names_its_setting_and_the_mend_and_not_itself(text: str) -> None:
    with pytest.raises(BadKey, match=r"THE_SETTING .*openssl rand -base64 32") as caught:
        read_key(text, "THE_SETTING")
    assert text not in str(caught.value)


def test_a_vault_shows_no_key() -> None:
    assert KEY.hex() not in repr(AesGcmVault(KEY))
    assert str(KEY) not in repr(AesGcmVault(KEY))
