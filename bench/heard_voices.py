"""Voices whose words' true places are known, for bench/heard_truth.py: spoken once, kept in the user's cache.

espeak-ng tells the sample of every phoneme and the text it stands for; flite tells its segments; hibari's model tells how
long it makes each symbol. The first two are called in a child process (this file run as a program: VOICE FOLDER, the
texts as a JSON list on standard input): they are tools of the benchmark and no part of the runtime.
"""

from __future__ import annotations

import ctypes as c
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from aywa.core.audio.resample import resample_pcm

RATE_HZ = 8000
VERSION = "4"
"""Of what is kept: a change here makes everything anew."""

# Word in the text, first and last sample.
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Clip:
    """A text spoken, at RATE_HZ, and where its words truly lie: one place for each written word."""

    pcm: bytes
    places: tuple[Place, ...]


def speak(voice: str, texts: Sequence[str]) -> dict[str, Clip]:
    """Every text in the voice, from the cache where it is there. Voices: espeak:NAME:RATE, flite:NAME, hibari."""
    key = hashlib.sha256(json.dumps([VERSION, voice, list(texts)]).encode()).hexdigest()[:16]
    folder = (
        Path(platformdirs.user_cache_dir("aywa-bench"))
        / "heard"
        / f"{re.sub(r'[^a-z0-9+]+', '-', voice)}-{key}"
    )
    if not (folder / "places.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "bench.heard_voices", voice, str(folder)]
        subprocess.run(
            command, input=json.dumps(list(texts)).encode(), check=True, cwd=Path(__file__).parents[1]
        )
    places = json.loads((folder / "places.json").read_text())
    audio = (folder / "audio.pcm").read_bytes()
    clips: dict[str, Clip] = {}
    at = 0
    for text, (size, words) in zip(texts, places, strict=True):
        clips[text] = Clip(audio[at : at + size], tuple((w, a, b) for w, a, b in words))
        at += size
    return clips


# --- the child -----------------------------------------------------------------------------------------------------

# PCM16, its rate, and (first, last) second of each written word; None where the voice said nothing for it.
Made = tuple[bytes, int, list[tuple[float, float] | None]]


def _tokens(text: str) -> list[tuple[str, int, int]]:
    return [(m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", text)]


class _EspeakId(c.Union):
    _fields_ = [("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8)]


class _EspeakEvent(c.Structure):
    _fields_ = [
        ("type", c.c_int), ("uid", c.c_uint), ("text_position", c.c_int), ("length", c.c_int),
        ("audio_position", c.c_int), ("sample", c.c_int), ("user_data", c.c_void_p), ("id", _EspeakId),
    ]  # fmt: skip


_RETRIEVAL, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_WORD, _END, _PHONEME = 1, 5, 7


def _espeak(name: str, rate: str) -> Callable[[str], Made]:
    lib = c.CDLL("libespeak-ng.so.1")
    rate_hz = lib.espeak_Initialize(_RETRIEVAL, 0, None, _PHONEME_EVENTS)
    audio = bytearray()
    events: list[tuple[int, int, int, bytes]] = []

    def take(samples: Any, count: int, told: Any) -> int:
        if samples and count > 0:
            audio.extend(c.string_at(samples, 2 * count))
        number = 0
        while told and told[number].type:
            event = told[number]
            symbol = bytes(event.id.string) if event.type == _PHONEME else b""
            events.append((event.type, event.text_position, event.sample, symbol))
            number += 1
        return 0

    kept = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_EspeakEvent))(take)
    lib.espeak_SetSynthCallback(kept)
    if lib.espeak_SetVoiceByName(name.encode()) != 0:
        raise SystemExit(f"espeak-ng has no voice {name}")
    lib.espeak_SetParameter(1, int(rate), 0)

    def make(text: str, _alive: object = kept) -> Made:
        audio.clear()
        events.clear()
        data = text.encode()
        lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        lib.espeak_Synchronize()
        return bytes(audio), rate_hz, _by_phonemes(text, events, rate_hz)

    return make


def _by_phonemes(
    text: str, events: list[tuple[int, int, int, bytes]], rate_hz: int
) -> list[tuple[float, float] | None]:
    """A written word lasts from its first phoneme to the end of its last one, without the pauses around it."""
    tokens = _tokens(text)
    phonemes: list[list[list[int]]] = [[] for _ in tokens]
    owner, open_one = 0, None
    for kind, position, sample, symbol in events:
        if kind == _WORD:
            owner = next((i for i, (_, a, b) in enumerate(tokens) if a <= position - 1 < b), owner)
        if kind in (_PHONEME, _END):
            if open_one is not None:
                open_one[1] = sample
            open_one = None
        if kind == _PHONEME and not symbol.startswith(b"_"):
            open_one = [sample, sample]
            phonemes[owner].append(open_one)
    for place, (word, _, _) in enumerate(tokens):
        if not phonemes[place] and place and word in _JOINED:
            before = phonemes[place - 1]
            phonemes[place - 1], phonemes[place] = before[: -_JOINED[word]], before[-_JOINED[word] :]
    return [(p[0][0] / rate_hz, p[-1][1] / rate_hz) if p else None for p in phonemes]


# "of the", "do not", "it was" are one word to espeak-ng: how many phonemes at the end are the second one's.
_JOINED = {"the": 2, "not": 3, "was": 3}


class _FliteWave(c.Structure):
    _fields_ = [
        ("type", c.c_char_p),
        ("rate", c.c_int),
        ("count", c.c_int),
        ("channels", c.c_int),
        ("samples", c.c_void_p),
    ]


def _flite(name: str) -> Callable[[str], Made]:
    libs = [
        c.CDLL(f"lib{part}.so.1", mode=c.RTLD_GLOBAL) for part in ("flite", "flite_cmulex", "flite_usenglish")
    ]
    lib, voices, p = libs[0], c.CDLL(f"libflite_cmu_us_{name}.so.1"), c.c_void_p
    shapes: tuple[tuple[str, list[Any], Any], ...] = (
        ("flite_synth_text", [c.c_char_p, p], p), ("utt_relation", [p, c.c_char_p], p), ("relation_head", [p], p),
        ("item_next", [p], p), ("item_daughter", [p], p), ("utt_wave", [p], p), ("delete_utterance", [p], None),
        ("item_feat_string", [p, c.c_char_p], c.c_char_p), ("ffeature_float", [p, c.c_char_p], c.c_float),
    )  # fmt: skip
    for function, takes, gives in shapes:
        getattr(lib, function).argtypes, getattr(lib, function).restype = takes, gives
    lib.flite_init()
    register = getattr(voices, f"register_cmu_us_{name}")
    register.argtypes, register.restype = [c.c_char_p], p
    voice = register(None)
    first = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"
    last = b"R:SylStructure.daughtern.daughtern.R:Segment.end"

    def siblings(item: int | None) -> Iterator[int]:
        while item:
            yield item
            item = lib.item_next(item)

    def make(text: str) -> Made:
        utterance = lib.flite_synth_text(text.encode(), voice)
        wave = c.cast(lib.utt_wave(utterance), c.POINTER(_FliteWave)).contents
        said: list[tuple[str, tuple[float, float] | None]] = []
        for token in siblings(lib.relation_head(lib.utt_relation(utterance, b"Token"))):
            spans = [
                (lib.ffeature_float(w, first), lib.ffeature_float(w, last))
                for w in siblings(lib.item_daughter(token))
            ]
            spans = [s for s in spans if s[1] > 0]
            name = lib.item_feat_string(token, b"name").decode()
            said.append((name, (spans[0][0], spans[-1][1]) if spans else None))
        made = c.string_at(wave.samples, 2 * wave.count), wave.rate, _by_names(text, said)
        lib.delete_utterance(utterance)
        return made

    return make


def _by_names(
    text: str, said: list[tuple[str, tuple[float, float] | None]]
) -> list[tuple[float, float] | None]:
    """The voice's own tokens are pieces of the text in its order; their spans are joined by the written word."""
    tokens = _tokens(text)
    spans: list[tuple[float, float] | None] = [None] * len(tokens)
    at = 0
    for name, span in said:
        at = text.index(name, at)
        owner = next(i for i, (_, a, b) in enumerate(tokens) if a <= at < b)
        at += len(name)
        if span is not None:
            before = spans[owner]
            spans[owner] = span if before is None else (before[0], span[1])
    return spans


def _hibari() -> Callable[[str], Made]:
    from aywa.adapters.local.hibari import RATE_HZ as OWN_HZ
    from aywa.adapters.local.hibari import HibariVoice

    voice = HibariVoice()

    def make(text: str) -> Made:
        audio, spans, at = [], [], 0
        for spoken in voice.speak(text, 1.0):
            spans += [(at / OWN_HZ + a, at / OWN_HZ + b) for _, a, b in spoken.words]
            audio.append(spoken.audio)
            at += len(spoken.audio)
        whole = np.clip(np.concatenate(audio) * 32767, -32768, 32767).astype("<i2")
        count = len(text.split())
        assert len(spans) == count, (text, len(spans))
        return whole.tobytes(), OWN_HZ, list(spans)

    return make


def _kokoro(name: str) -> Callable[[str], Made]:
    from bench.speech.voices import RATE_HZ as OWN_HZ
    from bench.speech.voices import speak as said

    def make(text: str) -> Made:
        speech = said(f"kokoro:{name}", text)
        told = iter([*speech.words, None])
        spans: list[tuple[float, float] | None] = []
        word = next(told)
        for written in text.split():
            # What has no sound is left out.
            mine = word is not None and word[0] == written
            spans.append((word[1], word[2]) if mine and word is not None else None)
            word = next(told) if mine else word
        return speech.pcm.tobytes(), OWN_HZ, spans

    return make


_ENGINES: dict[str, Callable[..., Callable[[str], Made]]] = {
    "espeak": _espeak,
    "flite": _flite,
    "hibari": _hibari,
    "kokoro": _kokoro,
}


def _maker(voice: str) -> Callable[[str], Made]:
    engine, *rest = voice.split(":")
    return _ENGINES[engine](*rest)


def _place(text: str, made: Made) -> Clip:
    pcm, rate_hz, spans = made
    mine = resample_pcm(pcm, rate_hz, RATE_HZ)
    samples = len(mine) // 2
    places: list[Place] = []
    for word, span in zip(text.split(), spans, strict=True):
        before = places[-1][2] if places else 0
        start, end = (before, before) if span is None else (round(at * RATE_HZ) for at in span)
        places.append((word, min(max(start, before), samples), min(max(end, before), samples)))
    return Clip(mine, tuple(places))


def _main(voice: str, folder: Path) -> None:
    make = _maker(voice)
    sizes: list[tuple[int, tuple[Place, ...]]] = []
    with (folder / "audio.pcm").open("wb") as audio:
        for text in json.load(sys.stdin):
            clip = _place(text, make(text))
            audio.write(clip.pcm)
            sizes.append((len(clip.pcm), clip.places))
    (folder / "places.json").write_text(json.dumps(sizes))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
