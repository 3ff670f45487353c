"""The transaction layer of one SIP element: which message belongs to which transaction, where answers go, and what never
becomes a transaction at all (RFC 3261 8.2, 9.2, 17, 18.2; RFC 3581; RFC 6026).

It is given every message and the time, and keeps state only for what it let in: the rest is answered from the message alone,
or not at all. Dialogs, calls and who may do what are decided above; a screen may refuse before anything is remembered.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from aywa.core.sip.fields import MAGIC_COOKIE, Via
from aywa.core.sip.flow import (
    AckReceived,
    Action,
    Cancelled,
    Dropped,
    Flow,
    Key,
    RequestReceived,
    Send,
    TransactionEnded,
    TransactionFailed,
)
from aywa.core.sip.message import MAX_FORWARDS, Malformed, Request, Response, parse, respond_to
from aywa.core.sip.transaction import (
    ClientTransaction,
    InviteClient,
    InviteServer,
    RequestClient,
    RequestServer,
    State,
    Timers,
)
from aywa.core.sip.uri import DEFAULT_PORT, Unreadable, bare_host, parse_uri, read_ip

# What is known to somebody, if not to us: 405; anything else is 501 (RFC 3261 8.2.1, 21.5.2).
REGISTERED_METHODS = frozenset(
    "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
)
# What carries nothing that could be sent again, and so keeps a path open or means nothing.
_BLANK = b"\r\n\0 \t"
# Answers that ask the client to come again; some come with the same CSeq.
_CHALLENGES = (401, 407)
_TAG_BYTES = 10
_RPORT = re.compile(r";[ \t]*rport[ \t]*(?=;|$)", re.IGNORECASE)
# So many outdated notes of deadlines may lie about beyond as many as there are transactions.
_DUE_SPARE = 256

_Any = InviteClient | RequestClient | InviteServer | RequestServer


class Silence:
    """What a screen returns for a message that gets no answer."""

    __slots__ = ()


SILENCE = Silence()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a screen returns for a request that is answered and forgotten."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


# Asked for every request that would begin a transaction, ACK and CANCEL never; None lets it in.
Screen = Callable[[Request, Flow, float], Refusal | Silence | None]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the element understands. options: extensions that may stand in Require; None: whatever is above looks at them."""

    methods: frozenset[str] = REGISTERED_METHODS
    options: frozenset[str] | None = None
    schemes: frozenset[str] = frozenset(("sip", "sips", "tel"))


@dataclass(frozen=True, slots=True)
class Limits:
    """transactions: of each side at once; requests inside a dialog are let in up to twice that. held_bytes: of the requests in
    them. retry_after_s: what a sender is told who comes when there is no room. reflected_share: an answer that leaves no trace
    goes out over UDP only when it is at most so many times as long as what it answers, since the sender's address may be that
    of a victim (RFC 9000 8.1 allows three times)."""

    transactions: int = 20_000
    held_bytes: int = 64 * 1024 * 1024
    retry_after_s: int = 5
    reflected_share: float = 2.0


