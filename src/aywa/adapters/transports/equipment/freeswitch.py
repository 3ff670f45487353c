"""FreeSWITCH's two modules that stream audio over a WebSocket, mod_audio_fork and mod_audio_stream, in their variants.

Which variant it is cannot be seen from what it sends, only who set it up knows: ?back= says it, and the runtime says at connect
what that means. Facts: the modules' own READMEs (drachtio/drachtio-freeswitch-modules; variants with bidirectionalAudio
streaming; amigniter/mod_audio_stream, its releases 1.0.3 and 1.1.0 and its issues 46, 56, 72).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Dialect,
    Handshake,
    Message,
    Traits,
)
from aywa.adapters.transports.equipment.l16 import FILES, FORMATS, L16, STREAM, Forked

JSON = "json"
"""?back=: besides binary messages that the module plays and files that somebody else has to play, the same audio in JSON, for a
module that plays that."""
FILE_S = 1.0
"""Audio of one file: fewer of them have fewer gaps between, and begin later."""

FORK = Traits("mod_audio_fork", FORMATS, chunks_most=5, marks=True, clears=True, lead_s=AHEAD_S)
"""The variants that stream back. They hold up to 30 marks."""
FORK_FILES = Traits("mod_audio_fork", FORMATS, chunk_s=FILE_S, chunks_most=1, clears=True, lead_s=FILE_S)
AUDIO_STREAM = Traits("mod_audio_stream", FORMATS, chunks_most=3, lead_s=0.06)
"""What was sent cannot be taken back over the socket, so little is sent ahead."""
AUDIO_STREAM_FILES = Traits("mod_audio_stream", FORMATS, chunk_s=FILE_S, chunks_most=1, lead_s=FILE_S)

_FORK_STREAM = (
    "mod_audio_fork is taken for a variant that plays what is streamed back (bidirectionalAudio); the upstream module of drachtio"
    " plays nothing of it: with that one the address needs ?back=files, and the event socket"
)
_FORK_FILES = (
    "mod_audio_fork writes what is sent back into files and plays none of them: whoever receives its events"
    " (mod_audio_fork::play_audio) must, and a caller waits a second longer for each answer"
)
_STREAM_RAW = (
    "mod_audio_stream plays what is sent back from its release 1.0.3 on, with STREAM_PLAYBACK=true, and free of charge for 10"
    " channels; a caller who interrupts hears what was sent already, for it cannot be taken back; the community module plays"
    " nothing: with that one the address needs ?back=files, and the event socket"
)
_STREAM_FILES = (
    "the community's mod_audio_stream writes what is sent back into files and plays none of them: whoever receives its events"
    " (mod_audio_stream::play) must, and a caller waits a second longer for each answer"
)


class AudioFork(Forked):
    """mod_audio_fork. The channel's end is its application's affair: `disconnect` and `transfer` are events there."""

    def __init__(self, handshake: Handshake) -> None:
        super().__init__(handshake, FORK_FILES if handshake.query.get("back") == FILES else FORK)

    def notes(self) -> tuple[str, ...]:
        """As the base says."""
        return (_FORK_FILES if self.back == FILES else _FORK_STREAM,)

    def transfer(self, to: str) -> Sequence[Message]:
        """As the seam says; who receives the module's events passes the caller on."""
        return (json.dumps({"type": "transfer", "data": {"to": to}}),)

    def hang_up(self, reason: str) -> Sequence[Message]:
        """As the seam says."""
        return (json.dumps({"type": "disconnect", "data": {"reason": reason}}),)


class AudioStream(L16):
    """mod_audio_stream. Neither marks nor a clear, nor a word that ends the call: the event socket has those."""

    backs = frozenset(("", STREAM, FILES, JSON))

    def __init__(self, handshake: Handshake) -> None:
        files = handshake.query.get("back") == FILES
        super().__init__(handshake, AUDIO_STREAM_FILES if files else AUDIO_STREAM)

    def notes(self) -> tuple[str, ...]:
        """As the base says."""
        return (_STREAM_FILES if self.back == FILES else _STREAM_RAW,)

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        if self.back not in (FILES, JSON):
            return payload
        data = {
            "audioDataType": "raw",
            "sampleRate": self._rate_hz,
            "audioData": base64.b64encode(payload).decode("ascii"),
        }
        return json.dumps({"type": "streamAudio", "data": data})


DIALECTS = {
    "audio_fork": Dialect(FORK, AudioFork, ("audio.drachtio.org",)),
    "audio_stream": Dialect(AUDIO_STREAM, AudioStream),
}
