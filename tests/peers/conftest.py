"""A runtime with a SIP port, and what its callers say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aywa.testing.runtime import free_port
from aywa.testing.sound import encode_mulaw, read_wav, write_wav
from tests.e2e.dev import Dev, started
from tests.peers.runtime import PhoneRuntime

# People speaking, from Debian's asterisk-core-sounds-en-wav.
SPOKEN = Path("/usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.wav")
SPOKEN_WORDS = ("please", "message", "tone")


# What the calls' media runs in: every test of a call holds in both layouts.
LAYOUTS = {
    "one process": {"RUNTIME_MEDIA_PROCESSES": "0"},
    "media apart": {"RUNTIME_MEDIA_PROCESSES": "2", "RUNTIME_MEDIA_PRIORITY": "normal"},
}
# Of those with media apart, the tests that run without --all: where audio, keys and changes in mid-call are what is asked.
QUICK_APART = {
    "test_a_turn_and_a_barge_in",
    "test_an_extension_is_dialled_when_it_was_answered",
    "test_calls",
    "test_many_at_once",
    "test_speech_goes_both_ways_in_every_codec",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        chosen = (
            item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        )
        if chosen.get("runtime") != "media apart":
            continue
        if item.name.partition("[")[0] not in QUICK_APART or chosen.get("transport") == "tcp":
            item.add_marker("all")


@pytest.fixture(scope="session", params=LAYOUTS)
def runtime(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhoneRuntime]:
    """`aywa dev --tiny`, shared by the tests of a session: they must leave it as they found it."""
    port = free_port()
    dev = Dev(
        tmp_path_factory.mktemp("phone") / "home",
        options=("--tiny", "--sip-port", str(port)),
        environment=LAYOUTS[request.param],
    )
    with started(dev):
        yield PhoneRuntime(dev, port)


@pytest.fixture(scope="session")
def spoken() -> bytes:
    """A sentence, PCM16 at 8 kHz."""
    return read_wav(SPOKEN.read_bytes()).pcm(8000)


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory, spoken: bytes) -> Path:
    """The sentence as sipp wants it: raw mu-law."""
    file = tmp_path_factory.mktemp("speech") / "speech.ulaw"
    file.write_bytes(encode_mulaw(spoken))
    return file


def wav_of(
    folder: Path, rate_hz: int, channels: int = 1, silence_s: float = 3.0, whole_s: float = 60.0
) -> Path:
    """The sentence after a silence, with silence after it: what baresip says in a call."""
    sentence = np.frombuffer(read_wav(SPOKEN.read_bytes()).pcm(rate_hz), "<i2")
    whole = np.zeros(round(whole_s * rate_hz), "<i2")
    start = round(silence_s * rate_hz)
    whole[start : start + sentence.size] = sentence
    folder.mkdir(exist_ok=True)
    file = folder / f"speech-{rate_hz}-{channels}.wav"
    file.write_bytes(write_wav(whole if channels == 1 else np.stack([whole] * channels, 1), rate_hz))
    return file
