"""The address at which the public network sees this machine, where the operator does not say it: STUN servers are asked at the
start and every few minutes, for what a line is given may change. And what a check of a trunk tells of it.

Without an answer the last one stands. Refuses to ask anybody that no setting names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from aywa.adapters.transports.stun import Told, ask_all, public_host
from aywa.boot.finding import Finding
from aywa.boot.phone_settings import PhoneSettings
from aywa.core.nat import Nat, is_private, judge
from aywa.core.stun import Mapped, Refused

_log = structlog.get_logger("aywa.boot.public_address")

REFRESH_S = 300.0
RETRY_S = 30.0
FIRST_S = 5.0
"""So long a start waits for the first answer; calls that come before it are told our own address."""

Place = tuple[str, int]
WHAT = "public address"
Ask = Callable[[Place, Sequence[Place]], Awaitable[str | Told]]
AskAll = Callable[[Place, Sequence[Place]], Awaitable[Sequence[Told]]]


class PublicAddress:
    """`run` as a task; `first` waits for its first answer. tell: is given the address when it is another. host: that SIP is
    bound to."""

    def __init__(
        self, servers: Sequence[Place], host: str, tell: Callable[[str], None], ask: Ask = public_host
    ) -> None:
        self._servers = servers
        self._host = host
        self._tell = tell
        self._ask = ask
        self._asked = asyncio.Event()
        self.known = ""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            found = await self._look()
            self._asked.set()
            await asyncio.sleep(REFRESH_S if found else RETRY_S)

    async def first(self) -> None:
        """Returns when there was an answer, or there is none soon."""
        try:
            async with asyncio.timeout(FIRST_S):
                await self._asked.wait()
        except TimeoutError:
            pass

    async def _look(self) -> bool:
        try:
            found = await self._ask((self._host, 0), self._servers)
        except OSError as error:
            self._failed(", ".join(host for host, _ in self._servers), error.strerror or str(error))
            return False
        if isinstance(found, Told):
            self._failed(found.server[0], why_not(found))
            return False
        if found != self.known:
            _log.info("public_address", address=found, before=self.known or None)
            self.known = found
            self._tell(found)
        return True

    def _failed(self, server: str, why: str) -> None:
        _log.warning(
            "public_address_unknown",
            server=server,
            why=why,
            effect="callers beyond a NAT may hear nothing" if not self.known else f"{self.known} stands",
            mend="set RUNTIME_MEDIA_PUBLIC_IP, or another server in RUNTIME_MEDIA_STUN",
        )


def why_not(told: Told) -> str:
    """What a server said instead of an address."""
    outcome = told.outcome
    if isinstance(outcome, Refused):
        return f"it answers {outcome.status} {outcome.reason}".rstrip()
    return getattr(outcome, "why", "")


# --- for a check ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """host: where the public network sees us, empty when nobody said. finding: what is told of it."""

    host: str
    finding: Finding


async def look(settings: PhoneSettings, ours: Place, gateway: str, ask: AskAll = ask_all) -> Seen | None:
    """What the STUN servers of the settings see. ours: where audio would be received; gateway: the trunk's address. None: none is
    named. Raises OSError."""
    if not settings.stun:
        return None
    told = await ask(ours, settings.stun)
    seen = [(one.outcome.host, one.outcome.port) for one in told if isinstance(one.outcome, Mapped)]
    if not seen:
        servers = "; ".join(f"{one.server[0]} port {one.server[1]}: {why_not(one)}" for one in told)
        mend = "name another server in RUNTIME_MEDIA_STUN, let its UDP port out of your firewall, or set RUNTIME_MEDIA_PUBLIC_IP"
        return Seen("", Finding(WHAT, False, f"nobody says it ({servers})", mend))
    host, configured = seen[0][0], settings.media_public_host
    if configured and configured != host:
        mend = f"set RUNTIME_MEDIA_PUBLIC_IP={host}, or leave it away"
        # A trunk beside us may well know us by an address that nobody outside sees.
        good = None if is_private(gateway) else False
        return Seen(
            host, Finding(WHAT, good, f"{host} by STUN, RUNTIME_MEDIA_PUBLIC_IP says {configured}", mend)
        )
    return Seen(host, _of_ports(settings, ours, seen))


def _of_ports(settings: PhoneSettings, ours: Place, seen: Sequence[Place]) -> Finding:
    host, port = seen[0]
    ports = f"{settings.first_media_port} to {settings.last_media_port}"
    mend = (
        f"forward UDP ports {ports} to this machine by the same numbers, unless the carrier sends audio to where ours"
        " comes from"
    )
    match judge(ours, seen):
        case Nat.NONE:
            return Finding(WHAT, True, f"{host}, this machine's own: there is no NAT")
        case Nat.KEEPS_PORTS:
            return Finding(WHAT, True, f"{host}; the NAT keeps the ports of audio")
        case Nat.MOVES_PORTS:
            return Finding(WHAT, None, f"{host}; the NAT makes port {port} of our {ours[1]}", mend)
        case Nat.PER_FAR_SIDE:
            return Finding(
                WHAT, None, f"{host}; the NAT gives each far side another port for our {ours[1]}", mend
            )
