"""Asks a customer's server over HTTP which assistant answers a call: POST of assistant-request (contract 7.1, 7.4).

One attempt: the caller hears it ring meanwhile.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import aiohttp

from aywa.adapters.webhooks.signature import CannotSign, headers_for
from aywa.ports.errors import Fault, ProviderError

NAME = "assistant-request"
TIMEOUT_S = 7.5
"""End to end, whatever server.timeoutSeconds says: so long a telephone may ring (contract 7.1)."""

ANSWER_MAX_BYTES = 1024 * 1024
_MEND = "check the phone number's server"


class HttpAssistantRequests:
    """ports.telephony.AssistantRequests. The connections are kept between requests."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    async def ask(self, server: Mapping[str, Any], message: Mapping[str, Any]) -> Mapping[str, Any]:
        """As the port says."""
        url, body = str(server.get("url") or ""), json.dumps({"message": message}, separators=(",", ":"))
        try:
            headers = headers_for(
                server, body, url=url, timestamp_s=int(time.time()), message_id=f"msg_{uuid.uuid4().hex}"
            )
        except CannotSign as reason:
            raise _error("bad_request", str(reason), Fault.CONFIG) from None
        try:
            async with self._session().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    fault = Fault.PROVIDER if answer.status >= 500 else Fault.CONFIG
                    raise _error("refused", f"the server answered {answer.status}", fault)
                return _read(await _body(answer))
        except TimeoutError:
            text = f"the server did not answer within {self._timeout_s:g} s"
            raise _error("deadline", text, Fault.PROVIDER) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise _error("bad_url", "the server's address is not one of HTTP", Fault.CONFIG) from None
        except aiohttp.ClientError as error:
            text = f"the server cannot be reached ({type(error).__name__})"
            raise _error("unreachable", text, Fault.NETWORK) from error

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._http = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._http


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _error("malformed", "the server's answer is not JSON", Fault.PROVIDER) from None
    if not isinstance(answer, dict):
        raise _error("malformed", "the server's answer is no object", Fault.PROVIDER)
    # Many a server wraps its answer as the message was wrapped.
    inside = answer.get("messageResponse")
    return inside if isinstance(inside, dict) else answer


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    pieces = bytearray()
    async for piece in answer.content.iter_chunked(16_384):
        pieces += piece
        if len(pieces) > ANSWER_MAX_BYTES:
            raise _error(
                "overlong", f"the server's answer is longer than {ANSWER_MAX_BYTES} bytes", Fault.CONFIG
            )
    return bytes(pieces)


def _error(code: str, message: str, fault: Fault) -> ProviderError:
    mend = _MEND if fault is Fault.CONFIG else ""
    return ProviderError(NAME, code, message, fault=fault, retryable=False, mend=mend)
