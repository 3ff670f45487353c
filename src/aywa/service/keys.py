"""API keys: made, found by their secret, listed, revoked. The secret is shown once and kept nowhere.

A secret is 192 random bits, so a plain SHA-256 of it cannot be searched; slow hashes are for passwords.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import ApiKey, ApiKeys
from aywa.service.clock import Clock, now_ms
from aywa.service.errors import NotFound, Rejected, Unauthenticated

PREFIX = "aywa_"
KINDS = ("private", "public")
NAME_LENGTH_MAX = 80
USE_NOTED_EVERY_MS = 60_000
"""How often a key's last use is written, at most."""


def digest(secret: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class Keys:
    """The use-cases."""

    def __init__(self, keys: ApiKeys, clock: Clock = now_ms) -> None:
        self._keys = keys
        self._clock = clock

    async def create(self, org_id: str, name: str, kind: str = "private") -> tuple[ApiKey, str]:
        """The key and its secret: `aywa_` and 32 URL-safe characters. Raises Rejected."""
        problems = []
        if kind not in KINDS:
            problems.append(
                f"kind must be one of the following values: {', '.join(KINDS)}, got {kind[:80]!r}"
            )
        if len(name) > NAME_LENGTH_MAX:
            problems.append(f"name must be shorter than or equal to {NAME_LENGTH_MAX} characters")
        if problems:
            raise Rejected(problems)
        secret = PREFIX + secrets.token_urlsafe(24)
        hint = secret[: len(PREFIX) + 4]
        key = ApiKey(str(uuid.uuid4()), org_id, name, kind, digest(secret), hint, self._clock())
        await self._keys.insert(key)
        return key, secret

    async def authenticate(self, secret: str) -> ApiKey:
        """The key that this is the secret of. Raises Unauthenticated."""
        key = await self._keys.find(digest(secret))
        if key is None or key.revoked_ms is not None:
            raise Unauthenticated("The API key is not known here, or was revoked.")
        await self._note_use(key)
        return key

    async def list(self, org_id: str | None = None) -> list[ApiKey]:
        """Oldest first; of all organisations when none is named."""
        return await self._keys.list(org_id)

    async def revoke(self, org_id: str | None, key_id: str) -> ApiKey:
        """From now on the key opens nothing. Raises NotFound."""
        key = await self._keys.revoke(org_id, key_id, self._clock())
        if key is None:
            raise NotFound(f"API key {key_id[:80]} does not exist.")
        return key

    async def _note_use(self, key: ApiKey) -> None:
        now = self._clock()
        if key.last_used_ms is not None and now - key.last_used_ms < USE_NOTED_EVERY_MS:
            return
        try:
            await self._keys.touch(key.id, now)
        except StoreUnavailable:
            pass  # who used a key when is worth less than letting him use it
