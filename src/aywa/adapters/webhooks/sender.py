"""Carries a delivery's request over HTTP: one POST, its times, and so much of the answer as is kept.

It refuses to try again (the outbox does), to follow a redirect (it would take the message, and its signature, to somebody who
was not asked), and to connect to what is internal. Nothing that it gives back holds a secret.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from aywa.adapters.wire.http import retry_after_s
from aywa.adapters.wire.outbound import Outbound, is_internal
from aywa.core.webhook_headers import secrets_in, shown_answer, shown_request, without
from aywa.core.webhooks import Cause, Endpoint, Outcome
from aywa.ports.outbox import EXCERPT_BYTES, Sent

CONNECT_S = 10.0
"""For name, TCP and TLS together; less if the endpoint's own time is shorter."""
BODY_S = 2.0
"""So long an answer's body may take behind its head: what it says changes nothing."""
BODY_MAX_BYTES = 64 * 1024
"""An answer that is longer costs its connection."""
KEEP_S = 4.0
"""Shorter than the 5 s after which uvicorn, Node and others close an idle connection: a POST that meets the closing cannot tell
whether it was heard."""
USER_AGENT = "aywa-webhooks"


@dataclass(slots=True)
class _Clock:
    """When a request's parts began and ended, in seconds; None: they did not."""

    began_s: float
    dns_began_s: float | None = None
    dns_s: float | None = None
    socket_s: float | None = None
    connected_s: float | None = None
    ready_s: float | None = None
    head_s: float | None = None

    def stamped(self, sent: Sent) -> Sent:
        """With the times."""
        asked_s = self.began_s if self.ready_s is None else self.ready_s
        return replace(
            sent,
            dns_ms=_between_ms(self.dns_began_s, self.dns_s),
            connect_ms=_between_ms(self.socket_s, self.connected_s),
            tls_ms=_between_ms(self.connected_s, self.ready_s),
            first_byte_ms=_between_ms(asked_s, self.head_s),
            total_ms=_between_ms(self.began_s, perf_counter()),
        )


_CLOCK: ContextVar[_Clock | None] = ContextVar("a request's clock", default=None)


class _TimedSocket(socket.socket):
    """Tells the clock of the request that it is made for when it is connected: the loop then asks for SO_ERROR."""

    clock: _Clock | None = None

    def connect(self, address: Any) -> None:
        super().connect(address)
        self._connected()

    def getsockopt(self, *args: Any) -> Any:
        if args[:2] == (socket.SOL_SOCKET, socket.SO_ERROR):
            self._connected()
        return super().getsockopt(*args)

    def _connected(self) -> None:
        if self.clock is not None:
            self.clock.connected_s = perf_counter()


class HttpSender:
    """ports.outbox.DeliverySender. The connections are kept between requests. tls: in place of the system's authorities."""

    def __init__(self, outbound: Outbound, tls: ssl.SSLContext | None = None) -> None:
        self._outbound = outbound
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    async def send(self, endpoint: Endpoint, headers: Mapping[str, str], body: str) -> Sent:
        """As the port says."""
        clock = _Clock(perf_counter())
        token = _CLOCK.set(clock)
        sent_headers = {"User-Agent": USER_AGENT, **headers}
        shown = shown_request(sent_headers)
        try:
            async with asyncio.timeout(endpoint.timeout_s):
                answer = await self._session().post(
                    endpoint.url,
                    data=body.encode(),
                    headers=sent_headers,
                    allow_redirects=False,
                    trace_request_ctx=clock,
                )
            # The answer is there: how slowly its body comes is no time-out any more.
            clock.head_s = perf_counter()
            return clock.stamped(await _read(answer, secrets_in(sent_headers), shown))
        except (TimeoutError, aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            return clock.stamped(Sent(Outcome(_cause(error)), shown))
        finally:
            _CLOCK.reset(token)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                connector=self._outbound.connector(
                    limit=0, keepalive_timeout=KEEP_S, ssl=self._tls or True, socket_factory=self._socket
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_tracing()],
            )
        return self._http

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        self._outbound.check(str(address[4][0]), int(address[4][1]))
        made = _TimedSocket(*address[:3])
        made.clock = _CLOCK.get()
        if made.clock is not None:
            made.clock.socket_s = perf_counter()
        return made


async def _read(answer: aiohttp.ClientResponse, secrets: tuple[str, ...], shown: Mapping[str, str]) -> Sent:
    excerpt, length = bytearray(), 0
    try:
        with suppress(TimeoutError, aiohttp.ClientError, HttpProcessingError, OSError):
            async with asyncio.timeout(BODY_S):
                async for piece in answer.content.iter_any():
                    excerpt += piece[: max(0, EXCERPT_BYTES - length)]
                    length += len(piece)
                    if length > BODY_MAX_BYTES:
                        break
    finally:
        # What is not read to its end cannot carry another request.
        answer.close() if not answer.content.at_eof() else answer.release()
    status = answer.status
    return Sent(
        Outcome(Cause.ANSWERED, status, retry_after_s(answer.headers)),
        shown,
        shown_answer(answer.headers.items(), secrets),
        without(excerpt.decode("utf-8", "replace"), secrets),
    )


def _cause(error: BaseException) -> Cause:
    if is_internal(error):
        return Cause.INTERNAL_ADDRESS
    match error:
        case TimeoutError():
            return Cause.TIMED_OUT
        case aiohttp.ClientConnectorDNSError():
            return Cause.NAME_NOT_FOUND
        case aiohttp.ClientSSLError():
            return Cause.UNTRUSTED
        case aiohttp.ClientConnectorError():
            return Cause.UNREACHABLE
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            return Cause.BAD_URL
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | OSError():
            return Cause.CUT_SHORT
        case _:
            return Cause.MALFORMED


def _tracing() -> aiohttp.TraceConfig:
    """Only what a new connection costs: requests on a kept one are not slowed by it."""
    tracing = aiohttp.TraceConfig()

    def noting(name: str) -> Any:
        async def note(
            _session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object
        ) -> None:
            setattr(context.trace_request_ctx, name, perf_counter())

        return note

    tracing.on_dns_resolvehost_start.append(noting("dns_began_s"))
    tracing.on_dns_resolvehost_end.append(noting("dns_s"))
    tracing.on_connection_create_end.append(noting("ready_s"))
    return tracing


def _between_ms(began_s: float | None, ended_s: float | None) -> float | None:
    return None if began_s is None or ended_s is None else round((ended_s - began_s) * 1000, 3)
