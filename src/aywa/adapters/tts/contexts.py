"""Many syntheses over few WebSockets, for voices whose wire knows contexts: who gets which message, and when a place is free.

A connection is made in the background while places are still free, and kept. What a context does not read is bounded and holds up
nobody else; late audio of one that was given up is thrown away. Refuses to know what a message means: `Wire` says it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from aywa.adapters.wire.bell import Bell
from aywa.adapters.wire.json_text import read_json
from aywa.adapters.wire.reserve import Reserve
from aywa.adapters.wire.websocket import (
    Address,
    Ending,
    Message,
    Refine,
    WebSocket,
    WebSocketSettings,
    connect,
)
from aywa.ports.errors import Fault, ProviderError

JsonObject = dict[str, Any]

MOST_CONNECTIONS = 256
"""Of one route: with five contexts on each, more calls than a process holds."""
MOST_UNREAD_BYTES = 8 << 20
"""Of one clause, as it came: several minutes of speech."""
SPARE_CONTEXTS = 4
"""Places that are spare, at least: a reply takes several at once, one for each clause."""
KEEP_S = 120.0
"""How long a connection without a context is kept where there are places enough."""
LET_GO_S = 10.0
"""How long a context that was given up may keep its place before its connection counts as stuck."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What a vendor's messages mean. context_of: whose a message is, None for everybody's. ends_clause, ends_context: it is
    the last one of that. failure: the error it tells, if any. cancel: the message that stops a context, None where the
    wire has none. keeps_place: a context that is given up holds its place until the vendor says that it ended. refine,
    ending: what the vendor means with a refused handshake and with a close. audio_bytes: how much of it a message has."""

    most_contexts: int
    context_of: Callable[[JsonObject], str | None]
    ends_clause: Callable[[JsonObject], bool]
    ends_context: Callable[[JsonObject], bool]
    failure: Callable[[JsonObject], ProviderError | None]
    cancel: Callable[[str], JsonObject | None]
    keeps_place: bool
    refine: Refine | None = None
    ending: Callable[[Ending], ProviderError | None] = lambda ending: None
    audio_bytes: Callable[[JsonObject], int] = lambda message: 0


class Clause:
    """One text's messages, in order. Taken by `next`; None after the last."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.start_bytes = 0
        """Of the context's audio that came before it."""
        self.answered = False
        self.finished = False
        self.dropped = False
        self._messages: deque[JsonObject] = deque()
        self._unread_bytes = 0
        self._error: ProviderError | None = None
        self._news = Bell()

    async def next(self) -> JsonObject | None:
        """Raises ProviderError, after what had come before it."""
        while not self._messages:
            if self._error is not None:
                raise self._error
            if self.finished:
                return None
            await self._news.wait()
        message = self._messages.popleft()
        if not self._messages:
            self._unread_bytes = 0
        return message

    def take(self, message: JsonObject, size: int) -> None:
        """A message came."""
        self.answered = True
        if self.dropped:
            return
        self._unread_bytes += size
        if self._unread_bytes > MOST_UNREAD_BYTES:
            self.context.drop(self)
            self.fail(
                self.context.address.error(
                    "overlong",
                    "it sent more audio than anybody took",
                    Fault.PROVIDER,
                    retryable=False,
                )
            )
            return
        self._messages.append(message)
        self._news.ring()

    def finish(self) -> None:
        """Nothing follows."""
        self.finished = True
        self._news.ring()

    def fail(self, error: ProviderError) -> None:
        """Nothing follows but this."""
        if self.finished:
            return
        self._error = error
        self.finish()

    @property
    def stale(self) -> bool:
        """Nothing came of it because the connection had died before, unnoticed: another may say it."""
        return not self.answered and self.context.was_kept and self.context.ending in ("closed", "lost")


