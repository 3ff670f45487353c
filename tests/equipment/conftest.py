"""One runtime for all of these tests, and what its callers say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aywa.testing.sound import Sound, read_wav
from tests.equipment.runtime import MediaRuntime, media_runtime

# A person speaking, from Debian's asterisk-core-sounds-en-wav.
SPOKEN = Path("/usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.wav")
SENTENCE_S = 2.5


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaRuntime]:
    """It believes nobody without a token, this machine included. Tests share it: they leave it as they found it."""
    with media_runtime(
        tmp_path_factory.mktemp("equipment"), RUNTIME_MEDIA_NETWORKS="192.0.2.0/24"
    ) as running:
        yield running


@pytest.fixture(scope="session")
def sentence() -> Sound:
    """The beginning of a sentence."""
    whole = read_wav(SPOKEN.read_bytes())
    return Sound(whole.samples[: round(SENTENCE_S * whole.rate_hz)], whole.rate_hz)
