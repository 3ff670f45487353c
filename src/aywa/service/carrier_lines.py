"""Calls that a carrier brings or places: which of its calls is which of ours, what it is told, and what it tells.

Refuses to know any vendor: whatever has a vendor's name is behind ports.carriers. What has been told is done in the
background; it ends at most its own call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import structlog

from aywa.core import ended_reasons
from aywa.ports.calls import CallLegs, CallRefused
from aywa.ports.carriers import (
    Carrier,
    CarrierAccount,
    CarrierAnswer,
    CarrierNews,
    Happening,
    MediaWay,
    Onward,
    Outcome,
    Placing,
)
from aywa.ports.errors import ProviderError
from aywa.ports.telephony import OutboundCall, Transfer, TransferNews, Transfers, TransferStatus

_log = structlog.get_logger("aywa.service.carrier_lines")

LINES_MAX = 20_000
"""So many calls are remembered; those that were over first are forgotten first."""

ASKED_S = 5.0
"""So long a vendor has to ask what comes after the media socket; then it is told over HTTP that the call is over."""

TRANSFER_FAILED = "call.in-progress.error-transfer-failed"
_STATUSES: Mapping[Outcome | None, TransferStatus] = {
    Outcome.COMPLETED: TransferStatus.COMPLETED,
    Outcome.BUSY: TransferStatus.BUSY,
    Outcome.REJECTED: TransferStatus.BUSY,
    Outcome.NO_ANSWER: TransferStatus.NO_ANSWER,
    Outcome.CANCELLED: TransferStatus.CANCELLED,
}

Tell = Callable[[TransferNews], None]


@dataclass(frozen=True, slots=True)
class CarrierParts:
    """What lines need of the process. carriers: by vendor. public_url: where vendors reach this API, without a slash at the end,
    empty when nobody said; media_url: ws:// or wss:// and host of the media port, as they reach it."""

    carriers: Mapping[str, Carrier]
    legs: CallLegs
    media_url: Callable[[], str]
    public_url: str = ""


@dataclass(slots=True, eq=False)
class CarrierLine:
    """One call. number_id: the phone number in whose address the vendor asks and tells. base_url: where it reaches this API.
    provider_id: the vendor's name for it, empty until that is known. over: the call's session is. ended: the vendor said
    so. onward: whom the caller is to be passed on to, when the vendor asks. ours: the vendor does what our markup says, and asks
    us what comes next; not where its customer's own led it to a media socket."""

    call_id: str
    org_id: str
    number_id: str
    account: CarrierAccount
    carrier: Carrier
    base_url: str
    outbound: bool
    provider_id: str = ""
    ours: bool = True
    over: bool = False
    ended: bool = False
    rung: bool = False
    onward: Onward | None = None
    tell: Tell | None = field(default=None, repr=False)
    unasked: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def asks(self) -> bool:
        """The vendor asks when the media socket is over."""
        return self.ours and self.carrier.abilities.asks