class Context:
    """One context of the vendor's: texts that continue each other. send: a message to it."""

    def __init__(self, connection: _Connection, context_id: str, *, kept: bool) -> None:
        self.id = context_id
        self.address = connection.address
        self.was_kept = kept
        """Its connection was there before it."""
        self.ended = False
        self.ending = ""
        self._last_s = connection.loop.time()
        self.given_up = False
        self.letting_go: asyncio.TimerHandle | None = None
        """Until the vendor's word that it ended is overdue."""
        self._connection = connection
        self._audio_bytes = 0
        self._clauses: deque[Clause] = deque()

    @property
    def usable(self) -> bool:
        """Another text may be sent."""
        return not (self.ended or self.given_up) and self._connection.usable

    @property
    def busy(self) -> bool:
        """It has a clause that is not finished."""
        return bool(self._clauses)

    @property
    def silent_s(self) -> float:
        """Since its last message, or since it was opened."""
        return self._connection.loop.time() - self._last_s

    def clause(self) -> Clause:
        """The next one: it gets what comes after those before it are finished."""
        clause = Clause(self)
        self._clauses.append(clause)
        return clause

    def send(self, message: Mapping[str, Any]) -> None:
        """Never waits."""
        self._connection.send(message)

    def drop(self, clause: Clause) -> None:
        """Nobody wants the clause any more. With no other left, the context is stopped at the vendor."""
        if clause.finished:
            return
        clause.dropped = True
        if all(each.dropped for each in self._clauses):
            self.give_up()

    def give_up(self) -> None:
        """Stops the context at the vendor, if it still runs."""
        if not (self.ended or self.given_up):
            self.given_up = True
            self._connection.stop(self)

    def take(self, message: JsonObject, size: int, wire: Wire) -> None:
        """A message of this context."""
        self._last_s = self._connection.loop.time()
        if self._clauses:
            clause = self._clauses[0]
            if not clause.answered:
                clause.start_bytes = self._audio_bytes
            clause.take(message, size)
            self._audio_bytes += wire.audio_bytes(message)
            if wire.ends_clause(message) or wire.ends_context(message):
                self._clauses.popleft()
                clause.finish()

    def end(self, error: ProviderError | None, cause: str) -> None:
        """Nothing of it follows."""
        self.ended, self.ending = True, cause
        if self.letting_go is not None:
            self.letting_go.cancel()
        while self._clauses:
            clause = self._clauses.popleft()
            if error is not None:
                clause.fail(error)
            else:
                clause.finish()


