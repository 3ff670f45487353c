"""The SIP side of the runtime as the shell sees it: bytes and commands in, bytes and events out, time passed in.

It carries the calls, trunks and the guard, and decides who gets what comes in. It opens no socket and looks up no name:
`Send` and `Lookup` ask for that. Whatever comes in, nothing is raised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aywa.core.sip import info
from aywa.core.sip.admission import Admission, AgentSettings
from aywa.core.sip.asking import Asking, Paths, contact_uri
from aywa.core.sip.calls import Calls
from aywa.core.sip.dial import Dial, address_of, fields_for, sender_of
from aywa.core.sip.digest import Account, DigestClient
from aywa.core.sip.endpoint import Abilities, Endpoint
from aywa.core.sip.events import (
    Event,
    Fields,
    InviteReceived,
    Lookup,
    Party,
    PingResult,
    Reason,
    RequestAnswered,
)
from aywa.core.sip.fields import Address, parse_address, parse_seconds
from aywa.core.sip.flow import (
    AckReceived,
    Cancelled,
    Dropped,
    Flow,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionEnded,
    TransactionFailed,
)
from aywa.core.sip.flow import Action as Done
from aywa.core.sip.guard import Fault
from aywa.core.sip.line import Ask, Hop, Line, fields_of, has_sdp
from aywa.core.sip.message import Request, Response, respond_to
from aywa.core.sip.offer import LocalMedia, Negotiation
from aywa.core.sip.session import NO_DIALOG, UNDERSTOOD, Session
from aywa.core.sip.session_timer import SessionTimer
from aywa.core.sip.trunk import Trunk, TrunkWatch, options
from aywa.core.sip.uri import Unreadable
from aywa.core.sip.wiring import Wiring

Action = Send | Lookup | Event
WORD_BYTES = 10
# The verdicts on a message that nobody's telephone would send.
MALFORMED = frozenset((400, 416, 501, 505, 513))
METHODS = frozenset("INVITE ACK CANCEL BYE OPTIONS INFO PRACK UPDATE REFER NOTIFY REGISTER".split())
# What a telephone that registers with us is told; it is not kept, since it is never called.
REGISTERED_S = 3600
MOST_CONTACTS = 4


class Agent:
    """One SIP port, or several that belong together. token(count): bytes that nobody can guess."""

    def __init__(self, settings: AgentSettings, paths: Paths, token: Callable[[int], bytes]) -> None:
        self.settings = settings
        self.now = 0.0
        self.token = token
        self._paths = paths
        self._out: list[Action] = []
        self._todo: deque[Done | Lookup | Event] = deque()
        self._calls = Calls()
        self._trunks: dict[str, TrunkWatch] = {}
        self._digests: dict[str, DigestClient] = {}
        self._admission = Admission(settings, token, self._trunks.values, self.tell, self._calls.knows)
        self._endpoint = Endpoint(
            self.word,
            token(32),
            sent_by=paths.address_of,
            screen=self._admission.screen,
            abilities=Abilities(METHODS, UNDERSTOOD),
        )
        self.asking = Asking(self._endpoint, paths, self._below, self._todo.extend)

    # --- bytes and time --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """A datagram, or one message of a stream."""
        self.now = now
        if self._admission.hears(flow, now):
            self._todo.extend(self._endpoint.receive(data, flow, now))
        return self._settled()

    def shuns(self, address: str, now: float) -> bool:
        """Whether nothing from there is heard: who counts connections need not keep any with it."""
        return self._admission.guard.shuns(address, now)

    def flow_lost(self, flow: Flow, now: float, why: str = "") -> list[Action]:
        """A connection is closed or could not be opened, or a datagram came back. why: what is told of it."""
        self.now = now
        self._todo.extend(self._endpoint.flow_failed(flow, now, why))
        return self._settled()

    def looked_up(self, kind: str, name: str, records: Iterable[Any], now: float) -> list[Action]:
        """What a Lookup found: Naptr, Srv, HostAddress; empty for nothing."""
        self.now = now
        self.asking.looked_up(kind, name, records, now)
        return self._settled()

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        due = [self._endpoint.deadline, self.asking.deadline, self._calls.deadline]
        due += [watch.deadline for watch in self._trunks.values()]
        return min((each for each in due if each is not None), default=None)

    def wake(self, now: float) -> list[Action]:
        """Does what is due."""
        self.now = now
        self._todo.extend(self._endpoint.wake(now))
        self.asking.wake(now)
        for watch in list(self._trunks.values()):
            watch.wake()
        self._calls.wake(now)
        return self._settled()

    # --- trunks and the door ---------------------------------------------------------------------------------------------

    def set_trunk(self, trunk: Trunk, now: float) -> list[Action]:
        """A trunk, new or changed; it registers and pings at once, if it is to."""
        self.now = now
        before = self._trunks.get(trunk.name)
        if before is not None and before.trunk == trunk:
            return []
        if before is not None:
            before.stop()
        if trunk.username:
            account = Account(trunk.username, trunk.password, trunk.realm or None)
            self._digests[trunk.name] = DigestClient((account,), self.word)
        else:
            self._digests.pop(trunk.name, None)
        watch = self._trunks[trunk.name] = TrunkWatch(trunk, Wiring(self, self.token))
        self._exempt()
        watch.wake()
        return self._settled()

    def remove_trunk(self, name: str, now: float) -> list[Action]:
        """A trunk is gone; its calls go on."""
        self.now = now
        watch = self._trunks.pop(name, None)
        if watch is not None:
            watch.stop()
            self._exempt()
        actions = self._settled()
        if watch is not None:
            self._digests.pop(name, None)
        return actions

    def _exempt(self) -> None:
        self._admission.exempt(net for watch in self._trunks.values() for net in watch.trunk.networks)

    def set_accounts(self, accounts: Mapping[str, str]) -> None:
        """Name and password of who may call from anywhere."""
        self._admission.set_accounts(accounts)

    def refuse_new(self, retry_after_s: int | None) -> None:
        """While set, a new call gets 503 and is told to come again so much later."""
        self._admission.retry_after_s = retry_after_s

    # --- calls -----------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[str, ...]:
        """Those that are not over."""
        return self._calls.up

    def dial(self, dial: Dial, now: float) -> tuple[str, list[Action]]:
        """Calls somebody."""
        self.now = now
        key, call_id, tag = self.word(), dial.call_id or self.word(), self.word()
        line = Line(key, self._wire(key), self._timer(), dial.trunk)
        line.negotiation = Negotiation(dial.media, self.token)
        if dial.username:
            line.credentials = (dial.username, dial.password)
        watch = self._trunks.get(dial.trunk)
        trunk = watch.trunk if watch is not None else None
        uri = address_of(dial.uri, trunk)
        hop = watch.hop() if watch is not None else Hop((uri,))
        local = Address(sender_of(dial.from_uri, trunk), dial.from_name, {"tag": tag})
        session = Session(line, self._calls.find, owns=True)
        session.place = (call_id, tag)
        self._calls.add(session)
        fields = (("User-Agent", self.settings.user_agent), *fields_for(dial, trunk))
        session.call(uri, hop, fields, dial.ring_s).invite(str(local), f"<{uri}>", call_id)
        return key, self._settled()

    def ring(
        self, call: str, now: float, media: LocalMedia | None = None, headers: Fields = ()
    ) -> list[Action]:
        """180, or 183 with our answer when there is media."""
        return self._do(call, now, lambda session: session.ring(media, headers))

    def answer(self, call: str, media: LocalMedia, now: float, headers: Fields = ()) -> list[Action]:
        """Takes the call; one that it replaces is hung up."""

        def answer(session: Session) -> None:
            session.answer(media, headers)
            replaced = self._calls.get(session.replaces)
            if session.line.answered and replaced is not None:
                replaced.hang_up(Reason("SIP", 200, "replaced"), ())

        return self._do(call, now, answer)

    def reject(
        self,
        call: str,
        status: int,
        now: float,
        reason: str = "",
        retry_after_s: int | None = None,
        headers: Fields = (),
    ) -> list[Action]:
        """Refuses the call."""
        fields = headers if retry_after_s is None else (("Retry-After", str(retry_after_s)), *headers)
        return self._do(call, now, lambda session: session.reject(status, reason, fields))

    def hang_up(
        self, call: str, now: float, reason: Reason | None = None, headers: Fields = ()
    ) -> list[Action]:
        """Ends the call, whatever its state."""
        return self._do(call, now, lambda session: session.hang_up(reason, headers))

    def follow(
        self, call: str, target: str, now: float, *, uri: str = "", trunk: str = "", known: bool = False
    ) -> list[Action]:
        """Goes on to a target that a call of ours was sent to (Redirected). uri: where it is asked for, if not there; through the
        gateways of the trunk, if one is named. known: whoever is there may be shown the same credentials."""
        watch = self._trunks.get(trunk)
        hop = watch.hop() if watch is not None else Hop((uri or target,))
        return self._do(call, now, lambda session: session.follow(target, uri or target, hop, known=known))

    def refuse_redirect(self, call: str, now: float) -> list[Action]:
        """Does not: the call ends as it was refused."""
        return self._do(call, now, lambda session: session.refuse_redirect())

    def hold(self, call: str, held: bool, now: float) -> list[Action]:
        """Puts the far side on hold, or back."""
        return self._do(call, now, lambda session: session.hold(held))

    def renegotiate(self, call: str, media: LocalMedia, now: float) -> list[Action]:
        """Other media, or media elsewhere."""
        return self._do(call, now, lambda session: session.renegotiate(media))

    def send_info(self, call: str, content_type: str, body: bytes, now: float) -> list[Action]:
        """An INFO; InfoSent tells what became of it."""
        return self._do(call, now, lambda session: session.send_info(content_type, body))

    def send_digit(self, call: str, digit: str, duration_ms: int, now: float) -> list[Action]:
        """A key by INFO."""
        return self.send_info(call, info.RELAY, info.write(digit, duration_ms), now)

    def send(self, call: str, key: str, method: str, fields: Fields, body: bytes, now: float) -> list[Action]:
        """A request within the dialog of a call that is up; RequestAnswered tells what became of it, in any case."""
        if self._calls.get(call) is None:
            self.tell(RequestAnswered(call, key, 0, NO_DIALOG))
        return self._do(call, now, lambda session: session.send(key, method, fields, body))

    def refer(
        self, call: str, target: str, now: float, replaces_call: str = "", headers: Fields = ()
    ) -> list[Action]:
        """Asks the far side to call the target; with replaces_call, in the place of that call of ours, whose party is the
        target then if none is given."""

        def refer(session: Session) -> None:
            other = self._calls.get(replaces_call)
            dialog = other.line.dialog if other is not None else None
            uri = target or (dialog.target if dialog is not None else "")
            session.refer(uri, dialog, headers)

        return self._do(call, now, refer)

    def accept_refer(self, call: str, now: float) -> list[Action]:
        """What the far side asked for is being done."""
        return self._do(call, now, lambda session: session.accept_refer())

    def refuse_refer(self, call: str, status: int, now: float) -> list[Action]:
        """It is not."""
        return self._do(call, now, lambda session: session.refuse_refer(status))

    def refer_status(self, call: str, status: int, reason: str, now: float) -> list[Action]:
        """How it fares."""
        return self._do(call, now, lambda session: session.refer_status(status, reason))

    def ping(self, uri: str, now: float, trunk: str = "") -> tuple[str, list[Action]]:
        """One OPTIONS; PingResult tells what came back."""
        self.now = began = now
        key = self.word()

        def answered(response: Response, flow: Flow) -> None:
            if not response.provisional:
                took_s = self.now - began
                self.tell(PingResult(key, response.status, response.reason, took_s, fields_of(response)))

        def failed(why: str) -> None:
            self.tell(PingResult(key, 0, why, self.now - began))

        wire = Wiring(self, self.token)
        watch = self._trunks.get(trunk)
        config = watch.trunk if watch is not None else None
        request = options(wire, address_of(uri, config), sender_of("", config))
        hop = watch.hop() if watch is not None and not uri else Hop((uri,))
        self.ask(Ask(request, hop, answered, failed, lambda: 2, trunk))
        return key, self._settled()

    def _do(self, call: str, now: float, command: Callable[[Session], None]) -> list[Action]:
        self.now = now
        session = self._calls.get(call)
        if session is not None:
            command(session)
        return self._settled()

    # --- in another process ----------------------------------------------------------------------------------------------

    def snapshot(self, call: str, now: float) -> dict[str, Any] | None:
        """A call that is up as plain values, with its secrets; None of any other."""
        self.now = now
        session = self._calls.get(call)
        return session.to_dict() if session is not None else None

    def take_up(self, values: Mapping[str, Any], now: float) -> tuple[str, list[Action]]:
        """Goes on with a call that another process had; by the same key."""
        self.now = now
        key = str(values["key"])
        self._calls.add(Session.from_dict(values, self._wire(key), self._calls.find))
        return key, self._settled()

    # --- what calls need -------------------------------------------------------------------------------------------------

    def word(self) -> str:
        """A word that nobody can guess."""
        return self.token(WORD_BYTES).hex()

    def _below(self, count: int) -> int:
        return int.from_bytes(self.token(4), "big") % max(count, 1)

    def ask(self, ask: Ask) -> int:
        """Sends a request with whatever credentials there are for it."""
        digest = self._digests.get(ask.account)
        if ask.credentials is not None:
            digest = DigestClient((Account(*ask.credentials),), self.word)
        return self.asking.ask(ask, digest, self.now)

    def respond(self, key: str, response: Response) -> None:
        """Answers a request."""
        if response.status > 100:
            response.headers.set("Server", self.settings.user_agent)
        self._todo.extend(self._endpoint.respond(key, response, self.now))

    def contact(self, flow: Flow) -> str:
        """Our Contact over that flow."""
        return contact_uri(flow, *self._paths.address_of(flow))

    def tell(self, event: Event) -> None:
        """To the shell, behind what was to be sent before."""
        self._todo.append(event)

    def _wire(self, key: str) -> Wiring:
        return Wiring(self, self.token, lambda: self._calls.touch(key))

    def _timer(self) -> SessionTimer:
        return SessionTimer(self.settings.session_expires_s, self.settings.min_se_s)

    # --- what comes in ---------------------------------------------------------------------------------------------------

    def _settled(self) -> list[Action]:
        """Carries everything out that follows, and what the shell has to do."""
        while self._todo:
            self._one(self._todo.popleft())
        self._calls.settle()
        out, self._out = self._out, []
        return out

    def _one(self, done: Done | Lookup | Event) -> None:
        match done:
            case RequestReceived(key, request, flow):
                self._requested(key, request, flow)
            case AckReceived(request, flow):
                session = self._calls.of_request(request)
                if session is not None:
                    session.acknowledged(request)
            case Cancelled(key, request, _):
                session = self._calls.of_invite(key)
                if session is not None:
                    session.cancelled(request)
            case ResponseReceived(key, response, flow):
                # Who answers us is no stranger, however much it sends.
                self._admission.guard.trust(flow.remote[0], self.now)
                self.asking.received(key, response, flow, self.now)
            case TransactionFailed(key, why, detail):
                self.asking.failed(key, detail or why, self.now)
            case TransactionEnded(key):
                self._calls.invite_over(key)
                self.asking.ended(key)
            case Dropped(flow, _, status):
                # Not for what any far side may do: a late response, a CANCEL that crossed, a method that is not ours.
                if status in MALFORMED:
                    self._admission.blame(flow, Fault.MALFORMED, self.now)
            case _:
                self._out.append(done)

    def _requested(self, key: str, request: Request, flow: Flow) -> None:
        # What names a dialog that is not there was refused at the door.
        session = self._calls.of_request(request)
        if session is not None:
            session.received(key, request, flow)
        elif request.method == "INVITE":
            self._invited(key, request, flow)
        elif request.method == "REGISTER":
            self._registered(key, request)
        else:
            self._refuse(key, request, 489 if request.method == "NOTIFY" else 481)

    def _refuse(self, key: str, request: Request, status: int, *fields: tuple[str, str]) -> None:
        self.respond(key, respond_to(request, status, tag=self.word(), headers=fields))

    def _registered(self, key: str, request: Request) -> None:
        """A telephone that will not call before it has registered: it is admitted, so it may believe so."""
        expires_s = min(parse_seconds(request.headers.get("expires"), REGISTERED_S), REGISTERED_S)
        fields = [
            ("Contact", str(each.with_params(expires=str(expires_s))))
            for each in request.contacts[:MOST_CONTACTS]
        ]
        self.respond(key, respond_to(request, 200, tag=self.word(), headers=fields))

    def _invited(self, key: str, request: Request, flow: Flow) -> None:
        admitted = self._admission.admitted
        if len(self._calls) >= self.settings.calls:
            self._refuse(key, request, 503, ("Retry-After", "5"))
            return
        timer = self._timer()
        supported = "timer" in request.headers.tokens("supported")
        if timer.refuses(request.headers.get("session-expires"), supported=supported):
            self._refuse(key, request, 422, ("Min-SE", str(timer.least_s)))
            return
        if request.body and not has_sdp(request):
            self._refuse(key, request, 415, ("Accept", "application/sdp"))
            return
        status, replaced = self._calls.replaced(request)
        if status:
            self._refuse(key, request, status)
            return
        call = self.word()
        trunk = admitted.trunks[0] if admitted.trunks else ""
        line = Line(call, self._wire(call), timer, trunk)
        session = Session(line, self._calls.find, owns=False)
        session.replaces = replaced
        session.called(key, request, flow)
        self._calls.add(session, key)
        self.tell(
            InviteReceived(
                call=call,
                uri=request.uri,
                caller=_party(request.from_address),
                called=_party(request.to_address),
                trunk=trunk,
                user=admitted.user,
                flow=flow,
                headers=fields_of(request),
                # RFC 3325 5: only a network that is trusted may say so.
                asserted="" if admitted.user else _uri(request.headers.get("p-asserted-identity")),
                diversion=_uri(request.headers.get("diversion")),
                replaces=replaced,
                has_offer=has_sdp(request),
                sip_call_id=request.call_id,
                trunks=admitted.trunks,
            )
        )


def _party(address: Address) -> Party:
    return Party(address.display, address.uri)


def _uri(text: str | None) -> str:
    """The address of a field that names one."""
    if not text:
        return ""
    try:
        return parse_address(text).uri
    except Unreadable:
        return ""
