"""Puts several streams into one: by adding them up, or side by side as channels. Refuses streams of several rates."""

from __future__ import annotations

import numpy as np

from aywa.core.audio.frame import shorts


def mix(*streams: bytes) -> bytes:
    """The sum of PCM16 streams, clipped at full scale; as long as the longest."""
    total = np.zeros(max((len(stream) // 2 for stream in streams), default=0), np.int32)
    for stream in streams:
        samples = shorts(stream)
        total[: len(samples)] += samples
    return total.clip(-32768, 32767).astype("<i2").tobytes()


def interleave(*channels: bytes) -> bytes:
    """PCM16 channels sample by sample; as long as the longest, the shorter ones end in silence."""
    length = max((len(channel) // 2 for channel in channels), default=0)
    frames = np.zeros((length, len(channels)), "<i2")
    for index, channel in enumerate(channels):
        samples = shorts(channel)
        frames[: len(samples), index] = samples
    return frames.tobytes()
