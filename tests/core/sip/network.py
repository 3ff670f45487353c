"""Agents joined by a network in virtual time: packets take their time, may be lost, doubled, and overtake each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.agent import Action, Agent
from aywa.core.sip.dial import Dial
from aywa.core.sip.dialog import Dialog
from aywa.core.sip.events import Event, InviteReceived, Lookup
from aywa.core.sip.flow import Flow, Send
from aywa.core.sip.headers import Headers
from aywa.core.sip.message import Request, Response, parse, respond_to
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
        mine = self.dial(**values)
        self.run(0.5)
        theirs: str = self.b.last(InviteReceived).call
        self.tell_b(self.b.agent.answer, theirs, media("192.0.2.2", 5000), self.now)
        self.run(0.5)
        return mine, theirs


class Peer:
    """The far side as a script: it keeps what comes, answers by `replies`, and says what the test tells it to."""

    deadline = None

    def __init__(self, net: Network, host: str = "192.0.2.9") -> None:
        self.net = net
        self.local = (host, 5060)
        self.received: list[Request | Response] = []
        self.replies: Callable[[Request], list[Response]] = lambda request: []
        self._branches = count()
        net.nodes[self.local] = Node(self, Paths(self.local))  # type: ignore[arg-type]

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        message = parse(data)
        self.received.append(message)
        if isinstance(message, Response):
            return []
        return [Send(flow, reply.encode()) for reply in self.replies(message)]

    def requests(self, method: str) -> list[Request]:
        return [each for each in self.received if isinstance(each, Request) and each.method == method]

    def responses(self, method: str) -> list[Response]:
        return [each for each in self.received if isinstance(each, Response) and each.cseq.method == method]

    def statuses(self, method: str) -> list[int]:
        return [each.status for each in self.responses(method)]

    def send(self, message: Request | Response, target: tuple[str, int] = ("192.0.2.1", 5060)) -> None:
        """Over UDP; a request gets a Via of its own."""
        if isinstance(message, Request) and "via" not in message.headers:
            via = f"SIP/2.0/UDP {self.local[0]}:5060;branch=z9hG4bKpeer{next(self._branches)}"
            message.headers.prepend("Via", via)
        self.net.send(Flow("udp", self.local, target), message.encode())
        self.net.run(0.1)


OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\n"
HELD = OFFER.replace(b"1 1 IN", b"1 2 IN") + b"a=sendonly\r\n"
SDP_TYPE = ("Content-Type", "application/sdp")
CONTACT = ("Contact", "<sip:peer@192.0.2.9>")


def reply(
    request: Request, status: int, *fields: tuple[str, str], tag: str = "p1", body: bytes = b""
) -> Response:
    """What a scripted far side answers."""
    headers = [CONTACT, *fields]
    if body:
        headers.append(SDP_TYPE)
    return respond_to(request, status, tag=None if status == 100 else tag, headers=headers, body=body)


class Called(Network):
    """An agent that calls a scripted far side."""

    def __init__(self, replies: Callable[[Request], list[Response]] | None = None, **settings: Any) -> None:
        super().__init__()
        self.a = self.node("192.0.2.1", **settings)
        self.peer = Peer(self)
        self.peer.replies = replies or answers
        self.call = ""
        # So many redirects were acted on.
        self.followed = 0

    def dial(self, **values: Any) -> str:
        dial = Dial("sip:bob@192.0.2.9", media(), from_uri="sip:alice@192.0.2.1", **values)
        self.call, actions = self.a.agent.dial(dial, self.now)
        self.do(self.a, actions)
        self.run(0.1)
        return self.call

    def tell(self, command: Callable[..., list[Action]], *args: Any, **values: Any) -> None:
        self.do(self.a, command(self.call, *args, **values))
        self.run(0.1)

    @property
    def dialog(self) -> Dialog:
        """As the far side sees it."""
        invite = self.peer.requests("INVITE")[0]
        dialog = Dialog.of_callee(invite, "p1")
        dialog.local_cseq = 100
        return dialog


def answers(request: Request) -> list[Response]:
    """200 to everything, with a description where one is wanted."""
    if request.method == "ACK":
        return []
    return [reply(request, 200, body=OFFER if request.method == "INVITE" else b"")]


class Calling(Network):
    """A scripted far side that calls an agent."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.a = self.node("192.0.2.1", **settings)
        self.peer = Peer(self)
        self.invite = Request("INVITE", "sip:demo@192.0.2.1")

    def ring_up(self, *fields: tuple[str, str], body: bytes = OFFER) -> str:
        """Sends an INVITE; the key of the call, or nothing."""
        headers = Headers(
            (
                ("From", "<sip:peer@192.0.2.9>;tag=f1"),
                ("To", "<sip:demo@192.0.2.1>"),
                ("Call-ID", "call-1"),
                ("CSeq", "1 INVITE"),
                CONTACT,
                *fields,
            )
        )
        if body:
            headers.add(*SDP_TYPE)
        self.invite = Request("INVITE", "sip:demo@192.0.2.1", headers, body)
        self.peer.send(self.invite)
        calls = self.a.of(InviteReceived)
        return calls[-1].call if calls else ""

    def up(self, *fields: tuple[str, str]) -> str:
        """A call that was answered and acknowledged."""
        call = self.ring_up(*fields)
        self.do(self.a, self.a.agent.answer(call, media(), self.now))
        self.run(0.1)
        self.peer.send(self.dialog.ack(1))
        return call

    def tell(self, command: Callable[..., list[Action]], *args: Any, **values: Any) -> None:
        self.do(self.a, command(self.a.last(InviteReceived).call, *args, **values))
        self.run(0.1)

    @property
    def dialog(self) -> Dialog:
        """As the far side sees it."""
        tagged = [each for each in self.peer.responses("INVITE") if each.to_address.tag]
        dialog = Dialog.of_caller(self.invite, tagged[0])
        dialog.local_cseq = 10
        return dialog

    def ask(self, method: str, *fields: tuple[str, str], body: bytes = b"", cseq: int = 0) -> Response:
        """A request within the dialog, and the last answer to it."""
        dialog = self.dialog
        dialog.local_cseq = cseq or 10 + len(self.peer.received)
        headers = [CONTACT, *fields]
        if body and not any(name == "Content-Type" for name, _ in fields):
            headers.append(SDP_TYPE)
        self.peer.send(dialog.request(method, headers, body))
        return self.peer.responses(method)[-1]
