"""Access tokens by client credentials (RFC 6749, 4.4), kept until shortly before they run out. Refuses every other grant."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from aywa.adapters.webhooks.body import read_at_most
from aywa.ports.webhooks import CannotSign

TIMEOUT_S = 5.0
ANSWER_MAX_BYTES = 64 * 1024
LIFE_S = 300.0
"""Of a token that does not say how long it lives (RFC 6749, 5.1: expires_in is only recommended)."""
LIFE_MAX_S = 24 * 3600.0
MARGIN_S = 30.0
"""So long before its end it is not begun with any more."""
TOKENS_MAX = 1_000

_Ask = Callable[[], Awaitable["_Token"]]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    until_s: float


class OAuth2Tokens:
    """Of all customers. clock: monotonic seconds."""

    def __init__(
        self, session: Callable[[], aiohttp.ClientSession], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._clock = clock
        self._kept: dict[str, _Token] = {}
        self._asking: dict[str, asyncio.Task[_Token]] = {}

    async def of(self, plan: Mapping[str, Any]) -> str:
        """A token for the plan (url, clientId, clientSecret, scope). Who asks while another asks waits for his answer.
        Raises CannotSign."""
        name = _name(plan)
        kept = self._kept.get(name)
        if kept is not None and kept.until_s > self._clock():
            return kept.text
        task = self._asking.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(plan), name="oauth2 token")
            self._asking[name] = task
            task.add_done_callback(lambda done: self._asked(name, done))
        return (await asyncio.shield(task)).text

    def forget(self, plan: Mapping[str, Any]) -> None:
        """The token was refused."""
        self._kept.pop(_name(plan), None)

    async def close(self) -> None:
        """Asks no more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, name: str, done: asyncio.Task[_Token]) -> None:
        self._asking.pop(name, None)
        if done.cancelled() or done.exception() is not None:
            return
        if len(self._kept) >= TOKENS_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = done.result()

    async def _fetch(self, plan: Mapping[str, Any]) -> _Token:
        form = {"grant_type": "client_credentials"}
        # In the body, as the platform does it, not in a header (RFC 6749, 2.3.1 allows both).
        for field, name in (("client_id", "clientId"), ("client_secret", "clientSecret"), ("scope", "scope")):
            value = plan.get(name)
            if isinstance(value, str) and value:
                form[field] = value
        url = plan.get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise CannotSign("authenticationPlan.url is not an address of HTTP")
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with self._session().post(url, data=form, timeout=timeout, allow_redirects=False) as answer:
                body = await read_at_most(answer, ANSWER_MAX_BYTES)
                if not 200 <= answer.status < 300:
                    retryable = answer.status >= 500 or answer.status == 429
                    raise CannotSign(f"the token server answered {answer.status}", retryable=retryable)
        except TimeoutError:
            text = f"the token server did not answer within {TIMEOUT_S:g} s"
            raise CannotSign(text, retryable=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = f"the token server cannot be reached ({type(error).__name__})"
            raise CannotSign(text, retryable=True) from None
        return self._read(body or b"")

    def _read(self, body: bytes) -> _Token:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
            raise CannotSign("the token server's answer has no access_token")
        assert isinstance(answer, dict)
        life_s = answer.get("expires_in")
        if not isinstance(life_s, int | float) or isinstance(life_s, bool) or not 0 < life_s < LIFE_MAX_S:
            life_s = LIFE_S
        return _Token(token, self._clock() + max(life_s - MARGIN_S, life_s / 2))


def _name(plan: Mapping[str, Any]) -> str:
    """Whose token it is: another secret makes it another's."""
    parts = json.dumps([plan.get(name) for name in ("url", "clientId", "clientSecret", "scope")], default=str)
    return hashlib.sha256(parts.encode()).hexdigest()
