"""Asterisk's chan_websocket: audio in binary messages; commands and events as text, in plain words or in JSON.

Which of the two is seen from its first event, and answered alike. The channel driver keeps time itself, so audio is sent ahead
and thrown away by FLUSH_MEDIA, and the marks that were waiting with it. Facts: Asterisk's documentation, "WebSocket"
(Configuration, Channel Drivers), and the pull requests 1577 (marks), 2120 (unbuffered).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Audio,
    Broken,
    Dialect,
    Handshake,
    Key,
    MarkPlayed,
    Message,
    Overrun,
    Plain,
    Received,
    Said,
    Started,
    Traits,
)
from aywa.adapters.transports.equipment.reading import (
    inner,
    json_object,
    key,
    number,
    parameters,
    party,
    text,
)
from aywa.ports.media import AudioFormat

FORMATS = {
    "ulaw": (AudioFormat.MULAW, 8000),
    "alaw": (AudioFormat.ALAW, 8000),
    "slin": (AudioFormat.PCM16, 8000),
    "slin12": (AudioFormat.PCM16, 12_000),
    "slin16": (AudioFormat.PCM16, 16_000),
    "slin24": (AudioFormat.PCM16, 24_000),
    "slin32": (AudioFormat.PCM16, 32_000),
    "slin48": (AudioFormat.PCM16, 48_000),
}
"""Asterisk's name of a codec -> what it is here."""
EARLY_BYTES = 32_000
"""Audio that came before MEDIA_START (a busy Asterisk does that, its issue 1712): a second of slin16, what is more is dropped."""
MESSAGE_BYTES_MOST = 65_500
"""A longer message ends the call there."""

TRAITS = Traits(
    "chan_websocket",
    (FORMATS["slin16"], *(each for name, each in FORMATS.items() if name != "slin16")),
    chunks_most=10,
    marks=True,
    probes=True,
    clears=True,
    lead_s=AHEAD_S,
)
_WORDLESS = frozenset(("QUEUE_DRAINED", "STATUS", "MEDIA_BUFFERING_COMPLETED"))
# The channel's own: they say nothing of the call.
_OWN = ("MEDIA_WEBSOCKET_", "DIALEDPEER", "DIALSTATUS", "DIALEDTIME", "ANSWEREDTIME")
_PASSTHROUGH = (
    "the channel is in passthrough mode, which has neither marks nor FLUSH_MEDIA: what was sent is heard; leave p out of the"
    " dial string"
)
_UNBUFFERED = (
    "the channel is unbuffered, so FLUSH_MEDIA has nothing to throw away: leave u out of the dial string, and Asterisk keeps"
    " the time"
)


