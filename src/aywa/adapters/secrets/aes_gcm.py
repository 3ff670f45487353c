"""Seals secrets with AES-256-GCM (NIST SP 800-38D) under a key that is handed over; refuses to look for keys.

A nonce is 96 random bits: one key may seal about 2^32 times (SP 800-38D, 8.3), far more than there are credentials. The
associated data name the place of the ciphertext, so that one that was put into another row, of whichever organisation,
does not open there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aywa.ports.secrets import KEY_ID_CHARACTERS, CannotOpen, Sealed

KEY_BYTES = 32
NONCE_BYTES = 12
_FORMAT = b"\x01"
_DOMAIN = b"aywa sealed secret, format 1"
_HEX = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}\Z")


class BadKey(ValueError):
    """A key that is none. The text names the setting and how to make one, and holds nothing of the key."""


def read_key(text: str, setting: str) -> bytes:
    """32 bytes from hex or base64 (also URL-safe, also without padding). Raises BadKey."""
    text = text.strip()
    if _HEX.match(text):
        return bytes.fromhex(text)
    padded = text + "=" * (-len(text) % 4)
    try:
        key = base64.b64decode(padded.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(f"{setting} is neither hex nor base64: {_MEND}") from None
    if len(key) != KEY_BYTES:
        raise BadKey(f"{setting} holds {len(key)} bytes instead of {KEY_BYTES}: {_MEND}")
    return key


_MEND = "it must be 32 random bytes; make one with: openssl rand -base64 32"


def key_id(key: bytes) -> str:
    """Tells keys apart, and nothing about them."""
    return hashlib.sha256(b"aywa key id\0" + key).hexdigest()[:KEY_ID_CHARACTERS]


class AesGcmVault:
    """ports.secrets.Vault. previous: keys that still open what they sealed; the first key seals."""

    def __init__(self, key: bytes, previous: Iterable[bytes] = ()) -> None:
        self._current = key_id(key)
        self._keys = {key_id(each): AESGCM(each) for each in (key, *previous)}

    def __repr__(self) -> str:
        return f"<AesGcmVault, sealing with {self._current}>"

    def seal(self, plain: bytes, place: tuple[str, ...]) -> Sealed:
        """As the port says."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, plain, _associated(self._current, place))
        return Sealed(self._current, _FORMAT + nonce + sealed)

    def open(self, sealed: Sealed, place: tuple[str, ...]) -> bytes:
        """As the port says."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise CannotOpen(
                f"it was sealed with key {sealed.key_id[:KEY_ID_CHARACTERS]}, which is not set"
                " (name it in RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS, or enter the secret again)"
            )
        start = len(_FORMAT) + NONCE_BYTES
        nonce, rest = sealed.blob[len(_FORMAT) : start], sealed.blob[start:]
        if sealed.blob[: len(_FORMAT)] != _FORMAT or len(nonce) != NONCE_BYTES:
            raise CannotOpen("its ciphertext is malformed (enter the secret again)")
        try:
            return key.decrypt(nonce, rest, _associated(sealed.key_id, place))
        except InvalidTag:
            raise CannotOpen(
                "its ciphertext was altered, or belongs elsewhere (enter the secret again)"
            ) from None


def _associated(key: str, place: tuple[str, ...]) -> bytes:
    # Each part behind its length: ("ab", "c") is another place than ("a", "bc").
    parts = (_DOMAIN, *(part.encode("utf-8", "surrogatepass") for part in (key, *place)))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
