"""What seals a secret before it is stored and opens it when it is used. Refuses to know which secrets there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext as it is stored. key_id: which key opens it; not the key."""

    key_id: str
    blob: bytes


class CannotOpen(Exception):
    """The ciphertext cannot be opened: no key for it, or it was altered or moved. The text says why, and never what."""


class Vault(Protocol):
    """Authenticated encryption under the operator's key."""

    def seal(self, plain: bytes, place: tuple[str, ...]) -> Sealed:
        """place: where it will lie (organisation, kind of row, row, field); it opens there and nowhere else."""

    def open(self, sealed: Sealed, place: tuple[str, ...]) -> bytes:
        """Raises CannotOpen."""
