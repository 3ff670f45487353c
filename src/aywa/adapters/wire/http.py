"""The HTTP connections of one route, kept between requests and made ahead of them, and the names of their failures.

It refuses to try again (the router does), to follow redirects (a key would travel along), and to quote what a vendor's
error says (it may hold the key or the caller's words): only the vendor's codes that the adapter knows are named.
Events: https://html.spec.whatwg.org/multipage/server-sent-events.html, with every line of data an event of its own, as
all vendors write them.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from time import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from aywa.adapters.wire.guard import INTERNAL, INTERNAL_MEND, Guard
from aywa.adapters.wire.json_text import read_json
from aywa.adapters.wire.outbound import is_internal
from aywa.adapters.wire.reserve import Reserve
from aywa.ports.errors import Fault, ProviderError

CONNECT_S = 5.0
"""For the TCP handshake."""
KEEP_S = 240.0
"""How long an idle connection is kept: longer than a caller's longest turn, shorter than network devices forget one."""
PROBE_S = 30
"""An idle connection is asked so often whether it still stands (TCP keep-alive): a device on the way may have forgotten it
without a word, and a turn would find out the hard way."""
UNHEARD_S = 10
"""How long what was sent may stay without the far side's acknowledgement before the connection is given up."""
READ_BYTES = 1 << 16
"""How much of an answer waits unread before the far side is held back; twice this at most."""
MAX_LINE_BYTES = 1 << 20
REFUSAL_MAX_BYTES = 16 * 1024
REFUSAL_S = 1.0
"""How long a refusal's body, which may say more than its status, may take."""
DRAIN_S = 0.2
"""How long the end of a finished answer may take to come: with it the connection can be used again."""
RETRY_AFTER_MAX_S = 86_400.0

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_LET_GO = {"Connection": "close"}
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Names:
    """What the settings behind a route are called, so that a failure says which to change: the credential or environment
    variable of the key, the one of the base URL, and the one of what is asked for (kind: model or voice)."""

    key: str
    url: str
    target: str = ""
    kind: str = "model"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a status, or a vendor's own code, means in ports.errors."""

    code: str
    fault: Fault
    retryable: bool
    mend: str = ""


