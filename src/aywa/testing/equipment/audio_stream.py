"""FreeSWITCH's side with mod_audio_stream, from the module's README.

A text message with the metadata of `uuid_audio_stream start`, if there is any, then binary L16. Every text that comes back
becomes the event mod_audio_stream::json; streamAudio becomes a file and the event ::play. The commercial build (`playback`) plays
streamAudio and raw binary messages by itself; with the free one an application plays the file (`application_plays`). No mark and
no clear is documented: what was sent is played.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aywa.testing.equipment.audio_fork import at_rate
from aywa.testing.equipment.base import (
    Ask,
    Audio,
    Equipment,
    Facts,
    Json,
    Message,
    NotTheProtocol,
    Told,
    Violation,
    compact,
    field_of,
    object_of,
    payload_of,
)
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings

_TYPES = ("raw", "wav", "mp3", "ogg")


class AudioStreamEquipment(Equipment):
    """metadata: what is said first; by default the caller, the called number and the parameters as JSON."""

    name = "audio_stream"
    codings = (Coding.LINEAR,)
    rates_hz = (8000, 16000)
    has_marks = False
    has_clear = False

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        playback: bool = True,
        application_plays: bool = True,
        metadata: str | None = None,
    ) -> None:
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self.playback = playback
        self.application_plays = application_plays
        known = {"callSid": self.facts.call_id, "from": self.facts.caller, "to": self.facts.called}
        whole = {**known, "sampleRate": self.rate_hz, **self.facts.parameters}
        self.metadata = compact(whole) if metadata is None else metadata
        self.events: list[tuple[str, object]] = []
        """What FreeSWITCH told its applications: the event's name and body."""

    def query(self) -> Mapping[str, str]:
        """What the dialplan writes into the address: the rate, and that what comes back must be files."""
        back = {} if self.playback else {"back": "files"}
        return {"rate": str(self.rate_hz), **back}

    def opening(self) -> list[Message]:
        """The metadata, if there is any."""
        return [self.metadata] if self.metadata else []

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        return payload

    def press(self, digit: str) -> list[Message]:
        """What an application sends with send_text."""
        return [compact({"event": "dtmf", "dtmf": digit, "duration": "1600"})]

    def _take(self, message: Message) -> Iterator[Told]:
        if isinstance(message, bytes):
            yield from self._binary(message)
            return
        try:
            said = object_of(message)
        except NotTheProtocol:
            # "Json expected, but it contains whatever the websocket server's response is."
            said = {}
        if said.get("type") == "streamAudio":
            yield from self._file(said)
        else:
            self.events.append(("mod_audio_stream::json", message[:200]))
            yield Ask("json", said)

    def _binary(self, message: bytes) -> Iterator[Told]:
        if not self.playback:
            yield Violation(f"{len(message)} bytes of audio to a build that plays none")
        elif len(message) % 2:
            yield Violation(f"a message of {len(message)} bytes: no whole samples")
        else:
            yield Audio(message)

    def _file(self, said: Json) -> Iterator[Told]:
        kind = field_of(said, "data.audioDataType")
        if kind not in _TYPES:
            raise NotTheProtocol(f"{kind!r:.40} is no audioDataType")
        content = payload_of(said, "data.audioData")
        self.events.append(("mod_audio_stream::play", {"audioDataType": kind}))
        if kind != "raw":
            yield Ask("streamAudio", {"audioDataType": kind})
            return
        rate_hz = field_of(said, "data.sampleRate", int)
        if self.playback or self.application_plays:
            yield Audio(at_rate(content, rate_hz, self.rate_hz))
