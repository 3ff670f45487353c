"""What leaves on one stream: audio in the protocol's chunks with a mark behind every 100 ms, silence where it may not stop,
keys with their pauses; and what waits while the far side wants none.

Refuses to wait for anything, and to keep more than `held_s` of audio.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aywa.adapters.transports.equipment.codec import Codec, Message, Started
from aywa.adapters.transports.equipment.door import Wire
from aywa.adapters.transports.equipment.settings import StreamSettings
from aywa.core.equipment.marks import Marks
from aywa.ports.media import AudioFormat

PAUSES_S = {"w": 0.5, "W": 1.0}
WIDTHS = {AudioFormat.PCM16: 2, AudioFormat.MULAW: 1, AudioFormat.ALAW: 1}
SILENCES = {AudioFormat.PCM16: b"\0", AudioFormat.MULAW: b"\xff", AudioFormat.ALAW: b"\xd5"}
_GRAIN_S = 1e-3

Warn = Callable[[str, str], None]


class Outlet:
    """warn(code, detail): for the call's timeline. `audio` is the way of nearly everything."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        codec: Codec,
        wire: Wire,
        started: Started,
        settings: StreamSettings,
        warn: Warn,
    ) -> None:
        traits = codec.traits
        self.marks = Marks()
        self.held_bytes = 0
        self._loop = loop
        self._now = loop.time
        self._codec = codec
        self._wire = wire
        self._settings = settings
        self._warn = warn
        self._chunk_s = traits.chunk_s
        self._endless = traits.endless
        self._marked = traits.marks
        self._probed = traits.marks and traits.probes
        width = WIDTHS[started.format]
        self._seconds_per_byte = 1 / (started.rate_hz * width)
        self._chunk_bytes = round(traits.chunk_s * started.rate_hz) * width
        self._message_bytes = self._chunk_bytes * traits.chunks_most
        self._silence = SILENCES[started.format]
        self._rest = b""
        self._halted = False
        self._held: deque[Message] = deque()
        self._keys = ""
        self._closed = False
        # When the far side will have played all that was sent, for one that must not run dry.
        self._until_s = 0.0
        self._rest_timer: asyncio.TimerHandle | None = None
        self._keys_timer: asyncio.TimerHandle | None = None
        self._beat_timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """The call is answered."""
        for message in self._codec.begin():
            self._wire.send(message)
        if self._probed:
            self._mark()
        if self._endless:
            self._until_s = self._now()
            self._beat()

    def close(self) -> None:
        """Nothing leaves any more."""
        self._closed = True
        self._drop()
        for timer in (self._rest_timer, self._keys_timer, self._beat_timer):
            if timer is not None:
                timer.cancel()

    # --- audio -------------------------------------------------------------------------------------------------------

    def audio(self, frame: bytes) -> None:
        """Frames of the playout, at their time."""
        if self._closed:
            return
        now = self._now()
        if self._probed and self.marks.idle(now):
            self._mark()
        if self._rest or len(frame) % self._chunk_bytes:
            frame = self._whole(frame)
        size, most = len(frame), self._message_bytes
        if size <= most:
            if not size:
                return
            self._send(self._codec.audio(frame))
        else:
            for at in range(0, size, most):
                self._send(self._codec.audio(frame[at : at + most]))
        seconds = size * self._seconds_per_byte
        if self._endless:
            self._until_s = max(self._until_s, now) + seconds
        if self._marked and self.marks.sent(seconds, now):
            self._mark()

    def clear(self) -> None:
        """The far side throws away what it holds, and so do we."""
        if self._closed:
            return
        self._drop()
        self.marks.cleared(self._now())
        message = self._codec.clear()
        if message is not None:
            self._wire.send(message)

    def drop_rest(self) -> None:
        """The reply is broken off: what was collected of it for a longer chunk does not leave."""
        self._rest = b""

    def halt(self, *, on: bool) -> None:
        """The far side wants no audio for now, or does again."""
        if on == self._halted:
            return
        self._halted = on
        self._warn("overrun", "the far side wants no more audio" if on else "the far side wants audio again")
        if not on:
            held, self._held, self.held_bytes = self._held, deque(), 0
            for message in held:
                self._wire.send(message)

    def look(self) -> None:
        """Now and then: marks that should have come long ago."""
        missing = self.marks.overdue(self._now())
        if missing:
            self._warn("mark_missing", f"{missing} marks never came back: what was heard goes by our clock")

    def _mark(self) -> None:
        message = self._codec.mark(self.marks.put(self._now()))
        if message is not None:
            self._send(message)

    def _send(self, message: Message) -> None:
        if not self._halted:
            self._wire.send(message)
            return
        self._held.append(message)
        self.held_bytes += len(message)
        if self.held_bytes * self._seconds_per_byte > self._settings.held_s:
            self.held_bytes -= len(self._held.popleft())
            self._warn("audio_held", "the far side wanted no audio for too long: the oldest was dropped")

    def _drop(self) -> None:
        self._rest = b""
        self._held.clear()
        self.held_bytes = 0

    def _whole(self, frame: bytes) -> bytes:
        """As much as makes whole chunks; the rest waits for more, and not for long."""
        audio = self._rest + frame
        whole = len(audio) - len(audio) % self._chunk_bytes
        self._rest = audio[whole:]
        if self._rest and self._rest_timer is None:
            self._rest_timer = self._loop.call_later(self._chunk_s, self._send_rest)
        return audio[:whole]

    def _send_rest(self) -> None:
        """A reply does not end with a whole chunk: silence makes it one."""
        self._rest_timer = None
        missing = -len(self._rest) % self._chunk_bytes
        if self._rest:
            self.audio(self._silence * missing)

    def _beat(self) -> None:
        """Silence where there is no audio, for a far side that takes a stream that stops for one that is gone."""
        now = self._now()
        if self._until_s <= now + _GRAIN_S:
            self._send(self._codec.audio(self._silence * self._chunk_bytes))
            # What was missed is not made up for.
            self._until_s = max(self._until_s, now - self._chunk_s) + self._chunk_s
        self._beat_timer = self._loop.call_at(max(self._until_s, now + _GRAIN_S), self._beat)

    # --- keys --------------------------------------------------------------------------------------------------------

    def press(self, digits: str) -> bool:
        """Keys and pauses, after those before; False: the protocol has no keys."""
        probe = next((each for each in digits if each not in PAUSES_S), "")
        if self._closed or (probe and not self._codec.keys(probe)):
            return False
        self._keys = (self._keys + digits)[: self._settings.keys_most]
        if self._keys_timer is None:
            self._press()
        return True

    def _press(self) -> None:
        """The next keys, up to a pause."""
        self._keys_timer = None
        if not self._keys:
            return
        pause = next((at for at, each in enumerate(self._keys) if each in PAUSES_S), len(self._keys))
        if pause:
            pressed, self._keys = self._keys[:pause], self._keys[pause:]
            for message in self._codec.keys(pressed):
                self._wire.send(message)
            rest_s = self._settings.key_s * len(pressed)
        else:
            rest_s, self._keys = PAUSES_S[self._keys[0]], self._keys[1:]
        self._keys_timer = self._loop.call_later(rest_s, self._press)
