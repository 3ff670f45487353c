"""A media plane that only counts: what leaves, when, and what it says about it. On the replay's clock."""

from __future__ import annotations

from dataclasses import dataclass

from aywa.core import events as ev
from aywa.journal.replay.material import FRAME_S

ADVANCE_S = 0.5
GRAIN_S = 1e-6


@dataclass(slots=True)
class _Playing:
    reply_id: int
    given: int = 0
    base: int = 0
    since_s: float | None = None
    last: bool = False
    told_s: float = 0.0
    started: bool = False


class Playout:
    """One leg's. Every method answers the events that follow at once; `due_s` is when `tick` wants to be called."""

    def __init__(self, leg_id: str, rate_hz: int, lead_s: float, framed: bool) -> None:
        self._leg_id = leg_id
        self._rate_hz = rate_hz
        self._lead_s = lead_s
        self._frame = round(rate_hz * FRAME_S) if framed else 1
        self._now: _Playing | None = None
        self._over = 0
        # Until when the far side has something to play of what was sent before.
        self._heard_s = 0.0

    @property
    def flowing(self) -> bool:
        """Audio leaves, or would if there were any."""
        return self._now is not None and self._now.since_s is not None

    @property
    def due_s(self) -> float | None:
        """When something is to be said."""
        playing = self._now
        if playing is None or playing.since_s is None:
            return None
        if not playing.started:
            return max(0.0, playing.since_s - self._lead_s) if playing.given else None
        end_s = self._end_s(playing)
        told_s = playing.told_s + ADVANCE_S
        if told_s < end_s:
            return told_s
        return end_s if playing.last and playing.given else None

    def play(self, reply_id: int, samples: int, now: float) -> list[ev.Event]:
        """More audio."""
        if reply_id == self._over:
            return []
        said: list[ev.Event] = []
        playing = self._now
        if playing is None or playing.reply_id != reply_id:
            said += self.drop(now)
            playing = self._now = _Playing(reply_id, since_s=max(now, self._heard_s), told_s=now)
        if playing.since_s is not None and self._heard_until_s(playing) < now:
            # It ran dry: the far side's ear starts anew.
            playing.base, playing.since_s = self._position(playing, now), now
            if playing.started:
                said.append(ev.PlayoutResumed(self._leg_id, reply_id, playing.base, now))
        playing.given += samples
        return said + self._begin(playing, now)

    def finish(self, reply_id: int, now: float) -> list[ev.Event]:
        """No more will come."""
        playing = self._now
        if playing is None or playing.reply_id != reply_id:
            return []
        playing.last = True
        return self.tick(now)

    def pause(self, now: float) -> list[ev.Event]:
        """Stands still, and keeps the rest."""
        playing = self._now
        if playing is None or playing.since_s is None:
            return []
        self._stop(playing, now)
        return [ev.PlayoutPaused(self._leg_id, playing.reply_id, playing.base, now)]

    def resume(self, at_sample: int, now: float) -> list[ev.Event]:
        """Goes on."""
        playing = self._now
        if playing is None or playing.since_s is not None:
            return []
        playing.base, playing.since_s = min(at_sample, playing.given), max(now, self._heard_s)
        playing.told_s = now
        return [
            ev.PlayoutResumed(self._leg_id, playing.reply_id, playing.base, now), *self.tick(now)
        ]  # fmt: skip

    def drop(self, now: float) -> list[ev.Event]:
        """The rest is thrown away."""
        playing, self._now = self._now, None
        if playing is None:
            return []
        self._over = playing.reply_id
        self._stop(playing, now)
        return [ev.PlayoutDropped(self._leg_id, playing.reply_id, playing.base, now)]

    def tick(self, now: float) -> list[ev.Event]:
        """What is due."""
        playing = self._now
        if playing is None or playing.since_s is None:
            return []
        if began := self._begin(playing, now):
            return began
        if playing.last and now >= self._end_s(playing) - GRAIN_S:
            self._now, self._over = None, playing.reply_id
            self._heard_s = self._heard_until_s(playing)
            return [ev.PlayoutFinished(self._leg_id, playing.reply_id, playing.given, now)]
        if now >= playing.told_s + ADVANCE_S - GRAIN_S:
            playing.told_s = now
            position = self._position(playing, now)
            return [ev.PlayoutAdvanced(self._leg_id, playing.reply_id, position, now)]
        return []

    def _begin(self, playing: _Playing, now: float) -> list[ev.Event]:
        """The first frame, as soon as the far side has not too much left of what came before."""
        if playing.started or not playing.given or playing.since_s is None:
            return []
        if now < playing.since_s - self._lead_s - GRAIN_S:
            return []
        playing.started, playing.told_s = True, now
        return [ev.PlayoutStarted(self._leg_id, playing.reply_id, now)]

    def _stop(self, playing: _Playing, now: float) -> None:
        if playing.since_s is not None:
            position = self._position(playing, now)
            self._heard_s = playing.since_s + (position - playing.base) / self._rate_hz
            playing.base, playing.since_s = position, None

    def _position(self, playing: _Playing, now: float) -> int:
        if playing.since_s is None:
            return playing.base
        gone_s = now - playing.since_s + self._lead_s + GRAIN_S
        if gone_s < 0:
            left = 0
        elif self._frame == 1:
            left = round(gone_s * self._rate_hz)
        else:
            left = self._frame * (int(gone_s / FRAME_S) + 1)
        return min(playing.given, playing.base + max(0, left))

    def _heard_until_s(self, playing: _Playing) -> float:
        assert playing.since_s is not None
        return playing.since_s + (playing.given - playing.base) / self._rate_hz

    def _end_s(self, playing: _Playing) -> float:
        """When the last of what is there leaves."""
        assert playing.since_s is not None
        if self._frame == 1:
            return self._heard_until_s(playing)
        frames = -(-(playing.given - playing.base) // self._frame)
        return max(playing.since_s, playing.since_s + (frames - 1) * FRAME_S - self._lead_s)
