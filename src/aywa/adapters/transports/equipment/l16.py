"""What FreeSWITCH's modules and jambonz have in common: one text message about the call, then 16-bit PCM in binary messages.

The text need not come, and says nothing certain of the audio; what the module was told besides stands in the query of the
address: ?rate=, ?mix=, ?back= (how audio goes back). A stream of two channels is heard by its first, the caller's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aywa.adapters.transports.equipment.codec import (
    Audio,
    Broken,
    Handshake,
    Key,
    MarkPlayed,
    Message,
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

RATES_HZ = (8000, 16_000, 24_000, 32_000, 48_000)
FORMATS = tuple((AudioFormat.PCM16, rate_hz) for rate_hz in RATES_HZ)
MONO, MIXED, STEREO = "mono", "mixed", "stereo"
OWN_VOICE = (
    "both parties are mixed into the stream, so the agent hears itself and takes it for the caller: choose mono in place of"
    " mixed"
)
_IDS = ("callSid", "uuid", "callId", "call_id", "sip_call_id", "Unique-ID")
_CALLERS, _CALLED = ("from", "caller", "caller_id_number"), ("to", "called", "destination_number")
_KNOWN = frozenset((*_IDS, *_CALLERS, *_CALLED, "sampleRate", "mixType"))
_ASKED = frozenset(("rate", "mix", "back", "uuid", "from", "to"))


class L16(Plain):
    """One stream. Subclasses say what the module is and write to it."""

    traits: Traits
    backs: frozenset[str] = frozenset(("",))
    """What ?back= may be; empty: the usual way."""

    def __init__(self, handshake: Handshake, traits: Traits) -> None:
        self.traits = traits
        self._query = handshake.query
        self.back = text(handshake.query.get("back", "")).lower()
        self._channels = 1
        self._rate_hz = 0
        self._odd = b""
        self._refused = False

    # --- from the far side ---------------------------------------------------------------------------------------

    def receive(self, message: Message) -> Sequence[Received]:
        """As the seam says."""
        if self._refused:
            return []
        if isinstance(message, bytes):
            begun = [] if self._rate_hz else self._start({})
            return [*begun, *self._heard(message)] if self._rate_hz else begun
        found = json_object(message)
        if not self._rate_hz:
            return self._start({"metadata": message} if found is None else found)
        if found is None:
            return [Said("text")]
        return self._told(found)

    def _told(self, found: Mapping[str, Any]) -> Sequence[Received]:
        """A text message after the first."""
        if found.get("event") == "dtmf":
            given = found.get("dtmf")
            pressed = key(found.get("digit") if given is None else given)
            return [Broken("no key of a telephone") if pressed is None else Key(pressed)]
        return [Said("JSON")]

    def _start(self, found: Mapping[str, Any]) -> list[Received]:
        why = self._settle(found)
        if why:
            self._refused = True
            return [Broken(why, final=True)]
        said = {**found, **inner(found, "metadata")}
        asked = {name: self._query[name] for name in ("uuid", "from", "to") if name in self._query}
        own = {name: value for name, value in said.items() if name not in _KNOWN}
        own |= {name: value for name, value in self._query.items() if name not in _ASKED}
        call_id = _first({**said, **asked}, _IDS)
        begun = Started(
            call_id,
            call_id,
            AudioFormat.PCM16,
            self._rate_hz,
            caller=_first({**said, **asked}, _CALLERS),
            called=_first({**said, **asked}, _CALLED),
            parameters=parameters(own),
            notes=(
                *((OWN_VOICE,) if self._said_or_asked(found, "mixType", "mix") == MIXED else ()),
                *self.notes(),
            ),
        )
        return [begun]

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the module."""
        return ()

    def _said_or_asked(self, found: Mapping[str, Any], name: str, asked: str) -> str:
        """What the text message says of it, or the address."""
        said = found.get(name) or inner(found, "metadata").get(name) or self._query.get(asked, "")
        return text(said).lower()

    def _settle(self, found: Mapping[str, Any]) -> str:
        """Rate and channels; answers why not, or nothing."""
        given = self._said_or_asked(found, "sampleRate", "rate") or "8000"
        rate_hz = number(f"{given[:-1]}000" if given.endswith("k") else given)
        if rate_hz not in RATES_HZ:
            spoken = ", ".join(map(str, RATES_HZ))
            return f"audio at {given[:20]} is not spoken here: choose one of {spoken} Hz"
        if self.back not in self.backs:
            return f"back={self.back[:20]} is not known: it may be {', '.join(sorted(self.backs - {''}))}"
        mix = self._said_or_asked(found, "mixType", "mix")
        if mix not in ("", MONO, MIXED, STEREO):
            return f"a mix of {mix[:20]} is not known: choose {MONO}"
        self._rate_hz = rate_hz
        self._channels = 2 if mix == STEREO else 1
        return ""

    def _heard(self, payload: bytes) -> Sequence[Received]:
        """Messages need not end where a sample does."""
        payload = self._odd + payload
        over = len(payload) % (2 * self._channels)
        self._odd = payload[len(payload) - over :] if over else b""
        whole = payload[: len(payload) - over] if over else payload
        if not whole:
            return []
        if self._channels == 1:
            return [Audio(whole)]
        return [Audio(np.frombuffer(whole, "<i2")[::2].tobytes())]

    # --- to it ---------------------------------------------------------------------------------------------------

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return payload

    def play_audio(self, payload: bytes) -> Message:
        """A piece of audio that is played as a file would be."""
        data = {
            "audioContentType": "raw",
            "sampleRate": self._rate_hz,
            "audioContent": base64.b64encode(payload).decode("ascii"),
        }
        return json.dumps({"type": "playAudio", "data": data})


def _first(found: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((said for name in names if (said := party(found.get(name)))), "")


STREAM, FILES = "stream", "files"
"""?back=: binary messages that are played as they come; pieces that are written into files first."""


class Forked(L16):
    """The words that drachtio's fork module and jambonz, which is built on it, have in common."""

    backs = frozenset(("", STREAM, FILES))

    def audio(self, payload: bytes) -> Message:
        """As the seam says."""
        return self.play_audio(payload) if self.back == FILES else payload

    def mark(self, name: str) -> Message | None:
        """As the seam says."""
        return json.dumps({"type": "mark", "data": {"name": name}}) if self.traits.marks else None

    def clear(self) -> Message | None:
        """As the seam says; marks that are thrown away with the audio come back as cleared."""
        return json.dumps({"type": "killAudio"})

    def _told(self, found: Mapping[str, Any]) -> Sequence[Received]:
        if found.get("type") == "mark":
            return [MarkPlayed(text(inner(found, "data").get("name")))]
        return super()._told(found)
