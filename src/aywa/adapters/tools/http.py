"""The requests of apiRequest tools (contract 5). One attempt each: whether there is another is the tool's own plan to say.

Refuses to follow redirects, for what opens the first server would travel along, and to read more of an answer than it may hold.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from aywa.adapters.wire.outbound import is_internal
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.tools import ToolHttpAnswer, ToolHttpRequest

NAME = "tool"
CONNECT_S = 5.0
ANSWER_MAX_BYTES = 256 * 1024
"""What is behind it is cut: no model reads as much."""
CONNECTIONS_PER_HOST = 64
INTERNAL = "its address is an internal one, and not among those that the operator allows"
USER_AGENT = "Aywa-Runtime"

Access = Callable[[ToolHttpRequest], Awaitable[Mapping[str, str]]]
"""The headers by which the customer's credential opens the server. Raises ProviderError."""


async def no_access(request: ToolHttpRequest) -> Mapping[str, str]:
    """For tools without a credential."""
    return {}


class HttpTools:
    """ports.tools.ToolHttp. The connections are kept between requests. connector: makes those that may go nowhere internal."""

    def __init__(
        self,
        access: Access = no_access,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._access = access
        self._connector = connector
        self._http = session
        self._own = session is None

    def opened_by(self, access: Access) -> HttpTools:
        """The same connections, with the credentials of one call."""
        return HttpTools(access, self._connector, self.session())

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None and self._own:
            await self._http.close()

    async def send(self, request: ToolHttpRequest) -> ToolHttpAnswer:
        """As the port says."""
        headers = {**request.headers, **await self._access(request)}
        failure: ProviderError
        try:
            async with self.session().request(
                request.method,
                request.url,
                data=None if request.body is None else request.body.encode(),
                headers=headers,
                allow_redirects=False,
            ) as answer:
                pieces = bytearray()
                async for piece in answer.content.iter_any():
                    pieces += piece
                    if len(pieces) > ANSWER_MAX_BYTES:
                        break
                cut = len(pieces) > ANSWER_MAX_BYTES
                text = bytes(pieces[:ANSWER_MAX_BYTES]).decode("utf-8", "replace")
                return ToolHttpAnswer(answer.status, text, cut)
        except TimeoutError:
            failure = _error(
                "unreachable", "the server cannot be reached (no connection in time)", Fault.NETWORK
            )
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            failure = _error("bad_url", "its url is not one of HTTP", Fault.CONFIG)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            failure = (
                _error("bad_url", INTERNAL, Fault.CONFIG)
                if is_internal(error)
                else _error(
                    "unreachable", f"the server cannot be reached ({type(error).__name__})", Fault.NETWORK
                )
            )
        # Out here, so that nothing of aiohttp's, whose repr may hold the request's headers, hangs on it.
        raise failure

    def session(self) -> aiohttp.ClientSession:
        """Made on first use."""
        if self._http is None:
            connector = (
                aiohttp.TCPConnector(limit_per_host=CONNECTIONS_PER_HOST)
                if self._connector is None
                else self._connector()
            )
            self._http = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
            )
        return self._http


def _error(code: str, message: str, fault: Fault) -> ProviderError:
    return ProviderError(NAME, code, message, fault=fault, retryable=fault is Fault.NETWORK)
