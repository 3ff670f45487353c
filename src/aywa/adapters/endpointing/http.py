"""A customer's endpointing model over HTTP: POST of call.endpointing.request, {"timeoutSeconds": number} back.

Wire: contract 7.1 to 7.4 and 9.1. One attempt; deadlines are the caller's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from aywa.adapters.wire.guard import INTERNAL, INTERNAL_MEND
from aywa.adapters.wire.outbound import is_internal
from aywa.ports.endpointing import WAIT_MAX_S, EndpointingRequest
from aywa.ports.errors import Fault, ProviderError

ANSWER_MAX_BYTES = 64 * 1024
SECRET_HEADER = "X-Vapi-Secret"  # noqa: S105 - a header's name
NAME = "custom-endpointing-model"
_MEND = "check startSpeakingPlan.smartEndpointingPlan.server"


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is. secret: sent in X-Vapi-Secret as it is. A header that is named in headers is sent as it stands there."""

    url: str
    secret: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class EndpointingHttp:
    """The connections to all of them, kept between requests. connector: made once, with whatever guards it."""

    def __init__(self, connector: Callable[[], aiohttp.TCPConnector] = aiohttp.TCPConnector) -> None:
        self._connector = connector
        self._http: aiohttp.ClientSession | None = None

    def route(self, server: Server, envelope: Mapping[str, Any]) -> HttpEndpointingModel:
        """For one call. envelope: what every message about it carries (contract 7.3)."""
        return HttpEndpointingModel(self, server, envelope)

    def session(self) -> aiohttp.ClientSession:
        """Made on first use, and kept."""
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._http = aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), connector=self._connector()
            )
        return self._http

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()


class HttpEndpointingModel:
    """ports.endpointing.EndpointingModel of one call."""

    def __init__(self, http: EndpointingHttp, server: Server, envelope: Mapping[str, Any]) -> None:
        self._http = http
        self._server = server
        self._envelope = envelope

    @property
    def name(self) -> str:
        """The route's name."""
        return NAME

    async def wait_s(self, request: EndpointingRequest) -> float:
        """As the port says."""
        try:
            async with self._http.session().post(
                self._server.url,
                data=json.dumps(self._message(request), separators=(",", ":")),
                headers=self._headers(),
                allow_redirects=False,
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise self._refused(answer.status)
                return self._wait(await _body(answer))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise self._error("bad_url", "its address is not one of HTTP", Fault.CONFIG) from error
        except aiohttp.ClientError as error:
            if is_internal(error):
                raise ProviderError(
                    NAME,
                    "internal_address",
                    INTERNAL,
                    fault=Fault.CONFIG,
                    retryable=False,
                    mend=INTERNAL_MEND,
                ) from None
            raise self._error("unreachable", type(error).__name__, Fault.NETWORK) from error

    def _message(self, request: EndpointingRequest) -> dict[str, Any]:
        message = {
            "type": "call.endpointing.request",
            "timestamp": round(time.time() * 1000),
            **self._envelope,
            "messages": list(request.messages),
            "messagesOpenAIFormatted": list(request.chat),
        }
        return {"message": message}

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._server.secret:
            headers[SECRET_HEADER] = self._server.secret
        headers |= self._server.headers
        if not all(_is_plain(text) for pair in headers.items() for text in pair):
            raise self._error(
                "bad_request", "a header or the secret holds a line end or the like", Fault.CONFIG
            )
        return headers

    def _wait(self, body: bytes) -> float:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self._error("malformed", "its answer is not JSON", Fault.PROVIDER) from None
        seconds = answer.get("timeoutSeconds") if isinstance(answer, dict) else None
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise self._error("malformed", "its answer has no number timeoutSeconds", Fault.PROVIDER)
        if not 0 <= seconds <= WAIT_MAX_S:
            raise self._error(
                "out_of_range", f"its timeoutSeconds is not between 0 and {WAIT_MAX_S:g}", Fault.PROVIDER
            )
        return float(seconds)

    def _refused(self, status: int) -> ProviderError:
        code = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}.get(status)
        if status >= 500:
            return self._error("unavailable", f"answered {status}", Fault.PROVIDER)
        return self._error(code or "refused", f"answered {status}", Fault.CONFIG)

    def _error(self, code: str, message: str, fault: Fault) -> ProviderError:
        mend = _MEND if fault is Fault.CONFIG else ""
        return ProviderError(NAME, code, message, fault=fault, retryable=fault is not Fault.CONFIG, mend=mend)


def _is_plain(text: str) -> bool:
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """As much as an answer may hold: what is longer is cut, and then no JSON."""
    pieces = bytearray()
    async for piece in answer.content.iter_chunked(4096):
        pieces += piece
        if len(pieces) > ANSWER_MAX_BYTES:
            break
    return bytes(pieces)
