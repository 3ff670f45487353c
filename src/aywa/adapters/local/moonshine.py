"""Moonshine tiny in the child: turns a whole piece of speech into text. Cuts nothing, keeps nothing between pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from aywa.adapters.local.onnx import session

RATE_HZ = 16000
_BEGIN, _END = 1, 2
_TOKENS_A_SECOND = 6.5
_SHORTEST_S = 1.0
_LOUD = 0.1
_MOST_GAIN = 8.0


class Abandoned(Exception):
    """The text is not wanted any more."""


class Moonshine:
    """folder: holds encoder_model.ort, decoder_model_merged.ort and tokenizer.bin. Use from one thread."""

    def __init__(self, folder: Path) -> None:
        self._encoder = session(folder / "encoder_model.ort")
        self._decoder = session(folder / "decoder_model_merged.ort")
        self._tokens = _tokens((folder / "tokenizer.bin").read_bytes())
        self._empty = _empty_cache(self._decoder)
        self._outputs = [
            output.name.replace("present", "past_key_values") for output in self._decoder.get_outputs()[1:]
        ]
        self.transcribe(np.zeros(RATE_HZ, dtype=np.float32))

    def transcribe(
        self, audio: npt.NDArray[np.float32], abandoned: Callable[[], bool] = lambda: False
    ) -> str:
        """The text of mono audio at 16 kHz in -1..1. Raises Abandoned between two tokens when asked to."""
        if not len(audio):
            return ""
        audio = _padded(_levelled(audio))
        mask = np.ones((1, len(audio)), dtype=np.int64)
        encoded = self._encoder.run(None, {"input_values": audio[None], "attention_mask": mask})[0]
        feeds: dict[str, Any] = dict(self._empty)
        feeds["encoder_hidden_states"] = encoded
        # of the samples, not of the encoded frames: the decoder thins it out itself
        feeds["encoder_attention_mask"] = mask
        most = int(len(audio) / RATE_HZ * _TOKENS_A_SECOND) + 4
        return self._text(self._decode(feeds, most, abandoned))

    def _decode(self, feeds: dict[str, Any], most: int, abandoned: Callable[[], bool]) -> list[int]:
        feeds["use_cache_branch"] = np.array([False])
        tokens: list[int] = []
        latest = _BEGIN
        while len(tokens) < most:
            if abandoned():
                raise Abandoned
            feeds["input_ids"] = np.array([[latest]], dtype=np.int64)
            logits, *present = self._decoder.run(None, feeds)
            first = not tokens
            # the encoder's keys are complete after the first step, and the cached branch gives empty ones back
            pairs = zip(self._outputs, present, strict=True)
            feeds.update({name: value for name, value in pairs if first or ".decoder." in name})
            feeds["use_cache_branch"] = np.array([True])
            latest = int(logits[0, -1].argmax())
            if latest == _END:
                break
            tokens.append(latest)
        return tokens

    def _text(self, tokens: list[int]) -> str:
        pieces = b"".join(self._tokens[token] for token in tokens if token < len(self._tokens))
        return " ".join(pieces.decode("utf-8", errors="ignore").replace("\u2581", " ").split())


def _levelled(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Raises a quiet line's level: the model hears nothing in what is very soft."""
    peak = float(np.abs(audio).max())
    if peak >= _LOUD or peak == 0.0:
        return audio
    return np.asarray(audio * min(_LOUD / peak, _MOST_GAIN), dtype=np.float32)


def _padded(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    missing = int(_SHORTEST_S * RATE_HZ) - len(audio)
    return np.pad(audio, (missing // 2, missing - missing // 2)) if missing > 0 else audio


def _empty_cache(decoder: ort.InferenceSession) -> dict[str, npt.NDArray[np.float32]]:
    cache = {}
    for entry in decoder.get_inputs():
        if entry.name.startswith("past_key_values"):
            _, heads, _, width = entry.shape
            cache[entry.name] = np.zeros((1, heads, 0, width), dtype=np.float32)
    return cache


def _tokens(data: bytes) -> list[bytes]:
    """The bytes of each id: a length of one or two bytes, then the bytes."""
    tokens, at = [], 0
    while at < len(data):
        size = data[at]
        at += 1
        if size >= 128:
            size = data[at] * 128 + size - 128
            at += 1
        tokens.append(data[at : at + size])
        at += size
    return tokens