class _Connection:
    """One WebSocket, and the contexts on it. A Receiver."""

    def __init__(self, owner: Contexts, address: Address) -> None:
        self.address = address
        self.loop = asyncio.get_running_loop()
        self._owner = owner
        self._wire = owner.wire
        self._contexts: dict[str, Context] = {}
        self._reserved = 0
        self._idle_since_s = self.loop.time()
        self._retired = False
        self._socket: WebSocket | None = None
        # Why it is not usable: what the vendor says may come before anybody has a context on it.
        self._why: Callable[[], ProviderError | None] | None = None
        self.dialling = self.loop.create_task(self._dial(), name=f"dial {address.route}")
        self.dialling.add_done_callback(_look_at)

    @property
    def usable(self) -> bool:
        """It is open, or about to be."""
        return not self._retired and (self._socket is None or self._socket.is_open)

    @property
    def fresh(self) -> bool:
        """It is being dialled."""
        return self._socket is None

    @property
    def used(self) -> int:
        """Places."""
        return len(self._contexts) + self._reserved

    @property
    def free(self) -> int:
        """Places."""
        return self._wire.most_contexts - self.used if self.usable else 0

    @property
    def idle_s(self) -> float:
        """Since its last context."""
        return 0.0 if self.used else self.loop.time() - self._idle_since_s

    async def open(self, context_id: str) -> Context:
        """Raises ProviderError."""
        kept = self._socket is not None
        self._reserved += 1
        self._owner.took(self.address)
        try:
            # The dialling is everybody's: who stops waiting does not stop it.
            if not self.dialling.done():
                await asyncio.wait([self.dialling])
        finally:
            self._reserved -= 1
        if self.dialling.cancelled():
            raise self.address.error("closed", "it was closed", Fault.RUNTIME)
        if (failed := self.dialling.exception()) is not None:
            raise failed
        if not self.usable:
            error = None if self._why is None else self._why()
            raise error or self.address.error(
                "closed", "the far side closed the connection", Fault.PROVIDER, retryable=True
            )
        context = Context(self, context_id, kept=kept)
        self._contexts[context_id] = context
        return context

    def send(self, message: Mapping[str, Any]) -> None:
        if self._socket is not None:
            self._socket.send_text(json.dumps(message))

    def stop(self, context: Context) -> None:
        """The context is given up."""
        if (message := self._wire.cancel(context.id)) is not None:
            self.send(message)
        if not self._wire.keeps_place:
            self._forget(context)
        else:
            context.letting_go = self.loop.call_later(LET_GO_S, self._stuck, context)

    def retire(self) -> None:
        """Takes no new context, and leaves after the last."""
        self._retired = True
        self._owner.forget(self)
        if not self.used:
            self._leave()

    async def close(self) -> None:
        """Leaves now."""
        self.retire()
        self._end_all(lambda: self.address.error("closed", "it was closed", Fault.RUNTIME), "left")
        if not self.dialling.done():
            self.dialling.cancel()
            await asyncio.wait([self.dialling])
        if self._socket is not None:
            await self._socket.close()

    # --- a Receiver ----------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """Hands it to its context."""
        parsed = _parsed(message)
        if parsed is None:
            self._break("malformed", "it sent a message that is not a JSON object")
            return
        context = None
        if (whose := self._wire.context_of(parsed)) is not None:
            context = self._contexts.get(whose)
            if context is None:
                # Of one that was given up.
                return
        if (error := self._wire.failure(parsed)) is not None:
            self._failed(context, parsed, error)
        elif context is not None:
            context.take(parsed, len(message), self._wire)
            if self._wire.ends_context(parsed):
                self._owner.served(self.address)
                self._forget(context)
                context.end(None, "ended")

    def ended(self, ending: Ending) -> None:
        """It is over."""
        self._retired = True
        self._owner.forget(self, kept=self.used > 0)
        self._end_all(lambda: self._wire.ending(ending) or ending.error(self.address), ending.cause)

    # --- inside --------------------------------------------------------------------------------------------------

    async def _dial(self) -> None:
        try:
            self._socket = await connect(self.address, self._owner.settings, self._wire.refine)
        except BaseException:
            self._retired = True
            self._owner.forget(self, kept=False)
            raise
        self._socket.receive(self)

    def _failed(self, context: Context | None, message: JsonObject, error: ProviderError) -> None:
        if context is not None:
            self._forget(context)
            context.end(error, "failed")
            return
        # Not said whose: it is everybody's, and the connection is not to be trusted.
        self._retired = True
        self._owner.forget(self, kept=False)
        self._end_all(lambda: self._wire.failure(message), "failed")
        self._leave()

    def _break(self, code: str, reason: str) -> None:
        self._retired = True
        self._owner.forget(self, kept=False)
        self._end_all(lambda: self.address.error(code, reason, Fault.PROVIDER, retryable=True), "malformed")
        self._leave()

    def _end_all(self, error: Callable[[], ProviderError | None], cause: str) -> None:
        self._why = self._why or error
        contexts, self._contexts = self._contexts, {}
        for context in contexts.values():
            context.end(error(), cause)

    def _stuck(self, context: Context) -> None:
        """The vendor never said that the context ended."""
        if not context.ended:
            self._forget(context)
            context.end(None, "stuck")
            self.retire()

    def _forget(self, context: Context) -> None:
        self._contexts.pop(context.id, None)
        self._idle_since_s = self.loop.time()
        if self._retired and not self.used:
            self._leave()

    def _leave(self) -> None:
        if self._socket is not None:
            self._owner.close_soon(self._socket)


