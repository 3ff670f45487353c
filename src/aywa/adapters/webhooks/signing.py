"""Signs what is sent to customers' servers, with the server's own settings or by what an endpoint carries of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aywa.adapters.webhooks.oauth2 import TOKENS_MAX, OAuth2Tokens
from aywa.adapters.webhooks.signature import Letter, headers_for

Opened = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""Organisation and auth to the server's secret, headers and authenticationPlan. Raises CannotSign, StoreUnavailable."""

OAUTH2 = "oauth2"


class Signing:
    """ports.webhooks.RequestHeaders. opened: looks up what auth stands for. key: signs for a server that has neither a secret nor
    a plan."""

    def __init__(self, tokens: OAuth2Tokens, opened: Opened, key: str = "") -> None:
        self._tokens = tokens
        self._opened = opened
        self._key = key
        # By auth: whose token it was, to be forgotten when it is refused.
        self._plans: dict[tuple[str, str], Mapping[str, Any]] = {}

    async def headers(
        self, org_id: str, auth: str, *, url: str, body: str, message_id: str, timestamp_s: int
    ) -> Mapping[str, str]:
        """As the port says."""
        opened = await self._opened(org_id, auth)
        plan = oauth2_plan(opened)
        if plan is not None:
            if len(self._plans) >= TOKENS_MAX:
                del self._plans[next(iter(self._plans))]
            self._plans[(org_id, auth)] = plan
        return await self.sign(opened, Letter(url, body, message_id, timestamp_s))

    def refused(self, org_id: str, auth: str) -> None:
        """As the port says."""
        plan = self._plans.pop((org_id, auth), None)
        if plan is not None:
            self._tokens.forget(plan)

    async def sign(self, server: Mapping[str, Any], letter: Letter) -> dict[str, str]:
        """With settings that are at hand. Raises CannotSign."""
        plan = oauth2_plan(server)
        token = "" if plan is None else await self._tokens.of(plan)
        if self._key and not server.get("secret") and not server.get("authenticationPlan"):
            server = {**server, "secret": self._key}
        return headers_for(server, letter, token)

    def forget(self, server: Mapping[str, Any]) -> None:
        """The server answered 401: its token is not used again."""
        plan = oauth2_plan(server)
        if plan is not None:
            self._tokens.forget(plan)


def oauth2_plan(server: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The server's plan, where it is one of OAuth2."""
    plan = server.get("authenticationPlan")
    return plan if isinstance(plan, Mapping) and plan.get("type") == OAUTH2 else None
