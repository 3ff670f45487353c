"""`aywa trunk check` against kamailio and against what is wrong: each fault is found, and has its mend."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aywa.boot.finding import Finding
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.tls import certificate
from aywa.boot.trunk_check import TrialCall, TrunkCheck, certificate_mend
from aywa.ports.telephony import Gateway, Registration, Trunk
from aywa.testing.runtime import free_port
from aywa.testing.script import Pause
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.softphone.talk import Answer, Softphone
from tests.adapters.transports.stun_server import stun_server
from tests.peers.kamailio import Kamailio

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
    findings = await found(trunk_at(free_port(), transport=transport))
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


async def over_tls(tmp_path: Path, host: str, **settings: object) -> dict[str, Finding]:
    """Against a telephone whose certificate nobody has signed, for host."""
    files = certificate(tmp_path, host)
    # Nobody's name but the one that was asked for.
    async with Phone(Setup(transport="tls", certificate=files), lambda pcm: None) as phone:
        port = int(phone.uri.rpartition(":")[2].partition(";")[0])
        trunk = Trunk("t", "org", "trunk", (Gateway("127.0.0.1", port, "tls"),))
        known = {"tls_authorities": files[0]} if settings.pop("known", False) else {}
        checking = TrunkCheck(trunk, replace(SETTINGS, **known, **settings))  # type: ignore[arg-type]
        return {finding.what: finding async for finding in checking.findings()}


async def test_a_certificate_that_is_not_believed(tmp_path: Path) -> None:
    findings = await over_tls(tmp_path, "127.0.0.1")
    assert list(findings) == ["name", "TLS"]
    assert "its certificate is not believed" in findings["TLS"].told
    assert "RUNTIME_SIP_TLS_CA" in findings["TLS"].mend


async def test_a_certificate_that_is_believed_because_somebody_said_so(tmp_path: Path) -> None:
    for settings in ({"known": True}, {"tls_verify": False}):
        findings = await over_tls(tmp_path, "127.0.0.1", **settings)
        assert findings["OPTIONS"].good, findings


@pytest.mark.parametrize(
    ("reason", "mend"),
    [
        ("for x: Hostname mismatch, certificate is not valid for 'x'.", "a name that stands in"),
        ("for x: IP address mismatch, certificate is not valid for 'x'.", "a name that stands in"),
        ("for x: certificate has expired", "valid today"),
        ("for x: certificate is not yet valid", "valid today"),
        ("for x: unable to get local issuer certificate", "RUNTIME_SIP_TLS_CA"),
    ],
)
def test_each_fault_of_a_certificate_has_its_mend(reason: str, mend: str) -> None:
    assert mend in certificate_mend(reason)


async def test_where_the_public_network_sees_this_machine(proxy: Kamailio) -> None:
    async with stun_server(("203.0.113.9", 33_000)) as server:
        settings = replace(SETTINGS, stun=(server.place,))
        findings = [each async for each in TrunkCheck(trunk_at(proxy.port), settings).findings()]
    public = next(each for each in findings if each.what == "public address")
    assert public.told.startswith("203.0.113.9")
    assert public.good is not False
    # The trunk is on this machine and sees us as we are.
    assert next(each for each in findings if each.what == "NAT").good


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
