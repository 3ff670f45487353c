"""Asterisk's REST interface (ARI), as far as it adds something: placing calls, hanging them up, and how they fared.

The channels that it makes run in the dialplan, which brings their audio here; ARI itself passes only channels on that are in a
Stasis application. Facts: Asterisk's documentation, "Channels REST API", "Events REST API", "Asterisk REST Data Models". Refuses
to try a request again, to follow redirects, and to quote what an answer says besides Asterisk's own message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog

_log = structlog.get_logger("aywa.adapters.asterisk")

ANSWER_BYTES_MOST = 64 * 1024
EVENT_BYTES_MOST = 1024 * 1024
_TEXT_MOST = 200


@dataclass(frozen=True, slots=True)
class AriSettings:
    """url: as http://127.0.0.1:8088/ari. app: the application whose events are asked for. request_s: for one request.
    again_s: how long until the events are asked for again, at first and at most. ping_s: how often an idle connection is asked
    whether it stands."""

    url: str
    username: str
    password: str = field(repr=False)
    app: str = "aywa"
    request_s: float = 5.0
    again_s: tuple[float, float] = (0.5, 15.0)
    ping_s: float = 10.0


class AriError(Exception):
    """status: of the answer; 0 when there was none."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Originate:
    """A channel that is to be made. When it is answered, the dialplan goes on with it at extension@context."""

    channel_id: str
    endpoint: str
    context: str
    extension: str
    caller_id: str = ""
    ring_s: float = 60.0
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelUp:
    """Somebody has answered."""

    channel_id: str


@dataclass(frozen=True, slots=True)
class ChannelRinging:
    """It rings there."""

    channel_id: str


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """The channel is no more. cause: of Q.850, 0 when nobody said. text: the same in words."""

    channel_id: str
    cause: int = 0
    text: str = ""


AriEvent = ChannelUp | ChannelRinging | ChannelGone
_STATES: Mapping[str, type[ChannelUp] | type[ChannelRinging]] = {"Up": ChannelUp, "Ringing": ChannelRinging}


def read_event(message: str) -> AriEvent | None:
    """What a message of the events' socket says of a channel; None for anything else. Never raises."""
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(channel := found.get("channel"), dict):
        return None
    channel_id, state = channel.get("id"), channel.get("state")
    if not isinstance(channel_id, str):
        return None
    match found.get("type"):
        case "ChannelStateChange" if isinstance(state, str) and state in _STATES:
            return _STATES[state](channel_id)
        case "ChannelDestroyed":
            cause, text = found.get("cause"), found.get("cause_txt")
            known = isinstance(cause, int) and not isinstance(cause, bool) and 0 <= cause <= 127
            return ChannelGone(channel_id, cause if known else 0, _short(text))
        case _:
            return None


class Ari:
    """One Asterisk. `close` ends it."""

    def __init__(self, settings: AriSettings) -> None:
        self.settings = settings
        self._url = settings.url.rstrip("/")
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    # --- requests ------------------------------------------------------------------------------------------------

    async def originate(self, call: Originate) -> None:
        """Begins; what becomes of it, events tell. Raises AriError."""
        query = {
            "endpoint": call.endpoint,
            "context": call.context,
            "extension": call.extension,
            "priority": "1",
            "timeout": str(max(1, round(call.ring_s))),
        }
        if call.caller_id:
            query["callerId"] = call.caller_id
        path = f"/channels/{quote(call.channel_id, safe='')}"
        await self._ask("POST", path, query, {"variables": dict(call.variables)})

    async def hang_up(self, channel_id: str) -> None:
        """Also of a channel that is gone. Raises AriError."""
        with contextlib.suppress(_Missing):
            await self._ask("DELETE", f"/channels/{quote(channel_id, safe='')}", {"reason": "normal"})

    async def exists(self, channel_id: str) -> bool:
        """Raises AriError."""
        try:
            await self._ask("GET", f"/channels/{quote(channel_id, safe='')}", {})
        except _Missing:
            return False
        return True

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> None:
        try:
            async with self._session().request(
                method, self._url + path, params=query, json=body, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return
                said = await answer.content.read(ANSWER_BYTES_MOST)
                kind = _Missing if answer.status == 404 else AriError
                raise kind(answer.status, f"Asterisk answered {answer.status} {_message(said)}".rstrip())
        except TimeoutError:
            raise AriError(0, f"Asterisk did not answer within {self.settings.request_s:g} s") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise AriError(0, f"Asterisk cannot be reached ({type(error).__name__})") from error

    # --- events --------------------------------------------------------------------------------------------------

    async def listen(
        self, tell: Callable[[AriEvent], None], connected: Callable[[], Awaitable[None]]
    ) -> None:
        """Without end: what happens to channels. connected: after each time that the connection was made, for what happened
        meanwhile nobody tells."""
        again_s, most_s = self.settings.again_s
        wait_s = again_s
        while True:
            try:
                async with self._session().ws_connect(
                    f"{self._url}/events",
                    params={"app": self.settings.app, "subscribeAll": "true"},
                    heartbeat=self.settings.ping_s,
                    max_msg_size=EVENT_BYTES_MOST,
                    timeout=aiohttp.ClientWSTimeout(ws_close=self.settings.request_s),
                ) as socket:
                    _log.info("ari_connected")
                    wait_s = again_s
                    await connected()
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            continue
                        event = read_event(message.data)
                        if event is not None:
                            tell(event)
                why = "it closed the connection"
            except aiohttp.WSServerHandshakeError as error:
                why = f"it answered {error.status}"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # TimeoutError is an OSError.
                why = type(error).__name__
            _log.warning("ari_lost", why=why, again_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(most_s, 2 * wait_s)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            settings = self.settings
            self._http = aiohttp.ClientSession(
                auth=aiohttp.BasicAuth(settings.username, settings.password, "utf-8"),
                timeout=aiohttp.ClientTimeout(total=settings.request_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._http


class _Missing(AriError):
    """There is no such channel (any more)."""


def _message(said: bytes) -> str:
    """Asterisk's own word for what is wrong."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    return _short(found.get("message") or found.get("error"))


def _short(text: object) -> str:
    if not isinstance(text, str):
        return ""
    return "".join(each for each in text[:_TEXT_MOST] if each.isprintable())
