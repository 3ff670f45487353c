"""Every limit of a media socket, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Times in seconds. start_s: how long a far side may take to begin its stream. open_s: how long the call may take to be
    opened, and early_s: so much audio is kept meanwhile. reorder_least, reorder_most: messages that are waited through for one
    that is missing. malformed_most: messages that are not the protocol's. texts_per_s, texts_most: messages without audio.
    keys_most: digits that wait to be sent. held_s: audio that waits while a far side wants none. look_s: how often a
    stream looks after its marks. waiting_most: streams that have not become a call yet, of all equipment. key_s: what a key
    takes, as a message; tone_s, tone_gap_s: as a tone. transfer_s: how long a far side may take to pass its caller on."""

    start_s: float = 10.0
    open_s: float = 15.0
    early_s: float = 1.0
    reorder_least: int = 2
    reorder_most: int = 8
    malformed_most: int = 50
    texts_per_s: int = 100
    texts_most: int = 1_000
    keys_most: int = 200
    held_s: float = 5.0
    look_s: float = 2.0
    waiting_most: int = 200
    key_s: float = 0.3
    tone_s: float = 0.1
    tone_gap_s: float = 0.1
    transfer_s: float = 10.0
