"""Asks each route once for as little as there is to ask, and says what came of it. A vendor bills a cent's fraction for it.

The connections are its own: what is measured has the handshake in it, and no call is disturbed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from aywa.adapters.wire.guard import Guard
from aywa.boot.known_providers import KNOWN_PROVIDERS, MODEL, TRANSCRIBER, VOICE, KnownProvider
from aywa.boot.providers import CallRoutes, LocalRoutes, Providers, chain
from aywa.call.recogniser import EarRoute
from aywa.call.router.board import HealthBoard
from aywa.call.router.models import ModelRoute
from aywa.call.router.voices import VoiceRoute
from aywa.core.route_health import RouteStatus
from aywa.ports.calls import CallPlan, ProviderKey
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.llm import ChatMessage, Finished, LlmRequest
from aywa.ports.media import AudioFormat
from aywa.ports.providers import RouteCheck, WhatToCheck
from aywa.ports.stt import SttStream

MOST_AT_ONCE = 8
CLOSE_S = 2.0
RATE_HZ = 8000
MAX_TOKENS = 16
QUESTION = "Answer with the word OK."
TEXT = "Hello."
SILENCE_S = 0.3
# A recogniser that is not sent more may wait for it; so silence goes on until it answers.
MORE_S = 0.1
# One that cannot be asked for words is given so long to complain.
COMPLAINT_S = 0.3

_FALLBACKS = ("fallbackPlan", "fallbackModels")
_HERE = cast("Any", object())
_LOCAL = LocalRoutes(_HERE, _HERE, _HERE)
_Began = Callable[[], None]
"""To be called when the first of the answer is there."""


class ProviderCheck:
    """ports.providers.ProviderRoutes. board: of the calls of this process. guard, trusted: as Providers takes them."""

    def __init__(
        self,
        board: HealthBoard | None = None,
        guard: Guard | None = None,
        trusted: Collection[str] = (),
    ) -> None:
        self._board = board or HealthBoard()
        self._guard = guard
        self._trusted = trusted

    def statuses(self, org_id: str) -> Sequence[RouteStatus]:
        """As the port says."""
        return self._board.statuses(org_id)

    def now_s(self) -> float:
        """As the port says."""
        return asyncio.get_running_loop().time()

    async def check(self, what: WhatToCheck, keys: Mapping[str, ProviderKey]) -> Sequence[RouteCheck]:
        """As the port says."""
        providers = Providers(self._guard, self._trusted)
        some = asyncio.Semaphore(MOST_AT_ONCE)
        try:
            parts = list(_parts(what, keys))
            return await asyncio.gather(*(_asked(providers, some, part, what, keys) for part in parts))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await providers.close()


@dataclass(frozen=True, slots=True)
class _Part:
    """One route's document: of an assistant's model, voice or transcriber."""

    name: str
    document: Mapping[str, Any]

    @property
    def provider(self) -> str:
        return str(self.document.get("provider") or "")[:60]


def _parts(what: WhatToCheck, keys: Mapping[str, ProviderKey]) -> Iterator[_Part]:
    if what.assistant is None:
        yield from _parts_with_keys(what, keys)
        return
    for name in (MODEL, VOICE, TRANSCRIBER):
        for document in chain(what.assistant, name):
            alone = {field: value for field, value in document.items() if field not in _FALLBACKS}
            if what.provider in ("", alone.get("provider")):
                yield _Part(name, alone)


def _parts_with_keys(what: WhatToCheck, keys: Mapping[str, ProviderKey]) -> Iterator[_Part]:
    """Every provider that has a key; and the one that was asked for, whether it has one or not."""
    for one in KNOWN_PROVIDERS:
        if what.provider == one.provider or (not what.provider and not one.wants and one.provider in keys):
            yield _Part(one.part, _least(one, what))


def _least(one: KnownProvider, what: WhatToCheck) -> dict[str, Any]:
    if one.part == VOICE:
        return {"provider": one.provider, "voiceId": what.voice or one.check_with}
    model = what.model if one.part == MODEL else ""
    return {"provider": one.provider, "model": model or one.check_with}


async def _asked(
    providers: Providers,
    some: asyncio.Semaphore,
    part: _Part,
    what: WhatToCheck,
    keys: Mapping[str, ProviderKey],
) -> RouteCheck:
    plan = CallPlan(
        "check", "", "webCall", {part.name: part.document}, AudioFormat.PCM16, RATE_HZ, 0, keys=keys
    )
    found = providers.routes(plan, _LOCAL)
    name, ask = _request(part.name, found)
    row = RouteCheck(part.name, part.provider, name, ok=True, source=_source(part, keys))
    if found.problems:
        missing = found.problems[0]
        return replace(
            row, route=part.provider, ok=False, code="missing", message=missing.why, mend=missing.mend
        )
    if ask is None:
        return replace(row, provider="", route="local", message="on this machine: nothing to ask", source="")
    async with some:
        return await _measured(row, ask, what.timeout_s)


def _request(part: str, found: CallRoutes) -> tuple[str, Callable[[_Began], Awaitable[None]] | None]:
    """The route's name, and its request; None for what runs here."""
    model, voice, ear = found.models[0], found.voices[0], found.ears[0]
    if part == MODEL and model.llm is not _HERE:
        return model.name, lambda began: _complete(model, began)
    if part == VOICE and voice.tts is not _HERE:
        return voice.name, lambda began: _speak(voice, began)
    if part == TRANSCRIBER and ear.stt is not _HERE:
        return ear.name, lambda began: _listen(ear, began)
    return "", None


