"""A media plane without audio: playing takes its time on the loop's clock, voice is found when the script says so.

For conversations on virtual time, by the thousand. What is played is only counted; nothing is encoded, sent or recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aywa.core import events as ev
from aywa.ports import media as m
from aywa.ports.media import AudioSink, Connection, Leg, LegPlan, MediaMessage

ADVANCE_S = 0.5


@dataclass(slots=True)
class _Playout:
    reply_id: int
    given: int = 0
    played: int = 0
    since_s: float | None = None
    finishing: bool = False
    starved: bool = False


@dataclass(slots=True)
class Stretch:
    """What was heard without a break: samples of a reply, and the call's seconds."""

    reply_id: int
    from_sample: int
    to_sample: int
    from_s: float
    to_s: float


@dataclass(slots=True)
class ScriptedLeg:
    """One leg. sent: the text messages to the far side. played: samples that left, by reply. heard: when they did. pressed: the
    keys that were sent. taken: a person speaks in the agent's place."""

    leg_id: str
    rate_hz: int
    epoch_s: float
    post: Callable[[ev.MediaEvent], None]
    sent: list[str] = field(default_factory=list)
    played: dict[int, int] = field(default_factory=dict)
    heard: list[Stretch] = field(default_factory=list)
    pressed: list[str] = field(default_factory=list)
    closed: bool = False
    taken: bool = False
    armed: bool = False
    pause_after_s: float = 0.064
    playout: _Playout | None = None
    timer: asyncio.TimerHandle | None = None
    pause_timer: asyncio.TimerHandle | None = None


