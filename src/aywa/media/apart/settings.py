"""Every limit and pace of media in processes of their own, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApartSettings:
    """Times in seconds.

    batch_s: inbound audio is handed to the brain so often, and before each event of its leg.
    beat_s: how often a media process says that it lives; beats_missed: silent ones in a row until it is ended.
    report_s: how often it tells how its streams fare.
    behind_bytes: that the brain has not read: audio and what can be spared is dropped from then on. stuck_bytes: that one
    side has not read: it is given up.
    start_s: how long a process may take to be ready. stop_s: how long it may take to finish its recordings.
    back_off_s: the wait before the first, second ... start in a row; the last one from then on. starts: failed ones in a row
    until `ready` says so.
    cpu_most: of a processor, taken over the last busy_beats: above that a process gets no new legs.
    recent_s: inbound audio kept for the turn model.
    """

    batch_s: float = 0.02
    beat_s: float = 0.5
    beats_missed: int = 4
    report_s: float = 5.0
    behind_bytes: int = 8 << 20
    stuck_bytes: int = 64 << 20
    start_s: float = 30.0
    stop_s: float = 5.0
    back_off_s: tuple[float, ...] = (0.0, 0.5, 2.0, 5.0, 10.0)
    starts: int = 3
    cpu_most: float = 0.9
    busy_beats: int = 4
    recent_s: float = 8.0
