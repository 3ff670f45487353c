"""Requests to vendors' APIs: one attempt each, within a time, and the names of their failures.

It refuses to follow redirects (a key would travel along) and to quote what a vendor's error says: only its number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from aywa.adapters.carriers.reading import text
from aywa.ports.errors import Fault, ProviderError

TIMEOUT_S = 15.0
"""End to end: vendors take their time before they say that they will dial."""
ANSWER_MAX_BYTES = 256 * 1024
CODES = ("code", "error_code", "errorCode")


class Rest:
    """The connections to one vendor, kept between requests."""

    def __init__(self, vendor: str, timeout_s: float = TIMEOUT_S) -> None:
        self._vendor = vendor
        self._timeout_s = timeout_s
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        fields: list[tuple[str, str]] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """The answer's JSON object. Raises ProviderError."""
        data: Any = None
        headers = {"Accept": "application/json", **headers}
        if fields is not None:
            data = aiohttp.FormData(fields)
        elif document is not None:
            data = json.dumps(document, separators=(",", ":"))
            headers["Content-Type"] = "application/json"
        if not all(each.isascii() and each.isprintable() for each in headers.values()):
            raise self._error("bad_key", "the key holds characters that no header can", Fault.CONFIG)
        try:
            async with self._session().request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                body = await self._body(answer)
                if not 200 <= answer.status < 300:
                    raise self._refused(answer.status, body)
                return body
        except TimeoutError:
            message = f"no answer within {self._timeout_s:g} s"
            raise self._error("deadline", message, Fault.PROVIDER) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise self._error("bad_url", "the address is not one of HTTP", Fault.CONFIG) from None
        except aiohttp.ClientError as error:
            message = f"it cannot be reached ({type(error).__name__})"
            raise self._error("unreachable", message, Fault.NETWORK) from None

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._http = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._http

    async def _body(self, answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
        pieces = bytearray()
        async for piece in answer.content.iter_chunked(16_384):
            pieces += piece
            if len(pieces) > ANSWER_MAX_BYTES:
                raise self._error("overlong", "the answer is too long", Fault.PROVIDER)
        try:
            found = json.loads(bytes(pieces) or b"{}")
        except (ValueError, RecursionError):
            found = {}
        return found if isinstance(found, dict) else {}

    def _refused(self, status: int, body: Mapping[str, Any]) -> ProviderError:
        number = next((text(body[name]) for name in CODES if name in body), "")
        errors = body.get("errors")
        if not number and isinstance(errors, list) and errors and isinstance(errors[0], dict):
            number = text(errors[0].get("code"))
        told = f"status {status}" + (f", error {number}" if number.isascii() and number.isalnum() else "")
        match status:
            case 401 | 403:
                return self._error("unauthorized", told, Fault.CONFIG, "check the account and its key")
            case 404 | 410:
                return self._error("not_found", told, Fault.CONFIG)
            case 429:
                return self._error("rate_limited", told, Fault.PROVIDER)
            case _ if status >= 500:
                return self._error("failed", told, Fault.PROVIDER)
            case _:
                return self._error("bad_request", told, Fault.CONFIG)

    def _error(self, code: str, message: str, fault: Fault, mend: str = "") -> ProviderError:
        return ProviderError(self._vendor, code, message, fault=fault, retryable=False, mend=mend)


def in_path(text: str) -> str:
    """An id as one part of an address."""
    return quote(text, safe="")
