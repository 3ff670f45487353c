"""The calls of bench/interruptions.py: two ordinary turns of the caller, then one sound while the agent speaks at length.

The whole of a call's inbound audio is made at once, goes through the telephone band (8 kHz, mu-law; a quarter each clean,
with noise 12 to 25 dB below the voice, with 3 % of the frames lost, with both) and through Silero; what the detector said
is kept in the user's cache. Voices are brought to one level, then moved by what their kind says, in dB: see LEVELS.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.resample import resample
from aywa.adapters.local.silero import SileroVad
from aywa.adapters.local.smart_turn import SmartTurn
from aywa.adapters.models.cache import models_dir
from aywa.core.audio.level import block_levels
from aywa.ports.stt import Word
from aywa.testing.labelled_media import BLOCKS, Sound
from bench.speech import interruption_sounds as sounds
from bench.speech import voices as v
from bench.speech.interruption_texts import HELD_OUT, TUNING, Texts, interruption

Floats = npt.NDArray[np.float32]

VERSION = 2
KINDS = ("interruption", "backchannel", "tic", "aside", "noise")
CONDITIONS = ("clean", "noise", "loss", "noise+loss")
LEVELS: dict[str, tuple[float, float]] = {
    "ordinary": (0.0, 1.5), "interruption": (1.0, 2.0), "backchannel": (-4.0, 3.0), "hesitation": (-3.0, 2.0),
    "cough": (0.0, 3.0), "throat": (-3.0, 2.0), "sneeze": (1.0, 2.0), "breath": (-12.0, 3.0), "click": (-5.0, 3.0),
    "tsk": (-8.0, 3.0), "keyboard": (-13.0, 3.0), "door": (-4.0, 3.0),
}  # fmt: skip
"""Mean and deviation, normally distributed, cut at two deviations."""
SOFT_DB = (3.0, 6.0)
SOFT_SHARE = 0.15
ASIDE_DB = (8.0, 20.0)
NOISE_DB = (10.0, 22.0)
CALLER_DB = 4.0
BETWEEN_TURNS_S = 5.5
ITEM_AFTER_S = (3.4, 6.4)
LISTEN_S = 3.5
# A person, to be heard in the other half's calls: Asterisk's prompts.
ALLISON_TURNS = (
    ("pls-hold-while-try", "please hold while I try to locate the person you are calling"),
    ("conf-onlyperson", "you are currently the only person in this conference"),
    ("all-circuits-busy-now", "all circuits are busy now"),
    ("number-not-answering", "the number is not answering"),
)
ALLISON_INTERRUPTS = (
    ("one-moment-please", "one moment please"), ("please-try-again", "please try again"), ("im-sorry", "I'm sorry"),
    ("tt-weasels", "weasels have eaten our phone system"), ("tt-somethingwrong", "something is terribly wrong"),
    ("cancelled", "cancelled"), ("hello", "hello"), ("goodbye", "goodbye"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Half:
    """Voices, texts and mouths that the other half has nothing of."""

    name: str
    voices: tuple[str, ...]
    texts: Texts
    body: sounds.Body
    people: bool
    seed: int


HALVES = {
    "tuning": Half("tuning", v.TUNING, TUNING, sounds.TUNING, False, 1),
    "held_out": Half("held_out", v.HELD_OUT[:4], HELD_OUT, sounds.HELD_OUT, True, 2),
}


@dataclass(slots=True)
class Case:
    """One call. turns: where the ordinary turns begin and end; item: where the sound does, by its loud frames; voiced_s:
    where its first voiced one begins. words: as the recogniser will hear them. Seconds of the call; said: for the record."""

    half: str
    kind: str
    detail: str
    condition: str
    number: int
    said: str = ""
    turns: list[tuple[float, float]] = field(default_factory=list)
    item: tuple[float, float] = (0.0, 0.0)
    words: list[tuple[str, float, float]] = field(default_factory=list)
    seconds: float = 0.0
    sound: Sound | None = None
    voiced_s: float = 0.0

    @property
    def timeline(self) -> list[Word]:
        """For the simulated recogniser."""
        return [Word(text, start_s, end_s) for text, start_s, end_s in self.words]


def cases(half: str, counts: dict[str, int]) -> list[Case]:
    """So many calls of each kind, in a fixed order, with what Silero said; from the cache where it was said before."""
    made: list[Case] = []
    for kind in KINDS:
        made += _kept(HALVES[half], kind, counts.get(kind, 0))
    return made


# --- one call ----------------------------------------------------------------------------------------------------


class _Line:
    """A call's inbound audio under construction: at 16 kHz, the caller's usual level at LEVEL_DB."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.audio = np.zeros(0, np.float32)
        self.last = (0.0, self.audio)

    def put(self, at_s: float, sound: Floats, gain_db: float) -> tuple[float, float]:
        """Answers where its loud frames begin and end."""
        first = round(at_s * v.RATE_HZ)
        if len(self.audio) < first + len(sound):
            self.audio = np.concatenate(
                [self.audio, np.zeros(first + len(sound) - len(self.audio), np.float32)]
            )
        loud = sound * np.float32(10 ** (gain_db / 20))
        self.audio[first : first + len(sound)] += loud
        self.last = at_s, sound
        begins_s, ends_s = _loud_span(sound)
        return at_s + begins_s, at_s + ends_s

    def say(self, at_s: float, speech: v.Speech, gain_db: float, late_s: float = 0.0) -> tuple[float, float]:
        """Also for the recogniser, so late."""
        for text, start_s, end_s in speech.words:
            self.case.words.append((text, at_s + start_s + late_s, at_s + end_s + late_s))
        return self.put(at_s, _floats(speech), gain_db)


