"""SIP trunks as the SIP port needs them, read from their credentials; refuses to speak SIP.

They are looked up for every INVITE, so what was read is kept for a while, and forgotten when a credential is written here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from aywa.core.numbers import PORT_MAX
from aywa.ports.secrets import CannotOpen, Vault
from aywa.ports.store import CredentialDocuments, Document, JsonObject
from aywa.ports.telephony import Gateway, Registration, Trunk
from aywa.service.clock import Clock, now_ms
from aywa.service.credentials import KIND
from aywa.service.documents import load
from aywa.service.phone_rules import TRUNK
from aywa.service.sealing import Seal
from aywa.service.secret_fields import joined

_log = structlog.get_logger("aywa.service.trunks")

NETMASK_MIN = 24
"""A wider network of IPv4 is no carrier's (contract 14.2)."""

KEPT_MS = 5_000
"""What another process wrote is seen after so long at the latest."""


class Trunks:
    """The use-cases."""

    def __init__(self, documents: CredentialDocuments, vault: Vault, clock: Clock = now_ms) -> None:
        self._documents = documents
        self._seal = Seal(vault, KIND)
        self._clock = clock
        self._kept: tuple[int, list[Trunk]] | None = None
        self._version = 0
        self._told: list[Callable[[], None]] = []

    def on_change(self, tell: Callable[[], None]) -> None:
        """tell: called when they may not be what they were."""
        self._told.append(tell)

    def changed(self) -> None:
        """What was read is not to be relied on any more."""
        self._kept = None
        self._version += 1
        for tell in self._told:
            tell()

    async def all(self) -> Sequence[Trunk]:
        """Those of every organisation, oldest first. Raises StoreUnavailable."""
        now, kept = self._clock(), self._kept
        if kept is not None and kept[0] <= now < kept[0] + KEPT_MS:
            return kept[1]
        self._version += 1
        version = self._version
        opened = [self._opened(document) for document in await self._documents.of_provider(TRUNK)]
        found = [trunk for trunk in opened if trunk is not None]
        if version == self._version:
            # Nothing was written while this read.
            self._kept = now, found
        return found

    async def get(self, org_id: str, credential_id: str) -> Trunk | None:
        """The organisation's own with this id. Raises StoreUnavailable."""
        document = await self._documents.get(org_id, credential_id)
        if document is None or load(document).get("provider") != TRUNK:
            return None
        return self._opened(document)

    async def at(self, source: str) -> Sequence[Trunk]:
        """Those whose calls may come from this address, oldest first. Raises StoreUnavailable."""
        return [trunk for trunk in await self.all() if is_within(source, trunk.networks)]

    def _opened(self, document: Document) -> Trunk | None:
        body = load(document)
        try:
            secrets = self._seal.open(document.org_id, document.id, document.sealed)
        except CannotOpen as reason:
            _log.warning("trunk_cannot_be_opened", credential_id=document.id, reason=str(reason))
            return None
        return read_trunk(joined(body, secrets))


def read_trunk(body: JsonObject) -> Trunk:
    """A credential that keeps the rules, secrets included, as a trunk."""
    plan = _mapping(body.get("outboundAuthenticationPlan"))
    username, password = (_text(plan.get(name)) for name in ("authUsername", "authPassword"))
    gateways = body.get("gateways")
    return Trunk(
        id=_text(body.get("id")),
        org_id=_text(body.get("orgId")),
        name=_text(body.get("name")),
        gateways=tuple(_gateway(_mapping(each)) for each in gateways) if isinstance(gateways, list) else (),
        username=username,
        password=password,
        registration=_registration(plan.get("sipRegisterPlan"), username),
        leading_plus=body.get("outboundLeadingPlusEnabled") is True,
        tech_prefix=_text(body.get("techPrefix")),
        diversion=_text(body.get("sipDiversionHeader")),
        freeswitch=_text(_mapping(body.get("freeswitch")).get("gateway")),
    )


def is_within(source: str, networks: Sequence[str]) -> bool:
    """Whether the address lies in one of them. One that is no address lies nowhere."""
    try:
        address = ipaddress.ip_address(source.strip("[]"))
    except ValueError:
        return False
    # A dual-stack socket shows IPv4 as IPv6.
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ipaddress.ip_network(network) for network in networks)


def _gateway(body: Mapping[str, Any]) -> Gateway:
    host, protocol = _text(body.get("ip")).strip("[]"), _text(body.get("outboundProtocol")) or "udp"
    return Gateway(
        host=host,
        port=_within(body.get("port"), 1, PORT_MAX, 5060),
        transport=protocol.partition("/")[0],
        network="" if body.get("inboundEnabled") is False else _network(host, body.get("netmask")),
        outbound=body.get("outboundEnabled") is not False,
        ping=body.get("optionsPingEnabled") is True,
        srtp=protocol.endswith("/srtp"),
    )


def _network(host: str, netmask: Any) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    # The contract counts IPv4's bits; an IPv6 peer is one address.
    bits = _within(netmask, NETMASK_MIN, 32, 32) if address.version == 4 else address.max_prefixlen
    return str(ipaddress.ip_network((host, bits), strict=False))


def _within(value: Any, least: int, most: int, default: int) -> int:
    """What an earlier release stored without looking must not let more in."""
    return int(value) if isinstance(value, int | float) and least <= value <= most else default


def _registration(plan: Any, username: str) -> Registration | None:
    body = _mapping(plan)
    if not body:
        return None
    return Registration(
        _text(body.get("domain")), _text(body.get("username")) or username, _text(body.get("realm"))
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
