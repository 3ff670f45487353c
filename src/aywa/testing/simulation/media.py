"""The media plane of simulated calls: keeps the truth of what left and when, can be slow and can stand still."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aywa.core import events as ev
from aywa.ports.media import Drop, MediaMessage, Play
from aywa.testing.labelled_media import LabelledMedia
from aywa.testing.scripted_media import ScriptedLeg, ScriptedMedia
from aywa.testing.simulation.truth import Span, Truth
from aywa.testing.virtual_time import VirtualTimeLoop


class _Truthful(ScriptedMedia):
    """delay_s: how late it does what it is told, and tells what it did."""

    def __init__(self, truth: Truth, delay_s: float = 0.0) -> None:
        super().__init__()
        self.truth = truth
        self._delay_s = delay_s
        self._late: deque[Callable[[], None]] = deque()

    def connect(
        self, leg_id: str, rate_hz: int, epoch_s: float, post: Callable[[ev.MediaEvent], None]
    ) -> ScriptedLeg:
        """The party's audio path opens."""

        def tell(event: ev.MediaEvent) -> None:
            self._note(event)
            self._in_time(lambda: post(event))

        leg = super().connect(leg_id, rate_hz, epoch_s, tell)
        leg.heard = self.truth.heard
        return leg

    def send(self, message: MediaMessage) -> None:
        """Carries the message out, in its own time."""
        self._in_time(lambda: self._send(message))

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

    def _in_time(self, act: Callable[[], None]) -> None:
        """In the order in which it was asked for; timers of the same moment have none."""
        if not self._delay_s:
            act()
            return
        self._late.append(act)
        self._loop.call_later(self._delay_s, lambda: self._late.popleft()())

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
