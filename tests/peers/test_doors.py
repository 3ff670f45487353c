"""Who is let in: a runtime that trusts nobody, with TLS. Passwords, strangers, certificates, a port that is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aywa.testing.runtime import free_port
from aywa.testing.script import Pause, WaitReply
from aywa.testing.softphone.phone import Phone, Setup
from aywa.testing.softphone.talk import Dial, Softphone, report
from tests.adapters.transports.stun_server import stun_thread
from tests.e2e.dev import Dev, started, until
from tests.peers.baresip import Baresip
from tests.peers.conftest import wav_of
from tests.peers.runtime import PhoneRuntime
from tests.peers.sipp import Sipp

PASSWORD = "open-sesame-open-sesame"
SEEN_AT = ("203.0.113.9", 4711)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PhoneRuntime, int]]:
    """A runtime to which loopback is as strange as the internet; and its TLS port. The port asked for is taken."""
    taken = free_port()
    tls = free_port()
    with stun_thread(SEEN_AT) as stun:
        yield from _guarded(taken, tls, f"{stun[0]}:{stun[1]}", tmp_path_factory)


def _guarded(
    taken: int, tls: int, stun: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PhoneRuntime, int]]:
    dev = Dev(
        tmp_path_factory.mktemp("guarded") / "home",
        options=("--tiny", "--sip-port", str(taken)),
        environment={
            "RUNTIME_SIP_NETWORKS": "192.0.2.0/24",
            "RUNTIME_SIP_PASSWORD": PASSWORD,
            "RUNTIME_SIP_TLS_PORT": str(tls),
            "RUNTIME_MEDIA_STUN": stun,
            # sipp looks at the first challenge only, and knows no SHA-256.
            "RUNTIME_SIP_DIGEST": "md5",
        },
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", taken))
        with started(dev):
            # It is said when calls are taken, which is a moment after /readyz knows it.
            until(lambda: "\nCall:" in dev.log, why=dev.log)
            said = next(line for line in dev.log.splitlines() if line.startswith("Call:"))
            yield PhoneRuntime(dev, int(said.rpartition(":")[2])), tls


def test_a_taken_port_is_said_aloud(guarded: tuple[PhoneRuntime, int]) -> None:
    runtime, _ = guarded
    assert f"is taken: calls come in at {runtime.port}" in runtime.dev.log
    assert PASSWORD in runtime.dev.log


def test_where_the_public_network_sees_us_is_found_out_and_logged(
    guarded: tuple[PhoneRuntime, int],
) -> None:
    runtime, _ = guarded
    lines = [line for line in runtime.dev.log.splitlines() if "public_address" in line]
    assert len(lines) == 1
    assert SEEN_AT[0] in lines[0]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_right_password_opens(
    transport: str, guarded: tuple[PhoneRuntime, int], speech: Path, tmp_path: Path
) -> None:
    runtime, _ = guarded
    sipp = Sipp(
        tmp_path, "uac_auth", runtime.place, transport=transport, speech=speech, talk_ms=500,
        username="demo", password=PASSWORD,
    )  # fmt: skip
    ran = await sipp.run()
    assert ran.code == 0, ran.errors


async def test_whoever_asks_without_it_learns_nothing(
    guarded: tuple[PhoneRuntime, int], tmp_path: Path
) -> None:
    runtime, _ = guarded
    answers = []
    for user in ("demo", "nobody"):
        phone = Softphone(Setup())
        talked = await phone.call(Dial(f"sip:{user}@127.0.0.1:{runtime.port}"), [Pause(1.0)])
        answers.append((talked.phone.status, talked.phone.reason))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    wrong = Sipp(tmp_path, "uac_auth_wrong", runtime.place, username="demo", password="guess")
    ran = await wrong.run()
    assert ran.code == 0, ran.errors


async def test_over_tls(guarded: tuple[PhoneRuntime, int]) -> None:
    runtime, tls = guarded
    setup = Setup(transport="tls", username="demo", password=PASSWORD)
    talked = await Softphone(setup).call(Dial(f"sips:demo@127.0.0.1:{tls}"), [WaitReply()])
    told = report(talked)
    assert told["answered"], told
    assert told["heard"]
    call = await runtime.call_of(told["sip_call_id"])
    assert call["endedReason"] == "customer-ended-call"


async def test_baresip_over_tls_with_srtp(guarded: tuple[PhoneRuntime, int], tmp_path: Path) -> None:
    runtime, tls = guarded
    account = f";auth_user=demo;auth_pass={PASSWORD};mediaenc=srtp-mand"
    speech = wav_of(tmp_path, 8000, silence_s=1.0)
    phone = Baresip(tmp_path / "baresip", speech, account=account, transport="tls")
    async with phone.running():
        await phone.command("dial", f"sip:demo@127.0.0.1:{tls};transport=tls")
        told = await phone.event("CALL_ESTABLISHED")
        await phone.event("CALL_RTCP")
        await phone.command("hangup")
        call = await runtime.call_of(str(told["id"]))
    assert call["endedReason"] == "customer-ended-call"
    assert phone.recordings()["heard"].stat().st_size > 8_000


async def test_options_are_answered_to_anybody(guarded: tuple[PhoneRuntime, int]) -> None:
    runtime, tls = guarded
    for transport, port in (("udp", runtime.port), ("tcp", runtime.port), ("tls", tls)):
        async with Phone(Setup(transport=transport), lambda pcm: None) as phone:
            answer = await phone.ask("OPTIONS", f"sip:127.0.0.1:{port}")
        assert answer.status == 200, transport
