"""`aywa trunk check` against kamailio and against what is wrong: each fault is found, and has its mend."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.boot.finding import Finding
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.trunk_check import TrialCall, TrunkCheck
from aywa.ports.telephony import Gateway, Registration, Trunk
from aywa.testing.script import Pause
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.softphone.talk import Answer, Softphone
from tests.peers.kamailio import Kamailio
from tests.peers.sipp import free_udp_port

SETTINGS = PhoneSettings(first_media_port=33_000, last_media_port=33_099)


def trunk_at(port: int, password: str = "trunk-secret", **more: object) -> Trunk:
    gateway = Gateway("127.0.0.1", port, str(more.pop("transport", "udp")))
    registration = Registration("127.0.0.1", "runtime")
    return Trunk("t", "org", "trunk", (gateway,), "runtime", password, registration, leading_plus=True)


async def found(trunk: Trunk, call: TrialCall | None = None) -> dict[str, Finding]:
    return {finding.what: finding async for finding in TrunkCheck(trunk, SETTINGS).findings(call)}


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Kamailio]:
    """kamailio, with a phone behind it that answers one call and listens for a while."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    phone = Softphone(Setup(), on_ready=ready.set_result)
    talking = asyncio.create_task(phone.call(Answer(30), [Pause(8.0)]))
    place = (await ready).partition("@")[2].partition(";")[0]
    async with Kamailio(tmp_path / "kamailio", phone=place).running() as running:
        yield running
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)


async def test_a_trunk_that_is_well(proxy: Kamailio) -> None:
    findings = await found(trunk_at(proxy.port), TrialCall("+4930123456", "runtime"))
    assert {name: finding.good for name, finding in findings.items()} == {
        "name": True,
        "OPTIONS": True,
        "NAT": True,
        "registration": True,
        "media ports": True,
        "call": True,
        "audio": True,
    }
    assert "50 calls' worth" in findings["media ports"].told
    assert "PCMU" in findings["audio"].told


async def test_a_wrong_password(proxy: Kamailio) -> None:
    findings = await found(trunk_at(proxy.port, "wrong"), TrialCall("+4930123456"))
    assert (findings["registration"].good, findings["call"].good) == (False, False)
    assert "authPassword" in findings["registration"].mend
    assert "authPassword" in findings["call"].mend


@pytest.mark.parametrize("transport", ["tcp", pytest.param("udp", marks=pytest.mark.all)])
async def test_nobody_there(transport: str) -> None:
    findings = await found(trunk_at(free_udp_port(), transport=transport))
    assert list(findings) == ["name", "OPTIONS"]
    assert "nothing answers" in findings["OPTIONS"].told
    assert "outboundProtocol" in findings["OPTIONS"].mend


async def test_a_name_that_leads_nowhere() -> None:
    trunk = Trunk("t", "org", "trunk", (Gateway("nobody.invalid"),))
    findings = await found(trunk)
    assert [finding.good for finding in findings.values()] == [False]
    assert "no address" in findings["name"].told


async def test_a_trunk_that_takes_no_calls_out() -> None:
    findings = await found(Trunk("t", "org", "trunk", (Gateway("127.0.0.1", outbound=False),)))
    assert findings["gateway"].mend == "set outboundEnabled"


async def test_the_command(proxy: Kamailio, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aywa.cli", "trunk", "check", "--gateway", f"127.0.0.1:{proxy.port}",
        "--username", "runtime", "--register", "127.0.0.1", "--trace",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "AYWA_TRUNK_PASSWORD": proxy.password, "AYWA_HOME": str(tmp_path),
             "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    said, traced = await process.communicate()
    assert process.returncode == 0, (said, traced)
    assert b"ok    registration: registered at 127.0.0.1" in said
    assert b"REGISTER sip:127.0.0.1" in traced
    assert b"Authorization: Digest us\xe2\x80\xa6" in traced
    assert b"response=" not in traced


@pytest.mark.all
async def test_a_call_in_which_nothing_is_heard() -> None:
    """A far side that answers and sends no audio: the ports are to be looked at."""
    async with Phone(Setup(), lambda pcm: None) as phone:

        async def answer() -> None:
            assert await phone.wait_for_call(10)
            assert await phone.accept()

        answering = asyncio.create_task(answer())
        port = int(phone.uri.rpartition(":")[2].partition(";")[0])
        plain = Trunk("t", "org", "trunk", (Gateway("127.0.0.1", port),))
        findings = await found(plain, TrialCall("+4930123456"))
        await answering
    assert findings["OPTIONS"].good
    assert findings["call"].good
    assert findings["audio"].good is False
    assert "RUNTIME_MEDIA_PUBLIC_IP" in findings["audio"].mend
