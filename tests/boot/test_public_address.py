"""Where the public network sees this machine: as it is asked while the runtime runs, and as a check tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from aywa.adapters.transports.stun import Told
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.public_address import FIRST_S, REFRESH_S, RETRY_S, PublicAddress, look
from aywa.core.stun import Mapped, Refused, Unanswered
from tests.adapters.transports.stun_server import stun_server

SERVERS = (("stun.example.com", 3478),)
SILENT = Told(SERVERS[0], Unanswered("it does not answer"))
Place = tuple[str, int]


@dataclass
class Asked:
    """Answers one after the other, the last for ever."""

    answers: list[str | Told | OSError]
    at_s: list[float] = field(default_factory=list)

    async def __call__(self, local: Place, servers: Sequence[Place]) -> str | Told:
        self.at_s.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def told_within(asked: Asked, seconds: float) -> list[str]:
    told: list[str] = []
    address = PublicAddress(SERVERS, "0.0.0.0", told.append, asked)
    running = asyncio.create_task(address.run())
    await asyncio.sleep(seconds)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return told


@pytest.mark.virtual_time
async def test_it_is_told_when_it_is_another() -> None:
    asked = Asked(["203.0.113.9", "203.0.113.9", "203.0.113.10"])
    assert await told_within(asked, 2 * REFRESH_S + 1) == ["203.0.113.9", "203.0.113.10"]
    assert len(asked.at_s) == 3


@pytest.mark.virtual_time
async def test_without_an_answer_it_is_asked_again_sooner_and_the_last_one_stands() -> None:
    asked = Asked(["203.0.113.9", SILENT, OSError(99, "no such address"), "203.0.113.9"])
    assert await told_within(asked, REFRESH_S + 2 * RETRY_S + 1) == ["203.0.113.9"]
    assert len(asked.at_s) == 4


@pytest.mark.virtual_time
async def test_a_start_waits_for_the_first_answer_but_not_for_ever() -> None:
    loop = asyncio.get_running_loop()

    async def never(local: Place, servers: Sequence[Place]) -> str | Told:
        await asyncio.Event().wait()
        return SILENT

    for ask, waited_s in ((Asked(["203.0.113.9"]), 0.0), (Asked([SILENT]), 0.0), (never, FIRST_S)):
        address = PublicAddress(SERVERS, "0.0.0.0", lambda host: None, ask)
        running = asyncio.create_task(address.run())
        began_s = loop.time()
        await address.first()
        assert loop.time() - began_s == pytest.approx(waited_s)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


# --- what a check tells ----------------------------------------------------------------------------------------------------

OURS = ("192.168.1.5", 10_000)


def settings(configured: str = "") -> PhoneSettings:
    return PhoneSettings(stun=SERVERS * 2, media_public_host=configured)


async def seen(
    *outcomes: Mapped | Unanswered | Refused, configured: str = "", gateway: str = "198.51.100.7"
) -> tuple[str, bool | None, str, str]:
    async def ask(local: Place, servers: Sequence[Place]) -> Sequence[Told]:
        return [Told(server, outcome) for server, outcome in zip(servers, outcomes, strict=True)]

    found = await look(settings(configured), OURS, gateway, ask)
    assert found is not None
    return found.host, found.finding.good, found.finding.told, found.finding.mend


async def test_nobody_is_asked_whom_nobody_named() -> None:
    assert await look(PhoneSettings(), OURS, "198.51.100.7") is None


async def test_what_the_nat_does() -> None:
    host, good, told, _ = await seen(Mapped(*OURS), Mapped(*OURS))
    assert (host, good) == ("192.168.1.5", True)
    assert "no NAT" in told
    host, good, told, _ = await seen(Mapped("203.0.113.9", 10_000), Refused(500, "Oops"))
    assert (host, good) == ("203.0.113.9", True)
    assert "keeps" in told
    _, good, told, mend = await seen(Mapped("203.0.113.9", 4711), Mapped("203.0.113.9", 4711))
    assert good is None
    assert "port 4711 of our 10000" in told
    assert "10000 to 10999" in mend
    _, good, told, mend = await seen(Mapped("203.0.113.9", 4711), Mapped("203.0.113.9", 4712))
    assert good is None
    assert "each far side" in told
    assert mend


async def test_the_operator_says_something_else() -> None:
    same = Mapped("203.0.113.9", 10_000), Mapped("203.0.113.9", 10_000)
    host, good, told, mend = await seen(*same, configured="203.0.113.10")
    assert (host, good) == ("203.0.113.9", False)
    assert "203.0.113.10" in told
    assert "RUNTIME_MEDIA_PUBLIC_IP=203.0.113.9" in mend
    assert (await seen(*same, configured="10.0.0.7", gateway="10.0.0.8"))[1] is None
    assert (await seen(*same, configured="203.0.113.9"))[1] is True


async def test_nobody_says_it() -> None:
    host, good, told, mend = await seen(Unanswered("it does not answer"), Refused(420, "Unknown"))
    assert (host, good) == ("", False)
    assert "it does not answer" in told
    assert "it answers 420 Unknown" in told
    assert "RUNTIME_MEDIA_STUN" in mend


async def test_a_real_socket_asks() -> None:
    async with stun_server() as server:
        found = await look(PhoneSettings(stun=(server.place,)), ("127.0.0.1", 0), "127.0.0.1")
    assert found is not None
    assert found.host == "127.0.0.1"