class Endpoint:
    """token: gives a fresh word that nobody can guess, for branches. secret: makes the tags of answers that leave no trace.
    sent_by: the address that stands in our Via on a flow, its own by default."""

    def __init__(
        self,
        token: Callable[[], str],
        secret: bytes,
        *,
        sent_by: Callable[[Flow], tuple[str, int]] | None = None,
        screen: Screen | None = None,
        abilities: Abilities | None = None,
        limits: Limits | None = None,
        timers: Timers | None = None,
    ) -> None:
        self.abilities = abilities or Abilities()
        self.limits = limits or Limits()
        self.timers = timers or Timers()
        self._token = token
        self._secret = secret
        self._sent_by = sent_by
        self._screen = screen
        self._clients: dict[Key, InviteClient | RequestClient] = {}
        self._servers: dict[Key, InviteServer | RequestServer] = {}
        # Call, sender and number of what came without a To tag: a second way to the same request (RFC 3261 8.2.2.2).
        self._merges: dict[tuple[str, ...], Key] = {}
        self._merge_of: dict[Key, tuple[str, ...]] = {}
        # CANCELs: their fate is nobody's business but ours.
        self._quiet: set[Key] = set()
        self._held_bytes = 0
        self._due: list[tuple[float, int, _Any]] = []
        self._noted = 0

    @property
    def transactions(self) -> tuple[int, int]:
        """How many there are: of ours, of others'."""
        return len(self._clients), len(self._servers)

    # --- time --------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        while self._due and self._due[0][2].scheduled != self._due[0][0]:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def wake(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while (due := self.deadline) is not None and due <= now:
            transaction = heappop(self._due)[2]
            transaction.scheduled = None
            actions += self._settled(transaction, transaction.wake(now))
        return actions

    # --- requests of ours --------------------------------------------------------------------------------------

    def request(self, request: Request, flow: Flow, now: float) -> tuple[Key, list[Action]]:
        """Begins a transaction with a Via of ours, and with Max-Forwards where there is none. Not for an ACK."""
        branch = f"{MAGIC_COOKIE}{self._token()}"
        made = self._with_via(request, branch, flow)
        key = f"c|{branch}|{request.method}"
        if len(self._clients) >= self.limits.transactions:
            return key, [TransactionFailed(key, "overload"), TransactionEnded(key)]
        kind = InviteClient if request.method == "INVITE" else RequestClient
        transaction = kind(key, made, flow, self.timers, now)
        self._clients[key] = transaction
        return key, self._settled(transaction, transaction.begin())

    def send(self, request: Request, flow: Flow) -> Send:
        """A request outside any transaction: the ACK of a 2xx. To send it again, send the same bytes again."""
        return Send(flow, self._with_via(request, f"{MAGIC_COOKIE}{self._token()}", flow).encode())

    def cancel(self, key: Key, now: float, headers: Iterable[tuple[str, str]] = ()) -> list[Action]:
        """Our INVITE is not wanted any more. Its final answer still comes, and it may be a 200. headers: a Reason, say."""
        transaction = self._clients.get(key)
        if not isinstance(transaction, InviteClient):
            return []
        transaction.cancel(headers)
        return self._settled(transaction, self._cancel_now(transaction, now))

    def _with_via(self, request: Request, branch: str, flow: Flow) -> Request:
        host, port = flow.local if self._sent_by is None else self._sent_by(flow)
        made = request.copy()
        via = Via(flow.transport.upper(), host, port, {"branch": branch, "rport": None})
        made.headers.prepend("Via", str(via))
        if "Max-Forwards" not in made.headers:
            made.headers.add("Max-Forwards", str(MAX_FORWARDS))
        return made

    def _cancel_now(self, transaction: InviteClient, now: float) -> list[Action]:
        cancel = transaction.due_cancel(now)
        if cancel is None:
            return []
        # The same branch as the INVITE, and so a key of its own by the method (RFC 3261 9.1).
        key = f"{transaction.key.removesuffix('INVITE')}CANCEL"
        made = RequestClient(key, cancel, transaction.flow, self.timers, now)
        self._clients[key] = made
        self._quiet.add(key)
        return self._settled(made, made.begin())

    # --- answers of ours ---------------------------------------------------------------------------------------

    def respond(self, key: Key, response: Response, now: float) -> list[Action]:
        """Answers a request. A 2xx to an INVITE may be given again until its ACK comes. For what is over: nothing."""
        transaction = self._servers.get(key)
        if transaction is None:
            return []
        actions = transaction.respond(response, now)
        if transaction.request is None and transaction.held_bytes:
            # Only the answer is kept from here on.
            self._held_bytes -= transaction.held_bytes
            transaction.held_bytes = 0
        return self._settled(transaction, actions)

    def flow_failed(self, flow: Flow, now: float, detail: str = "") -> list[Action]:
        """Nothing gets through there: a connection closed or was refused, or a datagram came back. detail: for a person."""
        actions: list[Action] = []
        for client in list(self._clients.values()):
            if client.flow.connection_id in (None, flow.connection_id) and _same_peer(client.flow, flow):
                actions += self._settled(client, client.broke(detail))
        for server in self._servers.values():
            if server.flow.reliable and server.flow == flow:
                server.broke()
        return actions

    # --- what comes in -----------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """One datagram, or one message of a stream."""
        if not data.strip(_BLANK):
            return []
        try:
            message = parse(data, stream=flow.reliable)
        except Malformed as fault:
            return self._malformed(fault, flow, len(data))
        if isinstance(message, Response):
            return self._response(message, flow, now)
        via = message.via
        if message.method == "ACK":
            return self._ack(message, via, flow, now)
        if message.method == "CANCEL":
            return self._cancel(message, via, flow, len(data))
        key = server_key(message, via)
        known = self._servers.get(key)
        if known is not None:
            return known.repeated()
        return self._begin(key, message, via, flow, len(data), now)

    def _malformed(self, fault: Malformed, flow: Flow, size_bytes: int) -> list[Action]:
        request = fault.message
        if fault.status == 0 or not isinstance(request, Request) or request.headers.get("via") is None:
            return [Dropped(flow, fault.why)]
        reply_flow = flow
        try:
            reply_flow = _annotate(request, request.via, flow)
        except Unreadable:
            # Not even the way back can be read: over UDP the answer goes to where the message came from.
            pass
        refusal = Refusal(fault.status, f"Bad Request ({fault.why})" if fault.status == 400 else "")
        sends = self._stateless(request, reply_flow, refusal, size_bytes)
        return [*sends, Dropped(flow, fault.why, fault.status)]

    def _response(self, response: Response, flow: Flow, now: float) -> list[Action]:
        if len(response.vias) > 1:
            # It was another's request (RFC 3261 8.1.3.3).
            return [Dropped(flow, "a response with more than one Via")]
        transaction = self._clients.get(f"c|{response.via.branch}|{response.cseq.method}")
        if transaction is None:
            return [Dropped(flow, "a response to no request of ours")]
        actions = transaction.receive(response, flow, now)
        if isinstance(transaction, InviteClient):
            actions += self._cancel_now(transaction, now)
        return self._settled(transaction, actions)

    def _ack(self, request: Request, via: Via, flow: Flow, now: float) -> list[Action]:
        transaction = self._servers.get(server_key(request, via))
        if isinstance(transaction, InviteServer) and transaction.acknowledged(now):
            return self._settled(transaction, [])
        if request.to_address.tag == self._tag(request):
            # Of an answer that left no trace.
            return []
        return [AckReceived(request, flow)]

    def _cancel(self, request: Request, via: Via, flow: Flow, size_bytes: int) -> list[Action]:
        """Answered from what is known of the INVITE, so that its retransmissions need no memory (RFC 3261 9.2)."""
        key = server_key(request, via)
        transaction = self._servers.get(key)
        reply_flow = _annotate(request, via, flow)
        if not isinstance(transaction, InviteServer):
            return [
                *self._stateless(request, reply_flow, Refusal(481), size_bytes),
                Dropped(flow, "a CANCEL of nothing", 481),
            ]
        actions: list[Action] = [*self._stateless(request, reply_flow, Refusal(200), size_bytes)]
        if transaction.state is State.PROCEEDING and not transaction.cancelled:
            transaction.cancelled = True
            actions.append(Cancelled(key, request, flow))
        return actions

    def _begin(
        self, key: Key, request: Request, via: Via, flow: Flow, size_bytes: int, now: float
    ) -> list[Action]:
        reply_flow = _annotate(request, via, flow)
        verdict = self._screen(request, flow, now) if self._screen is not None else None
        if isinstance(verdict, Silence):
            return []
        if isinstance(verdict, Refusal):
            if verdict.status < 300:
                # A yes is said only to what is understood.
                verdict = self._refusal(request) or verdict
            return [*self._stateless(request, reply_flow, verdict, size_bytes)]
        merge = _merge_id(request)
        refusal = self._refusal(request) or self._merged(merge) or self._overload(merge is None, size_bytes)
        if refusal is not None:
            return [
                *self._stateless(request, reply_flow, refusal, size_bytes),
                Dropped(flow, f"{refusal.status}", refusal.status),
            ]
        kind = InviteServer if request.method == "INVITE" else RequestServer
        transaction = kind(key, request, flow, reply_flow, self.timers, size_bytes, now)
        self._servers[key] = transaction
        self._held_bytes += size_bytes
        if merge is not None:
            if (challenged := self._merges.get(merge)) is not None:
                del self._merge_of[challenged]
            self._merges[merge] = key
            self._merge_of[key] = merge
        return self._settled(transaction, [RequestReceived(key, request, flow)])

    # --- what is refused without a trace -----------------------------------------------------------------------

    def _refusal(self, request: Request) -> Refusal | None:
        """In the order of RFC 3261 8.2."""
        method = request.method
        if method not in self.abilities.methods:
            allow = ("Allow", ", ".join(sorted(self.abilities.methods)))
            return Refusal(405 if method in REGISTERED_METHODS else 501, headers=(allow,))
        if parse_uri(request.uri).scheme not in self.abilities.schemes:
            return Refusal(416)
        if self.abilities.options is not None:
            unknown = sorted(request.headers.tokens("require") - self.abilities.options)
            if unknown:
                return Refusal(420, headers=(("Unsupported", ", ".join(unknown)),))
        return None

    def _merged(self, merge: tuple[str, ...] | None) -> Refusal | None:
        """A second way to a request that is being answered already (RFC 3261 8.2.2.2)."""
        key = None if merge is None else self._merges.get(merge)
        if key is None:
            return None
        # Some clients come back to a challenge with the number they had; that is no second way.
        return None if self._servers[key].last_status in _CHALLENGES else Refusal(482)

    def _overload(self, inside: bool, size_bytes: int) -> Refusal | None:
        # What ends or changes a call that is up is let in longer than what would begin another.
        share = 2 if inside else 1
        full = len(self._servers) >= share * self.limits.transactions
        if full or self._held_bytes + size_bytes > share * self.limits.held_bytes:
            return Refusal(503, headers=(("Retry-After", str(self.limits.retry_after_s)),))
        return None

    def _stateless(
        self, request: Request, reply_flow: Flow, refusal: Refusal, size_bytes: int
    ) -> tuple[Send, ...]:
        """The same request gets the same answer, tag and all (RFC 3261 8.2.7); none where it would be much longer."""
        response = respond_to(
            request, refusal.status, refusal.reason, tag=self._tag(request), headers=refusal.headers
        )
        data = response.encode()
        if not reply_flow.reliable and len(data) > self.limits.reflected_share * size_bytes:
            return ()
        return (Send(reply_flow, data),)

    def _tag(self, request: Request) -> str:
        """Of what a request, its retransmissions and its ACK have in common."""
        words = [request.call_id]
        try:
            words += [request.via.branch or "", str(request.cseq.number), request.from_address.tag or ""]
        except Unreadable:
            pass
        return hmac.digest(self._secret, "\n".join(words).encode(), "sha256")[:_TAG_BYTES].hex()

    # --- the tables --------------------------------------------------------------------------------------------

    def _settled(self, transaction: _Any, actions: list[Action]) -> list[Action]:
        """After everything that may have changed a transaction: noted for its next deadline, or forgotten."""
        key = transaction.key
        quiet = key in self._quiet
        if quiet:
            actions = [action for action in actions if isinstance(action, Send)]
        if transaction.state is not State.TERMINATED:
            self._note(transaction)
            return actions
        transaction.scheduled = None
        if isinstance(transaction, ClientTransaction):
            del self._clients[key]
        else:
            del self._servers[key]
            self._held_bytes -= transaction.held_bytes
            merge = self._merge_of.pop(key, None)
            if merge is not None:
                del self._merges[merge]
        if quiet:
            self._quiet.discard(key)
            return actions
        return [*actions, TransactionEnded(key)]

    def _note(self, transaction: _Any) -> None:
        deadline = transaction.deadline
        if deadline is None or deadline == transaction.scheduled:
            transaction.scheduled = deadline
            return
        transaction.scheduled = deadline
        self._noted += 1
        heappush(self._due, (deadline, self._noted, transaction))
        if len(self._due) > 2 * (len(self._clients) + len(self._servers)) + _DUE_SPARE:
            # Notes that no longer hold are thrown away before they outnumber those that do.
            self._due = [note for note in self._due if note[2].scheduled == note[0]]
            heapify(self._due)