def _source(part: _Part, keys: Mapping[str, ProviderKey]) -> str:
    named = part.document.get("credentialId")
    key = (keys.get(named) if isinstance(named, str) else None) or keys.get(part.provider)
    return "" if key is None else key.source


async def _measured(
    row: RouteCheck, ask: Callable[[_Began], Awaitable[None]], timeout_s: float
) -> RouteCheck:
    loop = asyncio.get_running_loop()
    began_s, firsts = loop.time(), list[float]()
    try:
        async with asyncio.timeout(timeout_s):
            await ask(lambda: firsts.append(loop.time() - began_s))
    except ProviderError as error:
        # Both are told apart from the message here.
        message = str(error).removeprefix(f"{error.route}: ").removesuffix(f" ({error.mend})")
        return replace(row, ok=False, code=error.code, message=message, mend=error.mend)
    except TimeoutError:
        answered = "it did not finish" if firsts else "it did not answer"
        mend = "look at the vendor's status page, or allow it more time"
        return replace(
            row, ok=False, code="deadline", message=f"{answered} within {timeout_s:g} s", mend=mend
        )
    except Exception as error:  # noqa: BLE001 - whatever a route does, the others are told of
        return replace(row, ok=False, code="failed", message=f"it broke: {type(error).__name__}")
    return replace(row, first_s=firsts[0] if firsts else None)


async def _complete(route: ModelRoute, began: _Began) -> None:
    request = LlmRequest(
        (ChatMessage("user", QUESTION),),
        model=route.model,
        temperature=0.0,
        max_tokens=MAX_TOKENS,
        extra=route.extra,
    )
    said = False
    async with aclosing(cast("Any", route.llm.stream(request))) as deltas:
        async for delta in deltas:
            if not said and not isinstance(delta, Finished):
                said = True
                began()
    if not said:
        raise _nothing(route.name, "it answered nothing")


async def _speak(route: VoiceRoute, began: _Began) -> None:
    sounded = False
    async with aclosing(cast("Any", route.tts.synthesize(TEXT, route.options))) as chunks:
        async for chunk in chunks:
            if not sounded and chunk.pcm:
                sounded = True
                began()
    if not sounded:
        raise _nothing(route.name, "it made no sound")


async def _listen(route: EarRoute, began: _Began) -> None:
    stream = await route.stt.open(route.options(RATE_HZ))
    try:
        stream.feed(_silence(SILENCE_S))
        if route.stt.capabilities.finalize:
            stream.finalize()
            await _answer(stream)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(COMPLAINT_S):
                    await anext(aiter(stream.results()), None)
        began()
    finally:
        await stream.close()


async def _answer(stream: SttStream) -> None:
    """Waits for any result."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(MORE_S)
            stream.feed(_silence(MORE_S))

    feeding = asyncio.get_running_loop().create_task(go_on(), name="feeding silence")
    try:
        await anext(aiter(stream.results()), None)
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding


def _silence(seconds: float) -> bytes:
    return bytes(2 * round(RATE_HZ * seconds))


def _nothing(route: str, message: str) -> ProviderError:
    return ProviderError(route, "failed", message, fault=Fault.PROVIDER, retryable=True)
