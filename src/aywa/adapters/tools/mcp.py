"""A client of MCP servers over streamable HTTP: lists their tools and calls one (Model Context Protocol, revision 2025-06-18,
"Transports", "Lifecycle", "Tools"). A session of its own for every use, as the contract has it (5).

Refuses what a server may ask of a client (sampling, roots, elicitation): it declares none of it. The older transport, with a
stream of events beside the requests, is not spoken.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from aywa.adapters.tools.http import INTERNAL
from aywa.adapters.wire.json_text import read_json
from aywa.adapters.wire.outbound import is_internal
from aywa.core.tools import TOOLS_MAX
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.tools import McpAnswer

NAME = "mcp"
VERSION = "2025-06-18"
ANSWER_MAX_BYTES = 1024 * 1024
PAGES_MAX = 10
BYE_S = 1.0
"""How long ending a session may take; nobody waits for it otherwise."""
_SESSION = "Mcp-Session-Id"

Headers = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, str]]]
"""Those that open the server of a tool, beside those that name the call. Raises ProviderError."""


@dataclass(slots=True)
class Mcp:
    """ports.tools.McpServers for one call. http: whose connections go nowhere internal."""

    http: aiohttp.ClientSession
    call_id: str
    headers: Headers

    async def tools(self, tool: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """As the port says."""
        found: list[Mapping[str, Any]] = []
        async with self._session(tool) as session:
            cursor: str | None = None
            for _ in range(PAGES_MAX):
                page = await session.ask("tools/list", {} if cursor is None else {"cursor": cursor})
                found += _listed(page.get("tools"))
                following = page.get("nextCursor")
                if not isinstance(following, str) or len(found) >= TOOLS_MAX:
                    break
                cursor = following
        return found[:TOOLS_MAX]

    async def run(self, tool: Mapping[str, Any], name: str, arguments: Mapping[str, Any]) -> McpAnswer:
        """As the port says."""
        async with self._session(tool) as session:
            told = await session.ask("tools/call", {"name": name, "arguments": dict(arguments)})
        content = told.get("content")
        parts = [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
        text = "\n".join(each["text"] for each in parts if isinstance(each.get("text"), str))
        body = told.get("structuredContent")
        if not text and body is not None:
            text = json.dumps(body, ensure_ascii=False)
        if body is None and text:
            with suppress(ValueError):
                body = read_json(text.encode())
        return McpAnswer(text or "The tool answered without a text.", body, told.get("isError") is True)

    @asynccontextmanager
    async def _session(self, tool: Mapping[str, Any]) -> AsyncIterator[_Session]:
        server = tool.get("server")
        url = str(server.get("url") or "") if isinstance(server, Mapping) else ""
        metadata = tool.get("metadata")
        protocol = metadata.get("protocol") if isinstance(metadata, Mapping) else None
        if protocol == "sse":
            raise _error("bad_request", "metadata.protocol sse is not spoken, only shttp", Fault.CONFIG)
        opening = await self.headers(tool)
        session = _Session(self.http, url, {**opening, "X-Call-Id": self.call_id})
        await session.begin()
        try:
            yield session
        finally:
            await session.end()


class _Session:
    def __init__(self, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self._url = url
        self._headers = {**headers, "Accept": "application/json, text/event-stream"}
        self._ids = count(1)

    async def begin(self) -> None:
        told = await self.ask(
            "initialize",
            {
                "protocolVersion": VERSION,
                "capabilities": {},
                "clientInfo": {"name": "Aywa Runtime", "version": "1"},
            },
        )
        version = told.get("protocolVersion")
        self._headers["MCP-Protocol-Version"] = version if isinstance(version, str) else VERSION
        await self._post({"jsonrpc": "2.0", "method": "notifications/initialized"}, None)

    async def end(self) -> None:
        """Tells the server, which may not care."""
        if _SESSION not in self._headers:
            return
        with suppress(aiohttp.ClientError, HttpProcessingError, OSError):
            timeout = aiohttp.ClientTimeout(total=BYE_S)
            async with self._http.delete(self._url, headers=self._headers, timeout=timeout):
                pass

    async def ask(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = await self._post(message, number)
        error = answer.get("error")
        if isinstance(error, dict):
            raise _error(
                "failed", f"the server answered {method} with error {error.get('code')}", Fault.PROVIDER
            )
        result = answer.get("result")
        if not isinstance(result, dict):
            raise _error("malformed", f"the answer to {method} has no result", Fault.PROVIDER)
        return result

    async def _post(self, message: Mapping[str, Any], number: int | None) -> Mapping[str, Any]:
        failure: ProviderError
        try:
            async with self._http.post(
                self._url, json=message, headers=self._headers, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:
                    fault = Fault.PROVIDER if answer.status >= 500 else Fault.CONFIG
                    raise _error("refused", f"the server answered {answer.status}", fault)
                if session := answer.headers.get(_SESSION):
                    self._headers[_SESSION] = session
                if number is None:
                    return {}
                if answer.content_type == "text/event-stream":
                    return await _from_events(answer, number)
                return _object(await _body(answer))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            failure = _error("bad_url", "its address is not one of HTTP", Fault.CONFIG)
        except (TimeoutError, aiohttp.ClientError, HttpProcessingError, OSError) as error:
            failure = (
                _error("bad_url", INTERNAL, Fault.CONFIG)
                if is_internal(error)
                else _error(
                    "unreachable", f"the server cannot be reached ({type(error).__name__})", Fault.NETWORK
                )
            )
        # Out here, so that nothing of aiohttp's, whose repr may hold the request's headers, hangs on it.
        raise failure


def _listed(tools: Any) -> list[Mapping[str, Any]]:
    fields = ("name", "description", "inputSchema")
    named = (each for each in tools if isinstance(each, dict)) if isinstance(tools, list) else ()
    return [
        {name: each[name] for name in fields if name in each}
        for each in named
        if isinstance(each.get("name"), str)
    ]


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    pieces = bytearray()
    async for piece in answer.content.iter_any():
        pieces += piece
        _bounded(len(pieces))
    return bytes(pieces)


async def _from_events(answer: aiohttp.ClientResponse, number: int) -> Mapping[str, Any]:
    """The answer among what the server tells on the way to it."""
    rest, data, size = bytearray(), bytearray(), 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        _bounded(size)
        rest += piece
        *lines, last = rest.split(b"\n")
        rest = bytearray(last)
        for raw in lines:
            line = raw.rstrip(b"\r")
            if line.startswith(b"data:"):
                data += line[5:].strip()
            elif not line and data:
                message, data = _object(bytes(data)), bytearray()
                if message.get("id") == number and "method" not in message:
                    return message
    raise _error("cut_short", "the stream ended before the answer", Fault.NETWORK)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = read_json(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _error("malformed", "the answer is no object of JSON", Fault.PROVIDER)
    return value


def _bounded(size: int) -> None:
    if size > ANSWER_MAX_BYTES:
        raise _error("overlong", f"the answer is longer than {ANSWER_MAX_BYTES} bytes", Fault.PROVIDER)


def _error(code: str, message: str, fault: Fault) -> ProviderError:
    return ProviderError(NAME, code, message, fault=fault, retryable=fault is Fault.NETWORK)
