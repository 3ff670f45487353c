"""Every limit and pace of the media plane, by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from aywa.core.turns.voice import VoiceSettings


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Times in seconds of audio or of the loop's clock.

    slot_s: the wheel's slot. batch_slots_s: how long what came in waits for more, with few, some and many legs
    (intake.LEGS); with few it is the voice batch alone that waits.
    batch_rows: windows in one run of the detector.
    lead_s: how far ahead of the far side's ear frames leave. batch_frames: how many leave together.
    advance_s: how often playout's position is told.
    queue_s: a reply's audio that has not left. rewind_s: audio that has left and can be played again.
    chores_s: how often a leg looks at its backlog. scores_s: how often it tells its voice probabilities.
    recording_flush_s: how often it writes its recording; recording_slot_s: how long that waits for other legs'.
    quiet_s: voice ends when no audio at all comes for so long.
    recent_s: inbound audio kept for the turn model.
    ahead_s: a client further ahead of its clock loses the excess; ahead_end_s: its leg ends. late_s: how much audio a
    client may make up for after a gap.
    unread_s: audio the far side has not taken; unread_for_s: for how long it may stay so. malformed: frames until the
    leg ends. texts_per_s: control messages; texts_end: refused ones until the leg ends.
    close_s: how long a closing connection may take to be gone.
    recording_jitter_s: a later arrival is a gap. recording_queue_s: audio that waits for a slow disk.
    silent_most_s: of a reply's beginning, how much is looked at for silence.
    """

    slot_s: float = 0.005
    batch_slots_s: tuple[float, float, float] = (0.005, 0.01, 0.02)
    batch_rows: int = 64
    lead_s: float = 0.06
    batch_frames: int = 2
    advance_s: float = 0.5
    queue_s: float = 600.0
    rewind_s: float = 30.0
    chores_s: float = 1.0
    scores_s: float = 2.0
    quiet_s: float = 0.3
    recent_s: float = 8.0
    ahead_s: float = 2.0
    ahead_end_s: float = 10.0
    late_s: float = 5.0
    unread_s: float = 2.0
    unread_for_s: float = 5.0
    malformed: int = 50
    texts_per_s: int = 50
    texts_end: int = 1000
    close_s: float = 5.0
    recording_flush_s: float = 2.0
    recording_slot_s: float = 0.1
    recording_jitter_s: float = 0.06
    recording_queue_s: float = 30.0
    silent_most_s: float = 1.0
    voice: VoiceSettings = field(default_factory=VoiceSettings)