class ChanWebSocket(Plain):
    """One channel. caller, called: from the query of its address, where the dial string's v(from=...,to=...) puts them."""

    traits = TRAITS

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._started = False
        self._refused = False
        self._json = False

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        if self._refused:
            return []
        if isinstance(message, bytes):
            return self._heard(message)
        in_json = message.lstrip()[:1] == "{"
        found = json_object(message) if in_json else _plain(message)
        if found is None:
            return [Broken("a text message is neither JSON nor an event")]
        return self._event(text(found.get("event")), found, in_json=in_json)

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return payload

    def mark(self, name: str) -> Message | None:
        """As the seam says."""
        return self._command("MARK_MEDIA", name) if self.traits.marks else None

    def clear(self) -> Message | None:
        """As the seam says."""
        return self._command("FLUSH_MEDIA") if self.traits.clears else None

    def begin(self) -> Sequence[Message]:
        """Answers a channel that was dialled with n; one that is answered is so already."""
        return (self._command("ANSWER"),)

    def hang_up(self, reason: str) -> Sequence[Message]:
        """As the seam says."""
        return (self._command("HANGUP"),)

    def _command(self, word: str, about: str = "") -> str:
        if not self._json:
            return f"{word} {about}".rstrip()
        return json.dumps({"command": word, "correlation_id": about} if about else {"command": word})

    # --- events --------------------------------------------------------------------------------------------------

    def _event(self, word: str, found: Mapping[str, Any], *, in_json: bool) -> Sequence[Received]:
        match word:
            case "MEDIA_START":
                return self._start(found, in_json=in_json)
            case "DTMF_END":
                pressed = key(found.get("digit"))
                return [Broken("no key of a telephone") if pressed is None else Key(pressed)]
            case "MEDIA_MARK_PROCESSED":
                return [MarkPlayed(text(found.get("correlation_id")))]
            case "MEDIA_XOFF" | "MEDIA_XON":
                return [Overrun(word == "MEDIA_XOFF")]
            case "ERROR":
                return [Broken(f"Asterisk reports an error: {text(found.get('error_text'))[:200]}")]
            case _ if word in _WORDLESS:
                return [Said(word)]
            case _:
                return [Said("an event of another name") if word else Broken("an event without a name")]

    def _start(self, found: Mapping[str, Any], *, in_json: bool) -> Sequence[Received]:
        if self._started:
            return [Broken("a second MEDIA_START")]
        self._json = in_json
        name = text(found.get("format"))[:40]
        known = FORMATS.get(name)
        if known is None:
            spoken = ", ".join(f"c({each})" for each in FORMATS)
            return self._refuse(f"the channel's format is {name or 'not named'}, and must be one of {spoken}")
        audio_format, rate_hz = known
        width = 2 if audio_format is AudioFormat.PCM16 else 1
        frame = number(found.get("optimal_frame_size"))
        if frame and round(rate_hz * self.traits.chunk_s) * width % frame:
            return self._refuse(f"the channel's frames are {frame} bytes of {name}: they do not fit 20 ms")
        self._started = True
        notes = self._mode(found)
        variables = inner(found, "channel_variables")
        own = {each: value for each, value in variables.items() if not each.startswith(_OWN)}
        query = dict(self._handshake.query)
        started = Started(
            text(found.get("connection_id")),
            text(found.get("channel_id")) or text(found.get("channel")),
            audio_format,
            rate_hz,
            caller=party(query.pop("from", "")),
            called=party(query.pop("to", "")),
            parameters=parameters({**own, **query}),
            notes=notes,
        )
        early, self._early = self._early, []
        return [started, *(each for payload in early for each in self._heard(payload))]

    def _mode(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """What the channel was dialled with decides what it can (since 2026 it says so)."""
        if _is_true(found.get("passthrough")):
            self.traits = replace(TRAITS, chunks_most=1, marks=False, probes=False, clears=False, lead_s=0.02)
            return (_PASSTHROUGH,)
        if _is_true(found.get("unbuffered")):
            self.traits = replace(TRAITS, chunks_most=1, marks=False, probes=False, clears=False, lead_s=0.02)
            return (_UNBUFFERED,)
        return ()

    def _refuse(self, why: str) -> Sequence[Received]:
        self._refused = True
        self._early.clear()
        return [Broken(why, final=True)]

    def _heard(self, payload: bytes) -> Sequence[Received]:
        if self._started:
            return [Audio(payload)] if payload else []
        if self._early_bytes + len(payload) > EARLY_BYTES:
            return [Broken("audio before MEDIA_START")]
        self._early_bytes += len(payload)
        self._early.append(payload)
        return []


def _plain(message: str) -> dict[str, Any] | None:
    """WORD name:value name:value; what stands after the word without a colon is an id."""
    words = message.split(maxsplit=32)
    if not words or not words[0].replace("_", "").isalnum():
        return None
    found: dict[str, Any] = {"event": words[0]}
    if words[0] == "ERROR":
        found["error_text"] = message.partition("error_text:")[2]
        return found
    for word in words[1:]:
        name, colon, value = word.partition(":")
        found[name if colon else "correlation_id"] = value if colon else word
    return found


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


DIALECTS = {"chan_websocket": Dialect(TRAITS, ChanWebSocket, ("media",))}
