"""API keys: made, found by their secret or by a token signed with it, listed, revoked. The secret is shown once.

It is found by its digest; a private key's is also kept sealed, because nobody can check a signature without it (ADR 29).

A secret is 192 random bits, so a plain SHA-256 of it cannot be searched; slow hashes are for passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import replace

import structlog

from aywa.ports.journal import StoreUnavailable
from aywa.ports.secrets import CannotOpen, Vault
from aywa.ports.store import ApiKey, ApiKeys
from aywa.service.clock import Clock, now_ms
from aywa.service.errors import NotFound, Rejected, Unauthenticated
from aywa.service.key_tokens import BadToken, is_token, read_token
from aywa.service.scopes import SCOPES

_log = structlog.get_logger("aywa.service.keys")

PREFIX = "aywa_"
OWN = "RUNTIME_API_KEY"
KINDS = ("private", "public")
NAME_LENGTH_MAX = 80
TOKEN_KEYS_MAX = 100
"""How many of an organisation's keys a token's signature is held against, the oldest first."""

USE_NOTED_EVERY_MS = 60_000
"""How often a key's last use is written, at most."""


def digest(secret: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class Keys:
    """The use-cases. vault: seals the private keys' secrets; without one no token can be checked."""

    def __init__(self, keys: ApiKeys, clock: Clock = now_ms, vault: Vault | None = None) -> None:
        self._keys = keys
        self._clock = clock
        self._vault = vault
        self._own: tuple[str, ApiKey] | None = None

    async def create(
        self,
        org_id: str,
        name: str,
        kind: str = "private",
        scopes: Sequence[str] | None = None,
        expires_ms: int | None = None,
    ) -> tuple[ApiKey, str]:
        """The key and its secret: `aywa_` and 32 URL-safe characters. scopes: of a private key, what it may do; None: all.
        Raises Rejected."""
        problems = _limit_problems(kind, scopes, expires_ms, self._clock())
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
        key_id = str(uuid.uuid4())
        sealed = None
        if self._vault is not None and kind == "private":
            sealed = self._vault.seal(secret.encode(), _bound(org_id, key_id))
        key = ApiKey(
            key_id,
            org_id,
            name,
            kind,
            digest(secret),
            hint,
            self._clock(),
            sealed=sealed,
            scopes=None if scopes is None else tuple(dict.fromkeys(scopes)),
            expires_ms=expires_ms,
        )
        await self._keys.insert(key)
        return key, secret

    def admit(self, org_id: str, secret: str) -> None:
        """A private key of the operator's, that is nowhere stored: it opens as long as this process has it."""
        key = ApiKey(OWN, org_id, OWN, "private", digest(secret), secret[:4], self._clock())
        self._own = (secret, key)

    async def authenticate(self, secret: str) -> ApiKey:
        """The key that this is the secret of, or that this token is signed with. Raises Unauthenticated."""
        if is_token(secret):
            return await self._by_token(secret)
        if self._own is not None and hmac.compare_digest(self._own[1].digest, digest(secret)):
            return self._own[1]
        key = await self._keys.find(digest(secret))
        if key is None or key.revoked_ms is not None:
            raise Unauthenticated("The API key is not known here, or was revoked.")
        if self._is_over(key):
            raise Unauthenticated("The API key has expired.")
        await self._note_use(key)
        return key

    async def _by_token(self, text: str) -> ApiKey:
        try:
            token = read_token(text)
        except BadToken as reason:
            raise Unauthenticated(str(reason)) from None
        if self._own is not None and self._own[1].org_id == token.org_id and token.signed_with(self._own[0]):
            if not token.holds_at(self._clock() / 1000):
                raise Unauthenticated("The token has expired, or is not valid yet.")
            return replace(self._own[1], kind=token.tag, restrictions=token.restrictions)
        for key in (await self._keys.list(token.org_id))[:TOKEN_KEYS_MAX]:
            secret = self._secret(key)
            if secret is not None and token.signed_with(secret):
                if not token.holds_at(self._clock() / 1000):
                    raise Unauthenticated("The token has expired, or is not valid yet.")
                await self._note_use(key)
                return replace(key, kind=token.tag, restrictions=token.restrictions, sealed=None)
        raise Unauthenticated("The token is not signed with a private key that is known here.")

    def _secret(self, key: ApiKey) -> str | None:
        if self._vault is None or key.sealed is None or key.revoked_ms is not None or key.kind != "private":
            return None
        if self._is_over(key):
            return None
        try:
            return self._vault.open(key.sealed, _bound(key.org_id, key.id)).decode()
        except CannotOpen as reason:
            _log.warning("api_key_cannot_be_opened", key_id=key.id, reason=str(reason))
            return None

    def _is_over(self, key: ApiKey) -> bool:
        return key.expires_ms is not None and key.expires_ms <= self._clock()

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


def _limit_problems(
    kind: str, scopes: Sequence[str] | None, expires_ms: int | None, now_ms: int
) -> list[str]:
    problems = [
        f"scopes must be of the following values: {', '.join(SCOPES)}, got {scope[:80]!r}"
        for scope in scopes or ()
        if scope not in SCOPES
    ]
    if scopes is not None and not scopes:
        problems.append("scopes must name one at least, got none")
    if scopes is not None and kind != "private":
        problems.append("scopes must be absent for a public key, which may only begin web calls")
    if expires_ms is not None and expires_ms <= now_ms:
        problems.append("expires must be in the future")
    return problems


def _bound(org_id: str, key_id: str) -> tuple[str, str, str, str]:
    return org_id, "api-key", key_id, "secret"
