"""Smart Turn v3 in the child: how complete a turn sounds. It may shorten or lengthen a wait; it decides nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.onnx import session

RATE_HZ = 16000
_SECONDS = 8
_FFT, _HOP, _MELS = 400, 160, 80
_FRAMES = _SECONDS * RATE_HZ // _HOP
_PIECE = 16
"""Frames of one product. A product of all of them wakes numpy's other threads, which then spin through the model's run and
double its CPU time; the answers are the same to the last bit."""

Floats = npt.NDArray[np.float32]


class SmartTurn:
    """Use from one thread."""

    def __init__(self, model: Path) -> None:
        self._session = session(model)
        self._filters = mel_filters().astype(np.float32)
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
        self.score(np.zeros(RATE_HZ, dtype=np.float32))

    def score(self, audio: Floats) -> float:
        """The probability that the turn is complete. audio: mono at 16 kHz in -1..1; its last 8 s are looked at."""
        features = self.features(audio)
        return float(self._session.run(None, {"input_features": features[None]})[0].reshape(-1)[0])

    def features(self, audio: Floats) -> Floats:
        """[80, 800] log mel energies of the last 8 s, silence put in front of a shorter one."""
        wave = np.zeros(_SECONDS * RATE_HZ, dtype=np.float32)
        recent = audio[-len(wave) :]
        wave[len(wave) - len(recent) :] = recent
        wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        framed = np.lib.stride_tricks.sliding_window_view(np.pad(wave, _FFT // 2, mode="reflect"), _FFT)[
            ::_HOP
        ]
        spectrum = np.fft.rfft(framed[:_FRAMES] * self._window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        mels = (power.reshape(-1, _PIECE, power.shape[1]) @ self._filters).reshape(_FRAMES, _MELS)
        log = np.log10(np.maximum(mels, 1e-10)).T
        return np.ascontiguousarray((np.maximum(log, log.max() - 8.0) + 4.0) / 4.0, dtype=np.float32)


def mel_filters() -> npt.NDArray[np.float64]:
    """[201, 80]: triangles of equal area on Slaney's mel scale, from 0 to 8 kHz."""
    edges = _hertz(np.linspace(0.0, _mel(RATE_HZ / 2), _MELS + 2))
    bins = np.linspace(0.0, RATE_HZ / 2, _FFT // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    return np.asarray(np.maximum(triangles, 0.0) * (2.0 / (high - low)))


# Slaney's scale: linear below 1 kHz (mel 15), logarithmic above.
_STEP = np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    return 3.0 * hertz / 200.0 if hertz < 1000.0 else float(15.0 + np.log(hertz / 1000.0) / _STEP)


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp(_STEP * (mel - 15.0)))