def _floats(speech: v.Speech) -> Floats:
    return speech.pcm.astype(np.float32) / 32768.0


def _loud_span(sound: Floats) -> tuple[float, float]:
    """The first and the last frame of 20 ms within 30 dB of the loudest: when the first began, when the last ended."""
    frame = v.RATE_HZ // 50
    padded = np.pad(sound, (0, -len(sound) % frame))
    power = np.mean(padded.reshape(-1, frame) ** 2, axis=1)
    loud = np.flatnonzero(power >= power.max() * 1e-3)
    return float(loud[0]) * 0.02, float(loud[-1] + 1) * 0.02


def _first_voiced_s(sound: Floats) -> float:
    """When the first voiced frame begins: 20 ms within 30 dB of the loudest that are periodic (their best autocorrelation
    between 70 and 400 Hz, over 40 ms, is 0.6 or more). Breath and the "s" of "stop" are sound, but no voice."""
    frame, window = v.RATE_HZ // 50, v.RATE_HZ // 25
    padded = np.pad(sound, (0, window))
    power = np.mean(padded[: len(padded) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    for at in np.flatnonzero(power >= power.max() * 1e-3):
        piece = padded[at * frame : at * frame + window].astype(np.float64)
        if len(piece) < window:
            break
        piece = piece - piece.mean()
        lags = np.arange(v.RATE_HZ // 400, v.RATE_HZ // 70)
        best = max(_alike(piece[:-lag], piece[lag:]) for lag in lags)
        if best >= 0.6:
            return float(at) * 0.02
    return _loud_span(sound)[0]


def _alike(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    scale = float(np.sqrt(np.dot(one, one) * np.dot(other, other)))
    return float(np.dot(one, other)) / scale if scale else 0.0


def first_voiced(made: Sequence[Case]) -> None:
    """Sets `voiced_s` of the cases of one half; kept like the detector's word."""
    half = HALVES[made[0].half]
    path = _place(half, "voiced").with_suffix(".json")
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    for case in made:
        key = f"{case.kind}/{case.number}"
        if key not in known:
            at_s, sound = _lined_up(half, case.kind, case.number)[0].last
            known[key] = round(at_s + _first_voiced_s(sound), 4)
        case.voiced_s = known[key]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known))


def _level(kind: str, chance: Random) -> float:
    mean, deviation = LEVELS[kind]
    return mean + max(-2.0, min(2.0, chance.gauss(0, 1))) * deviation


def _build(half: Half, kind: str, number: int) -> tuple[Case, v.Shorts]:
    """The case without its sound, and the audio at 8 kHz."""
    line, chance = _lined_up(half, kind, number)
    audio = np.concatenate([line.audio, np.zeros(round(LISTEN_S * v.RATE_HZ), np.float32)])
    return line.case, _over_the_line(audio, line.case, half, chance)


def _lined_up(half: Half, kind: str, number: int) -> tuple[_Line, Random]:
    """All that the caller does, before the telephone."""
    chance = Random(f"{half.seed}/{kind}/{number}")
    case = Case(half.name, kind, "", CONDITIONS[number % len(CONDITIONS)], number)
    line = _Line(case)
    allison = half.people and kind == "interruption" and number % 10 == 9
    voice = half.voices[chance.randrange(len(half.voices))]
    at_s = 0.5 + chance.random() * 0.3
    for _ in range(2):
        began_s, ended_s = _ordinary(line, half, "" if allison else voice, at_s, chance)
        case.turns.append((began_s, ended_s))
        at_s = ended_s + BETWEEN_TURNS_S
    at_s += chance.uniform(*ITEM_AFTER_S) - BETWEEN_TURNS_S
    case.item = _ITEMS[kind](line, half, "" if allison else voice, at_s, chance)
    case.seconds = case.item[1] + LISTEN_S
    case.words.sort(key=lambda w: w[2])
    return line, chance


def _ordinary(line: _Line, half: Half, voice: str, at_s: float, chance: Random) -> tuple[float, float]:
    """A turn, in every second one a pause between its parts: 0.42 s in the middle, every sixth above 0.65, none above 1.2."""
    gain_db = _level("ordinary", chance)
    if not voice:
        return line.say(at_s, v.prompt(*chance.choice(ALLISON_TURNS)), gain_db)
    first, second = chance.choice(half.texts.ordinary)
    if chance.random() < 0.5:
        return line.say(at_s, v.speak(voice, f"{first} {second}."), gain_db)
    began_s, paused_s = line.say(at_s, v.speak(voice, first), gain_db)
    pause_s = min(1.2, max(0.15, 0.42 * math.exp(chance.gauss(0, 0.45))))
    _, ended_s = line.say(paused_s + pause_s, v.speak(voice, f"{second}."), gain_db)
    return began_s, ended_s


def _interruption(line: _Line, half: Half, voice: str, at_s: float, chance: Random) -> tuple[float, float]:
    kind, text = interruption(half.texts, chance)
    soft = chance.random() < SOFT_SHARE
    gain_db = -chance.uniform(*SOFT_DB) if soft else _level("interruption", chance)
    speech = v.speak(voice, text) if voice else v.prompt(*chance.choice(ALLISON_INTERRUPTS))
    line.case.detail = f"{kind if voice else 'person'}{', soft' if soft else ''}"
    line.case.said = " ".join(w for w, _, _ in speech.words)
    return line.say(at_s, speech, gain_db)


def _backchannel(line: _Line, half: Half, voice: str, at_s: float, chance: Random) -> tuple[float, float]:
    """Two in five are hums, of which the recogniser hears four in five as "mhm"; the others are words."""
    gain_db = _level("backchannel", chance)
    if chance.random() < 0.4:
        line.case.detail, line.case.said = "hum", "mhm"
        sound = sounds.hum(half.body, chance.randrange(1 << 30)) * np.float32(10 ** ((v.LEVEL_DB + 20) / 20))
        if chance.random() < 0.8:
            line.case.words.append(("Mhm.", at_s, at_s + len(sound) / v.RATE_HZ))
        return line.put(at_s, sound, gain_db)
    line.case.detail, line.case.said = "words", chance.choice(half.texts.backchannels)
    return line.say(at_s, v.speak(voice, line.case.said), gain_db)


def _tic(line: _Line, half: Half, voice: str, at_s: float, chance: Random) -> tuple[float, float]:
    """A cough or the like: in one of five the recogniser hears "uh" or "hm". Or an "uh": in three of ten it hears nothing."""
    kind = chance.choice(
        ("cough", "cough", "cough", "throat", "throat", "sneeze", *sounds.NOT_SPEECH, "hesitation")
    )
    line.case.detail = kind
    gain_db = _level(kind, chance)
    if kind == "hesitation":
        line.case.said = chance.choice(half.texts.hesitations)
        speech = v.speak(voice, line.case.said)
        return line.say(at_s, speech if chance.random() < 0.7 else v.Speech(speech.pcm, ()), gain_db)
    sound = sounds.not_speech(kind, half.body, chance.randrange(1 << 30))
    if chance.random() < 0.2:
        line.case.said = chance.choice(("uh", "hm"))
        line.case.words.append((line.case.said, at_s, at_s + len(sound) / v.RATE_HZ))
    return line.put(at_s, sound, gain_db + v.LEVEL_DB + 20)


def _aside(line: _Line, half: Half, voice: str, at_s: float, chance: Random) -> tuple[float, float]:
    """To somebody else: by the caller, in three of ten by another voice. 8 to 20 dB below the usual voice, from the side
    (sounds.turned_away). The recogniser hears it 150 to 400 ms late and loses words: 15 % at 8 dB, 60 % at 20."""
    other = chance.random() < 0.3
    speaker = chance.choice(half.voices) if other else voice
    below_db = chance.uniform(*ASIDE_DB)
    if other and half.people and chance.random() < 0.4:
        speech = chance.choice(v.librivox())
    else:
        speech = v.speak(speaker, chance.choice(half.texts.asides))
    lost = 0.15 + 0.45 * (below_db - ASIDE_DB[0]) / (ASIDE_DB[1] - ASIDE_DB[0])
    late_s = chance.uniform(0.15, 0.4)
    heard = [(w, a + at_s + late_s, b + at_s + late_s) for w, a, b in speech.words if chance.random() >= lost]
    line.case.words += heard
    line.case.detail = f"{'another' if other else 'caller'}, {below_db:.0f} dB"
    line.case.said = " ".join(w for w, _, _ in speech.words)
    sound = sounds.turned_away(_floats(speech), chance.randrange(1 << 30))
    return line.put(at_s, sound, -below_db)


def _noise(line: _Line, half: Half, voice: str, at_s: float, chance: Random) -> tuple[float, float]:
    """One to four seconds of a room behind the caller, 10 to 22 dB below the voice: talkers, a hiss, a hum. Of talkers the
    recogniser hears one or two words, late, in three of ten."""
    seconds, seed = chance.uniform(1.0, 4.0), chance.randrange(1 << 30)
    kind = line.case.detail = chance.choice(("talkers", "talkers", "hiss", "hum"))
    samples = round(seconds * v.LINE_HZ)
    if kind == "talkers":
        room = v.babble(samples, _talkers(half), seed)
        if chance.random() < 0.3:
            end_s = at_s + seconds * 0.6
            text = chance.choice(half.texts.asides).split()[: chance.randint(1, 2)]
            line.case.words += [(w, end_s + 0.2 * i, end_s + 0.2 * (i + 1)) for i, w in enumerate(text)]
    else:
        room = (v.pink if kind == "hiss" else v.hum)(samples, seed)
    up = resample(room, v.LINE_HZ, v.RATE_HZ)
    up = up / np.float32(max(float(np.sqrt(np.mean(up**2))), 1e-9)) * np.float32(10 ** (v.LEVEL_DB / 20))
    return line.put(at_s, up, -chance.uniform(*NOISE_DB))


_ITEMS = {
    "interruption": _interruption, "backchannel": _backchannel, "tic": _tic, "aside": _aside, "noise": _noise,
}  # fmt: skip


def _talkers(half: Half) -> list[v.Speech]:
    turns = enumerate(half.texts.ordinary[:6])
    return [v.speak(half.voices[i % len(half.voices)], f"{first} {second}.") for i, (first, second) in turns]


def _over_the_line(audio: Floats, case: Case, half: Half, chance: Random) -> v.Shorts:
    seed = chance.randrange(1 << 30)
    samples = round(len(audio) * v.LINE_HZ / v.RATE_HZ) + 8
    noise, noise_db = None, None
    if "noise" in case.condition:
        noise_db = chance.uniform(12, 25)
        room = chance.choice(("pink", "hum", "babble"))
        if room == "babble":
            noise = v.babble(samples, _talkers(half), seed)
        else:
            noise = (v.pink if room == "pink" else v.hum)(samples, seed)
    loss = 0.03 if "loss" in case.condition else 0.0
    pcm = np.asarray(np.clip(audio * 32767.0, -32768, 32767), dtype=np.int16)
    heard = v.telephone(pcm, noise=noise, noise_db=noise_db, loss=loss, seed=seed)
    caller_db = max(-8.0, min(8.0, chance.gauss(0, CALLER_DB)))
    return np.asarray(np.clip(heard * 10 ** (caller_db / 20), -32768, 32767), dtype=np.int16)


# --- the turn model's word ---------------------------------------------------------------------------------------

_HEARS_S = 8.0


class TurnScores:
    """What Smart Turn says of a call's audio until a moment, which is taken to a hundredth; kept like the detector's word."""

    def __init__(self, half: str) -> None:
        self._half = HALVES[half]
        self._path = _place(self._half, "scores").with_suffix(".json")
        self._known: dict[str, float] = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._model: SmartTurn | None = None
        self._audio: dict[str, Floats] = {}

    def at(self, case: Case, at_s: float) -> float:
        """The probability that the turn is complete."""
        key = f"{case.kind}/{case.number}/{at_s:.2f}"
        if key not in self._known:
            call = f"{case.kind}/{case.number}"
            if call not in self._audio:
                _, pcm = _build(self._half, case.kind, case.number)
                self._audio[call] = resample(pcm.astype(np.float32) / 32768.0, v.LINE_HZ, v.RATE_HZ)
            end = round(round(at_s, 2) * v.RATE_HZ)
            heard = self._audio[call][max(0, end - round(_HEARS_S * v.RATE_HZ)) : end]
            self._model = self._model or SmartTurn(models_dir() / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
            self._known[key] = round(self._model.score(heard), 5)
        return self._known[key]

    def keep(self) -> None:
        """On disk, and forgets the audio."""
        self._audio.clear()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._known))


# --- the detector's word -----------------------------------------------------------------------------------------

_ROWS = 40


def _kept(half: Half, kind: str, count: int) -> list[Case]:
    made: list[Case] = []
    for first in range(0, count, _ROWS):
        numbers = range(first, min(first + _ROWS, count))
        path = _place(half, kind) / f"{numbers[0]}-{numbers[-1]}.npz"
        if not path.exists():
            sys.stderr.write(f"{half.name} {kind} {numbers[0]}-{numbers[-1]}\n")
            _keep(path, [_build(half, kind, number) for number in numbers])
        made += _read(path)
    return made


def _place(half: Half, kind: str) -> Path:
    """A set whose texts, sounds or voices changed is another set; so is one whose VERSION did."""
    here = Path(__file__).parent
    made_by = ("interruption_sounds.py", "interruption_texts.py")
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in made_by))
    digest.update(repr(half.voices).encode())
    return v.folder() / "interruptions" / f"{VERSION}-{digest.hexdigest()[:12]}" / half.name / kind