class CarrierLines:
    """ports.telephony.Telephone and Transfers for calls of carriers. placed: told of the vendor's name for a call."""

    def __init__(
        self, parts: CarrierParts, placed: Callable[[str, str, str], Awaitable[None]] | None = None
    ) -> None:
        self._parts = parts
        self.placed = placed
        # Told of each call of a carrier, and when nothing more can be told to it.
        self.began: Callable[[str], None] = lambda call_id: None
        self.gone: Callable[[str], None] = lambda call_id: None
        self._lines: dict[str, CarrierLine] = {}
        self._by_provider: dict[tuple[str, str], str] = {}
        self._past: dict[tuple[str, str], None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        parts.legs.on_over(self._call_over)

    async def close(self) -> None:
        """What is being told is told to its end; the carriers' connections are closed."""
        for line in self._lines.values():
            _wait_no_more(line)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for carrier in self._parts.carriers.values():
            await carrier.close()

    def carrier(self, vendor: str) -> Carrier | None:
        """The vendor's."""
        return self._parts.carriers.get(vendor)

    def places(self, account: CarrierAccount) -> bool:
        """Whether calls can be placed through it."""
        carrier = self.carrier(account.vendor)
        return carrier is not None and carrier.abilities.places

    # --- ports.telephony.Telephone, Transfers --------------------------------------------------------------------

    def dial(self, call: OutboundCall) -> None:
        """As the port says."""
        account = call.carrier
        carrier = None if account is None else self.carrier(account.vendor)
        if account is None or carrier is None or not carrier.abilities.places:
            raise CallRefused(ended_reasons.OUTBOUND_FAILED, "no carrier places this call")
        base_url = self._parts.public_url or call.base_url
        if not base_url:
            message = f"{account.vendor} must be told where it reaches this runtime (RUNTIME_PUBLIC_URL)"
            raise CallRefused(ended_reasons.OUTBOUND_FAILED, message)
        line = CarrierLine(
            call.call_id, call.org_id, call.number_id, account, carrier, base_url, outbound=True
        )
        self.add(line)
        self._spawn(self._place(line, call), f"carrier: place {call.call_id}")

    def knows(self, call_id: str) -> bool:
        """Whether the call is a carrier's."""
        return call_id in self._lines

    def transfer(self, transfer: Transfer, tell: Tell) -> None:
        """As the port says. The vendor calls whom it is told to, whatever the verb."""
        call_id = transfer.call.call_id
        line = self._lines.get(call_id)
        if line is None or line.over or line.ended or line.onward is not None:
            why = "it is not here" if line is None or line.over or line.ended else "it is being transferred"
            raise CallRefused(TRANSFER_FAILED, f"call {call_id} cannot be transferred: {why}")
        if not line.carrier.abilities.passes_on:
            raise CallRefused(TRANSFER_FAILED, f"{line.carrier.vendor} passes nobody on")
        line.onward, line.tell = onward(transfer.call), tell
        if not line.asks:
            self._spawn(self._transfer(line), f"carrier: transfer {call_id}")
        elif self._parts.legs.give_away(call_id):
            # The media socket ends, and the vendor asks what comes next.
            tell(TransferNews(TransferStatus.CONNECTED))
        else:
            line.onward = line.tell = None
            raise CallRefused(TRANSFER_FAILED, f"call {call_id} cannot be transferred: nobody is there")

    def send_keys(self, call_id: str, digits: str) -> bool:
        """Keys for the caller's side, without pauses; False: the vendor has no way for them."""
        line = self._lines.get(call_id)
        if line is None or line.ended or not line.carrier.abilities.keys:
            return False
        work = line.carrier.send_keys(line.account, line.provider_id, digits)
        self._spawn(_told(work, call_id), f"carrier: keys {call_id}")
        return True

    # --- lines ---------------------------------------------------------------------------------------------------

    def add(self, line: CarrierLine) -> None:
        """A call that is on its way."""
        if len(self._lines) >= LINES_MAX:
            gone = next((one for one in self._lines.values() if one.over), next(iter(self._lines.values())))
            self.forget(gone)
        self._lines[line.call_id] = line
        self.named(line, line.provider_id)
        self.began(line.call_id)

    def named(self, line: CarrierLine, provider_id: str) -> None:
        """The vendor's name for the call is known."""
        line.provider_id = provider_id
        if provider_id:
            self._by_provider[line.number_id, provider_id] = line.call_id

    def find(self, number_id: str, call_id: str, provider_id: str) -> CarrierLine | None:
        """The call that a vendor speaks of, of this number. call_id: ours, where it came along."""
        found = self._lines.get(call_id or self._by_provider.get((number_id, provider_id), ""))
        return found if found is not None and found.number_id == number_id else None

    def forget(self, line: CarrierLine) -> None:
        """Nothing more will be told of it."""
        _wait_no_more(line)
        if self._lines.pop(line.call_id, None) is not None:
            self.gone(line.call_id)
        named = (line.number_id, line.provider_id)
        self._by_provider.pop(named, None)
        if line.provider_id:
            self._past[named] = None
            if len(self._past) > LINES_MAX:
                del self._past[next(iter(self._past))]

    def was_here(self, number_id: str, provider_id: str) -> bool:
        """The vendor's call is over: whoever brings it again has kept an old request."""
        return (number_id, provider_id) in self._past

    def way(self, line: CarrierLine) -> MediaWay | None:
        """Where its audio goes; None: the call is not here any more."""
        path = self._parts.legs.media_path(line.call_id)
        if path is None:
            return None
        vendor = line.carrier.vendor
        base = f"{line.base_url}/inbound/{vendor}/{line.number_id}"
        ours = urlencode({"call": line.call_id})
        return MediaWay(
            f"{self._parts.media_url()}/media/{vendor}/{path}",
            f"{base}/next?{ours}",
            f"{base}/dialled?{ours}",
            f"{base}/status?{ours}",
        )

    def brought(
        self, call_id: str, org_id: str, number_id: str, account: CarrierAccount, provider_id: str
    ) -> None:
        """A call that a vendor's media socket brought, not led here by our markup: its API still opens it."""
        carrier = self.carrier(account.vendor)
        if carrier is not None and provider_id:
            base_url = self._parts.public_url
            line = CarrierLine(call_id, org_id, number_id, account, carrier, base_url, outbound=False)
            line.provider_id, line.ours = provider_id, False
            self.add(line)

    def picked_up(self, line: CarrierLine, way: MediaWay) -> None:
        """A vendor that takes no markup is told to answer."""
        if line.carrier.abilities.answers:
            self._spawn(self._answer(line, way), f"carrier: answer {line.call_id}")

    def refused(self, carrier: Carrier, account: CarrierAccount, provider_id: str) -> None:
        """A vendor that takes no markup is told to hang up."""
        if carrier.abilities.answers and provider_id:
            self._spawn(_told(carrier.hang_up(account, provider_id), ""), "carrier: refuse")

    def forwarded(
        self, carrier: Carrier, account: CarrierAccount, provider_id: str, to: Onward, way: MediaWay
    ) -> None:
        """A vendor that takes no markup is told to pass the caller on."""
        if carrier.abilities.answers and provider_id:
            self._spawn(_told(carrier.transfer(account, provider_id, to, way), ""), "carrier: forward")

    # --- what the vendor tells -----------------------------------------------------------------------------------

    def happened(self, line: CarrierLine, news: CarrierNews) -> CarrierAnswer:
        """What it is answered with."""
        match news.happening:
            case Happening.RINGING if line.outbound and not line.rung:
                line.rung = True
                self._parts.legs.rang(line.call_id)
            case Happening.ENDED:
                self._ended(line, news)
            case Happening.NEXT:
                return self._next(line)
            case Happening.DIALLED:
                self._dialled(line, news)
                # Whom he spoke with has hung up, or was never there: nobody else is left.
                return line.carrier.done()
            case _:
                pass
        return line.carrier.done() if line.carrier.abilities.asks else CarrierAnswer()

    def _ended(self, line: CarrierLine, news: CarrierNews) -> None:
        line.ended = True
        self._dialled(line, CarrierNews(Happening.DIALLED, outcome=Outcome.CANCELLED))
        if line.over:
            self.forget(line)
            return
        connected = self._parts.legs.connected(line.call_id)
        outcome = "" if news.outcome is None else news.outcome.value
        reason = ended_reasons.of_carrier(
            line.carrier.vendor, outcome, outbound=line.outbound, connected=connected
        )
        self._parts.legs.end(line.call_id, reason, "" if connected else news.detail)

    def _next(self, line: CarrierLine) -> CarrierAnswer:
        _wait_no_more(line)
        to, way = line.onward, self._anyway(line)
        if to is None or line.ended:
            self.forget(line)
            return line.carrier.done()
        return line.carrier.pass_on(to, way)

    def _dialled(self, line: CarrierLine, news: CarrierNews) -> None:
        tell, line.tell = line.tell, None
        if tell is not None:
            status = _STATUSES.get(news.outcome, TransferStatus.FAILED)
            tell(TransferNews(status, reason=news.detail))
        if line.over and news.happening is Happening.DIALLED and line.onward is not None:
            self.forget(line)

    def _anyway(self, line: CarrierLine) -> MediaWay:
        """The addresses, also when the call's own leg is not there any more."""
        found = self.way(line)
        base = f"{line.base_url}/inbound/{line.carrier.vendor}/{line.number_id}"
        ours = urlencode({"call": line.call_id})
        return found or MediaWay("", dialled_url=f"{base}/dialled?{ours}", status_url=f"{base}/status?{ours}")

    # --- what the vendor is told ---------------------------------------------------------------------------------

    async def _place(self, line: CarrierLine, call: OutboundCall) -> None:
        way = self.way(line)
        if way is None:
            self.forget(line)
            return
        placing = Placing(call.call_id, call.user or call.uri, call.caller_id, way, call.digits, call.ring_s)
        try:
            provider_id = await line.carrier.place(line.account, placing)
        except Exception as error:  # noqa: BLE001 - whatever broke the call broke only this one
            line.ended = True
            reason = ended_reasons.of_carrier(
                line.carrier.vendor, Outcome.FAILED.value, outbound=True, connected=False
            )
            _log.warning("call_not_placed", call_id=call.call_id, reason=_shown(error))
            self._parts.legs.end(line.call_id, reason, _shown(error))
            return
        line.provider_id = provider_id
        if self.knows(line.call_id):
            self.named(line, provider_id)
        if line.ended:
            # It was over sooner than we knew its name.
            self.forget(line)
        elif line.over or not self.knows(line.call_id):
            # Nobody wants it any more.
            await self._hang_up(line)
        elif self.placed is not None:
            await self.placed(line.org_id, line.call_id, provider_id)

    async def _answer(self, line: CarrierLine, way: MediaWay) -> None:
        try:
            await line.carrier.answer(line.account, line.provider_id, way)
        except Exception as error:  # noqa: BLE001 - whatever broke the call broke only this one
            _log.warning("call_not_answered", call_id=line.call_id, reason=_shown(error))
            self._parts.legs.end(line.call_id, ended_reasons.INBOUND_FAILED, _shown(error))

    async def _transfer(self, line: CarrierLine) -> None:
        to, tell = line.onward, line.tell
        if to is None or tell is None:
            # The caller was gone sooner.
            return
        try:
            await line.carrier.transfer(line.account, line.provider_id, to, self._anyway(line))
        except Exception as error:  # noqa: BLE001 - the call goes on with its assistant
            _log.warning("call_not_transferred", call_id=line.call_id, reason=_shown(error))
            line.onward = None
            if line.tell is not None:
                line.tell = None
                tell(TransferNews(TransferStatus.FAILED, reason=_shown(error)))
            return
        if line.tell is not None:
            tell(TransferNews(TransferStatus.CONNECTED))
            self._parts.legs.give_away(line.call_id)

    def _call_over(self, call_id: str, connected: bool) -> None:
        line = self._lines.get(call_id)
        if line is None:
            return
        line.over = True
        if line.ended or (
            connected and line.onward is None and not line.asks and not line.carrier.abilities.ends
        ):
            # Nothing is left to be told, by either.
            self.forget(line)
        elif line.onward is None and line.provider_id and (not connected or line.carrier.abilities.ends):
            self._spawn(self._hang_up(line), f"carrier: hang up {call_id}")
        elif line.onward is None and line.provider_id:
            line.unasked = asyncio.get_running_loop().call_later(ASKED_S, self._was_not_asked, line)

    def _was_not_asked(self, line: CarrierLine) -> None:
        _log.warning("carrier_did_not_ask", vendor=line.carrier.vendor, call_id=line.call_id)
        self._spawn(self._hang_up(line), f"carrier: hang up {line.call_id}")

    async def _hang_up(self, line: CarrierLine) -> None:
        await _told(line.carrier.hang_up(line.account, line.provider_id), line.call_id)
        if not line.asks:
            self.forget(line)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _EitherWay:
    """ports.telephony.Transfers: a carrier's call by its carrier, any other as it came."""

    def __init__(self, lines: CarrierLines, others: Transfers | None) -> None:
        self._lines = lines
        self._others = others

    def transfer(self, transfer: Transfer, tell: Tell) -> None:
        """As the port says."""
        if self._lines.knows(transfer.call.call_id):
            self._lines.transfer(transfer, tell)
        elif self._others is None:
            raise CallRefused(TRANSFER_FAILED, "this runtime has no telephone")
        else:
            self._others.transfer(transfer, tell)


def transfers_of(lines: CarrierLines | None, others: Transfers | None) -> Transfers | None:
    """Who passes callers on."""
    return others if lines is None else _EitherWay(lines, others)


def onward(call: OutboundCall) -> Onward:
    """Whom a caller is to be connected with."""
    return Onward(call.user, call.uri, call.caller_id, call.digits, call.ring_s)


def _wait_no_more(line: CarrierLine) -> None:
    if line.unasked is not None:
        line.unasked.cancel()
        line.unasked = None


async def _told(work: Awaitable[None], call_id: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - there is nobody left to tell
        _log.warning("carrier_not_told", call_id=call_id, reason=_shown(error))


def _shown(error: Exception) -> str:
    """What may be told of it: an adapter's own words, which hold no secret."""
    return str(error) if isinstance(error, ProviderError) else type(error).__name__