def server_key(request: Request, via: Via) -> Key:
    """The transaction a request belongs to; an ACK and a CANCEL to that of their INVITE (RFC 3261 17.2.3). Call and number stand
    beside the branch, since clients exist that use one branch twice. Without a unique branch: as before RFC 3261."""
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    host, port = via.sent_by
    call = f"{request.call_id}|{request.cseq.number}|{method}"
    if via.unique_branch:
        return f"s|{via.branch}|{host}:{port}|{call}"
    return f"o|{request.from_address.tag}|{request.uri}|{via}|{call}"


def _merge_id(request: Request) -> tuple[str, ...] | None:
    if request.to_address.tag is not None:
        return None
    return request.call_id, request.from_address.tag or "", str(request.cseq)


def _annotate(request: Request, via: Via, flow: Flow) -> Flow:
    """Notes in the topmost Via where the request really came from (RFC 3261 18.2.1, RFC 3581 4), and says where its answers go
    (18.2.2). maddr is not followed: it would send our answers wherever a stranger likes."""
    address, port = flow.remote
    asked = "rport" in via.params
    elsewhere = not _same_address(via.host, address)
    if asked or elsewhere or "received" in via.params:
        hops = request.headers.get_list("via")
        request.headers.set_list("Via", [_noted(hops[0], via, flow, asked), *hops[1:]])
    if flow.reliable:
        return flow
    # An address that is not the packet's own was translated on the way, and so was the port, rport or not.
    if not asked and not (elsewhere and _is_address(via.host)):
        port = via.port or DEFAULT_PORT
    return replace(flow, remote=(address, port))


def _noted(hop: str, via: Via, flow: Flow, asked: bool) -> str:
    address, port = flow.remote
    if "received" in via.params or via.params.get("rport") is not None:
        # Whoever filled these in, it was not for them to do.
        noted = {"received": address, **({"rport": str(port)} if asked else {})}
        return str(replace(via, params={**via.params, **noted}))
    # The rest stays to the letter: the sender compares it with what it sent.
    if asked:
        hop = _RPORT.sub(f";rport={port}", hop, count=1)
    return f"{hop};received={address}"


def _is_address(host: str) -> bool:
    return read_ip(bare_host(host)) is not None


def _same_address(host: str, address: str) -> bool:
    named = read_ip(bare_host(host))
    return named is not None and named == read_ip(address.partition("%")[0])


def _same_peer(mine: Flow, other: Flow) -> bool:
    return mine.transport == other.transport and mine.remote == other.remote