def _keep(path: Path, built: Sequence[tuple[Case, v.Shorts]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    for at, (case, probabilities, levels) in enumerate(_scored(built)):
        arrays[f"p{at}"], arrays[f"l{at}"] = probabilities, levels
        plain = {
            "half": case.half, "kind": case.kind, "detail": case.detail, "condition": case.condition,
            "number": case.number, "said": case.said, "turns": case.turns, "item": case.item, "words": case.words,
            "seconds": case.seconds,
        }  # fmt: skip
        arrays[f"c{at}"] = np.array(json.dumps(plain))
    new = path.with_suffix(".new.npz")
    np.savez(new, **arrays)
    new.rename(path)


def _read(path: Path) -> Iterator[Case]:
    with np.load(path) as kept:
        for at in range(len(kept.files) // 3):
            plain = json.loads(str(kept[f"c{at}"]))
            plain["turns"] = [tuple(turn) for turn in plain["turns"]]
            plain["words"] = [tuple(word) for word in plain["words"]]
            plain["item"] = tuple(plain["item"])
            levels = kept[f"l{at}"].astype(np.float32)
            yield Case(**plain, sound=Sound(kept[f"p{at}"].astype(np.float32), levels))


def _scored(built: Sequence[tuple[Case, v.Shorts]]) -> Iterator[tuple[Case, Floats, npt.NDArray[np.float16]]]:
    """All calls at once: Silero takes many rows as cheaply as one."""
    vad = SileroVad(models_dir() / "silero" / "silero_vad.onnx")
    size = vad.window_samples
    heard = [resample(pcm.astype(np.float32) / 32768.0, v.LINE_HZ, v.RATE_HZ) for _, pcm in built]
    windows = max(-(-len(audio) // size) for audio in heard)
    audio = np.zeros((len(built), windows * size), np.float32)
    for row, samples in enumerate(heard):
        audio[row, : len(samples)] = samples
    rows = [vad.open() for _ in built]
    scores = np.stack([vad.score(rows, audio[:, w * size : (w + 1) * size]) for w in range(windows)], axis=1)
    for row, (case, _) in enumerate(built):
        own = -(-len(heard[row]) // size)
        levels = block_levels(audio[row].reshape(-1, size)[:own], BLOCKS)
        yield case, scores[row, :own], np.asarray(levels, np.float16)
