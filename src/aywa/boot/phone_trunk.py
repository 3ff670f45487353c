"""A trunk as the SIP port knows it, made of the service's; and what the SIP port says of it, for the service."""

from __future__ import annotations

from dataclasses import replace

import structlog

from aywa.core.sip import events as sip
from aywa.core.sip.trunk import Gateway as SipGateway
from aywa.core.sip.trunk import Trunk as SipTrunk
from aywa.ports.telephony import Trunk, TrunkState
from aywa.service.clock import Clock, now_ms

_log = structlog.get_logger("aywa.boot.phone_trunk")

News = sip.TrunkUp | sip.TrunkDown | sip.Registered | sip.RegistrationFailed


def sip_trunk(trunk: Trunk, register_s: int, ping_s: float | None) -> SipTrunk:
    """register_s: for how long it is asked to know us. ping_s: between OPTIONS, where the trunk wants them."""
    registration = trunk.registration
    return SipTrunk(
        name=trunk.id,
        gateways=tuple(
            SipGateway(gateway.host, gateway.port, gateway.transport, gateway.outbound)
            for gateway in trunk.gateways
        ),
        networks=trunk.networks,
        username=trunk.username,
        password=trunk.password,
        realm=registration.realm if registration is not None else "",
        register=registration is not None,
        domain=registration.domain if registration is not None else "",
        expires_s=register_s,
        user=registration.username if registration is not None else "",
        ping_s=ping_s if any(gateway.ping for gateway in trunk.gateways) else None,
    )


class TrunkNews:
    """How the trunks fare, by what came last of each. Every change is logged."""

    def __init__(self, clock: Clock = now_ms) -> None:
        self._clock = clock
        self._states: dict[str, TrunkState] = {}

    def state(self, trunk_id: str) -> TrunkState:
        """Of one that was not heard of: nothing."""
        return self._states.get(trunk_id, TrunkState())

    def forget(self, trunk_id: str) -> None:
        """It is gone, or another now."""
        self._states.pop(trunk_id, None)

    def take(self, news: News) -> None:
        """Of one trunk."""
        before = self.state(news.trunk)
        match news:
            case sip.TrunkUp():
                after = replace(before, answers=True)
            case sip.TrunkDown(why=why):
                after = replace(before, answers=False, why=why)
            case sip.Registered():
                after = replace(before, registered=True)
            case _:
                after = replace(before, registered=False, why=f"{news.status} {news.reason}".rstrip())
        if False not in (after.answers, after.registered):
            after = replace(after, why="")
        if after != before:
            self._states[news.trunk] = replace(after, since_ms=self._clock())
            _log.info(
                "trunk",
                trunk=news.trunk,
                answers=after.answers,
                registered=after.registered,
                why=after.why or None,
            )
