"""A trunk as the SIP port knows it, made of the service's."""

from __future__ import annotations

from aywa.core.sip.trunk import Gateway as SipGateway
from aywa.core.sip.trunk import Trunk as SipTrunk
from aywa.ports.telephony import Trunk


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
