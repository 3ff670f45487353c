"""Agents joined by a network in virtual time: packets take their time, may be lost, doubled, and overtake each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from aywa.core.sip.agent import Action, Agent, AgentSettings, Dial
from aywa.core.sip.events import Event, Lookup
from aywa.core.sip.flow import Flow, Send
from aywa.core.sip.message import Request, Response, parse
from aywa.core.sip.offer import LocalMedia
from aywa.core.sip.resolve import Record

MOST_STEPS = 100_000


def tokens(seed: int) -> Callable[[int], bytes]:
    """Bytes that differ each time, and are the same in every run."""
    numbers = count(seed * 1_000_003 + 1)

    def token(size: int) -> bytes:
        number = next(numbers) * 2654435761 % 2**32
        return (number.to_bytes(4, "big") * (size // 4 + 1))[:size]

    return token


def media(host: str = "192.0.2.1", port: int = 4000, **values: Any) -> LocalMedia:
    return LocalMedia(host, port, **values)


class Paths:
    """One address, all transports. blocked: what cannot be reached at all."""

    def __init__(self, local: tuple[str, int]) -> None:
        self.local = local
        self.blocked: set[tuple[str, int]] = set()
        self.open: dict[tuple[str, int], str] = {}

    def flow_to(self, transport: str, remote: tuple[str, int], name: str) -> Flow | None:
        if transport == "udp":
            return Flow("udp", self.local, remote)
        assert transport in ("tcp", "tls")
        return Flow("tls" if transport == "tls" else "tcp", self.local, remote, self.open.get(remote))

    def address_of(self, flow: Flow) -> tuple[str, int]:
        return self.local


@dataclass
class Node:
    """An agent and everything it told."""

    agent: Agent
    paths: Paths
    events: list[Event] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)

    @property
    def local(self) -> tuple[str, int]:
        return self.paths.local

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[Any]) -> Any:
        return self.of(kind)[-1]


@dataclass
class Wired:
    """One message that went over the wire."""

    at_s: float
    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes

    @property
    def message(self) -> Request | Response:
        return parse(self.data)

    @property
    def name(self) -> str:
        """INVITE, or 200 INVITE."""
        message = self.message
        return message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"


class Network:
    """delay_s: of the message with that number; None: it is lost."""

    def __init__(self, delay_s: Callable[[int], float | None] = lambda number: 0.01) -> None:
        self.now = 0.0
        self.nodes: dict[tuple[str, int], Node] = {}
        self.wire: list[Wired] = []
        self.names: dict[tuple[str, str], list[Record]] = {}
        self._delay_s = delay_s
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        # What is done on the way, to change or swallow it.
        self.tamper: Callable[[Wired], bytes | None] = lambda wired: wired.data

    def node(self, host: str, port: int = 5060, **settings: Any) -> Node:
        values = {"open_networks": ("0.0.0.0/0",), **settings}
        paths = Paths((host, port))
        made = Node(Agent(AgentSettings(**values), paths, tokens(len(self.nodes) + 1)), paths)
        self.nodes[host, port] = made
        return made

    def do(self, node: Node, actions: list[Action]) -> None:
        """Carries out what an agent wants."""
        for action in actions:
            if isinstance(action, Send):
                self.send(action.flow, action.data)
            elif isinstance(action, Lookup):
                node.lookups.append(action)
                records = self.names.get((action.kind, action.name), [])
                self.at(
                    0.001,
                    lambda action=action, records=records: self.do(  # type: ignore[misc]
                        node, node.agent.looked_up(action.kind, action.name, records, self.now)
                    ),
                )
            else:
                node.events.append(action)

    def send(self, flow: Flow, data: bytes) -> None:
        wired = Wired(self.now, flow.local, flow.remote, data)
        self.wire.append(wired)
        changed = self.tamper(wired)
        target = self.nodes.get(flow.remote)
        sender = self.nodes.get(flow.local)
        if sender is not None and flow.remote in sender.paths.blocked:
            self.at(0.001, lambda: self.do(sender, sender.agent.flow_lost(flow, self.now)))
            return
        delay_s = self._delay_s(len(self.wire))
        if changed is None or target is None or delay_s is None:
            return
        back = Flow(flow.transport, flow.remote, flow.local, None if flow.transport == "udp" else "c1")
        self.at(delay_s, lambda: self.do(target, target.agent.receive(changed, back, self.now)))

    def at(self, after_s: float, what: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._due, (self.now + after_s, self._count, what))

    def run(self, for_s: float) -> None:
        """Always the earliest thing that can happen."""
        until_s = self.now + for_s
        for _ in range(MOST_STEPS):
            alarms = [(node.agent.deadline, node) for node in self.nodes.values()]
            wakes = [(at, node) for at, node in alarms if at is not None]
            wake_s = min((at for at, _ in wakes), default=until_s + 1)
            due_s = self._due[0][0] if self._due else until_s + 1
            if min(wake_s, due_s) > until_s:
                self.now = until_s
                return
            self.now = max(self.now, min(wake_s, due_s))
            if due_s <= wake_s:
                heappop(self._due)[2]()
            else:
                for at, node in wakes:
                    if at == wake_s:
                        self.do(node, node.agent.wake(self.now))
        raise AssertionError("it never comes to rest")

    @property
    def names_sent(self) -> list[str]:
        return [wired.name for wired in self.wire]


class Pair(Network):
    """Two agents: a calls b."""

    def __init__(self, delay_s: Callable[[int], float | None] = lambda number: 0.01, **settings: Any) -> None:
        super().__init__(delay_s)
        self.a = self.node("192.0.2.1", **settings)
        self.b = self.node("192.0.2.2", **settings)

    def dial(self, **values: Any) -> str:
        uri = values.pop("uri", "sip:bob@192.0.2.2")
        dial = Dial(uri, values.pop("media", media()), from_uri="sip:alice@192.0.2.1", **values)
        call, actions = self.a.agent.dial(dial, self.now)
        self.do(self.a, actions)
        return call

    def tell_a(self, command: Callable[..., list[Action]], *args: Any, **values: Any) -> None:
        self.do(self.a, command(*args, **values))

    def tell_b(self, command: Callable[..., list[Action]], *args: Any, **values: Any) -> None:
        self.do(self.b, command(*args, **values))

    def up(self, **values: Any) -> tuple[str, str]:
        """A call that was answered; its keys on both sides."""
        from aywa.core.sip.events import InviteReceived

        mine = self.dial(**values)
        self.run(0.5)
        theirs: str = self.b.last(InviteReceived).call
        self.tell_b(self.b.agent.answer, theirs, media("192.0.2.2", 5000), self.now)
        self.run(0.5)
        return mine, theirs
