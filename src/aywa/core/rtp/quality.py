"""How a call sounds, from its figures: an estimate of the mean opinion score by the E-model (ITU-T G.107).

Loss, delay and codec are all that is known, so noise, echo and loudness are taken as the recommendation's defaults, which
together leave a rating of 93.2. Refuses to listen.
"""

from __future__ import annotations

from dataclasses import dataclass

from aywa.core.rtp.plan import Codec

# G.107 with all defaults.
BEST_RATING = 93.2
# G.107: beyond this, delay begins to disturb how people take turns; before it, it is hardly noticed.
_DELAY_KNEE_MS = 177.3
# What an encoder and a packet add that no round trip shows.
_PACKET_MS = 20.0


@dataclass(frozen=True, slots=True)
class _Robustness:
    """G.113 Appendix I: the codec's own impairment, and how well it stands loss that is concealed."""

    impairment: float
    against_loss: float


# G.711 with concealment, and G.722 on the scale of narrow band. Opus is in no table: as a codec with repair of its own,
# no worse than the best of them.
_ROBUSTNESS = {
    Codec.PCMU: _Robustness(0.0, 25.1),
    Codec.PCMA: _Robustness(0.0, 25.1),
    Codec.G722: _Robustness(0.0, 20.0),
    Codec.OPUS: _Robustness(0.0, 30.0),
}


def rating(codec: Codec, lost_share: float, delay_s: float, burst: float = 1.0) -> float:
    """R, 0 to 93.2. delay_s: one way, mouth to ear. burst: 1 for loss by chance, more where it comes in a row (G.107 7.4)."""
    robust = _ROBUSTNESS[codec]
    lost = 100 * min(max(lost_share, 0.0), 1.0)
    delay_ms = 1000 * max(delay_s, 0.0)
    delayed = 0.024 * delay_ms + 0.11 * max(delay_ms - _DELAY_KNEE_MS, 0.0)
    impaired = robust.impairment + (95 - robust.impairment) * lost / (
        lost / max(burst, 1.0) + robust.against_loss
    )
    return min(max(BEST_RATING - delayed - impaired, 0.0), BEST_RATING)


def opinion(rated: float) -> float:
    """The mean opinion score of a rating, 1 to 4.5 (G.107 Annex B)."""
    if rated <= 0:
        return 1.0
    score = 1 + 0.035 * rated + rated * (rated - 60) * (100 - rated) * 7e-6
    return min(max(score, 1.0), 4.5)


def estimate(codec: Codec, lost_share: float, jitter_s: float, round_trip_s: float | None) -> float:
    """The score of one direction from what reports tell. Jitter costs delay: a buffer of twice as much."""
    delay_s = (round_trip_s or 0.0) / 2 + 2 * max(jitter_s, 0.0) + _PACKET_MS / 1000
    return opinion(rating(codec, lost_share, delay_s))