Inspect = Callable[[int, object], Refusal | None]


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One line of data of a stream of events. name: of the `event:` line before it, or empty."""

    name: str
    data: bytes


@dataclass(slots=True)
class _Trace:
    """The connection that a request went out on. kept: from an earlier request."""

    kept: bool = False


class _Dialled(Exception):
    """The connection stands, and nothing is to be sent on it."""


class HttpRoute:
    """One route to one vendor. Its connections are kept, and while it is used some are free: a connection that is taken, or
    lost with an answer that nobody wanted to its end, is replaced in the background, so that no turn pays a handshake."""

    def __init__(
        self,
        name: str,
        base_url: str,
        names: Names,
        *,
        headers: Mapping[str, str] | None = None,
        refusals: Mapping[str, Refusal] | None = None,
        tls: ssl.SSLContext | None = None,
        guard: Guard | None = None,
    ) -> None:
        """headers: sent with every request, the key among them. refusals: the vendor's own codes, where they say more
        than the status. tls: in place of the system's certificate authorities. guard: where a customer says where it goes."""
        self._guard = guard
        self.name = name
        self.names = names
        self._base_url = base_url
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._refusals = refusals or {}
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None
        self._closed = False
        self._reading: set[aiohttp.ClientResponse] = set()
        self._bodies: WeakKeyDictionary[ResponseHandler, aiohttp.StreamReader] = WeakKeyDictionary()
        self._reserve = Reserve()
        # Requests that have a connection or want one, and those of them whose connection goes with them.
        self._using = self._going = 0
        self._dialling: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._open: set[ResponseHandler] = set()
        self.connections = 0
        """How many were ever made."""
        self.waited = 0
        """For how many of them a request waited."""

    # --- asking ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        inspect: Inspect | None = None,
    ) -> AsyncIterator[HttpAnswer]:
        """An answer 200, as far as its head. body: sent as JSON; data: as it is. inspect: is shown an error's status and
        body first. Raises ProviderError; leaving it before its end closes the connection."""
        self._check_headers(headers or {})
        with self._in_use() as more:
            response = await self._send(method, path, body, data, {**(headers or {}), **more})
            self._reserve.served()
            self._reading.add(response)
            self._watch(response)
            try:
                async with response:
                    if response.status != 200:
                        raise await self._refused(response, inspect)
                    yield HttpAnswer(self, response)
            finally:
                self._reading.discard(response)

    async def warm(self, connections: int = 1) -> None:
        """Has so many connections free, and as many as are to be spare, TLS done, without a request that a vendor would
        count. Never raises."""
        if self._closed:
            return
        now = asyncio.get_running_loop().time()
        self._reserve.used(self._using, now)
        self._dial_soon(
            max(connections + self._using - self._places, self._reserve.lacking(self._places, now))
        )
        if self._dialling:
            await asyncio.wait(list(self._dialling))

    async def close(self) -> None:
        """Closes the connections; whoever still reads gets a ProviderError."""
        self._closed = True
        if self._later is not None:
            self._later.cancel()
        for task in self._dialling:
            task.cancel()
        for response in self._reading:
            response.close()
        if self._dialling:
            await asyncio.wait(list(self._dialling))
        if self._http is not None:
            await self._http.close()

    async def _send(
        self, method: str, path: str, body: object, data: Any, headers: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        """A kept connection may turn out to be closed by the far side: then another is taken, at last a fresh one."""
        while True:
            if self._closed:
                raise self.closed_error()
            trace = _Trace()
            try:
                return await self._session().request(
                    method,
                    self._url(path),
                    json=body,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    trace_request_ctx=trace,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                failure = None if trace.kept and not self._closed else self.translated(error)
            except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
                failure = self.translated(error)
            # Out here, so that no vendor's exception, whose repr may hold our headers, hangs on it.
            if failure is not None:
                raise failure

    def _watch(self, response: aiohttp.ClientResponse) -> None:
        """Notes whose body the connection carries."""
        if response.connection is not None and response.connection.protocol is not None:
            self._bodies[response.connection.protocol] = response.content

    # --- connections ---------------------------------------------------------------------------------------------

    @contextmanager
    def _in_use(self) -> Iterator[Mapping[str, str]]:
        """Around a request. Gives the header that lets its connection go with it where there are more than enough."""
        now = asyncio.get_running_loop().time()
        self._using += 1
        self._reserve.used(self._using, now)
        going = self._reserve.has_too_many(len(self._open) - self._going, 1, now)
        self._going += going
        self._dial_ahead()
        try:
            yield _LET_GO if going else {}
        finally:
            self._using -= 1
            self._going -= going
            # What was left before its end is closed by now, and noted a turn of the loop later.
            self._open = {connected for connected in self._open if connected.is_connected()}
            self._dial_ahead()

    @property
    def _places(self) -> int:
        """Connections that stand, used or free, or soon will: a request that finds none makes its own."""
        return max(len(self._open), self._using) + len(self._dialling)

    def _dial_ahead(self) -> None:
        self._dial_soon(self._reserve.lacking(self._places, asyncio.get_running_loop().time()))

    def _dial_soon(self, connections: int) -> None:
        """In the background: no request waits for it."""
        if self._closed:
            return
        for _ in range(connections):
            task = asyncio.get_running_loop().create_task(self._dial(), name=f"dial {self.name}")
            self._dialling.add(task)
            task.add_done_callback(self._dialled)

    def _dialled(self, task: asyncio.Task[None]) -> None:
        self._dialling.discard(task)
        # Until now it counted twice.
        self._dial_ahead()

    async def _dial(self) -> None:
        """One more connection, free. Never raises: whoever asks in earnest is told."""

        async def only_connect(request: aiohttp.ClientRequest, _: object) -> aiohttp.ClientResponse:
            session = self._session()
            assert isinstance(session.connector, _Connector)
            await session.connector.add(request, session.timeout)
            raise _Dialled

        try:
            with suppress(_Dialled):
                await self._session().request("GET", self._url(""), middlewares=(only_connect,))
        except (aiohttp.ClientError, ValueError, OSError):
            self._reserve.put_off(asyncio.get_running_loop().time())

    def made(self, connected: ResponseHandler) -> None:
        """Of the connector: a connection stands."""
        self.connections += 1
        self._open.add(connected)
        if (closed := connected.closed) is not None:
            closed.add_done_callback(partial(self._lost, connected))

    def _lost(self, connected: ResponseHandler, closed: asyncio.Future[None]) -> None:
        # Looked at, or the loop would complain that nobody has.
        _ = closed.cancelled() or closed.exception()
        known = connected in self._open
        self._open.discard(connected)
        body = self._bodies.get(connected)
        if body is not None and not body.is_eof():
            # One that aiohttp cannot read any further (a chunk without a length) closes the connection and leaves its
            # reader waiting for ever; here the reader is told.
            if body.exception() is None:
                body.set_exception(aiohttp.ClientPayloadError())
        elif known and not self._closed:
            # The far side did not keep it: another now would go the same way.
            loop = asyncio.get_running_loop()
            if self._later is not None:
                self._later.cancel()
            self._later = loop.call_later(self._reserve.put_off(loop.time()), self._dial_ahead)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_note_kept)
            tracing.on_connection_create_start.append(self._note_waiting)
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                # How many at once is the router's to say.
                connector=_Connector(
                    self,
                    limit=0,
                    keepalive_timeout=KEEP_S,
                    ssl=self._tls or True,
                    socket_factory=partial(_socket, self._guard),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                read_bufsize=READ_BYTES,
                trace_configs=[tracing],
            )
        return self._http

    async def _note_waiting(self, session: aiohttp.ClientSession, context: Any, parameters: object) -> None:
        self.waited += 1

    def _url(self, path: str) -> str:
        """The path goes behind the base URL's own, before its query."""
        try:
            parts = urlsplit(self._base_url)
        except ValueError:
            return self._base_url
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))

    def _check_headers(self, more: Mapping[str, str]) -> None:
        for name, value in {**self._headers, **more}.items():
            if _is_plain(value) and _HEADER_NAME.fullmatch(name):
                continue
            if name.lower() == "authorization" or "key" in name.lower():
                raise self.error(
                    "bad_key", "its key holds a line end or the like", Fault.CONFIG, mend=f"check {self.names.key}"
                )  # fmt: skip
            raise self.error(
                "bad_request", "a header holds a line end or the like", Fault.CONFIG, mend="check its headers"
            )

    # --- failing -----------------------------------------------------------------------------------------------

    def error(
        self,
        code: str,
        message: str,
        fault: Fault,
        *,
        retryable: bool = False,
        mend: str = "",
        retry_after_s: float | None = None,
    ) -> ProviderError:
        """A failure of this route."""
        return ProviderError(
            self.name, code, message, fault=fault, retryable=retryable, mend=mend, retry_after_s=retry_after_s
        )

    def malformed(self, message: str) -> ProviderError:
        """What came is not what the vendor's documentation says."""
        return self.error("malformed", message, Fault.PROVIDER, retryable=True)

    def cut_short(self) -> ProviderError:
        """It ended in good order, and too early."""
        return self.error(
            "cut_short", "the stream ended before it was finished", Fault.NETWORK, retryable=True
        )

    def closed_error(self) -> ProviderError:
        """`close` was called."""
        return self.error("closed", "the route was closed", Fault.RUNTIME)

    def not_a_stream(self, content_type: str) -> ProviderError:
        """Somebody answered, but not the vendor's service."""
        return self.error(
            "not_a_stream",
            f"answered 200 with {_shown(content_type)}, not with a stream",
            Fault.CONFIG,
            mend=f"check {self.names.url}",
        )

    def translated(self, error: Exception, *, begun: bool = False) -> ProviderError:
        """aiohttp's failures. They are named by their type alone: their texts hold addresses and headers. begun: an answer
        had."""
        kind = type(error).__name__
        check_url = f"check {self.names.url}"
        if self._closed:
            return self.closed_error()
        if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
            return self.error("bad_url", "its address is not one of HTTP", Fault.CONFIG, mend=check_url)
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            mend = f"{check_url}, or trust its authority with SSL_CERT_FILE"
            return self.error("unreachable", "its certificate is not trusted", Fault.CONFIG, mend=mend)
        if is_internal(error):
            return self.error("internal_address", INTERNAL, Fault.CONFIG, mend=INTERNAL_MEND)
        if isinstance(error, aiohttp.ClientError | OSError):
            mend = check_url if isinstance(error, aiohttp.ClientConnectorError) else ""
            return self.error(
                "cut_short" if begun else "unreachable", kind, Fault.NETWORK, retryable=True, mend=mend
            )
        return self.malformed(f"its answer is not HTTP ({kind})")

    def refused(
        self, status: int, vendor_code: str = "", retry_after_s: float | None = None
    ) -> ProviderError:
        """What a status other than 200 says; also for a handshake of a WebSocket. vendor_code: one of `refusals`, or
        nothing."""
        known = self._refusals.get(vendor_code)
        said = f"answered {status}, {vendor_code}" if known else f"answered {status}"
        return self._refusal(known or _by_status(status, self.names), said, retry_after_s)

    def told(self, body: object) -> ProviderError:
        """An error that came inside a stream."""
        vendor_code = self.vendor_code(body)
        refusal = self._refusals.get(vendor_code) or Refusal("failed", Fault.PROVIDER, retryable=True)
        said = "the stream carried an error" + (f", {vendor_code}" if vendor_code else "")
        return self._refusal(refusal, said, None)

    def vendor_code(self, body: object) -> str:
        """The first of the vendor's codes in an error's body that is known; else nothing."""
        return next((code for code in _codes(body) if code in self._refusals), "")

    async def _refused(self, response: aiohttp.ClientResponse, inspect: Inspect | None) -> ProviderError:
        pieces = bytearray()
        with suppress(TimeoutError, aiohttp.ClientError, HttpProcessingError):
            async with asyncio.timeout(REFUSAL_S):
                async for piece in response.content.iter_any():
                    pieces += piece
                    if len(pieces) > REFUSAL_MAX_BYTES:
                        break
        body: object = None
        with suppress(ValueError):
            body = read_json(pieces)
        vendor_code, after_s = self.vendor_code(body), retry_after_s(response.headers)
        if refusal := inspect and inspect(response.status, body):
            said = f"answered {response.status}" + (f", {vendor_code}" if vendor_code else "")
            return self._refusal(refusal, said, after_s)
        return self.refused(response.status, vendor_code, after_s)

    def _refusal(self, refusal: Refusal, said: str, after_s: float | None) -> ProviderError:
        return self.error(
            refusal.code,
            said,
            refusal.fault,
            retryable=refusal.retryable,
            mend=refusal.mend,
            retry_after_s=after_s,
        )


