"""Asks a customer's servers over HTTP: POST of {"message": ...}, a JSON object back (contract 7.1, 7.4).

One attempt a server, all of them within one deadline. The next server is asked when one cannot be reached, does not answer in
time or refuses; an answer of 200 to 299 is final, whatever it holds. Where asking twice does no harm, the next one is asked
already when the first keeps everybody waiting, and the first answer counts.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from aywa.adapters.webhooks.body import read_at_most
from aywa.adapters.webhooks.signature import Letter
from aywa.adapters.webhooks.signing import Signing
from aywa.adapters.wire.outbound import is_internal
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.server_questions import TOOL_CALLS, Note, Server, ServerAnswer, ServerChain
from aywa.ports.webhooks import CannotSign

ANSWER_MAX_BYTES = 1024 * 1024
PATIENCE = 0.6
"""After this share of the deadline the next server is asked as well."""
_FINAL = frozenset(("malformed", "overlong"))
"""The server took the question, and this is what it says."""
_MEND = "check the server's url and credentialId"


class HttpServerQuestions:
    """ports.server_questions.ServerQuestions. The connections are kept between questions."""

    def __init__(self, session: Callable[[], aiohttp.ClientSession], signing: Signing) -> None:
        self._session = session
        self._signing = signing

    async def ask(
        self,
        message: Mapping[str, Any],
        chain: ServerChain,
        *,
        deadline_s: float,
        note: Note | None = None,
        message_id: str = "",
    ) -> ServerAnswer:
        """As the port says."""
        kind = str(message.get("type"))
        if not chain.asked:
            raise _error(kind, "not_found", "no server is set", Fault.CONFIG)
        body = json.dumps({"message": message}, separators=(",", ":"), default=str)
        round_ = _Round(kind, body, message_id or f"msg_{uuid.uuid4().hex}", deadline_s, note)
        patience_s = deadline_s if kind == TOOL_CALLS else deadline_s * PATIENCE
        return await _first(
            [partial(self._ask_one, server, round_) for server in chain.asked],
            patience_s,
            round_.by_s,
        )

    async def _ask_one(self, server: Server, round_: _Round) -> ServerAnswer:
        began_s = time.monotonic()
        timeout_s = max(0.0, min(server.timeout_s, round_.by_s - began_s))
        shown = {"type": round_.kind, "level": server.level, "host": _host(server.url), "id": round_.id}
        round_.tell("ServerAsked", shown)
        status, code = 0, ""
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._send(server, round_)
            status = answer.status
            return answer
        except TimeoutError:
            code = "deadline"
            text = f"the server did not answer within {timeout_s:.3g} s"
            raise _error(round_.kind, code, text, Fault.PROVIDER) from None
        except ProviderError as error:
            code, status = error.code, error.status if isinstance(error, _Refused) else 0
            raise
        except asyncio.CancelledError:
            code = "given_up"
            raise
        finally:
            took_ms = round((time.monotonic() - began_s) * 1000, 1)
            round_.tell("ServerAnswered", {**shown, "status": status, "code": code, "ms": took_ms})

    async def _send(self, server: Server, round_: _Round) -> ServerAnswer:
        kind, url = round_.kind, server.url
        try:
            letter = Letter(url, round_.body, round_.id, int(time.time()))
            headers = await self._signing.sign(server.opened, letter)
            async with self._session().post(
                url, data=round_.body.encode(), headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == 401:
                    self._signing.forget(server.opened)
                return _read(kind, server, answer.status, await read_at_most(answer, ANSWER_MAX_BYTES))
        except CannotSign as reason:
            raise _error(kind, "bad_request", str(reason), Fault.CONFIG) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError):
            raise _error(kind, "bad_url", "the server's address is not one of HTTP", Fault.CONFIG) from None
        except (aiohttp.ClientError, OSError) as error:
            if is_internal(error):
                raise _error(kind, "bad_url", "the server's address is internal", Fault.CONFIG) from None
            text = f"the server cannot be reached ({type(error).__name__})"
            raise _error(kind, "unreachable", text, Fault.NETWORK) from None


class _Round:
    """One question on its way through the servers."""

    def __init__(self, kind: str, body: str, id_: str, deadline_s: float, note: Note | None) -> None:
        self.kind = kind
        self.body = body
        self.id = id_
        self.by_s = time.monotonic() + deadline_s
        self._note = note

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        if self._note is not None:
            self._note(kind, data)


async def _first(
    attempts: list[Callable[[], Awaitable[ServerAnswer]]], patience_s: float, by_s: float
) -> ServerAnswer:
    """The first answer. The next attempt begins when one fails, or when patience is over; a final failure is the end."""
    running: set[asyncio.Future[ServerAnswer]] = set()
    waiting, problem = list(attempts), None
    since_s = time.monotonic()
    try:
        while True:
            if waiting and not running:
                running.add(asyncio.ensure_future(waiting.pop(0)()))
                since_s = time.monotonic()
            left_s = max(0.0, since_s + patience_s - time.monotonic()) if waiting else None
            done, running = await asyncio.wait(running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                error = one.exception()
                if error is None:
                    return one.result()
                problem = error
                if not isinstance(error, ProviderError) or error.code in _FINAL:
                    raise error
            if not done and waiting:
                running.add(asyncio.ensure_future(waiting.pop(0)()))
                since_s = time.monotonic()
            if not running and (not waiting or time.monotonic() >= by_s):
                assert problem is not None
                raise problem
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Refused(ProviderError):
    """The server answered with a status that is no success."""

    status: int = 0


def _read(kind: str, server: Server, status: int, body: bytes | None) -> ServerAnswer:
    """What the answer means. A tool's error may come with a status of its own, and its results all the same (contract 7.1)."""
    found = None if body is None else _object(body)
    if 200 <= status < 300 or (kind == TOOL_CALLS and 400 <= status < 500 and _holds_results(found)):
        if body is None:
            text = f"the server's answer is longer than {ANSWER_MAX_BYTES} bytes"
            raise _error(kind, "overlong", text, Fault.CONFIG)
        if found is None:
            raise _error(kind, "malformed", "the server's answer is no object of JSON", Fault.PROVIDER)
        return ServerAnswer(found, status, server.level)
    code = "unavailable" if status >= 500 else "refused"
    fault = Fault.PROVIDER if status >= 500 else Fault.CONFIG
    refused = _Refused(
        kind, code, f"the server answered {status}", fault=fault, retryable=False, mend=_mend(fault)
    )
    refused.status = status
    raise refused


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    # Many a server wraps its answer as the message was wrapped.
    inside = answer.get("messageResponse")
    return inside if isinstance(inside, dict) else answer


def _holds_results(found: Mapping[str, Any] | None) -> bool:
    return found is not None and ("results" in found or "result" in found)


def _host(url: str) -> str:
    """For the record: whom, and nothing that may be secret in an address."""
    try:
        return (urlsplit(url).hostname or "")[:200]
    except ValueError:
        return ""


def _error(kind: str, code: str, message: str, fault: Fault) -> ProviderError:
    return ProviderError(kind, code, message, fault=fault, retryable=False, mend=_mend(fault))


def _mend(fault: Fault) -> str:
    return _MEND if fault is Fault.CONFIG else ""
