"""What speaks with customers' servers: one set of connections, guarded, and one keeper of tokens for questions and deliveries."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from aywa.adapters.webhooks.oauth2 import OAuth2Tokens
from aywa.adapters.webhooks.questions import HttpServerQuestions
from aywa.adapters.webhooks.signature import SIGNING_KEY
from aywa.adapters.webhooks.signing import Opened, Signing
from aywa.boot.errors import CannotStart
from aywa.ports.webhooks import CannotSign

URL, SECRET = "RUNTIME_ACCOUNT_WEBHOOK_URL", "RUNTIME_ACCOUNT_WEBHOOK_SECRET"
SIGNING_SECRET = "WEBHOOK_SIGNING_SECRET"  # noqa: S105 - a name
CONNECTIONS_MAX = 200
CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class AccountWebhookSettings:
    """The operator's own account webhook, for organisations that have none. url: empty for none."""

    url: str = ""
    secret: str = field(default="", repr=False)

    @property
    def server(self) -> Mapping[str, Any] | None:
        """As a server's document."""
        return {"url": self.url, "secret": self.secret} if self.url else None


def account_webhook_from_environment() -> AccountWebhookSettings:
    """Raises CannotStart."""
    url, secret = (os.environ.get(name, "").strip() for name in (URL, SECRET))
    if url and not url.startswith(("http://", "https://")):
        raise CannotStart(f"{URL} must begin with http:// or https://")
    return AccountWebhookSettings(url, secret)


def signing_secret() -> str:
    """WEBHOOK_SIGNING_SECRET."""
    return os.environ.get(SIGNING_SECRET, "").strip()


def signing_key(secret: str) -> str:
    """WEBHOOK_SIGNING_SECRET as Standard Webhooks writes keys: a text that is not written so is a key as it stands."""
    if not secret or secret.startswith(SIGNING_KEY):
        return secret
    return SIGNING_KEY + base64.b64encode(secret.encode()).decode()


class CustomerWire:
    """`questions` and `signing`, ready. opened: looks up what an endpoint's auth stands for; set when somebody can.
    signing_secret: signs for servers that have nothing of their own to be known by."""

    def __init__(
        self, connector: Callable[[], aiohttp.BaseConnector] | None = None, signing_secret: str = ""
    ) -> None:
        self._connector = connector or (lambda: aiohttp.TCPConnector(limit=CONNECTIONS_MAX))
        self._http: aiohttp.ClientSession | None = None
        self.opened: Opened | None = None
        self.tokens = OAuth2Tokens(self._session)
        self.signing = Signing(self.tokens, self._open, signing_key(signing_secret))
        self.questions = HttpServerQuestions(self._session, self.signing)

    async def close(self) -> None:
        """Closes the connections."""
        await self.tokens.close()
        if self._http is not None:
            await self._http.close()

    async def _open(self, org_id: str, auth: str) -> Mapping[str, Any]:
        if self.opened is None:
            raise CannotSign("nobody can look it up yet", retryable=True)
        return await self.opened(org_id, auth)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
            self._http = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                # A few packed bytes may be a gigabyte.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            )
        return self._http
