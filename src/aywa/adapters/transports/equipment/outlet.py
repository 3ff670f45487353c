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
from aywa.core.audio.g711 import pcm_to_alaw, pcm_to_mulaw
from aywa.core.equipment.marks import Marks
from aywa.core.rtp.dtmf import PAUSES_S
from aywa.core.rtp.tones import TONE_KEYS, tone
from aywa.ports.media import AudioFormat

WIDTHS = {AudioFormat.PCM16: 2, AudioFormat.MULAW: 1, AudioFormat.ALAW: 1}
SILENCES = {AudioFormat.PCM16: b"\0", AudioFormat.MULAW: b"\xff", AudioFormat.ALAW: b"\xd5"}
_ENCODERS: dict[AudioFormat, Callable[[bytes], bytes]] = {
    AudioFormat.PCM16: bytes,
    AudioFormat.MULAW: pcm_to_mulaw,
    AudioFormat.ALAW: pcm_to_alaw,
}
_GRAIN_S = 1e-3
DRY_S = 0.06
"""What a far side that collects whole chunks must still hold, when one is made whole with silence."""
BREATH_S = 0.1
"""So long after audio nothing at all is sent, though the far side wants no break: the reply may only be a little late."""

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
        self._rest_since_s = 0.0
        self._halted = False
        self._held: deque[Message] = deque()
        self._keys = ""
        self._tones = False
        self._format, self._rate_hz = started.format, started.rate_hz
        self._closed = False
        self._told_missing = False
        # When the far side will have played all that was sent; and from when on that is silence's
        # affair: a reply that is a little late must not find silence in its place.
        self._until_s = self._breath_s = 0.0
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
        if self._probed and self.marks.wants_probe(now):
            self._mark()
        if self._rest or len(frame) % self._chunk_bytes:
            frame = self._whole(frame)
        most = self._message_bytes
        for at in range(0, len(frame), most):
            message = frame[at : at + most]
            self._send(self._codec.audio(message))
            seconds = len(message) * self._seconds_per_byte
            self._until_s = max(self._until_s, now) + seconds
            self._breath_s = self._until_s + BREATH_S
            if self._marked and self.marks.sent(seconds, now):
                self._mark()

    def clear(self) -> None:
        """The far side throws away what it holds, and so do we."""
        if self._closed:
            return
        self._drop()
        now = self._until_s = self._now()
        self.marks.cleared(now)
        message = self._codec.clear()
        if message is not None:
            self._wire.send(message)

    @property
    def rest_s(self) -> float:
        """Of the audio that waits to be a whole chunk: it has left, for all but us."""
        return len(self._rest) * self._seconds_per_byte

    def drop_rest(self) -> None:
        """The reply is broken off: what was collected of it for a longer chunk does not leave."""
        self._rest = b""

    def rest(self) -> None:
        """Nothing more of the reply leaves for now: where there must be no break, silence follows at once."""
        if self._beat_timer is not None and not self._closed:
            self._beat_timer.cancel()
            self._breath_s = self._until_s
            self._beat_timer = self._loop.call_at(self._until_s, self._beat)

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
        if missing and not self._told_missing:
            self._told_missing = True
            self._warn("mark_missing", "marks do not come back: what was heard goes by our clock")

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
        """As much as makes whole chunks; the rest waits for more, until the far side is about to run dry."""
        audio = self._rest + frame
        whole = len(audio) - len(audio) % self._chunk_bytes
        if whole or not self._rest:
            self._rest_since_s = self._now()
        self._rest = audio[whole:]
        if self._rest and self._rest_timer is None:
            self._rest_timer = self._loop.call_later(self._chunk_s, self._look_at_rest)
        return audio[:whole]

    def _look_at_rest(self) -> None:
        """A reply does not end with a whole chunk: silence makes it one, when nothing else will."""
        self._rest_timer = None
        if not self._rest:
            return
        due_s = max(self._until_s - DRY_S, self._rest_since_s + self._chunk_s)
        if due_s > self._now() + _GRAIN_S:
            self._rest_timer = self._loop.call_at(due_s, self._look_at_rest)
        else:
            self.audio(self._silence * (-len(self._rest) % self._chunk_bytes))

    def _beat(self) -> None:
        """Silence where there is no audio, for a far side that takes a stream that stops for one that is gone."""
        now = self._now()
        if max(self._until_s, self._breath_s) <= now + _GRAIN_S:
            self._send(self._codec.audio(self._silence * self._chunk_bytes))
            # What was missed is not made up for.
            self._until_s = max(self._until_s, now - self._chunk_s) + self._chunk_s
        due_s = max(self._until_s, self._breath_s, now + _GRAIN_S)
        self._beat_timer = self._loop.call_at(due_s, self._beat)

    # --- keys --------------------------------------------------------------------------------------------------------

    def press(self, digits: str) -> bool:
        """Keys and pauses as messages, after those before; False: the protocol has no keys."""
        probe = next((each for each in digits if each not in PAUSES_S), "")
        if self._closed or (probe and not self._codec.keys(probe)):
            return False
        self._dial(digits)
        return True

    def sound(self, digits: str) -> bool:
        """Keys and pauses as tones in the audio, after what is being said; False: there is nothing to sound."""
        if self._closed or not any(each.upper() in TONE_KEYS for each in digits):
            return False
        self._tones = True
        self._dial(digits)
        return True

    def _dial(self, digits: str) -> None:
        self._keys = (self._keys + digits)[: self._settings.keys_most]
        if self._keys_timer is None:
            self._next_keys()

    def _next_keys(self) -> None:
        """The next ones, up to a pause."""
        self._keys_timer = None
        if not self._keys:
            return
        now = self._now()
        if self._tones and self._until_s > now + _GRAIN_S:
            # A tone in the middle of a word is neither.
            self._keys_timer = self._loop.call_at(self._until_s, self._next_keys)
            return
        pause_s = PAUSES_S.get(self._keys[0])
        if pause_s is not None:
            rest_s, self._keys = pause_s, self._keys[1:]
        elif self._tones:
            pressed, self._keys = self._keys[0], self._keys[1:]
            rest_s = self._tone(pressed)
        else:
            count = next((at for at, each in enumerate(self._keys) if each in PAUSES_S), len(self._keys))
            pressed, self._keys = self._keys[:count], self._keys[count:]
            for message in self._codec.keys(pressed):
                self._wire.send(message)
            rest_s = self._settings.key_s * count
        self._keys_timer = self._loop.call_later(rest_s, self._next_keys)

    def _tone(self, key: str) -> float:
        """Sends a key's tones and the gap after them; how long they take."""
        if key.upper() not in TONE_KEYS:
            return 0.0
        sounds = tone(key, self._rate_hz, self._settings.tone_s)
        gap = bytes(2 * round(self._settings.tone_gap_s * self._rate_hz))
        self.audio(_ENCODERS[self._format](sounds + gap))
        return self._settings.tone_s + self._settings.tone_gap_s
