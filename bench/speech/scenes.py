"""The labelled turns as the engine hears them: the detector's word and the acoustic model's, each computed once and kept.

`scene` gives what a rehearsed call needs; `Scores` answers what Smart Turn says at a second of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.resample import resample
from aywa.adapters.local.silero import SileroVad
from aywa.adapters.local.smart_turn import SmartTurn
from aywa.adapters.models.cache import models_dir
from aywa.core.audio.level import block_levels
from aywa.core.turns.voice import VoiceDetector
from aywa.ports.stt import Word
from aywa.testing.labelled_media import BLOCKS, FRAME_S, SLOT_S, WINDOW_S, Sound
from bench.speech import corpora
from bench.speech.corpora import Turn
from bench.speech.voices import LINE_HZ, RATE_HZ, Floats, folder

_WINDOW = round(WINDOW_S * RATE_HZ)
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Scene:
    """A turn as it is heard."""

    turn: Turn
    sound: Sound
    words: tuple[Word, ...]
    pauses: tuple[tuple[float, float], ...]
    end_s: float

    @property
    def key(self) -> str:
        """Unique."""
        return f"{self.turn.key}|{self.turn.condition}"


@dataclass(frozen=True, slots=True)
class Voiced:
    """A stretch of voice as the detector tells it: from start_s to end_s, known at started_s and stopped_s."""

    start_s: float
    started_s: float
    end_s: float
    stopped_s: float


def utterance(turn: Turn) -> int:
    """The same for turns that say the same audio with other pauses."""
    return turn.seed // 10 if turn.kind in corpora.KINDS else turn.seed


def scenes(half: str, few: int = 1, first: int = 0) -> list[Scene]:
    """All turns of the half; few: of every so-manieth utterance only, from the first on."""
    turns = [turn for turn in corpora.turns(half) if utterance(turn) % few == first]
    path = folder() / "scenes" / f"{half}-{few}-{first}-{_version(half)}.npz"
    if not path.exists():
        _compute(turns, path)
    with np.load(path) as kept:
        labels = json.loads(str(kept["labels"]))
        probabilities, levels = kept["probabilities"], kept["levels"]
    found, at = [], 0
    for turn, (count, words, pauses, end_s) in zip(turns, labels, strict=True):
        sound = Sound(probabilities[at : at + count], levels[at : at + count])
        at += count
        said = tuple(Word(*word) for word in words)
        found.append(Scene(turn, sound, said, tuple((a, b) for a, b in pauses), end_s))
    return found


def _compute(turns: Sequence[Turn], path: Path) -> None:
    vad = SileroVad(models_dir() / "silero" / "silero_vad.onnx")
    labels, probabilities, levels = [], [], []
    for first in range(0, len(turns), _ROWS):
        batch = [corpora.heard(turn) for turn in turns[first : first + _ROWS]]
        audio = [_windows(_wide(heard)) for heard in batch]
        scores = np.zeros((len(batch), max(map(len, audio))), np.float32)
        rows = [vad.open() for _ in batch]
        for at in range(scores.shape[1]):
            live = [n for n, windows in enumerate(audio) if at < len(windows)]
            scores[live, at] = vad.score([rows[n] for n in live], np.stack([audio[n][at] for n in live]))
        for row in rows:
            vad.close(row)
        for n, heard in enumerate(batch):
            probabilities.append(scores[n, : len(audio[n])])
            levels.append(np.asarray(block_levels(audio[n], BLOCKS), np.float32))
            labels.append((len(audio[n]), heard.words, heard.pauses, heard.end_s))
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new.npz")
    np.savez(
        new,
        probabilities=np.concatenate(probabilities),
        levels=np.concatenate(levels),
        labels=np.array(json.dumps(labels)),
    )
    os.replace(new, path)


def _wide(heard: corpora.Heard) -> Floats:
    return resample(heard.pcm.astype(np.float32) / 32768.0, LINE_HZ, RATE_HZ)


def _windows(audio: Floats) -> npt.NDArray[np.float32]:
    windows = np.zeros((math.ceil(len(audio) / _WINDOW), _WINDOW), np.float32)
    windows.reshape(-1)[: len(audio)] = audio
    return windows


@cache
def _version(half: str) -> str:
    """Of all that the audio of the half depends on."""
    here = Path(__file__).parent
    names = ["sentences.py", "corpora.py", "voices.py"]
    if half == "held_out":
        names.append("held_out_sentences.py")
    parts = b"".join((here / name).read_bytes() for name in names)
    return hashlib.sha256(parts).hexdigest()[:12]


def stretches(sound: Sound) -> list[Voiced]:
    """What the engine's own detector makes of the sound, at the engine's own times."""
    detector = VoiceDetector(WINDOW_S)
    found: list[Voiced] = []
    started: tuple[float, float] | None = None
    for window, (probability, levels) in enumerate(zip(sound.probabilities, sound.levels_db, strict=True)):
        arrived = [_arrival_s((window + (block + 1) / BLOCKS) * WINDOW_S) for block in range(BLOCKS)]
        moment = detector.heard(float(probability), levels.tolist(), arrived)
        if moment is None:
            continue
        if moment.started:
            started = moment.at_s, arrived[-1] + SLOT_S
        elif started is not None:
            found.append(Voiced(*started, moment.at_s, arrived[-1] + SLOT_S))
    return found


def _arrival_s(sample_s: float) -> float:
    return math.ceil(sample_s / FRAME_S - 1e-9) * FRAME_S


@dataclass(slots=True)
class Scores:
    """Smart Turn's answers, kept on disk; the model runs only for a question that is new."""

    half: str
    _kept: dict[str, float] = field(default_factory=dict)
    _new: int = 0
    _model: SmartTurn | None = None
    _audio: tuple[str, Floats] = ("", np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if self._path.exists():
            self._kept = json.loads(self._path.read_text(encoding="utf-8"))

    @property
    def _path(self) -> Path:
        return folder() / "scores" / f"{self.half}-{_version(self.half)}.json"

    def at(self, scene: Scene, asked_s: float) -> float:
        """The probability from the last 8 s of what had arrived by then."""
        windows = int(asked_s / WINDOW_S)
        while windows and _arrival_s(windows * WINDOW_S) + SLOT_S > asked_s + 1e-6:
            windows -= 1
        key = f"{scene.key}|{windows}"
        if key not in self._kept:
            if self._audio[0] != scene.key:
                self._audio = scene.key, _wide(corpora.heard(scene.turn))
            if self._model is None:
                self._model = SmartTurn(models_dir() / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
            self._kept[key] = round(self._model.score(self._audio[1][: windows * _WINDOW]), 4)
            self._new += 1
            if self._new % 200 == 0:
                self.save()
        return self._kept[key]

    def save(self) -> None:
        """Keeps what was computed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._kept), encoding="utf-8")
        os.replace(new, self._path)