class HttpAnswer:
    """An answer 200. Its reading methods raise ProviderError."""

    def __init__(self, route: HttpRoute, response: aiohttp.ClientResponse) -> None:
        self._route = route
        self._response = response

    @property
    def content_type(self) -> str:
        """Without its parameters."""
        return self._response.content_type

    def header(self, name: str) -> str:
        """Empty without one."""
        return str(self._response.headers.get(name, ""))

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. A far side that sends faster than this is read is held back."""
        while chunk := await self._read():
            yield chunk

    async def events(self) -> AsyncGenerator[ServerEvent, None]:
        """Of a text/event-stream. What follows the last line end is dropped: it was cut."""
        if self.content_type in ("text/html", "application/json"):
            raise self._route.not_a_stream(self.content_type)
        rest = bytearray()
        name = ""
        while chunk := await self._read():
            rest += chunk
            if b"\n" not in chunk:
                if len(rest) > MAX_LINE_BYTES:
                    raise self._route.malformed("a line is too long")
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    if data := line[5:].strip():
                        yield ServerEvent(name, bytes(data))
                elif line.startswith(b"event:"):
                    name = line[6:].strip().decode("latin-1")
                elif not line.strip():
                    name = ""

    def object(self, data: bytes) -> dict[str, Any]:
        """An event's data, which must be an object of JSON."""
        try:
            value = read_json(data)
        except ValueError:
            raise self._route.malformed("a piece of the stream is not JSON") from None
        if not isinstance(value, dict):
            raise self._route.malformed("a piece of the stream is not an object")
        return value

    async def json(self, max_bytes: int) -> Any:
        """A whole body."""
        pieces = bytearray()
        while chunk := await self._read():
            pieces += chunk
            if len(pieces) > max_bytes:
                raise self._route.error(
                    "overlong", f"answered more than {max_bytes} bytes", Fault.PROVIDER, retryable=True
                )
        try:
            return read_json(pieces)
        except ValueError:
            pass
        if self.content_type == "text/html":
            raise self._route.not_a_stream(self.content_type)
        raise self._route.malformed("its answer is not JSON")

    async def _read(self) -> bytes:
        """What has arrived; nothing at the end."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            failure = self._route.translated(error, begun=True)
        # Out here, so that nothing of aiohttp's, whose repr may hold our headers, hangs on it.
        raise failure

    async def drain(self) -> None:
        """Takes the little that follows the last event; whoever does not end his answer gets no second request on it."""
        with suppress(TimeoutError, aiohttp.ClientError, HttpProcessingError):
            async with asyncio.timeout(DRAIN_S):
                while await self._response.content.readany():
                    pass


class _Connector(aiohttp.TCPConnector):
    """Tells of what it makes, and makes connections that are free."""

    def __init__(self, route: HttpRoute, **settings: Any) -> None:
        super().__init__(**settings)
        self._route = route

    async def add(self, request: aiohttp.ClientRequest, timeout: aiohttp.ClientTimeout) -> None:
        """A connection as the request would need one, even if another is free."""
        made = await self._create_connection(request, [], timeout)
        if self.closed:
            made.close()
            return
        Connection(self, request.connection_key, made, asyncio.get_running_loop()).release()

    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        made = await super()._create_connection(*args, **kwargs)
        self._route.made(made)
        return made


def _socket(guard: Guard | None, address: aiohttp.AddrInfoType) -> socket.socket:
    """One that notices when the far side is gone. Raises InternalAddress."""
    family, kind, protocol, _, target = address
    if guard is not None:
        guard(str(target[0]), int(target[1]))
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": PROBE_S,
        "TCP_KEEPINTVL": UNHEARD_S,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": UNHEARD_S * 1000,
    }
    for name, value in wanted.items():
        # Not every system has all of them.
        if (option := getattr(socket, name, None)) is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


async def _note_kept(session: aiohttp.ClientSession, context: Any, parameters: object) -> None:
    context.trace_request_ctx.kept = True


def _by_status(status: int, names: Names) -> Refusal:
    if status >= 500:
        return Refusal("unavailable", Fault.PROVIDER, retryable=True)
    target = f" and {names.target}" if names.target else ""
    known = {
        400: ("bad_request", ""),
        401: ("unauthorized", f"check {names.key}"),
        402: ("quota", f"the account behind {names.key} needs credit"),
        403: ("forbidden", f"check that the key may use this {names.kind}"),
        404: ("not_found", f"check {names.url}{target}"),
        429: ("rate_limited", "raise the quota, or wait"),
    }
    code, mend = known.get(status, ("refused", "" if status >= 400 else f"check {names.url}"))
    return Refusal(code, Fault.CONFIG, status in (408, 429), mend)


def _codes(body: object) -> Iterator[str]:
    """Where vendors put their codes, the most telling first: OpenAI's error.code, Anthropic's error.type, ElevenLabs'
    detail.status, Deepgram's err_code and category, Cartesia's error_code, Google's list with reasons among its details."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return
    inner = [part for part in (body.get("error"), body.get("detail")) if isinstance(part, dict)]
    details = [part.get("details") for part in inner]
    inner += [one for some in details if isinstance(some, list) for one in some if isinstance(one, dict)]
    for part in (*inner, body):
        for key in (
            "code",
            "error_code",
            "err_code",
            "status",
            "reason",
            "type",
            "category",
            "error",
            "detail",
        ):
            value = part.get(key)
            if isinstance(value, str):
                yield value


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the far side wants to be left alone: Retry-After (RFC 9110, 10.2.3: seconds or a date), retry-after-ms,
    or else when a used-up `x-ratelimit-remaining-*` comes back (OpenAI's `x-ratelimit-reset-*`, such as 6m0s)."""
    waits: list[float] = []
    with suppress(KeyError, ValueError):
        waits.append(float(headers["retry-after-ms"]) / 1000)
    if not waits and (after := headers.get("Retry-After", "")):
        with suppress(ValueError):
            waits.append(float(after))
        if not waits:
            with suppress(ValueError):
                waits.append(parsedate_to_datetime(after).timestamp() - time())
    if not waits:
        for what in ("requests", "tokens"):
            parts = _DURATION.findall(headers.get(f"x-ratelimit-reset-{what}", ""))
            if parts and headers.get(f"x-ratelimit-remaining-{what}") == "0":
                waits.append(sum(float(number) * _UNITS_S[unit] for number, unit in parts))
    wait = max(waits, default=math.nan)
    return min(max(wait, 0.0), RETRY_AFTER_MAX_S) if math.isfinite(wait) else None


def _is_plain(text: str) -> bool:
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)


def _shown(content_type: str) -> str:
    return "".join(character for character in content_type[:80] if character.isprintable())
