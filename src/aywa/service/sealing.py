"""Seals the secrets of a document for its row, and opens them; refuses to say what they are."""

from __future__ import annotations

import json

from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.service.secret_fields import Secrets

_FIELD = "secrets"


class Seal:
    """For one kind of document. kind: part of what the ciphertext is bound to, never to be renamed."""

    def __init__(self, vault: Vault, kind: str) -> None:
        self._vault = vault
        self._kind = kind

    def close(self, org_id: str, document_id: str, secrets: Secrets) -> Sealed | None:
        """None when there are none."""
        if not secrets:
            return None
        plain = json.dumps(secrets, separators=(",", ":"), allow_nan=False).encode()
        return self._vault.seal(plain, (org_id, self._kind, document_id, _FIELD))

    def open(self, org_id: str, document_id: str, sealed: Sealed | None) -> Secrets:
        """Raises CannotOpen."""
        if sealed is None:
            return []
        plain = self._vault.open(sealed, (org_id, self._kind, document_id, _FIELD))
        try:
            return [(list(path), secret) for path, secret in json.loads(plain)]
        except (ValueError, TypeError):
            # What was inside must not come along in the chain.
            raise CannotOpen("what was sealed is not what this release seals") from None
