"""`aywa talk` on human speech that Debian packages: a real runtime, a real socket, and what was said must be understood."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from aywa.testing.runtime import DevRuntime
from aywa.testing.truth import normalise

# A voice actor over the telephone; read aloud from a book, and spoken into a headset.
SPEECH = (
    ("asterisk-core-sounds-en-wav", "conf-getpin.wav", "mulaw", "please enter the conference pin number"),
    ("asterisk-core-sounds-en-wav", "pbx-invalid.wav", "mulaw",
     "i am sorry but that's not a valid extension please try again"),
    ("pocketsphinx-testdata", "librivox/sense_and_sensibility_01_austen_64kb-0870.wav", "pcm16",
     "and mr john dashwood had then leisure to consider how much there might be prudently in his power to do for them"),
    ("pocketsphinx-testdata", "cards/005.wav", "pcm16", "eight of spades four of clubs seven of hearts"),
)  # fmt: skip
MOST_WORDS_WRONG = 0.25


@pytest_asyncio.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[DevRuntime]:
    async with DevRuntime(tmp_path / "home", "--tiny") as started:
        yield started


def packaged(package: str, name: str) -> Path:
    """A file of a Debian package, wherever it was put."""
    listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
    found = [Path(line) for line in listed.stdout.splitlines() if line.endswith(f"/{name}")]
    if not found:
        pytest.fail(f"{name} is missing: apt-get install {package}")
    return found[0]


def word_errors(wanted: str, got: str) -> float:
    """The share of words that are missing, added or wrong."""
    left, right = normalise(wanted), normalise(got)
    row = list(range(len(right) + 1))
    for number, word in enumerate(left, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(right, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1] / len(left)


def talk(runtime: DevRuntime, wav: Path, out: Path, form: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aywa.cli", "talk", "--json", "--after-greeting", "--format", form]
    return subprocess.run(
        [*command, "--wav", wav, "--out", out, "--url", runtime.url],
        env={**os.environ, "AYWA_HOME": str(runtime.home)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


async def test_understands_people_and_answers_them(runtime: DevRuntime, tmp_path: Path) -> None:
    for package, name, form, words in SPEECH:
        out = tmp_path / "call.wav"
        ran = await asyncio.to_thread(talk, runtime, packaged(package, name), out, form)
        assert ran.returncode == 0, ran.stderr
        answer = json.loads(ran.stdout)
        assert answer["ended_reason"] == "customer-ended-call"
        turns = answer["turns"]
        heard = " ".join(turn["user_text"] for turn in turns)
        assert word_errors(words, heard) <= MOST_WORDS_WRONG, f"{name}: {heard}"
        assert len(turns) == 1, f"{name}: cut in {len(turns)}: {turns}"
        assert turns[0]["assistant_text"]
        assert 100 < turns[0]["latency_ms"] < 3000
        with wave.open(str(out)) as file:
            both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
            seconds = file.getnframes() / file.getframerate()
        assert both[:, 0].any()
        assert both[:, 1].any()
        assert seconds > turns[0]["reply_start_ms"] / 1000


def test_word_errors() -> None:
    assert word_errors("a b c d", "a b c d") == 0
    assert word_errors("a b c d", "a x c") == 0.5
    assert word_errors("a", "b c d") == 3
