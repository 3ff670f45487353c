"""One leg's outgoing audio: a reply's samples in, frames out at the pace of the far side's ear.

The first frame of a talkspurt leaves at once and `lead_s` of audio with it, then `batch` frames together as they fall due.
The clock is `heard_until`: when the far side will have played all that was sent, if it plays without a break; a frame
leaves `lead_s` before that. Positions count the reply's samples that have left; padding and silence do not count.
Where something is to sound under the replies and between them (`sound_on`), silence leaves whenever no reply does, just ahead of
the far side's ear, and by the same clock: a reply that begins is late by that lead at most.
A far side that throws away what it holds when it is told to (`FarSide`) has heard less than has left: there positions count
what it has played by its own clock, which its marks tell, and a reply is finished when its last sample was played.
Time is an argument and sending a callable, so this knows no loop. It refuses to decide what is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from aywa.core.audio.frame import FRAME_S
from aywa.core.events import (
    MediaEvent,
    PlayoutAdvanced,
    PlayoutDropped,
    PlayoutFinished,
    PlayoutPaused,
    PlayoutResumed,
    PlayoutStarted,
    PlayoutStarved,
)
from aywa.ports.media import FarSide


class _State(Enum):
    IDLE = "no reply"
    FLOWING = "frames leave"
    STARVED = "all audio given has left, more was announced"
    PAUSED = "the rest is kept"


# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_FLOWING, _IDLE, _PAUSED, _STARVED = _State.FLOWING, _State.IDLE, _State.PAUSED, _State.STARVED


@dataclass(frozen=True, slots=True)
class Pace:
    """How the audio is cut and timed. width: bytes of a sample. silence: one sample of it, in the wire's format. batch:
    frames of 20 ms that leave together, of which the last has less of a lead."""

    rate_hz: int
    width: int
    silence: bytes
    lead_s: float
    advance_s: float
    queue_s: float
    rewind_s: float
    batch: int = 1


# What lies between replies leaves so far ahead of its time: a reply that begins must not wait long behind it.
SOUND_ON_LEAD_S = FRAME_S
# A frame may leave this much before its time: less than any clock's grain.
_GRAIN_S = 1e-6
# Of so many marks the earliest is believed: a network only makes them later, and a far side that plays later makes all of them.
_MARKS = 4


# Frames that leave without a thought, and how few are not worth it.
_STRETCH = 25
_LEAST_STRETCH = 3


class Ahead(Protocol):
    """As ports.media.SendsAhead; it calls `stretch_over`."""

    def begin(self, frames: Sequence[bytes], due_s: float) -> bool: ...

    def left(self) -> int: ...

    def halt(self) -> int: ...

    def kept(self, frames: bytes, heard_from_s: float) -> None:
        """These have left, and that is when the far side began to play them."""


class Playout:
    """send(frames, heard_from_s) takes frames in the wire's format and when the far side begins to play them (loop time);
    post(make) takes an event. far: whose audio can be taken back, or None; unheard(from_s): what it was to play from then on it
    will not. ahead: sends frames by itself that are there before their time. `due_s`: when `tick` wants to be called, or None."""

    def __init__(
        self,
        leg_id: str,
        pace: Pace,
        send: Callable[[bytes, float], None],
        post: Callable[[MediaEvent], None],
        epoch_s: float,
        far: FarSide | None = None,
        unheard: Callable[[float], None] | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        self._leg_id = leg_id
        # Who sends frames by itself; how many it has, and how many of them have left as far as is known here.
        self._ahead = None if pace.batch > 1 or far is not None else ahead
        self._given = 0
        self._gone = 0
        self._pace = pace
        self._far = far
        self._unheard = unheard
        self._lead_s = pace.lead_s
        self._transit_s = 0.0
        # Since when the far side plays without a break, and by how much its marks came later than that says.
        self._run_from_s = float("-inf")
        self._lates: deque[float] = deque(maxlen=_MARKS)
        self._send = send
        self._post = post
        self._epoch_s = epoch_s
        self._frame = round(pace.rate_hz * FRAME_S) * pace.width
        self._advance_frames = max(1, round(pace.advance_s / FRAME_S))
        self._state = _IDLE
        self._audio = bytearray()
        # The reply's sample that the buffer begins with, in bytes; and the next byte to leave, within the buffer.
        self._base = 0
        self._next = 0
        self._reply_id: int | None = None
        self._over: int | None = None
        self._last = False
        self._told_start = False
        self._silent_s = 0.0
        self._untold_frames = 0
        self._batch_s = (pace.batch - 1) * FRAME_S
        self._leaving = bytearray()
        self._leaving_from_s = 0.0
        self.heard_until_s = float("-inf")
        self.due_s: float | None = None
        self._sounds_on = False
        self._ran_dry: Callable[[], None] = lambda: None

    @property
    def playing(self) -> bool:
        """Frames are leaving, or would if there were any."""
        return self._state in (_FLOWING, _STARVED)

    @property
    def position(self) -> int:
        """Samples of the reply that have left."""
        self.settle()
        return (self._base + self._next) // self._pace.width

    def begins(self, reply_id: int) -> bool:
        """Whether it is a reply of which nothing has been given yet."""
        return reply_id not in (self._reply_id, self._over)

    def heard(self, now: float) -> int:
        """Samples of the reply that have left for good: what can be taken back is not among them until it was played."""
        return self.position if self._far is None else self.position - self._held(now)

    def played(self, left_s: float, at_s: float) -> None:
        """A mark: at at_s the far side had left_s still to play, of all that was sent to it."""
        if self._far is None or not left_s < self.heard_until_s - self._run_from_s - _GRAIN_S:
            # It stood before the beginning of what is being played, or nothing was ever played.
            return
        self._lates.append(at_s + left_s - self.heard_until_s)
        late_s = min(self._lates)
        if late_s:
            self.heard_until_s += late_s
            self._lates = deque((each - late_s for each in self._lates), _MARKS)
            if self._flowing() and self.due_s is not None:
                self.due_s += late_s

    def sound_on(self, now: float, ran_dry: Callable[[], None] | None) -> None:
        """Silence leaves between replies from now on; None: no more. ran_dry: told when the far side has played all that was
        sent, since the loop was held up: its stream begins anew."""
        self._sounds_on = ran_dry is not None
        if ran_dry is not None:
            self._ran_dry = ran_dry
            # What sounds is put into each frame here: none leaves by itself.
            self.by_hand(now)
            self._go_on(now)
        elif self._state is not _FLOWING:
            self.due_s = None

    def play(self, reply_id: int, wire: bytes, now: float, silent_s: float = 0.0) -> int:
        """Appends audio. Answers how many bytes did not fit. A reply that is over takes no more. silent_s: of a reply that
        begins, how much silence it begins with."""
        begins = self.begins(reply_id)
        if not self._open(reply_id, now):
            return 0
        if begins:
            self._silent_s = silent_s
        room = int(self._pace.queue_s * self._pace.rate_hz) * self._pace.width
        room -= len(self._audio) - self._next
        self._audio += wire[: max(0, room)]
        if self._state is _STARVED and len(self._audio) > self._next:
            if self._told_start:
                # Words from here on are later than the ones before: whoever dates them must know since when.
                self._tell(PlayoutResumed, now)
            self._flow(now)
        elif self._state is _FLOWING:
            self.tick(now)
        self._go_on(now)
        return max(0, len(wire) - max(0, room))

    def finish(self, reply_id: int, now: float) -> None:
        """No more audio will come."""
        if not self._open(reply_id, now):
            return
        self._last = True
        if self._state is _STARVED:
            self._end(PlayoutFinished, now)
        elif self._state is _FLOWING:
            self.tick(now)
        self._go_on(now)

    def pause(self, now: float) -> None:
        """Nothing more leaves until resume."""
        if self._state in (_IDLE, _PAUSED):
            return
        self._halt()
        self._take_back(now)
        self._state = _PAUSED
        self.due_s = None
        self._tell(PlayoutPaused, now)
        self._go_on(now)

    def resume(self, at_sample: int, now: float) -> None:
        """Goes on from at_sample, or from the nearest that is still, or already, there."""
        if self._state is not _PAUSED:
            return
        wanted = at_sample * self._pace.width - self._base
        self._next = min(max(0, wanted), len(self._audio))
        self._tell(PlayoutResumed, now)
        self._flow(now)
        self._go_on(now)

    def drop(self, now: float) -> None:
        """Throws away what has not left, and what of that was to be taken back."""
        if self._state is not _IDLE:
            self._halt()
            if self._state is not _PAUSED:
                self._take_back(now)
            self._end(PlayoutDropped, now)
            self._go_on(now)

    def tick(self, now: float) -> None:
        """Sends what is due."""
        if self._given:
            # There is nothing to do before they have left.
            return
        self._cut_due(now)
        self._leave()
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """While no reply plays, silence leaves where something sounds on."""
        if not self._sounds_on or self._state is _FLOWING:
            return
        transit_s = 0.0 if self._far is None else self._far.transit_s
        if self.heard_until_s < now + transit_s - _GRAIN_S:
            self._ran_dry()
            self._run_begins(now)
        lead_s = SOUND_ON_LEAD_S + self._batch_s + self._transit_s
        while self.heard_until_s - lead_s <= now + _GRAIN_S:
            self._append(self._pace.silence * (self._frame // self._pace.width), now)
            if not self._batch_s:
                self._leave()
        self._leave()
        self.due_s = self.heard_until_s - lead_s + self._batch_s

    def settle(self) -> None:
        """Counts what has left by itself."""
        if self._given and self._ahead is not None:
            self._count(self._ahead.left())

    def by_hand(self, now: float) -> None:
        """What is left of a stretch is given anew: somebody else may want the frames."""
        if self._given:
            self._halt()
            self.tick(now)

    def _halt(self) -> None:
        if self._given and self._ahead is not None:
            self._count(self._ahead.halt())
            self._given = 0

    def _count(self, gone: int) -> None:
        new, self._gone = gone - self._gone, gone
        if not new:
            return
        frames = bytes(self._audio[self._next : self._next + new * self._frame])
        heard_from_s = self.heard_until_s
        self._next += len(frames)
        self.heard_until_s += new * FRAME_S
        self._untold_frames += new
        if self._ahead is not None:
            self._ahead.kept(frames, heard_from_s)

    def stretch_over(self, now: float) -> None:
        """A stretch has left, or what is left of it must be thought over."""
        self._halt()
        if self._flowing() and self._untold_frames >= self._advance_frames:
            self._tell(PlayoutAdvanced, now)
            self._trim()
        if self._flowing() and self._last and self._next == len(self._audio):
            self._end(PlayoutFinished, now)
        self.tick(now)

    def _begin_stretch(self) -> bool:
        """What is there before its time leaves by itself, up to where the position is to be told."""
        if self._ahead is None or self._sounds_on or not self._told_start:
            # A beginning is told when its first frame leaves.
            return False
        size = self._frame
        count = min(
            _STRETCH, self._advance_frames - self._untold_frames, (len(self._audio) - self._next) // size
        )
        if count < _LEAST_STRETCH:
            return False
        whole = bytes(self._audio[self._next : self._next + count * size])
        frames = [whole[at : at + size] for at in range(0, len(whole), size)]
        if not self._ahead.begin(frames, self.heard_until_s - self._lead_s):
            return False
        self._given, self._gone, self.due_s = count, 0, None
        return True

    def _leave(self) -> None:
        """What was cut leaves together."""
        if self._leaving:
            frames = bytes(self._leaving)
            self._leaving.clear()
            self._send(frames, self._leaving_from_s)

    def _cut_due(self, now: float) -> None:
        if not self._flowing():
            return
        # The far side ran dry (the loop was held up): its ear starts anew, and a burst would only delay it.
        if self.heard_until_s < now + self._transit_s - _GRAIN_S and self._ready():
            self._run_begins(now)
        while self._flowing() and self.heard_until_s - self._lead_s <= now + _GRAIN_S:
            if not self._ready():
                self._wait(now)
                return
            self._cut_frame(now)
        if not self._flowing():
            self.due_s = None
        elif not self._begin_stretch():
            self.due_s = self.heard_until_s - self._lead_s + self._batch_s

    def _flowing(self) -> bool:
        return self._state is _FLOWING

    def _open(self, reply_id: int, now: float) -> bool:
        """Whether the reply may play; an unfinished one before it is dropped."""
        if reply_id == self._reply_id:
            return True
        if reply_id == self._over:
            return False
        self.drop(now)
        self._audio = bytearray()
        self._base = self._next = 0
        self._reply_id = reply_id
        self._last = self._told_start = False
        self._untold_frames = 0
        self._state = _STARVED
        return True

    def _flow(self, now: float) -> None:
        self._state = _FLOWING
        if self.heard_until_s <= now + self._transit_s:
            self._run_begins(now)
        if self._last and self._next == len(self._audio) and self._far is None:
            self._end(PlayoutFinished, now)
        else:
            self.tick(now)

    def _ready(self) -> bool:
        """A whole frame, or the reply's last samples."""
        left = len(self._audio) - self._next
        return left >= self._frame or (self._last and left > 0)

    def _wait(self, now: float) -> None:
        """Too little for a frame: it may still come in time, until the far side has played all that was sent."""
        until_s = self.heard_until_s - (SOUND_ON_LEAD_S if self._sounds_on else 0.0)
        if until_s > now + _GRAIN_S:
            self.due_s = until_s
            return
        if len(self._audio) > self._next:
            self._cut_frame(now)
        if self._last:
            # The end was told after the last whole frame had left.
            self._end(PlayoutFinished, now)
            return
        self._state = _STARVED
        self.due_s = None
        self._tell(PlayoutStarved, now)

    def _cut_frame(self, now: float) -> None:
        frame = bytes(self._audio[self._next : self._next + self._frame])
        self._next += len(frame)
        if len(frame) < self._frame:
            frame += self._pace.silence * ((self._frame - len(frame)) // self._pace.width)
        self._append(frame, now)
        if not self._batch_s:
            # Each is a packet of its own, also of those that are late together, and leaves before anything is told of it.
            self._leave()
        self._told(now)
        if self._last and self._next == len(self._audio) and self._flowing() and self._far is None:
            self._end(PlayoutFinished, now)

    def _append(self, frame: bytes, now: float) -> None:
        """To what leaves together."""
        heard_from_s = max(self.heard_until_s, now)
        self.heard_until_s = heard_from_s + FRAME_S
        if not self._leaving:
            self._leaving_from_s = heard_from_s
        self._leaving += frame

    def _told(self, now: float) -> None:
        """Says that the reply began, and now and then how far it is."""
        if not self._told_start and self._reply_id is not None:
            self._told_start = True
            at_s = now - self._epoch_s
            self._post(PlayoutStarted(self._leg_id, self._reply_id, at_s, self._silent_s))
        self._untold_frames += 1
        if self._untold_frames >= self._advance_frames:
            self._tell(PlayoutAdvanced, now)
            self._trim()

    def _trim(self) -> None:
        """Forgets what is too old to be played again; seldom, because it moves the rest."""
        keep = int(self._pace.rewind_s * self._pace.rate_hz) * self._pace.width
        if self._next > 2 * keep:
            cut = self._next - keep
            del self._audio[:cut]
            self._base += cut
            self._next -= cut

    def _tell(
        self,
        kind: type[PlayoutAdvanced]
        | type[PlayoutStarved]
        | type[PlayoutPaused]
        | type[PlayoutResumed]
        | type[PlayoutDropped]
        | type[PlayoutFinished],
        now: float,
    ) -> None:
        self._untold_frames = 0
        assert self._reply_id is not None
        self._post(kind(self._leg_id, self._reply_id, self.heard(now), now - self._epoch_s))

    def _end(self, kind: type[PlayoutDropped] | type[PlayoutFinished], now: float) -> None:
        self._state = _IDLE
        self.due_s = None
        self._tell(kind, now)
        self._over, self._reply_id = self._reply_id, None
        self._audio = bytearray()
        self._base = self._next = 0
        self._last = False

    # --- what the far side holds -----------------------------------------------------------------------------------

    def _run_begins(self, now: float) -> None:
        """The far side has nothing to play: what is sent now is heard when it gets there."""
        if self._far is not None:
            self._transit_s = self._far.transit_s
            # The way there is a lead that protects nobody.
            self._lead_s = self._pace.lead_s + self._transit_s
            self._lates.clear()
        self.heard_until_s = self._run_from_s = now + self._transit_s

    def _held(self, at_s: float) -> int:
        """Samples of the reply that the far side has not played at that time."""
        run_s = self.heard_until_s - self._run_from_s
        held = round(min(self.heard_until_s - at_s, run_s) * self._pace.rate_hz)
        return min(max(0, held), self.position)

    def _take_back(self, now: float) -> None:
        """The far side throws away what it holds when the word has got there; that much has not left."""
        far = self._far
        if far is None or self.heard_until_s <= now:
            return
        at_s = now + self._transit_s
        far.clear()
        self._next = max(0, self._next - self._held(at_s) * self._pace.width)
        self.heard_until_s = self._run_from_s = at_s
        self._lates.clear()
        if self._unheard is not None:
            self._unheard(at_s)
