"""When real speech is said to have begun and ended, against what its own energy says.

Debian's asterisk-core-sounds-en-wav (human, 8 kHz) and pauses between, through the leg, the batch and Silero. The label
is the last frame of 20 ms that is within 40 dB of the loudest one; in noise, that stands 6 dB out of it.
"""

from __future__ import annotations

import asyncio
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from aywa.adapters.local.silero import SileroVad
from aywa.adapters.models.cache import models_dir
from aywa.core.audio.frame import Floats, to_float, to_pcm
from aywa.core.audio.level import SILENCE_DB, dbfs
from aywa.core.events import MediaEvent, VoiceStarted, VoiceStopped
from aywa.media.plane import Plane
from aywa.ports.media import AudioFormat, LegPlan
from aywa.testing.virtual_time import run_virtual
from tests.media.rig import FarSide

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
RATE = 8000
FRAME = 160
LEAD_IN_S = 0.6


@dataclass
class Dating:
    """Milliseconds; positive is late. decided: from the voice's end to the event."""

    started: float
    stopped: float
    decided: float


def speech(path: Path) -> Floats:
    with wave.open(str(path)) as file:
        return to_float(file.readframes(file.getnframes()))


def voiced_frames(samples: Floats, least_db: float) -> tuple[int, int]:
    """The first and the last frame that is loud enough."""
    levels = [dbfs(samples[i : i + FRAME]) for i in range(0, len(samples) - FRAME + 1, FRAME)]
    loud = [i for i, level in enumerate(levels) if level >= max(least_db, max(levels) - 40)]
    return loud[0], loud[-1]


async def listen(samples: Floats) -> list[tuple[float, MediaEvent]]:
    loop = asyncio.get_running_loop()
    model = SileroVad(models_dir() / "silero" / "silero_vad.onnx", RATE)
    plane = Plane(loop, {RATE: model})
    events: list[tuple[float, MediaEvent]] = []
    plan = LegPlan("leg", AudioFormat.PCM16, RATE, 0.0, lambda event: events.append((loop.time(), event)))
    leg = plane.add_leg(plan, FarSide(loop.time))
    pcm = to_pcm(samples)
    for start in range(0, len(pcm) - 2 * FRAME + 1, 2 * FRAME):
        await asyncio.sleep(0.02)
        leg.audio_received(pcm[start : start + 2 * FRAME])
    await asyncio.sleep(0.1)
    await plane.close()
    return events


def date(path: Path, noise_db: float) -> Dating | None:
    """One prompt between two silences, or between two stretches of noise. None: too soft a prompt for the noise."""
    said = speech(path)
    first, last = voiced_frames(said, max(-62.0, noise_db + 6))
    silence = np.zeros(int(LEAD_IN_S * RATE), np.float32)
    line = np.concatenate((silence, said, silence))
    line += np.random.default_rng(1).normal(0, 10 ** (noise_db / 20), line.size).astype(np.float32)
    events = run_virtual(listen(line))
    starts = [event.at_s for _, event in events if isinstance(event, VoiceStarted)]
    stops = [(at, event.at_s) for at, event in events if isinstance(event, VoiceStopped)]
    if not stops:
        return None
    ended = LEAD_IN_S + 0.02 * (last + 1)
    return Dating(
        started=1000 * (starts[0] - LEAD_IN_S - 0.02 * (first + 1)),
        stopped=1000 * (stops[-1][1] - ended),
        decided=1000 * (stops[-1][0] - ended),
    )


def prompts(every: int) -> list[Path]:
    tones = ("beep", "tone", "zap")
    found = [path for path in sorted(PROMPTS.glob("*.wav")) if not any(tone in path.stem for tone in tones)]
    assert len(found) > 300, "install Debian's asterisk-core-sounds-en-wav"
    return [path for path in found[::every] if path.stat().st_size > 8000]


@pytest.mark.parametrize(("noise_db", "late_ms"), [(SILENCE_DB, 21.0), (-50.0, 21.0)], ids=["clean", "noisy"])
def test_the_end_of_human_speech_is_dated_by_its_last_audible_frame(noise_db: float, late_ms: float) -> None:
    dated = [dating for path in prompts(12) if (dating := date(path, noise_db)) is not None]
    assert len(dated) >= 25
    stopped = np.array([dating.stopped for dating in dated])
    # Hardly ever before the last audible frame; a breath after it may count.
    assert abs(np.median(stopped)) < 1
    assert np.percentile(stopped, 5) >= -21
    assert np.percentile(stopped, 95) <= late_ms
    # In time for the shortest wait.
    assert np.percentile([dating.decided for dating in dated], 95) <= 300
    assert abs(np.median([dating.started for dating in dated])) <= 21
