"""`aywa media check` as a person runs it, for every protocol."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aywa.cli.media import PROTOCOLS, VARIANTS
from aywa.testing.equipment.known import EQUIPMENT
from aywa.testing.sound import Sound, read_wav, to_pcm, write_wav
from tests.equipment.runtime import MediaRuntime

TOGETHER = 6
RUNS = [(protocol, "") for protocol in PROTOCOLS] + [
    (protocol, variant) for protocol, variants in VARIANTS.items() for variant in variants
]


@pytest.fixture(scope="session")
def wav(tmp_path_factory: pytest.TempPathFactory, sentence: Sound) -> Path:
    import numpy as np

    file = tmp_path_factory.mktemp("wav") / "sentence.wav"
    file.write_bytes(write_wav(np.frombuffer(to_pcm(sentence.samples), "<i2"), sentence.rate_hz))
    return file


async def media_check(runtime: MediaRuntime, *options: str) -> tuple[int, str, str]:
    """The verb in a process of its own: exit code, what it printed, what it complained of."""
    command = (
        sys.executable,
        "-m",
        "aywa.cli",
        "media",
        "check",
        "--url",
        runtime.dev.url,
        "--key",
        runtime.dev.key,
    )
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="session")
def verdicts(
    runtime: MediaRuntime, wav: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Mapping[tuple[str, str], tuple[int, Mapping[str, Any], Path]]:
    folder = tmp_path_factory.mktemp("heard")

    async def one(run: tuple[str, str], room: asyncio.Semaphore) -> tuple[int, Mapping[str, Any], Path]:
        protocol, variant = run
        out = folder / f"{protocol}-{variant}.wav"
        more = ["--variant", variant] if variant else []
        if protocol == "audiosocket":
            more += ["--media", runtime.address("audiosocket", "")]
        async with room:
            code, printed, complained = await media_check(
                runtime, "--protocol", protocol, "--wav", str(wav), "--out", str(out), "--json", "--token", runtime.dev.key, *more
            )  # fmt: skip
        assert printed, (run, complained)
        return code, json.loads(printed), out

    runs = RUNS if request.config.getoption("--all") else [run for run in RUNS if not run[1]]

    async def every() -> Mapping[tuple[str, str], tuple[int, Mapping[str, Any], Path]]:
        room = asyncio.Semaphore(TOGETHER)
        found = await asyncio.gather(*(one(run, room) for run in runs))
        return dict(zip(runs, found, strict=True))

    return asyncio.run(every())


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, marks=pytest.mark.all if run[1] else (), id=" ".join(filter(None, run)))
        for run in RUNS
    ],
)
def test_every_protocol_passes(
    run: tuple[str, str], verdicts: Mapping[tuple[str, str], tuple[int, Mapping[str, Any], Path]]
) -> None:
    code, verdict, out = verdicts[run]
    bad = [finding for finding in verdict["findings"] if finding["good"] is False]
    assert bad == []
    assert (code, verdict["good"], verdict["protocol"]) == (0, True, run[0])
    assert verdict["ended_reason"] == "customer-ended-call"
    assert read_wav(out.read_bytes()).samples.size


def test_the_verb_knows_all_equipment() -> None:
    assert set(PROTOCOLS) == set(EQUIPMENT)


async def test_a_person_reads_the_verdict(runtime: MediaRuntime, wav: Path) -> None:
    code, printed, _ = await media_check(
        runtime, "--protocol", "twilio", "--wav", str(wav), "--token", runtime.dev.key, "--assistant", runtime.assistant
    )  # fmt: skip
    assert code == 0
    assert printed.startswith("ok    door: let in after")
    assert "marks:" in printed


async def test_an_unknown_assistant_fails_with_its_mend(runtime: MediaRuntime, wav: Path) -> None:
    code, printed, _ = await media_check(
        runtime, "--protocol", "vonage", "--wav", str(wav), "--token", runtime.dev.key, "--assistant", "nobody"
    )  # fmt: skip
    assert code == 1
    assert printed.startswith("FAIL  door:")
    assert "--assistant" in printed
