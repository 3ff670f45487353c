"""The token of an address: whoever shows it may bring calls there. It is derived, so that nothing needs to be kept for it."""

from __future__ import annotations

import hashlib
import hmac

TOKEN_LENGTH = 32
"""Hexadecimal digits: 128 bits."""


def address_token(secret: bytes, name: str) -> str:
    """Of the address that ends in this id, whatever the protocol."""
    return hmac.new(secret, b"media:" + name.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[
        :TOKEN_LENGTH
    ]


def is_token_of(secret: bytes, name: str, given: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(address_token(secret, name).encode(), given.encode("utf-8", "replace"))
