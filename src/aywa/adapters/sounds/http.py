"""Fetches the sound that an assistant names by an address: a WAV file, over HTTP, from nowhere inside."""

from __future__ import annotations

import asyncio
import io

import aiohttp

from aywa.adapters.wire.outbound import Outbound, is_internal
from aywa.core.audio.wav import BadWav, read_wav
from aywa.ports.errors import Fault, ProviderError

NAME = "background-sound"
TIMEOUT_S = 10.0
MOST_BYTES = 12_000_000
"""A minute in stereo at 48 kHz, and its header."""
REDIRECTS_MOST = 5
_BLOCK = 65_536
_MEND = "name a WAV file of 16 bits, or use office or off"


class HttpSounds:
    """The connections are kept between requests."""

    def __init__(self, outbound: Outbound, seconds_most: float, timeout_s: float = TIMEOUT_S) -> None:
        self._outbound = outbound
        self._seconds_most = seconds_most
        self._timeout_s = timeout_s
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    async def fetch(self, url: str) -> tuple[bytes, int]:
        """PCM16 of one channel, and its rate. Raises ProviderError."""
        try:
            async with self._session().get(url, max_redirects=REDIRECTS_MOST) as answer:
                if answer.status != 200:
                    raise _error("refused", f"the server answered {answer.status}", Fault.CONFIG)
                data = await _body(answer)
        except TimeoutError:
            raise _error(
                "deadline", f"it did not come within {self._timeout_s:g} s", Fault.PROVIDER
            ) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise _error("bad_url", "its address is not one of HTTP", Fault.CONFIG) from None
        except (aiohttp.ClientError, OSError) as error:
            if is_internal(error):
                raise _error("refused", "its address is internal", Fault.CONFIG) from None
            raise _error(
                "unreachable", f"it cannot be fetched ({type(error).__name__})", Fault.NETWORK
            ) from None
        try:
            return await asyncio.to_thread(read_wav, io.BytesIO(data), self._seconds_most)
        except BadWav as bad:
            raise _error("malformed", f"the file cannot be used: {bad}", Fault.CONFIG) from None

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._http = aiohttp.ClientSession(
                timeout=timeout, connector=self._outbound.connector(), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._http


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for block in answer.content.iter_chunked(_BLOCK):
        found += block
        if len(found) > MOST_BYTES:
            raise _error("overlong", f"it is longer than {MOST_BYTES} bytes", Fault.CONFIG)
    return bytes(found)


def _error(code: str, text: str, fault: Fault) -> ProviderError:
    return ProviderError(NAME, code, text, fault=fault, retryable=False, mend=_MEND)