class Contexts:
    """A route's connections. While an address is used, places are free at it."""

    def __init__(self, wire: Wire, settings: WebSocketSettings | None = None) -> None:
        self.wire = wire
        self.settings = settings or WebSocketSettings()
        self.connections = 0
        """How many were ever made."""
        self.waited = 0
        """How many contexts waited for one."""
        self._connections: list[_Connection] = []
        self._reserves: dict[Address, Reserve] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._ids = count(1)
        self._closed = False

    async def open(self, address: Address, *, fresh: bool = False) -> Context:
        """A context at the address, on the fullest connection that has a place. fresh: on one that is not open yet. Raises
        ProviderError."""
        connection = self._connection(address, fresh=fresh)
        self.waited += connection.fresh
        return await connection.open(f"c{next(self._ids)}")

    async def warm(self, address: Address) -> None:
        """Sees to it that places are free at once. Never raises."""
        if self._closed:
            return
        there = self._at(address)
        self._reserve(address).used(sum(each.used for each in there), asyncio.get_running_loop().time())
        self._dial_ahead(address)
        # Not awaited themselves: what they raise is for who needs them.
        if dialling := [each.dialling for each in self._at(address) if each.fresh]:
            await asyncio.wait(dialling)

    async def close(self) -> None:
        """Closes all; what runs ends with ProviderError."""
        self._closed = True
        await asyncio.gather(*(connection.close() for connection in list(self._connections)))
        while self._closing:
            await asyncio.wait(list(self._closing))

    def took(self, address: Address) -> None:
        """Of a connection: a place at the address was taken."""
        now = asyncio.get_running_loop().time()
        there, reserve = self._at(address), self._reserve(address)
        reserve.used(sum(each.used for each in there), now)
        idle = max(there, key=lambda each: each.idle_s)
        one = self.wire.most_contexts
        if idle.idle_s > KEEP_S and reserve.has_too_many(len(there) * one, one, now):
            idle.retire()
        self._dial_ahead(address)

    def served(self, address: Address) -> None:
        """Of a connection: it was of use."""
        self._reserve(address).served()

    def forget(self, connection: _Connection, *, kept: bool = True) -> None:
        """It takes no new contexts. kept: not so that it could not be made, or was closed for no context's sake: then another
        would go the same way now."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        loop, address = asyncio.get_running_loop(), connection.address
        if kept:
            self._dial_ahead(address)
        elif not self._closed:
            loop.call_later(self._reserve(address).put_off(loop.time()), self._dial_ahead, address)

    def close_soon(self, socket: WebSocket) -> None:
        """Closes it without anybody waiting."""
        task = asyncio.get_running_loop().create_task(socket.close(), name="close a voice's connection")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _at(self, address: Address) -> list[_Connection]:
        return [each for each in self._connections if _same(each.address, address)]

    def _reserve(self, address: Address) -> Reserve:
        """Of the address; one that was not used for long is forgotten."""
        now = asyncio.get_running_loop().time()
        if address not in self._reserves:
            self._reserves = {at: each for at, each in self._reserves.items() if each.spare(now)}
        return self._reserves.setdefault(address, Reserve(SPARE_CONTEXTS))

    def _dial_ahead(self, address: Address) -> None:
        """In the background: no context waits for it."""
        if self._closed:
            return
        places = sum(each.used + each.free for each in self._at(address))
        lacking = self._reserve(address).lacking(places, asyncio.get_running_loop().time())
        while lacking > 0 and len(self._connections) < MOST_CONNECTIONS:
            lacking -= self._dial(address).free

    def _connection(self, address: Address, *, fresh: bool = False) -> _Connection:
        if self._closed:
            raise address.error("closed", "it was closed", Fault.RUNTIME)
        there = [each for each in self._at(address) if each.free > 0 and (each.fresh or not fresh)]
        if there:
            # One that stands, and the fullest first: those that are left over fall idle.
            return min(there, key=lambda each: (each.fresh, each.free))
        if len(self._connections) >= MOST_CONNECTIONS:
            raise address.error(
                "busy", f"{MOST_CONNECTIONS} connections are full", Fault.RUNTIME, retryable=True
            )
        return self._dial(address)

    def _dial(self, address: Address) -> _Connection:
        self.connections += 1
        connection = _Connection(self, address)
        self._connections.append(connection)
        return connection


def _look_at(dialling: asyncio.Task[None]) -> None:
    """What it raised is for who needs the connection; nobody may."""
    if not dialling.cancelled():
        dialling.exception()


def _same(one: Address, other: Address) -> bool:
    return one.url == other.url and one.headers == other.headers


def _parsed(message: Message) -> JsonObject | None:
    if isinstance(message, bytes):
        return None
    try:
        parsed = read_json(message)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
