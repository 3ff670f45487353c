"""Hibari in the child: one sentence after the other into audio, with the time of each word. Knows one English voice."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE_HZ = 24000
_DURATIONS = "/Clip_output_0"
"""The tensor inside hibari's model (0.2.1) that holds how long each symbol lasts, in units of 25 ms."""
_UNIT_S = 0.025
_GAIN = 2.0
"""The voice peaks at about .31: this brings it to the level of a telephone talker."""
_MOST_SYMBOLS = 400
_SILENT = 0.004
_LEAD_S = 0.03
_TAIL_S = {"sentence": 0.12, "clause": 0.09, "open": 0.03}
_BETWEEN_S = 0.25

Floats = npt.NDArray[np.float32]
Timed = tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Audio in -1..1 at 24 kHz, and its words: text, start and end in seconds of this piece."""

    audio: Floats
    words: tuple[Timed, ...]


class HibariVoice:
    """Use from one thread."""

    def __init__(self) -> None:
        from hibari.g2p.normalize import normalize

        self._hibari, self._timed = _load()
        self._normalize = normalize
        for _ in self.speak("Warm up.", 1.0):
            pass

    def speak(self, text: str, speed: float) -> Iterator[Spoken]:
        """Each sentence as soon as it is made."""
        sentences = [part for part in self._hibari.split_sentences(text) if any(map(str.isalnum, part))]
        for number, sentence in enumerate(sentences, 1):
            parts = list(self._parts(sentence))
            for place, (words, symbols) in enumerate(parts, 1):
                whole = place == len(parts)
                tail = _tail(words[-1] if words else sentence)
                if whole and number < len(sentences):
                    tail = max(tail, _BETWEEN_S)
                yield self._piece(words, symbols, speed, tail)

    def _parts(self, sentence: str) -> Iterator[tuple[list[str], list[tuple[int, str]]]]:
        """Words of the sentence as written, and what is said: (index of the written word, its symbols)."""
        written = sentence.split()
        said = self._said(sentence)
        owners = owners_of(written, [text for text, _ in said])
        first, symbols, size = 0, list[tuple[int, str]](), 0
        for owner, (_, phonemes) in zip(owners, said, strict=True):
            if size + len(phonemes) > _MOST_SYMBOLS and owner > first:
                yield written[first:owner], [(index - first, part) for index, part in symbols]
                first, symbols, size = owner, [], 0
            symbols.append((owner, phonemes))
            size += len(phonemes) + 1
        if symbols:
            yield written[first:], [(index - first, part) for index, part in symbols]

    def _said(self, sentence: str) -> list[tuple[str, str]]:
        """The words as they will be spoken, each with its symbols ("3/3" is two)."""
        g2p = self._hibari.g2p
        words: list[tuple[str, str]] = []
        text = phonemes = ""
        for token in g2p.phonemize_tokens(g2p.tokenize(self._normalize(sentence))):
            text, phonemes = text + token.text, phonemes + (token.phonemes or "")
            if token.whitespace:
                words.append((text, phonemes))
                text = phonemes = ""
        if text:
            words.append((text, phonemes))
        return [(word, symbols) for word, symbols in words if symbols.strip()]

    def _piece(self, words: list[str], said: list[tuple[int, str]], speed: float, tail_s: float) -> Spoken:
        vocab = self._hibari.vocab
        ids, owners = [0], [-1]
        for place, (owner, phonemes) in enumerate(said):
            for symbol in (" " if place else "") + phonemes:
                if symbol in vocab:
                    ids.append(vocab[symbol])
                    owners.append(-1 if symbol in " ,.;:!?" else owner)
        ids, owners = [*ids, 0], [*owners, -1]
        if len(ids) < 3:
            return Spoken(np.zeros(0, dtype=np.float32), ())
        audio, durations = self._sing(ids, speed)
        start, end = _bounds(audio, tail_s)
        times = _times(words, owners, durations, start / RATE_HZ, (end - start) / RATE_HZ)
        piece = audio[start:end]
        if (missing := int(tail_s * RATE_HZ) - (len(audio) - _last_loud(audio))) > 0:
            piece = np.concatenate((piece, np.zeros(missing, dtype=np.float32)))
        return Spoken(np.asarray(piece * _GAIN, dtype=np.float32), times)

    def _sing(self, ids: list[int], speed: float) -> tuple[Floats, Floats]:
        from hibari import dsp

        feeds = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        outputs = self._hibari.sess.run(None, feeds)
        durations = outputs.pop() if self._timed else np.ones(len(ids), dtype=np.float32)
        # the same text sounds the same: recordings and tests can be compared
        audio = dsp.synth(*(output[0] for output in outputs), np.random.default_rng(len(ids)))
        seconds = np.cumsum(durations.reshape(-1)) * (len(audio) / RATE_HZ / durations.sum())
        return audio, np.asarray(seconds, dtype=np.float32)


def _load() -> tuple[Any, bool]:
    """The voice, and whether it tells durations. Another release may not have that tensor: then words are guessed."""
    from hibari import Hibari
    from hibari.voices import DEFAULT, voice_path
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidArgument,
        InvalidGraph,
        InvalidProtobuf,
    )

    model = Path(voice_path(DEFAULT, download_missing=False)).read_bytes()
    try:
        return Hibari(model=model + _output_field(_DURATIONS.encode())), True
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf):
        return Hibari(), False


def _output_field(name: bytes) -> bytes:
    """ModelProto { graph (7) { output (12) { name (1) } } }: appended to a model, protobuf merges it in."""

    def nested(number: int, body: bytes) -> bytes:
        return bytes((number << 3 | 2, len(body))) + body

    return nested(7, nested(12, nested(1, name)))


def owners_of(written: list[str], said: list[str]) -> list[int]:
    """For each spoken word the index of the written word it belongs to; never decreasing."""
    if len(written) == len(said):
        return list(range(len(said)))
    plain = [_plain(word) for word in written]
    matcher = difflib.SequenceMatcher(None, plain, [_plain(word) for word in said], autojunk=False)
    owners = [0] * len(said)
    for tag, first, last, said_first, said_last in matcher.get_opcodes():
        count = said_last - said_first
        for place in range(count):
            share = first + place if tag == "equal" else first + place * max(last - first, 1) // count
            owners[said_first + place] = min(share, len(written) - 1)
    for place in range(1, len(owners)):
        owners[place] = max(owners[place], owners[place - 1])
    return owners


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).lower()


def _tail(word: str) -> float:
    last = word.rstrip("\"'\u201d\u2019)]")[-1:]
    return _TAIL_S["sentence" if last in ".!?…" else "clause" if last in ",;:—-" else "open"]


def _last_loud(audio: Floats) -> int:
    loud = np.flatnonzero(np.abs(audio) > _SILENT)
    return int(loud[-1]) + 1 if len(loud) else 0


def _bounds(audio: Floats, tail_s: float) -> tuple[int, int]:
    """The part without the silence at both ends beyond what joins naturally."""
    loud = np.flatnonzero(np.abs(audio) > _SILENT)
    if not len(loud):
        return 0, 0
    start = max(0, int(loud[0]) - int(_LEAD_S * RATE_HZ))
    return start, min(len(audio), int(loud[-1]) + 1 + int(tail_s * RATE_HZ))


def _times(
    words: list[str], owners: list[int], ends: Floats, offset_s: float, length_s: float
) -> tuple[Timed, ...]:
    """Each word from its first symbol to its last; one without symbols lies between its neighbours."""
    spans: dict[int, tuple[float, float]] = {}
    for place, owner in enumerate(owners):
        if owner >= 0:
            start = spans[owner][0] if owner in spans else float(ends[place - 1])
            spans[owner] = (start, float(ends[place]))
    times: list[Timed] = []
    at = 0.0
    for index, word in enumerate(words):
        start, end = spans.get(index, (at + offset_s, at + offset_s))
        start, end = (min(max(value - offset_s, at), length_s) for value in (start, end))
        times.append((word, round(start, 3), round(end, 3)))
        at = end
    return tuple(times)
