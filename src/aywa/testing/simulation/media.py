"""The media plane of simulated calls: keeps the truth of what left and when, can be slow and can stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from aywa.core import events as ev
from aywa.ports.media import Drop, MediaMessage, Play
from aywa.testing.labelled_media import LabelledMedia
from aywa.testing.scripted_media import ScriptedLeg, ScriptedMedia
from aywa.testing.simulation.truth import Span, Truth
from aywa.testing.virtual_time import VirtualTimeLoop


class Plane(Protocol):
    """What the caller and the checker need of either kind of plane."""

    truth: Truth

    def hold_up(self, seconds: float) -> None:
        """The process stands still, and so does all audio."""


class _Truthful(ScriptedMedia):
    """delay_s: how late it does what it is told, and tells what it did."""

    def __init__(self, truth: Truth, delay_s: float = 0.0) -> None:
        super().__init__()
        self.truth = truth
        self._delay_s = delay_s

    def connect(
        self, leg_id: str, rate_hz: int, epoch_s: float, post: Callable[[ev.MediaEvent], None]
    ) -> ScriptedLeg:
        """The party's audio path opens."""
        loop = asyncio.get_running_loop()

        def tell(event: ev.MediaEvent) -> None:
            self._note(event)
            if self._delay_s:
                loop.call_later(self._delay_s, post, event)
            else:
                post(event)

        leg = super().connect(leg_id, rate_hz, epoch_s, tell)
        leg.heard = self.truth.heard
        return leg

    def send(self, message: MediaMessage) -> None:
        """Carries the message out, in its own time."""
        if self._delay_s:
            self._loop.call_later(self._delay_s, self._send, message)
        else:
            self._send(message)

    def hold_up(self, seconds: float) -> None:
        """The process stands still, and so does all audio: what should have left meanwhile leaves afterwards."""
        loop = self._loop
        assert isinstance(loop, VirtualTimeLoop)
        for leg in self.legs.values():
            if leg.playout is not None and leg.playout.since_s is not None:
                self._count(leg, leg.playout)
        loop.hold_up(seconds)
        for leg in self.legs.values():
            now = self._now(leg)
            self.truth.frozen.append((now - seconds, now))
            if leg.playout is not None and leg.playout.since_s is not None:
                leg.playout.since_s = now
                self._run_on(leg, leg.playout)

    def _send(self, message: MediaMessage) -> None:
        leg = self.legs.get(message.leg_id)
        if isinstance(message, Play) and leg is not None and not leg.closed:
            self.truth.audio.setdefault(message.reply_id, bytearray()).extend(message.pcm)
            if leg.playout is None:
                self.truth.spans.append(Span(message.reply_id, self._now(leg)))
            elif leg.playout.reply_id != message.reply_id:
                # The real plane drops what was playing.
                self.truth.collisions += 1
                super().send(Drop(message.leg_id))
                self.truth.spans.append(Span(message.reply_id, self._now(leg)))
        super().send(message)

    def _note(self, event: ev.MediaEvent) -> None:
        if isinstance(event, ev.PlayoutFinished | ev.PlayoutDropped):
            for span in self.truth.spans:
                if span.reply_id == event.reply_id and span.to_s == float("inf"):
                    span.to_s = event.at_s


class TruthfulMedia(_Truthful):
    """Voice is found when the caller's script says so."""


class TruthfulLabelledMedia(_Truthful, LabelledMedia):
    """Voice is found by the real detector, on windows that may be lost."""
