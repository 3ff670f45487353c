"""What seals a secret before it is stored and opens it when it is used. Refuses to know which secrets there are."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext as it is stored. key_id: which key opens it; not the key."""

    key_id: str
    blob: bytes

    def text(self) -> str:
        """As it stands inside of other texts; sealed_in reads it."""
        return f"{SEALED}{self.key_id}:{base64.b64encode(self.blob).decode()}"


KEY_ID_CHARACTERS = 12
SEALED = "sealed:"
"""How a ciphertext inside of other texts begins."""


def sealed_in(text: str) -> Sealed | None:
    """The ciphertext that this text is; None when it is none, or a damaged one."""
    if not text.startswith(SEALED):
        return None
    key_id, _, blob = text.removeprefix(SEALED).rpartition(":")
    try:
        opaque = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Sealed(key_id, opaque) if key_id and opaque else None


class CannotOpen(Exception):
    """The ciphertext cannot be opened: no key for it, or it was altered or moved. The text says why, and never what."""


class Vault(Protocol):
    """Authenticated encryption under the operator's key."""

    def seal(self, plain: bytes, place: tuple[str, ...]) -> Sealed:
        """place: where it will lie (organisation, kind of row, row, field); it opens there and nowhere else."""

    def open(self, sealed: Sealed, place: tuple[str, ...]) -> bytes:
        """Raises CannotOpen."""
