"""A trunk: the gateways that calls go to and come from, whether they answer (OPTIONS), and our registration there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from aywa.core.sip.events import TrunkDown, TrunkUp
from aywa.core.sip.flow import Flow
from aywa.core.sip.guard import networks, within
from aywa.core.sip.headers import Headers
from aywa.core.sip.line import Ask, Hop, Wire
from aywa.core.sip.message import Request, Response
from aywa.core.sip.registration import EXPIRES_S, Registrar, Registration
from aywa.core.sip.uri import escape_user, host_text

# Answers that say nothing works behind the gateway, though it answers itself.
SICK = frozenset((408, 503, 504))
PING_LEAST_S = 5.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """One place of the trunk. port: None for what SRV records or the default say. outbound: calls may go there."""

    host: str
    port: int | None = None
    transport: str = "udp"
    outbound: bool = True

    @property
    def uri(self) -> str:
        """As a next hop."""
        port = f":{self.port}" if self.port else ""
        transport = f";transport={self.transport}" if self.transport else ""
        return f"sip:{host_text(self.host)}{port}{transport};lr"


@dataclass(frozen=True, slots=True)
class Trunk:
    """One trunk, as its owner set it up. networks: where its inbound calls come from. domain: in our From and at the
    registrar; empty: the first gateway's host. ping_s: how often gateways are asked whether they are there, None for never.
    user: who we are there, where that is not the username of the password."""

    name: str
    gateways: tuple[Gateway, ...] = ()
    networks: tuple[str, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    realm: str = ""
    register: bool = False
    domain: str = ""
    expires_s: int = EXPIRES_S
    ping_s: float | None = None
    user: str = ""

    @property
    def own(self) -> str:
        """Who we are there."""
        return self.user or self.username

    @property
    def host(self) -> str:
        """Its domain, or the first gateway's host."""
        return self.domain or (self.gateways[0].host if self.gateways else "invalid")

    def address(self, user: str) -> str:
        """Somebody's address at this trunk."""
        return f"sip:{escape_user(user)}@{host_text(self.host)}" if user else f"sip:{host_text(self.host)}"


@dataclass(slots=True)
class _Health:
    """One gateway's. up: None before the first answer."""

    up: bool | None = None
    why: str = ""
    asking: bool = False


class TrunkWatch:
    """A trunk with its registration and the health of its gateways."""

    def __init__(self, trunk: Trunk, wire: Wire) -> None:
        self.trunk = trunk
        self._wire = wire
        self._networks = networks(trunk.networks)
        self._health = {gateway: _Health() for gateway in trunk.gateways}
        self._ping_at: float | None = wire.now if trunk.ping_s is not None and trunk.gateways else None
        self._up: bool | None = None
        self.registration: Registration | None = None
        if trunk.register:
            registrar = Registrar(
                trunk.name, trunk.address(trunk.own), trunk.address(""), self.hop().uris, trunk.expires_s
            )
            self.registration = Registration(registrar, wire)

    def sends(self, address: str) -> bool:
        """Whether an inbound call from that address is this trunk's."""
        return within(address, self._networks)

    def hop(self) -> Hop:
        """Where calls go: what answers first, what does not answer last."""
        outbound = [gateway for gateway in self.trunk.gateways if gateway.outbound]
        return Hop(
            tuple(each.uri for each in sorted(outbound, key=lambda each: self._health[each].up is False))
        )

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        due: Iterable[float | None] = (
            self._ping_at,
            self.registration.deadline if self.registration else None,
        )
        return min((each for each in due if each is not None), default=None)

    def wake(self) -> None:
        """Pings and registers."""
        now, ping_s = self._wire.now, self.trunk.ping_s
        if self.registration is not None:
            self.registration.wake()
        if self._ping_at is None or now < self._ping_at or ping_s is None:
            return
        self._ping_at = now + max(ping_s, PING_LEAST_S)
        for gateway, health in self._health.items():
            if not health.asking:
                health.asking = True
                self._ping(gateway, health)

    def stop(self) -> None:
        """The trunk is taken away."""
        self._ping_at = None
        if self.registration is not None:
            self.registration.stop()

    def _ping(self, gateway: Gateway, health: _Health) -> None:
        def answered(response: Response, flow: Flow) -> None:
            if not response.provisional:
                self._note(health, response.status not in SICK, f"{response.status} {response.reason}")

        def failed(why: str) -> None:
            self._note(health, False, why)

        request = options(self._wire, self.trunk.address(""), self.trunk.address(self.trunk.own))
        hop = Hop((gateway.uri,))
        self._wire.ask(Ask(request, hop, answered, failed, lambda: 2, self.trunk.name))

    def _note(self, health: _Health, up: bool, why: str) -> None:
        health.asking, health.up, health.why = False, up, why
        known = [each.up for each in self._health.values()]
        now_up = True if True in known else None if None in known else False
        if now_up is None or now_up is self._up:
            return
        self._up = now_up
        self._wire.tell(TrunkUp(self.trunk.name) if now_up else TrunkDown(self.trunk.name, why))


def options(wire: Wire, uri: str, sender: str) -> Request:
    """An OPTIONS outside any dialog (RFC 3261 11)."""
    made = Headers(
        (
            ("From", f"<{sender}>;tag={wire.word()}"),
            ("To", f"<{uri}>"),
            ("Call-ID", wire.word()),
            ("CSeq", "1 OPTIONS"),
            ("Accept", "application/sdp"),
        )
    )
    return Request("OPTIONS", uri, made)
