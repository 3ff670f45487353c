"""What runs the tools of calls over the network: one set of guarded connections, and each call's own credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import aiohttp

from aywa.adapters.tools.http import HttpTools
from aywa.adapters.tools.mcp import Mcp
from aywa.adapters.webhooks.signature import SIGNATURE_HEADER, Letter
from aywa.adapters.webhooks.signing import Signing
from aywa.call.tools.runs import ToolRoutes
from aywa.ports.calls import CallPlan, whole_of
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.server_questions import TOOL
from aywa.ports.tools import SipDialog, ToolHttpRequest
from aywa.ports.webhooks import CannotSign
from aywa.service.customer_servers import server_of

# Of a letter to a webhook; a request is only signed with them where its credential wants that.
_LETTER_HEADERS = ("content-type", "webhook-id", "webhook-timestamp")


class ToolWire:
    """`routes` of each call. connector: makes connections that go nowhere internal."""

    def __init__(
        self, signing: Signing, connector: Callable[[], aiohttp.BaseConnector] | None = None
    ) -> None:
        self._signing = signing
        self._http = HttpTools(connector=connector)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    def routes(self, plan: CallPlan, dialog: SipDialog | None = None) -> ToolRoutes:
        """Whoever a planned call's tools may ask. dialog: the call's, if it has one."""

        async def access(request: ToolHttpRequest) -> Mapping[str, str]:
            credential = request.access.get("credentialId")
            if not isinstance(credential, str) or not credential:
                return {}
            key = plan.keys.get(credential)
            # One that is missing must not pass for none at all.
            opening = {"type": "missing"} if key is None else key.extra.get("authenticationPlan")
            return await self._signed(
                {"authenticationPlan": opening}, request.url, request.body or "", request.id
            )

        async def at_server(tool: Mapping[str, Any]) -> Mapping[str, str]:
            written = tool.get("server")
            server = server_of(written if isinstance(written, Mapping) else None, plan.keys, TOOL)
            return {} if server is None else await self._signed(server.opened, server.url, "", plan.call_id)

        http = self._http.opened_by(access)
        mcp = Mcp(self._http.session(), plan.call_id, at_server)
        return ToolRoutes(http, mcp, dialog, files=plan.files, opened=partial(whole_of, plan.keys))

    async def _signed(
        self, server: Mapping[str, Any], url: str, body: str, message_id: str
    ) -> dict[str, str]:
        try:
            headers = await self._signing.sign(server, Letter(url, body, message_id, int(time.time())))
        except CannotSign as reason:
            raise ProviderError(
                "tool", "bad_request", str(reason), fault=Fault.CONFIG, retryable=False
            ) from None
        if SIGNATURE_HEADER in headers:
            return {name: text for name, text in headers.items() if name.lower() != "content-type"}
        return {name: text for name, text in headers.items() if name.lower() not in _LETTER_HEADERS}
