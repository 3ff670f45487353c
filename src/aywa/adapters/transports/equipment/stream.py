"""One stream of equipment: its codec on one side, its leg on the other, and between them order, limits and the end.

It knows no socket: a shell (`Wire`) sends what it is given and tells what came. What the far side does wrong is mended, and
told to the call's timeline, or ends this stream alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from aywa.adapters.transports.equipment.codec import (
    Audio,
    Broken,
    Codec,
    Handshake,
    Key,
    Lost,
    MarkPlayed,
    Message,
    Overrun,
    Passed,
    Received,
    Started,
    Stopped,
    Traits,
)
from aywa.adapters.transports.equipment.door import Control, Home, Turned, Wire
from aywa.adapters.transports.equipment.outlet import WIDTHS, Outlet
from aywa.core.audio.frame import FRAME_S
from aywa.core.equipment.allowance import Allowance
from aywa.core.events import MediaEvent, PlayoutDropped, PlayoutFinished, PlayoutPaused
from aywa.core.rtp.reorder import Reorder
from aywa.ports.media import FORWARDED, Leg, LegPlan

log = logging.getLogger(__name__)

NORMAL, POLICY, TRY_LATER = 1000, 1008, 1013


class SendAudio(Protocol):
    """ports.media.Connection.send_audio."""

    def __call__(self, frame: bytes) -> None: ...


def _nowhere(frame: bytes) -> None:
    """It is no call yet."""


class Stream:
    """ports.media.Connection and FarSide over one codec. The wire tells `received` and `gone`. leg: None until it is a call."""

    def __init__(self, home: Home, codec: Codec, handshake: Handshake, wire: Wire) -> None:
        self.leg: Leg | None = None
        # The outlet's own, without a step in between: it is the way of every frame.
        self.send_audio: SendAudio = _nowhere
        self.handshake = handshake
        self._home = home
        self._settings = settings = home.settings
        self._now = home.loop.time
        self._codec = codec
        self._traits = codec.traits
        self._wire = wire
        self._started: Started | None = None
        self._call_id = ""
        self._outlet: Outlet | None = None
        self._reorder: Reorder[bytes | None] = Reorder(settings.reorder_least, settings.reorder_most)
        self._early: deque[bytes | Key] = deque()
        self._early_bytes = self._early_most = 0
        self._texts = Allowance(settings.texts_per_s, settings.texts_most)
        self._malformed = 0
        self._over = False
        self._given: Callable[[bool], None] | None = None
        self._stopped = False
        self._waits = True
        home.waiting += 1
        self._timer = home.loop.call_later(settings.start_s, self._too_late, "no stream was begun in time")

    # --- from the wire -----------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """What the far side sent."""
        for each in self._codec.receive(message):
            if self._over:
                return
            if type(each) is Audio:
                self._audio(each)
            else:
                self._heard(each)

    def gone(self, cause: str, detail: str) -> None:
        """The connection is no more; cause as LegEnded has it."""
        if self._over:
            return
        self._end()
        if cause == "closed" and self._traits.stops and not self._stopped:
            cause, detail = "lost", f"closed without the stream's end {detail}".rstrip()
        given, self._given = self._given, None
        if self.leg is not None:
            away = given is not None and cause in ("closed", "lost")
            self.leg.disconnected(FORWARDED if away else cause, detail)
        if given is not None:
            given(True)

    def _audio(self, audio: Audio) -> None:
        leg, order = self.leg, audio.order
        if leg is None:
            self._keep_early(audio.payload)
            return
        reorder = self._reorder
        if order is None:
            leg.audio_received(audio.payload)
        elif order == reorder.next and not reorder.waiting:
            reorder.next = order + 1
            leg.audio_received(audio.payload)
        else:
            self._put(leg, order, audio.payload)

    def _put(self, leg: Leg, order: int, payload: bytes | None) -> None:
        """Not simply the next one."""
        reorder = self._reorder
        lost, held = reorder.lost, len(reorder.waiting)
        due = reorder.put(order, payload)
        for each in due:
            if isinstance(each, bytes):
                leg.audio_received(each)
        if reorder.lost > lost:
            leg.warned(
                "audio_missing", f"{reorder.lost - lost} messages of audio never came, or came too late"
            )
        elif held and len(due) > 1:
            leg.warned("audio_reordered", "audio came out of order, and was put in order")

    def _keep_early(self, payload: bytes) -> None:
        """Audio of a call that is being opened: the newest."""
        if self._started is None:
            return
        self._early.append(payload)
        self._early_bytes += len(payload)
        while self._early_bytes > self._early_most and len(self._early) > 1:
            oldest = self._early.popleft()
            self._early_bytes -= len(oldest) if isinstance(oldest, bytes) else 0

    def _heard(self, said: Received) -> None:
        """Whatever is not audio."""
        leg, outlet = self.leg, self._outlet
        match said:
            case MarkPlayed(name=name) if leg is not None and outlet is not None:
                told = outlet.marks.came(name, self._now())
                if told is not None:
                    left_s, at_s = told
                    leg.played(left_s + outlet.rest_s, at_s)
            case Broken(why=why, final=final):
                self._broken(why, final=final)
            case Started():
                self._begin(said)
            case Stopped(reason=reason):
                self._stopped = True
                self.gone("closed", f"the far side stopped the stream {reason}".rstrip())
                self._wire.close(NORMAL, "")
            case Passed(order=order) if leg is not None:
                if order == self._reorder.next and not self._reorder.waiting:
                    self._reorder.next = order + 1
                else:
                    self._put(leg, order, None)
            case Overrun(on=on) if outlet is not None:
                outlet.halt(on=on)
            case Lost(why=why) if leg is not None:
                leg.warned("audio_thrown_away", why)
            case _:
                self._text(said)

    def _text(self, said: Received) -> None:
        """A key, or something that means nothing."""
        if not self._texts.takes(self._now()):
            if self._texts.spent:
                self._turn_out("flooded", "too many messages without audio")
        elif isinstance(said, Key) and self.leg is not None:
            self.leg.dtmf_received(said.digit)
        elif isinstance(said, Key) and self._started is not None:
            self._early.append(said)

    def _broken(self, why: str, *, final: bool) -> None:
        self._malformed += 1
        self._warn("malformed_message", why)
        if final or self._malformed >= self._settings.malformed_most:
            self._turn_out("malformed", why)

    def _turn_out(self, cause: str, detail: str, code: int = POLICY) -> None:
        """Nothing good comes of this stream any more."""
        if self._over:
            return
        if self.leg is None:
            log.warning("a %s stream did not become a call: %s", self._traits.protocol, detail)
        self.gone(cause, detail)
        self._wire.close(code, detail)

    def _too_late(self, detail: str) -> None:
        self._turn_out("malformed", detail)

    # --- becoming a call ---------------------------------------------------------------------------------------------

    def _begin(self, started: Started) -> None:
        if self._started is not None:
            self._broken("a second beginning", final=False)
            return
        self._started = started
        # What a protocol has may depend on how its stream begins.
        self._traits = self._codec.traits
        settings, loop = self._settings, self._home.loop
        self._early_most = round(settings.early_s * started.rate_hz) * WIDTHS[started.format]
        self._timer.cancel()
        self._timer = loop.call_later(settings.open_s, self._too_late, "the call was not opened in time")
        self._home.opening(loop.create_task(self._open(started), name=f"{self._traits.protocol}: open"))

    async def _open(self, started: Started) -> None:
        door = self._home.door
        try:
            answer = await door.open(self.handshake, started)
        except Exception:
            log.exception("a %s stream could not be opened", self._traits.protocol)
            answer = Turned("the call could not be opened", later=True)
        if isinstance(answer, Turned):
            self._turn_out("refused", answer.why, TRY_LATER if answer.later else POLICY)
        elif self._over:
            door.gave_up(answer.leg_id)
        else:
            self._join(answer, started)

    def _join(self, plan: LegPlan, started: Started) -> None:
        traits, home = self._traits, self._home
        self._timer.cancel()
        outlet = Outlet(home.loop, self._codec, self._wire, started, self._settings, self._warn)
        plan = replace(
            plan,
            format=started.format,
            rate_hz=started.rate_hz,
            lead_s=traits.lead_s,
            paced=True,
            far=self if traits.clears else None,
            batch=_batch(traits),
            post=_posting(plan.post, outlet),
        )
        self._outlet = outlet
        self.send_audio = outlet.audio
        try:
            leg = home.plane.add_leg(plan, self)
        except ValueError as error:
            # Somebody else has this call's leg.
            self._turn_out("refused", str(error))
            return
        self.leg, self._call_id = leg, plan.leg_id
        self._no_longer_waits()
        home.joined(self, plan.leg_id)
        self._timer = home.loop.call_later(self._settings.look_s, self._look)
        outlet.open()
        if started.notes:
            leg.warned("equipment", "; ".join(started.notes))
        early, self._early = self._early, deque()
        for each in early:
            if isinstance(each, Key):
                leg.dtmf_received(each.digit)
            else:
                leg.audio_received(each)

    # --- ports.media.Connection ----------------------------------------------------------------------------------------

    def quiet(self) -> None:
        """The far side knows when nothing comes."""

    def send_text(self, text: str) -> None:
        """Equipment reads no text of ours."""

    def send_dtmf(self, digits: str) -> bool:
        """Keys as the protocol's messages, else beside the socket, else as tones in the audio."""
        outlet, control = self._outlet, self._control()
        if outlet is None:
            return False
        return (
            outlet.press(digits)
            or (control is not None and control.send_keys(digits))
            or outlet.sound(digits)
        )

    def close(self, code: int, reason: str) -> None:
        """The brain is through with the call."""
        if not self._over:
            for message in self._codec.hang_up(reason):
                self._wire.send(message)
            self._wire.close(code, reason)
        control = self._control()
        if control is not None:
            control.hang_up(reason)

    def buffered_bytes(self) -> int:
        """What the far side has not taken, also for it wanted none."""
        return self._wire.buffered_bytes() + (0 if self._outlet is None else self._outlet.held_bytes)

    # --- ports.media.FarSide -------------------------------------------------------------------------------------------

    @property
    def transit_s(self) -> float:
        """As the port says."""
        return 0.0 if self._outlet is None else self._outlet.marks.transit_s

    def clear(self) -> None:
        """As the port says."""
        if self._outlet is not None:
            self._outlet.clear()

    # --- beside audio ----------------------------------------------------------------------------------------------------

    def transfer(self, to: str, tell: Callable[[bool], None]) -> bool:
        """Has the far side pass its caller on; False: its protocol cannot, or does already. tell(whether it did): it did when it
        ends the stream in time."""
        messages = () if self._over or self._given is not None else self._codec.transfer(to)
        for message in messages:
            self._wire.send(message)
        if messages:
            self._given = tell
            self._home.loop.call_later(self._settings.transfer_s, self._still_here)
        return bool(messages)

    def _still_here(self) -> None:
        given, self._given = self._given, None
        if given is not None:
            given(False)

    def _control(self) -> Control | None:
        return self._home.control(self._call_id) if self._call_id else None

    def _warn(self, code: str, detail: str) -> None:
        if self.leg is not None:
            self.leg.warned(code, detail)

    def _look(self) -> None:
        self._timer = self._home.loop.call_later(self._settings.look_s, self._look)
        if self._outlet is not None:
            self._outlet.look()

    def _no_longer_waits(self) -> None:
        if self._waits:
            self._waits = False
            self._home.waiting -= 1

    def _end(self) -> None:
        self._over = True
        self._no_longer_waits()
        self._timer.cancel()
        if self._outlet is not None:
            self._outlet.close()
        self._early.clear()
        if self._call_id:
            self._home.left(self, self._call_id)


def _batch(traits: Traits) -> int:
    """How many frames leave together: whole chunks; where they can be taken back more of them, so that half of the lead is
    always there."""
    chunk = max(1, round(traits.chunk_s / FRAME_S))
    if not traits.clears:
        return chunk
    most = max(chunk, round(traits.lead_s / 2 / FRAME_S))
    return min(chunk * traits.chunks_most, most // chunk * chunk)


def _posting(post: Callable[[MediaEvent], None], outlet: Outlet) -> Callable[[MediaEvent], None]:
    """What the leg tells, on its way to the brain."""

    def posted(event: MediaEvent) -> None:
        if isinstance(event, PlayoutPaused | PlayoutDropped):
            outlet.drop_rest()
        if isinstance(event, PlayoutPaused | PlayoutDropped | PlayoutFinished):
            outlet.rest()
        post(event)

    return posted
