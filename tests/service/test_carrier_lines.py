"""Whatever a carrier, a call and its assistant do, in whatever order: nothing raises, nobody is told twice, nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.ports.calls import CallRefused
from aywa.ports.carriers import (
    Abilities,
    CarrierAccount,
    CarrierAnswer,
    CarrierNews,
    CarrierRequest,
    Happening,
    MediaWay,
    Onward,
    Outcome,
    Placing,
)
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.telephony import OutboundCall, Transfer, TransferNews, TransferStatus
from aywa.service.carrier_lines import CarrierLine, CarrierLines, CarrierParts

FAILED = ProviderError("one", "failed", "status 500", fault=Fault.PROVIDER, retryable=False)
ACCOUNT = CarrierAccount("one", "+15550100")
FINAL = frozenset(TransferStatus) - {TransferStatus.CONNECTED}


@dataclass
class One:
    """A carrier. breaks: what it is told fails."""

    abilities: Abilities
    breaks: bool = False
    told: list[tuple[str, str]] = field(default_factory=list)
    vendor: str = "one"

    def doubt(self, account: CarrierAccount, request: CarrierRequest) -> str:
        raise AssertionError("the lines ask nobody for proof")

    def read(self, request: CarrierRequest, step: str) -> CarrierNews:
        raise AssertionError("the lines read nothing")

    def connect(self, way: MediaWay) -> CarrierAnswer:
        return CarrierAnswer("connect")

    def refuse(self, *, busy: bool) -> CarrierAnswer:
        return CarrierAnswer("refuse")

    def pass_on(self, onward: Onward, way: MediaWay) -> CarrierAnswer:
        return CarrierAnswer("pass on")

    def done(self) -> CarrierAnswer:
        return CarrierAnswer("done")

    async def _tell(self, what: str, provider_id: str) -> None:
        self.told.append((what, provider_id))
        await asyncio.sleep(0)
        if self.breaks:
            raise FAILED

    async def place(self, account: CarrierAccount, placing: Placing) -> str:
        await self._tell("place", placing.call_id)
        return f"of {placing.call_id}"

    async def answer(self, account: CarrierAccount, provider_id: str, way: MediaWay) -> None:
        await self._tell("answer", provider_id)

    async def hang_up(self, account: CarrierAccount, provider_id: str) -> None:
        await self._tell("hang up", provider_id)

    async def transfer(
        self, account: CarrierAccount, provider_id: str, onward: Onward, way: MediaWay
    ) -> None:
        await self._tell("transfer", provider_id)

    async def send_keys(self, account: CarrierAccount, provider_id: str, digits: str) -> None:
        await self._tell("keys", provider_id)

    async def close(self) -> None:
        self.told.append(("close", ""))


@dataclass
class Legs:
    """ports.calls.CallLegs of one call."""

    here: bool = True
    up: bool = False
    given: int = 0
    ends: list[str] = field(default_factory=list)
    tell: Callable[[str, bool], None] = lambda call_id, connected: None

    def media_path(self, call_id: str) -> str | None:
        return f"{call_id}/t" if self.here else None

    def connected(self, call_id: str) -> bool:
        return self.up

    def give_away(self, call_id: str) -> bool:
        self.given += self.up
        return self.up

    def rang(self, call_id: str) -> None:
        assert call_id == "c1"

    def on_over(self, tell: Callable[[str, bool], None]) -> None:
        self.tell = tell

    def end(self, call_id: str, reason: str, detail: str = "") -> bool:
        self.ends.append(reason)
        return True


ABILITIES = st.builds(
    Abilities,
    places=st.just(True),
    asks=st.booleans(),
    answers=st.booleans(),
    ends=st.booleans(),
    passes_on=st.booleans(),
    keys=st.booleans(),
)
STEPS = st.lists(
    st.sampled_from(
        "connected over transfer keys ringing answered ended busy next dialled settle breaks mends".split()
    ),
    max_size=14,
)
NEWS = {
    "ringing": CarrierNews(Happening.RINGING),
    "answered": CarrierNews(Happening.ANSWERED),
    "ended": CarrierNews(Happening.ENDED, outcome=Outcome.COMPLETED),
    "busy": CarrierNews(Happening.ENDED, outcome=Outcome.BUSY),
    "next": CarrierNews(Happening.NEXT),
    "dialled": CarrierNews(Happening.DIALLED, outcome=Outcome.NO_ANSWER),
}


async def settled(lines: CarrierLines) -> None:
    while lines._tasks:
        await asyncio.gather(*lines._tasks)


@dataclass
class Run:
    """One call, from its beginning to what is left of it."""

    one: One
    legs: Legs
    lines: CarrierLines
    news: list[TransferStatus] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    over: bool = False

    def tell(self, news: TransferNews) -> None:
        self.news.append(news.status)

    async def step(self, step: str) -> None:
        match step:
            case "connected":
                self.legs.up = self.legs.up or not self.over
            case "over" if not self.over:
                self.over, self.legs.here = True, False
                self.legs.tell("c1", self.legs.up)
            case "transfer":
                try:
                    call = OutboundCall("c1", "org", user="+4930999")
                    self.lines.transfer(Transfer(call), self.tell)
                except CallRefused:
                    pass
            case "keys":
                self.lines.send_keys("c1", "1")
            case "settle":
                await settled(self.lines)
            case "breaks" | "mends":
                self.one.breaks = step == "breaks"
            case _ if step in NEWS:
                line = self.lines.find("n1", "c1", "")
                if line is not None:
                    self.told.append(self.lines.happened(line, NEWS[step]).body)
            case _:
                pass


def begun(abilities: Abilities, outbound: bool, ours: bool) -> Run:
    one, legs = One(abilities), Legs()
    lines = CarrierLines(CarrierParts({"one": one}, legs, lambda: "ws://media", "https://api"))
    if outbound:
        lines.dial(OutboundCall("c1", "org", user="+49", carrier=ACCOUNT, number_id="n1"))
    elif ours:
        line = CarrierLine("c1", "org", "n1", ACCOUNT, one, "https://api", outbound=False)
        line.provider_id = "of c1"
        lines.add(line)
        lines.picked_up(line, MediaWay("ws://media"))
    else:
        lines.brought("c1", "org", "n1", ACCOUNT, "of c1")
    return Run(one, legs, lines)


@settings(max_examples=300, deadline=None)
@given(ABILITIES, STEPS, st.booleans(), st.booleans())
def test_whatever_happens(abilities: Abilities, steps: list[str], outbound: bool, ours: bool) -> None:
    async def play() -> Run:
        run = begun(abilities, outbound, ours)
        for step in steps:
            await run.step(step)
        await run.step("over")
        await run.step("ended")
        await run.step("next")
        await run.step("dialled")
        await settled(run.lines)
        assert not run.lines.knows("c1")
        assert run.lines._by_provider == {}
        await run.lines.close()
        return run

    run = asyncio.run(play())
    # The end of a transfer is told once, and nothing after it; a transfer that failed may be tried again.
    attempts = 1 + run.news.count(TransferStatus.FAILED)
    assert run.news.count(TransferStatus.CONNECTED) <= attempts
    assert sum(each in FINAL - {TransferStatus.FAILED} for each in run.news) <= 1
    if abilities.asks and (outbound or ours):
        assert run.news.count(TransferStatus.CONNECTED) == run.legs.given
    # Whoever is told to hang up is told once.
    assert [what for what, _ in run.one.told].count("hang up") <= 1
    assert [what for what, _ in run.one.told].count("place") <= 1
    if not abilities.passes_on:
        assert "pass on" not in run.told
        assert run.news == []
    if not abilities.keys:
        assert "keys" not in [what for what, _ in run.one.told]
    assert run.one.told[-1] == ("close", "")


def test_who_is_connected_hears_no_reason_of_the_dial() -> None:
    async def play() -> Run:
        run = begun(Abilities(places=True), outbound=True, ours=True)
        await run.step("settle")
        await run.step("connected")
        await run.step("busy")
        await run.lines.close()
        return run

    assert asyncio.run(play()).legs.ends == ["customer-ended-call"]


def test_an_account_is_compared_without_its_keys() -> None:
    assert replace(ACCOUNT, keys={"a": "b"}).key("a") == "b"
    assert ACCOUNT.key("a") == ""