class ScriptedMedia:
    """The MediaPlane of scripted calls. `connect`, `voice_started` and `voice_stopped` are the script's side of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.legs: dict[str, ScriptedLeg] = {}

    # --- the script's side ---------------------------------------------------------------------------------------

    def connect(
        self, leg_id: str, rate_hz: int, epoch_s: float, post: Callable[[ev.MediaEvent], None]
    ) -> ScriptedLeg:
        """The party's audio path opens."""
        leg = self.legs[leg_id] = ScriptedLeg(leg_id, rate_hz, epoch_s, post)
        post(ev.LegConnected(leg_id, rate_hz))
        return leg

    def voice_started(self, leg_id: str, detected_after_s: float = 0.064) -> None:
        """Voice begins now; it is found detected_after_s later."""
        leg = self.legs[leg_id]
        at_s = self._now(leg)
        after_s = min(detected_after_s, leg.pause_after_s) if leg.armed else detected_after_s
        leg.pause_timer = self._loop.call_later(after_s, self._found, leg, at_s)

    def voice_stopped(self, leg_id: str, detected_after_s: float = 0.064) -> None:
        """Voice ends now; that is found detected_after_s later."""
        leg = self.legs[leg_id]
        self._loop.call_later(detected_after_s, leg.post, ev.VoiceStopped(leg_id, self._now(leg)))

    def disconnect(self, leg_id: str, cause: str = "closed") -> None:
        """The far side goes away."""
        leg = self.legs[leg_id]
        if leg.closed:
            return
        self._drop(leg)
        self._quiet(leg)
        leg.closed = True
        leg.post(ev.LegEnded(leg_id, cause))

    # --- the brain's side ----------------------------------------------------------------------------------------

    def add_leg(self, plan: LegPlan, connection: Connection) -> Leg:
        """Scripted legs come by `connect`."""
        raise NotImplementedError("a scripted leg has no connection")

    def send(self, message: MediaMessage) -> None:
        """Carries the message out."""
        leg = self.legs.get(message.leg_id)
        if leg is None or leg.closed:
            return
        match message:
            case m.Play():
                self._play(leg, message.reply_id, len(message.pcm) // 2)
            case m.Finish():
                self._finish(leg, message.reply_id)
            case m.Pause():
                self._pause(leg)
            case m.Resume():
                self._resume(leg, message.at_sample)
            case m.Drop():
                self._drop(leg)
            case m.Arm():
                leg.armed, leg.pause_after_s = message.armed, message.voice_s
            case m.SendText():
                leg.sent.append(message.text)
            case m.CloseLeg():
                self.disconnect(leg.leg_id, "local")
            case m.SendDtmf():
                leg.pressed.append(message.digits)
            case m.TakeOver() | m.GiveBack():
                leg.taken = isinstance(message, m.TakeOver)
            case m.Join() | m.Part() | m.Hold() | m.Retrieve() | m.HandOver() | m.Speak() | m.Underlay():
                pass

    def listen(self, leg_id: str, sink: AudioSink | None, rate_hz: int) -> None:
        """There is no audio to hear."""

    def tap(self, leg_id: str, sink: AudioSink | None) -> None:
        """There is no audio to hear."""

    def recent_audio(self, leg_id: str, seconds: float) -> bytes:
        """There is none."""
        return b""

    async def close(self) -> None:
        """Ends all legs."""
        for leg_id in list(self.legs):
            self.disconnect(leg_id, "local")

    # --- inside --------------------------------------------------------------------------------------------------

    def _now(self, leg: ScriptedLeg) -> float:
        return self._loop.time() - leg.epoch_s

    def _found(self, leg: ScriptedLeg, at_s: float) -> None:
        if leg.closed:
            return
        if leg.armed:
            self._pause(leg)
        leg.post(ev.VoiceStarted(leg.leg_id, at_s))

    def _play(self, leg: ScriptedLeg, reply_id: int, samples: int) -> None:
        playout = leg.playout
        if playout is None or playout.reply_id != reply_id:
            playout = leg.playout = _Playout(reply_id, since_s=self._now(leg))
            leg.post(ev.PlayoutStarted(leg.leg_id, reply_id, self._now(leg)))
        elif playout.since_s is not None:
            self._count(leg, playout)
            if playout.starved:
                playout.starved = False
                leg.post(ev.PlayoutResumed(leg.leg_id, reply_id, playout.played, self._now(leg)))
        playout.given += samples
        self._run_on(leg, playout)

    def _finish(self, leg: ScriptedLeg, reply_id: int) -> None:
        playout = leg.playout
        if playout is not None and playout.reply_id == reply_id:
            playout.finishing = True
            if playout.since_s is not None:
                self._count(leg, playout)
                self._run_on(leg, playout)

    def _pause(self, leg: ScriptedLeg) -> None:
        playout = leg.playout
        if playout is None or playout.since_s is None:
            return
        self._count(leg, playout)
        playout.since_s = None
        self._quiet(leg)
        leg.post(ev.PlayoutPaused(leg.leg_id, playout.reply_id, playout.played, self._now(leg)))

    def _resume(self, leg: ScriptedLeg, at_sample: int) -> None:
        playout = leg.playout
        if playout is None or playout.since_s is not None:
            return
        playout.played, playout.since_s, playout.starved = at_sample, self._now(leg), False
        leg.post(ev.PlayoutResumed(leg.leg_id, playout.reply_id, at_sample, self._now(leg)))
        self._run_on(leg, playout)

    def _drop(self, leg: ScriptedLeg) -> None:
        playout, leg.playout = leg.playout, None
        if playout is None:
            return
        if playout.since_s is not None:
            self._count(leg, playout)
        self._quiet(leg)
        leg.played[playout.reply_id] = playout.played
        leg.post(ev.PlayoutDropped(leg.leg_id, playout.reply_id, playout.played, self._now(leg)))

    def _count(self, leg: ScriptedLeg, playout: _Playout) -> None:
        assert playout.since_s is not None
        now, before = self._now(leg), playout.played
        playout.played = min(playout.given, before + round((now - playout.since_s) * leg.rate_hz))
        if playout.played > before:
            _hear(leg, playout, before, playout.since_s)
        playout.since_s = now

    def _run_on(self, leg: ScriptedLeg, playout: _Playout) -> None:
        self._quiet(leg)
        if playout.since_s is None:
            return
        left_s = (playout.given - playout.played) / leg.rate_hz
        leg.timer = self._loop.call_later(min(left_s, ADVANCE_S), self._tick, leg, playout)

    def _tick(self, leg: ScriptedLeg, playout: _Playout) -> None:
        self._count(leg, playout)
        now = self._now(leg)
        if playout.played < playout.given:
            leg.post(ev.PlayoutAdvanced(leg.leg_id, playout.reply_id, playout.played, now))
            self._run_on(leg, playout)
        elif playout.finishing:
            leg.playout = None
            leg.played[playout.reply_id] = playout.played
            leg.post(ev.PlayoutFinished(leg.leg_id, playout.reply_id, playout.played, now))
        else:
            playout.starved = True
            leg.post(ev.PlayoutStarved(leg.leg_id, playout.reply_id, playout.played, now))

    def _quiet(self, leg: ScriptedLeg) -> None:
        for timer in (leg.timer,):
            if timer is not None:
                timer.cancel()
        leg.timer = None


def _hear(leg: ScriptedLeg, playout: _Playout, from_sample: int, from_s: float) -> None:
    until_s = from_s + (playout.played - from_sample) / leg.rate_hz
    last = leg.heard[-1] if leg.heard else None
    joins = last is not None and (last.reply_id, last.to_sample) == (playout.reply_id, from_sample)
    if last is not None and joins and abs(last.to_s - from_s) < 1 / leg.rate_hz:
        last.to_sample, last.to_s = playout.played, until_s
    else:
        leg.heard.append(Stretch(playout.reply_id, from_sample, playout.played, from_s, until_s))
