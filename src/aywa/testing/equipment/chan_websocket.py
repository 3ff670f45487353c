"""Asterisk's side of chan_websocket, from the Asterisk documentation's page "WebSocket" (channel drivers).

Binary messages are media, text is control, as plain text or as JSON as the dial string says. Asterisk frames and times what it
is given: it keeps a queue of frames, sends MEDIA_XOFF when that is long and MEDIA_XON when it is shorter again, and drops what
is too much. A mark is processed when it has come to the front; a flush throws the marks away too. An odd end of a message is
dropped unless the media is buffered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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
    Violation,
    compact,
    field_of,
    object_of,
)
from aywa.testing.equipment.coding import Coding
from aywa.testing.equipment.ear import FRAME_S, EarSettings

MOST_BYTES = 65_500
_FORMATS = {(Coding.MULAW, 8000): "ulaw", (Coding.ALAW, 8000): "alaw", (Coding.LINEAR, 8000): "slin"}
_PLAIN = (
    "ANSWER", "HANGUP", "START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING", "FLUSH_MEDIA", "PAUSE_MEDIA", "CONTINUE_MEDIA",
    "MARK_MEDIA", "GET_STATUS", "REPORT_QUEUE_DRAINED", "SET_MEDIA_DIRECTION",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Levels:
    """In frames: where the queue asks for silence, where it is glad of more, and where it is full."""

    xoff: int = 900
    xon: int = 800
    full: int = 1000


class ChanWebSocketEquipment(Equipment):
    """as_json: the control format of the dial string. facts.parameters: those of v(), which stand in the address beside the
    numbers, and in JSON the channel's variables."""

    name = "chan_websocket"
    codings = (Coding.MULAW, Coding.ALAW, Coding.LINEAR)
    rates_hz = (8000, 16000)
    subprotocols = ("media",)

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        coding: Coding | None = None,
        rate_hz: int | None = None,
        ear: EarSettings | None = None,
        as_json: bool = False,
        levels: Levels | None = None,
    ) -> None:
        self.levels = levels or Levels()
        ear = ear or EarSettings()
        most_s = min(ear.most_s, self.levels.full * FRAME_S)
        ear = EarSettings(ear.delay_s, ear.skew_ppm, most_s)
        super().__init__(facts, coding=coding, rate_hz=rate_hz, ear=ear)
        self.as_json = as_json
        self.answered = True
        self.xoffs = 0
        self._off = False
        self._buffering = False
        self._kept = b""
        self._drained_asked = False
        self._completed: list[str] = []

    @property
    def format(self) -> str:
        """The format's name in Asterisk."""
        return _FORMATS.get((self.coding, self.rate_hz), f"slin{self.rate_hz // 1000}")

    def query(self) -> Mapping[str, str]:
        """As the base says."""
        return {"from": self.facts.caller, "to": self.facts.called, **self.facts.parameters}

    def opening(self) -> list[Message]:
        """MEDIA_START."""
        start: dict[str, Any] = {
            "connection_id": self.facts.call_id,
            "channel": "WebSocket/runtime/0x5140001a0040",
            "channel_id": self.facts.stream_id,
            "format": self.format,
            "optimal_frame_size": self.chunk_bytes,
            "ptime": 20,
        }
        if self.as_json:
            variables = {"CALLERID(num)": self.facts.caller, "EXTEN": self.facts.called}
            start["channel_variables"] = {**variables, **self.facts.parameters}
        return [self._event("MEDIA_START", start)]

    def media(self, payload: bytes) -> Message:
        """As the base says."""
        return payload

    def press(self, digit: str) -> list[Message]:
        """As the base says."""
        return [self._event("DTMF_END", {**self._channel(), "digit": digit})]

    # --- what the runtime says ---------------------------------------------------------------------------------------

    def _take(self, message: Message) -> Iterator[Told]:
        if len(message) > MOST_BYTES:
            yield Violation(f"a message of {len(message)} bytes; {MOST_BYTES} end the call")
            yield HangUp()
            return
        if isinstance(message, bytes):
            yield from self._framed(message)
            return
        command, data = self._command(message)
        match command:
            case "HANGUP":
                yield HangUp()
            case "FLUSH_MEDIA":
                yield Clear()
            case "MARK_MEDIA":
                yield Mark(str(data.get("correlation_id", "")))
            case _:
                yield Ask(command, data)

    def _command(self, text: str) -> tuple[str, Mapping[str, Any]]:
        if self.as_json:
            said = object_of(text)
            command, data = field_of(said, "command"), said
        else:
            command, _, rest = text.partition(" ")
            data = {"correlation_id": rest} if rest else {}
        if command not in _PLAIN:
            raise NotTheProtocol(f"{command!r:.40} is no command")
        return command, data

    def _framed(self, message: bytes) -> Iterator[Told]:
        """Whole frames; what is left over is kept while the media is buffered, and dropped otherwise."""
        sound = self._kept + message
        whole = len(sound) // self.chunk_bytes * self.chunk_bytes
        left = sound[whole:]
        self._kept = left if self._buffering else b""
        if left and not self._buffering:
            yield Violation(f"{len(left)} bytes too many for a frame of {self.chunk_bytes}: dropped")
        if whole:
            yield Audio(sound[:whole])

    def _answer(self, ask: Ask, now_s: float) -> list[Message]:
        match ask.what:
            case "START_MEDIA_BUFFERING":
                self._buffering = True
            case "STOP_MEDIA_BUFFERING":
                return self._stop_buffering(str(ask.data.get("correlation_id", "")), now_s)
            case "PAUSE_MEDIA":
                self.ear.pause()
            case "CONTINUE_MEDIA":
                self.ear.resume(now_s)
            case "GET_STATUS":
                return [self._event("STATUS", self._status(now_s))]
            case "REPORT_QUEUE_DRAINED":
                self._drained_asked = True
            case _:
                pass
        return []

    def _stop_buffering(self, correlation_id: str, now_s: float) -> list[Message]:
        self._buffering = False
        if self._kept:
            silence = self.coding.encode(bytes(2))
            missing = (self.chunk_bytes - len(self._kept)) // len(silence)
            self.ear.put(self.coding.decode(self._kept + silence * missing), now_s)
            self._kept = b""
        self.ear.mark(f"completed {correlation_id}")
        self._completed.append(f"completed {correlation_id}")
        return []

    def _status(self, now_s: float) -> dict[str, Any]:
        return {
            "channel_id": self.facts.stream_id,
            "queue_length": self.ear.queued_frames(now_s),
            "xon_level": self.levels.xon,
            "xoff_level": self.levels.xoff,
            "queue_full": self._off,
            "bulk_media": self._buffering,
            "media_paused": self.ear.paused,
        }

    def _cleared(self, names: list[str]) -> list[Message]:
        # A flush is not answered, and no mark in it is ever processed.
        self._buffering, self._kept, self._completed = False, b"", []
        return []

    # --- time --------------------------------------------------------------------------------------------------------

    def wake(self, now_s: float) -> list[Message]:
        """As the base says; and XOFF, XON and what was asked about the queue."""
        found = super().wake(now_s)
        frames = self.ear.queued_frames(now_s)
        if not self._off and frames >= self.levels.xoff:
            self._off = True
            self.xoffs += 1
            found.append(self._event("MEDIA_XOFF", self._channel()))
        elif self._off and frames < self.levels.xon:
            self._off = False
            found.append(self._event("MEDIA_XON", self._channel()))
        if self._drained_asked and not frames:
            self._drained_asked = False
            found.append(self._event("QUEUE_DRAINED", self._channel()))
        return found

    def _mark_reached(self, name: str) -> Message:
        if name in self._completed:
            self._completed.remove(name)
            return self._correlated("MEDIA_BUFFERING_COMPLETED", name.removeprefix("completed "))
        return self._correlated("MEDIA_MARK_PROCESSED", name)

    # --- how it is written -------------------------------------------------------------------------------------------

    def _channel(self) -> dict[str, Any]:
        return {"channel_id": self.facts.stream_id} if self.as_json else {}

    def _correlated(self, event: str, name: str) -> str:
        if self.as_json:
            return self._event(event, {**self._channel(), **({"correlation_id": name} if name else {})})
        return f"{event} {name}".strip()

    def _event(self, event: str, data: Mapping[str, Any]) -> str:
        if self.as_json:
            return compact({"event": event, **data})
        return " ".join([event, *(f"{name}:{_plain(value)}" for name, value in data.items())])


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
