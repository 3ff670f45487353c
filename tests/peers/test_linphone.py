"""linphonec calls `aywa dev` and is called, over a cable between two network namespaces: a telephone on another machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aywa.testing.runtime import free_port
from aywa.testing.sound import read_wav
from tests.e2e.dev import Dev, started
from tests.peers.conftest import SPOKEN_WORDS, wav_of
from tests.peers.linphone import Linphone
from tests.peers.netns import Namespace, NoNamespace, namespace
from tests.peers.runtime import PhoneRuntime

pytestmark = pytest.mark.all

PASSWORD = "open-sesame-open-sesame"
LOUD = 500.0


@pytest.fixture(scope="module")
def cable() -> Iterator[Namespace]:
    if shutil.which("linphonec") is None:
        pytest.skip("needs Debian's linphone-cli")
    try:
        with namespace() as made:
            yield made
    except NoNamespace as error:
        pytest.skip(f"no network namespace can be made here: {error}")


@pytest.fixture(scope="module")
def runtime(cable: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRuntime]:
    """A runtime whose SIP port is on the cable, and which trusts nobody there."""
    port = free_port(cable.host)
    dev = Dev(
        tmp_path_factory.mktemp("cable") / "home",
        options=("--tiny", "--sip-port", str(port)),
        environment={"RUNTIME_SIP_HOST": cable.host, "RUNTIME_SIP_PASSWORD": PASSWORD},
    )
    with started(dev):
        yield PhoneRuntime(dev, port)


def phone(cable: Namespace, folder: Path, port: int, **more: object) -> Linphone:
    speech = wav_of(folder, 8000, silence_s=3.0)
    account = {"username": "demo", "password": PASSWORD, "realm": cable.host}
    return Linphone(cable, folder / "linphone", speech, port=port, **(account | more))  # type: ignore[arg-type]


def loud_seconds(file: Path) -> int:
    pcm = np.frombuffer(read_wav(file.read_bytes()).pcm(8000), "<i2").astype(np.float64)
    seconds = [pcm[at : at + 8000] for at in range(0, pcm.size - 7999, 8000)]
    return sum(float(np.sqrt(np.mean(second**2))) > LOUD for second in seconds)


async def running(runtime: PhoneRuntime) -> str:
    """The id of the last call."""
    call: dict[str, object] = (await runtime.ask("GET", "/call?limit=1"))[0]
    return str(call["id"])


async def newest(runtime: PhoneRuntime) -> dict[str, object]:
    """The document of the last call, once it has ended."""
    return await runtime.ended(await running(runtime))


@pytest.mark.parametrize("encryption", ["none", "srtp"])
async def test_it_calls_shows_its_password_and_both_speak(
    encryption: str, runtime: PhoneRuntime, cable: Namespace, tmp_path: Path
) -> None:
    async with phone(cable, tmp_path, 5070, encryption=encryption).running() as linphone:
        await linphone.command(f"call sip:demo@{cable.host}:{runtime.port}")
        await linphone.says("connected")
        await runtime.until_said(await running(runtime), bot=2, user=1)
        await linphone.command("terminate")
        call = await newest(runtime)
    assert call["endedReason"] == "customer-ended-call", linphone.said[-2000:]
    messages = call["messages"]
    assert isinstance(messages, list)
    heard = " ".join(m["message"] for m in messages if m["role"] == "user").lower()
    assert any(word in heard for word in SPOKEN_WORDS), heard
    assert loud_seconds(linphone.recording) >= 3


async def test_without_a_password_it_is_not_let_in(
    runtime: PhoneRuntime, cable: Namespace, tmp_path: Path
) -> None:
    async with phone(cable, tmp_path, 5072, password="wrong").running() as linphone:
        await linphone.command(f"call sip:demo@{cable.host}:{runtime.port}")
        # It knows no other, and asks a person.
        await linphone.says("Password for")
    assert "connected" not in linphone.said


async def test_its_keys_arrive_once_each(runtime: PhoneRuntime, cable: Namespace, tmp_path: Path) -> None:
    async with phone(cable, tmp_path, 5074).running() as linphone:
        await linphone.command(f"call sip:demo@{cable.host}:{runtime.port}")
        await linphone.says("connected")
        call_id = await running(runtime)
        for times, key in enumerate("1#", 1):
            await linphone.command(key)
            await runtime.until_happened(call_id, "DtmfReceived", times)
        await linphone.command("terminate")
        call = await newest(runtime)
        keys = await runtime.events_of(str(call["phoneCallProviderId"]), "DtmfReceived")
    assert [key["digit"] for key in keys] == ["1", "#"]


async def test_it_is_called(runtime: PhoneRuntime, cable: Namespace, tmp_path: Path) -> None:
    async with phone(cable, tmp_path, 5076, answers=True).running() as linphone:
        credential, number = await runtime.trunk(5076, gateway={"ip": cable.peer})
        try:
            call_id = await runtime.dial(number, {"sipUri": linphone.uri})
            await linphone.says("connected")
            await runtime.until_said(call_id, bot=1)
            await linphone.command("terminate")
            call = await runtime.ended(call_id)
        finally:
            await runtime.forget(credential, number)
    assert call["endedReason"] == "customer-ended-call"
    assert loud_seconds(linphone.recording) >= 1
