"""Running calls and the people around them: who listens, who speaks in the agent's place, who steers (contract 15).

A call's audio goes to its listeners as it was heard; one who does not take it loses some, and then the place, and the call knows
nothing of it. A person who speaks proves with the controlUrl that they may; when they are gone the agent has the caller again.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from aywa.adapters.transports.listener import Listener
from aywa.adapters.transports.websocket import Refusal
from aywa.core import events as ev
from aywa.core.steering import CONTROL, GIVE_BACK, LISTENER, TAKE_OVER, needs_caller
from aywa.media.pressure import AudioClock, Backlog, TextQuota, Verdict
from aywa.ports.calls import LiveKeys, SteeringRefused
from aywa.ports.media import TAP_HZ, AudioSink, MediaMessage, Speak

_log = structlog.get_logger("aywa.boot.live")

NORMAL, POLICY = 1000, 1008
STEREO_BYTES_PER_S = TAP_HZ * 4
_WAITING_WORDS = "the call's party is not there yet"


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """listeners: of one call at most. behind_s: audio that a listener may have waiting before some is left out; behind_for_s:
    after so long of that they lose the place. ahead_s, ahead_end_s: audio of a person ahead of its time before some is
    refused, and before that is the end. texts_per_s, texts_end: messages of a listener, and refused ones before the end.
    controls_per_s: of one call. keys_s: how long it may take to find an API key."""

    listeners: int = 8
    behind_s: float = 1.0
    behind_for_s: float = 10.0
    ahead_s: float = 1.0
    ahead_end_s: float = 10.0
    texts_per_s: int = 10
    texts_end: int = 100
    controls_per_s: int = 20
    keys_s: float = 5.0


class LiveHost(Protocol):
    """The host of calls, as it is asked here."""

    leg_came: Callable[[str], None]
    taken_over: Callable[[str, bool], None]

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None: ...

    def is_waiting(self, call_id: str) -> bool: ...

    def tell(self, call_id: str, event: ev.Event) -> None: ...

    def on_over(self, tell: Callable[[str, bool], None]) -> None: ...


class TapPlane(Protocol):
    """The media plane, as it is asked here."""

    def tap(self, leg_id: str, sink: AudioSink | None) -> None: ...

    def send(self, message: MediaMessage) -> None: ...


@dataclass(slots=True)
class _Seat:
    """One listener. token: the API key that came with them."""

    token: str
    backlog: Backlog
    texts: TextQuota
    speech: AudioClock


@dataclass(slots=True)
class _Room:
    """A call's listeners. speaker: who speaks in the agent's place, or has asked to."""

    seats: dict[Listener, _Seat] = field(default_factory=dict)
    speaker: Listener | None = None
    quota: TextQuota | None = None


class Live:
    """ports.calls.LiveCalls, and adapters.transports.listener.Door. opens(secret, org_id): whether an API key is the
    organisation's; set when the services are there."""

    def __init__(self, host: LiveHost, plane: TapPlane, settings: LiveSettings | None = None) -> None:
        self.settings = settings or LiveSettings()
        self.opens: Callable[[str, str], Awaitable[bool]] = _nobody
        self._host = host
        self._plane = plane
        self._loop = asyncio.get_running_loop()
        self._rooms: dict[str, _Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        host.leg_came = self._leg_came
        host.taken_over = self._taken_over
        host.on_over(self._over)

    # --- ports.calls.LiveCalls -------------------------------------------------------------------------------------

    def live(self, call_id: str) -> tuple[str, LiveKeys] | None:
        """As the port says."""
        return self._host.live(call_id)

    def steer(self, call_id: str, message: Mapping[str, Any], who: str) -> None:
        """As the port says."""
        if self._host.live(call_id) is None:
            return
        if needs_caller(message.get("type")) and self._host.is_waiting(call_id):
            raise SteeringRefused(_WAITING_WORDS)
        room = self._room(call_id)
        if room.quota is None:
            room.quota = TextQuota(self.settings.controls_per_s, self.settings.texts_end)
        if room.quota.came(self._loop.time()) is not Verdict.TAKE:
            most = self.settings.controls_per_s
            raise SteeringRefused(f"a call takes {most} controls a second at most", 429)
        self._host.tell(call_id, ev.ControlReceived(message, CONTROL, who))

    # --- the door of listeners -------------------------------------------------------------------------------------

    def look(self, call_id: str, key: str) -> Refusal | None:
        """As the protocol says."""
        found = self._host.live(call_id)
        if found is None or not _same(key, found[1].listen):
            return _refuse(404, "Not Found", "no call is listened to here: its listenUrl ends with the call")
        room = self._rooms.get(call_id)
        if room is not None and len(room.seats) >= self.settings.listeners:
            most = self.settings.listeners
            return _refuse(503, "Service Unavailable", f"{most} listen to the call, which is the limit")
        return None

    def came(self, call_id: str, listener: Listener, token: str) -> None:
        """As the protocol says."""
        found = self._host.live(call_id)
        if found is None:
            listener.close(NORMAL, "the call is over")
        elif found[1].listen_by_key:
            self._begin(self._let_in(call_id, found[0], listener, token))
        else:
            self._seat(call_id, listener, token)

    def said(self, call_id: str, listener: Listener, text: str) -> None:
        """As the protocol says."""
        room = self._rooms.get(call_id)
        seat = None if room is None else room.seats.get(listener)
        if room is None or seat is None:
            return
        verdict = seat.texts.came(self._loop.time())
        if verdict is Verdict.END:
            listener.close(POLICY, "too many messages")
        if verdict is not Verdict.TAKE:
            return
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == TAKE_OVER:
            self._asked_to_speak(call_id, room, listener, message)
        elif kind == GIVE_BACK and room.speaker is listener:
            self._give_back(call_id, listener, message)
        else:
            _tell(listener, "error", message="a listener may say take-over, and then give-back")

    def spoke(self, call_id: str, listener: Listener, pcm: bytes) -> None:
        """As the protocol says."""
        room = self._rooms.get(call_id)
        if room is None or room.speaker is not listener:
            return
        verdict = room.seats[listener].speech.came(len(pcm) / 2 / TAP_HZ, self._loop.time())
        if verdict is Verdict.END:
            listener.close(POLICY, "audio far ahead of its time")
        elif verdict is Verdict.TAKE:
            self._plane.send(Speak(call_id, pcm))

    def left(self, call_id: str, listener: Listener) -> None:
        """As the protocol says."""
        room = self._rooms.get(call_id)
        if room is None or room.seats.pop(listener, None) is None:
            return
        if room.speaker is listener:
            room.speaker = None
            gone = {"type": GIVE_BACK, "gone": True}
            self._host.tell(call_id, ev.ControlReceived(gone, LISTENER, listener.remote_host))
        if not room.seats:
            self._plane.tap(call_id, None)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name="listener")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _room(self, call_id: str) -> _Room:
        return self._rooms.setdefault(call_id, _Room())

    async def _opened_by(self, org_id: str, *tokens: str) -> bool:
        with suppress(Exception):
            async with asyncio.timeout(self.settings.keys_s):
                for token in tokens:
                    if token and await self.opens(token, org_id):
                        return True
        return False

    async def _let_in(self, call_id: str, org_id: str, listener: Listener, token: str) -> None:
        if await self._opened_by(org_id, token):
            self._seat(call_id, listener, token)
        else:
            listener.close(POLICY, "an API key of the call's organisation is wanted")

    def _seat(self, call_id: str, listener: Listener, token: str) -> None:
        settings = self.settings
        room = self._room(call_id)
        if self._host.live(call_id) is None or len(room.seats) >= settings.listeners:
            listener.close(POLICY, "there is no room any more")
            return
        _tell(
            listener, "start", callId=call_id, encoding="linear16", sampleRate=TAP_HZ, channels=2,
            channelNames=["customer", "assistant"],
        )  # fmt: skip
        room.seats[listener] = _Seat(
            token,
            Backlog(settings.behind_s * STEREO_BYTES_PER_S, settings.behind_for_s),
            TextQuota(settings.texts_per_s, settings.texts_end),
            AudioClock(settings.ahead_s, settings.ahead_end_s, settings.ahead_s),
        )
        if len(room.seats) == 1:
            self._plane.tap(call_id, self._ears_of(room))

    def _ears_of(self, room: _Room) -> AudioSink:
        def hear(pcm: bytes) -> None:
            now, most = self._loop.time(), self.settings.behind_s * STEREO_BYTES_PER_S
            for listener, seat in list(room.seats.items()):
                waiting = listener.waiting_bytes()
                if seat.backlog.stands(waiting, now) is Verdict.END:
                    listener.close(POLICY, "audio was not taken in time")
                elif waiting <= most:
                    listener.send(pcm)

        return hear

    def _asked_to_speak(
        self, call_id: str, room: _Room, listener: Listener, message: Mapping[str, Any]
    ) -> None:
        found = self._host.live(call_id)
        if found is None:
            return
        org_id, keys = found
        if not _same(_key_in(message.get("controlUrl")), keys.control):
            _tell(listener, "error", message="take-over needs the call's controlUrl")
        elif room.speaker is not None:
            _tell(listener, "error", message="a person speaks already")
        elif keys.control_by_key:
            given = message.get("token")
            token = given if isinstance(given, str) else ""
            self._begin(self._let_speak(call_id, org_id, listener, token))
        else:
            self._let(call_id, room, listener)

    async def _let_speak(self, call_id: str, org_id: str, listener: Listener, token: str) -> None:
        room = self._rooms.get(call_id)
        seat = None if room is None else room.seats.get(listener)
        if room is None or seat is None:
            return
        if not await self._opened_by(org_id, token, seat.token):
            _tell(listener, "error", message="an API key of the call's organisation is wanted: token")
        elif room.speaker is None and listener in room.seats:
            self._let(call_id, room, listener)

    def _let(self, call_id: str, room: _Room, listener: Listener) -> None:
        if self._host.is_waiting(call_id):
            _tell(listener, "error", message=_WAITING_WORDS)
            return
        room.speaker = listener
        asked = ev.ControlReceived({"type": TAKE_OVER}, LISTENER, listener.remote_host)
        self._host.tell(call_id, asked)

    def _give_back(self, call_id: str, listener: Listener, message: Mapping[str, Any]) -> None:
        kept = {
            name: message[name] for name in ("type", "content", "triggerResponseEnabled") if name in message
        }
        self._host.tell(call_id, ev.ControlReceived(kept, LISTENER, listener.remote_host))

    # --- from the host ---------------------------------------------------------------------------------------------

    def _leg_came(self, call_id: str) -> None:
        room = self._rooms.get(call_id)
        if room is not None and room.seats:
            self._plane.tap(call_id, self._ears_of(room))

    def _taken_over(self, call_id: str, taken: bool) -> None:
        room = self._rooms.get(call_id)
        if room is None or room.speaker is None:
            return
        _tell(room.speaker, "taken-over" if taken else "given-back")
        if not taken:
            room.speaker = None

    def _over(self, call_id: str, _connected: bool) -> None:
        room = self._rooms.pop(call_id, None)
        if room is None:
            return
        self._plane.tap(call_id, None)
        for listener in list(room.seats):
            listener.close(NORMAL, "the call is over")


async def _nobody(secret: str, org_id: str) -> bool:
    return False


def _same(given: str, wanted: str) -> bool:
    """Whether the keys are the same; an empty one opens nothing."""
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def _key_in(url: object) -> str:
    """The unguessable part of a controlUrl."""
    if not isinstance(url, str):
        return ""
    try:
        parts = urlsplit(url).path.rstrip("/").split("/")
    except ValueError:
        return ""
    return parts[-2] if len(parts) >= 2 else ""


def _tell(listener: Listener, kind: str, **more: Any) -> None:
    listener.send(json.dumps({"type": kind, **more}))


def _refuse(status: int, error: str, message: str) -> Refusal:
    return Refusal(status, {"message": message, "error": error, "statusCode": status})
