"""FreeSWITCH's side with mod_audio_fork, from the module's README (drachtio-freeswitch-modules).

A text message with the metadata of `uuid_audio_fork start`, then binary L16. Keys reach the server only as the text that an
application sends with `uuid_audio_fork send_text`. The upstream module does not play what comes back: playAudio becomes a file
and an event, and an application plays the file (`application_plays`, as ours does over the event socket); killAudio stops what
plays. Newer builds (`streaming`) play binary messages at once, and those since jambonz 0.9.3 have marks, as jambonz's listen
verb (`marks`). disconnect and transfer are events. A type that the module does not know is an error in its log: a server that
tries out what it can has PROBES of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import numpy as np

from aywa.testing.equipment.base import (
    Ask,
    Audio,
    Clear,
    Equipment,
    Facts,
    HangUp,
    Mark,
    Message,
    NotTheProtocol,
    Told,
    Transfer,
    Violation,
    compact,
    field_of,
    object_of,
    payload_of,
)
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import EarSettings
from aywa.testing.sound import resample, to_pcm

PROBES = 3
_RAW_HZ = (8000, 16000, 24000, 32000, 48000, 64000)


class AudioForkEquipment(Equipment):
    """metadata: what is said first; by default the caller, the called number and the parameters as JSON."""

    name = "audio_fork"
    codings = (Coding.LINEAR,)
    rates_hz = (8000, 16000)
    subprotocols = ("audio.drachtio.org",)

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        streaming: bool = True,
        marks: bool = True,
        application_plays: bool = True,
        metadata: str | None = None,
    ) -> None:
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self.streaming = streaming
        self.has_marks = streaming and marks
        self.application_plays = application_plays
        self.metadata = self._metadata() if metadata is None else metadata
        self.unknown = 0
        self.events: list[tuple[str, object]] = []
        """What FreeSWITCH told its applications: the event's name and body."""

    def query(self) -> Mapping[str, str]:
        """What the dialplan writes into the address: the rate, and that what comes back must be files."""
        back = {} if self.streaming else {"back": "files"}
        return {"rate": str(self.rate_hz), **back}

    def opening(self) -> list[Message]:
        """The metadata, if there is any."""
        return [self.metadata] if self.metadata else []

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        return payload

    def press(self, digit: str) -> list[Message]:
        """What an application sends with send_text: as jambonz writes it."""
        return [compact({"event": "dtmf", "dtmf": digit, "duration": "1600"})]

    def _metadata(self) -> str:
        facts = self.facts
        known = {"callSid": facts.call_id, "from": facts.caller, "to": facts.called}
        return json.dumps({**known, "sampleRate": self.rate_hz, "mixType": "mono", **facts.parameters})

    def _take(self, message: Message) -> Iterator[Told]:
        if isinstance(message, bytes):
            yield from self._binary(message)
            return
        said = object_of(message)
        data = said.get("data", {})
        match field_of(said, "type"):
            case "playAudio":
                yield from self._file(said)
            case "mark" if self.has_marks:
                yield Mark(field_of(said, "data.name"))
            case "clearMarks" if self.has_marks:
                yield Ask("clearMarks")
            case "killAudio":
                self.events.append(("mod_audio_fork::kill_audio", data))
                yield Clear()
            case "disconnect":
                self.events.append(("mod_audio_fork::disconnect", data))
                yield HangUp()
            case "transfer":
                self.events.append(("mod_audio_fork::transfer", data))
                yield Transfer(data if isinstance(data, dict) else {})
            case "transcription" | "error" | "json" as kind:
                self.events.append((f"mod_audio_fork::{kind}", data))
                yield Ask(kind, data if isinstance(data, dict) else {})
            case kind:
                self.unknown += 1
                yield Ask("unknown")
                if self.unknown > PROBES:
                    yield Violation(f"{kind!r:.40} is no message to the module, {self.unknown} times")

    def _binary(self, message: bytes) -> Iterator[Told]:
        if not self.streaming:
            yield Violation(f"{len(message)} bytes of audio to a module that plays none")
        elif len(message) % 2:
            yield Violation(f"a message of {len(message)} bytes: no whole samples")
        else:
            yield Audio(message)

    def _file(self, said: Mapping[str, object]) -> Iterator[Told]:
        kind = field_of(said, "data.audioContentType")
        if kind not in ("raw", "wave", "wav"):
            raise NotTheProtocol(f"{kind!r:.40} is no audioContentType")
        content = payload_of(said, "data.audioContent")
        if kind != "raw":
            self.events.append(("mod_audio_fork::play_audio", {"audioContentType": kind}))
            yield Ask("playAudio", {"audioContentType": kind})
            return
        rate_hz = int(field_of(said, "data.sampleRate", object))
        if rate_hz not in _RAW_HZ:
            raise NotTheProtocol(f"raw audio of {rate_hz} Hz")
        self.events.append(("mod_audio_fork::play_audio", {"audioContentType": kind, "sampleRate": rate_hz}))
        if self.streaming:
            yield Violation("playAudio to a module that streams: it is ignored")
        elif self.application_plays:
            yield Audio(at_rate(content, rate_hz, self.rate_hz))

    def _answer(self, ask: Ask, now_s: float) -> list[Message]:
        if ask.what == "clearMarks":
            self.ear.forget_marks()
        return []

    def _mark_reached(self, name: str) -> Message:
        return compact({"type": "mark", "data": {"name": name, "event": "playout"}})

    def _cleared(self, names: list[str]) -> list[Message]:
        return [compact({"type": "mark", "data": {"name": name, "event": "cleared"}}) for name in names]


def at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """As FreeSWITCH plays a file of another rate; exact only when the rates are equal."""
    if from_hz == to_hz:
        return pcm
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    return to_pcm(resample(samples, from_hz, to_hz))
