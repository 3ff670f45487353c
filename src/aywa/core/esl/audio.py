"""The modules by which FreeSWITCH gives a call's audio to a WebSocket, and what of them gives ours back.

Several modules go by the same name. What they can is read from what they say of themselves (`-USAGE`), and where that does not
tell, from what they do with the first audio. Facts: README and command syntax of drachtio's and jambonz's mod_audio_fork, and of
mod_audio_stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aywa.core.esl.commands import UUID, Unsendable, checked
from aywa.core.esl.event import Event

FORK, STREAM = "audio_fork", "audio_stream"
RATES_HZ = (8000, 16000)
# With no argument at all the module ends FreeSWITCH (its assertion that there is one): so one that is no uuid.
ASK = "usage"
_URL = re.compile(r"wss?://[0-9A-Za-z.:\[\]_-]{1,255}/[0-9A-Za-z/._~?&=%+-]{0,1000}\Z")
_FILE = re.compile(r"/[0-9A-Za-z/._-]{1,500}\Z")


class Back(StrEnum):
    """How our audio gets back. STREAMED: as it comes. FILES: as files that the runtime has FreeSWITCH play, late. UNTOLD: the
    module does not say."""

    STREAMED = "streamed"
    FILES = "files"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class AudioModule:
    """name: as in the address /media/{name}/."""

    name: str
    back: Back

    @property
    def note(self) -> str:
        """For a person, when FreeSWITCH is connected with."""
        if self.back is Back.STREAMED:
            return f"mod_{self.name} streams the agent's audio back"
        if self.back is Back.FILES:
            return (
                f"mod_{self.name} does not stream audio back: what the agent says is played from files, late and with gaps; use a"
                " build with bidirectional audio, or bridge the call to the runtime's SIP address"
            )
        return (
            f"mod_{self.name} does not say whether it plays what it is sent: releases 1.0.1 and later do, builds from its public"
            " source do not"
        )


@dataclass(frozen=True, slots=True)
class Start:
    """variables: of the channel, to be set before. argument: of the command."""

    command: str
    argument: str = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)


def module(name: str, usage: str) -> AudioModule | None:
    """What is there, from the answer to `uuid_{name} usage`; None: nothing is."""
    said = usage.strip()
    if "USAGE" not in said.upper() and not said.startswith("-ERR Operation"):
        return None
    if name == STREAM:
        return AudioModule(STREAM, Back.UNTOLD)
    # It is spelt in more than one way.
    return AudioModule(FORK, Back.STREAMED if re.search(r"bid\w*ional", said, re.IGNORECASE) else Back.FILES)


def start(found: AudioModule, uuid: str, url: str, rate_hz: int) -> Start:
    """Has the channel's audio sent to the address, what the far side says alone, and ours taken from there. Raises Unsendable."""
    if _URL.match(url) is None or rate_hz not in RATES_HZ:
        raise Unsendable("an address for audio that cannot be sent to FreeSWITCH")
    channel = checked(uuid, UUID)
    rate = f"{rate_hz // 1000}k"
    if found.name == STREAM:
        variables = {
            "STREAM_PLAYBACK": "true",
            "STREAM_SAMPLE_RATE": str(rate_hz),
            # Set, it is switched off.
            "STREAM_MESSAGE_DEFLATE": "true",
            "STREAM_SUPPRESS_LOG": "true",
        }
        return Start(f"uuid_{STREAM}", f"{channel} start {url} mono {rate}", variables)
    plain = f"{channel} start {url} mono {rate} aywa {{}}"
    if found.back is not Back.STREAMED:
        return Start(f"uuid_{FORK}", plain)
    # Bidirectional, as a stream, at this rate.
    return Start(f"uuid_{FORK}", f"{plain} 1 1 {rate_hz}")


def stop(found: AudioModule, uuid: str) -> tuple[str, str]:
    """Ends it: a command and its argument. Raises Unsendable."""
    name = " aywa" if found.name == FORK else ""
    return f"uuid_{found.name}", f"{checked(uuid, UUID)} stop{name}"


@dataclass(frozen=True, slots=True)
class AudioNews:
    """What a module tells of a channel's audio. kind: file (it wrote what we sent to one, which is to be played), kill (what is
    played is to stop), failed, ended; empty: nothing of interest."""

    kind: str = ""
    text: str = ""


def audio_news(event: Event) -> AudioNews:
    """Of a CUSTOM event."""
    module_name, _, what = event.get("Event-Subclass").partition("::")
    if module_name not in (f"mod_{FORK}", f"mod_{STREAM}"):
        return AudioNews()
    match what:
        case "play_audio" | "playAudio" | "play":
            file = _named(event.body, "file")
            return AudioNews("file", file) if _FILE.match(file) and ".." not in file else AudioNews()
        case "kill_audio" | "killAudio":
            return AudioNews("kill")
        case "error" | "connect_failed":
            return AudioNews("failed", _named(event.body, "error") or _named(event.body, "reason"))
        case "disconnect":
            return AudioNews("ended")
        case _:
            return AudioNews()


def _named(body: str, name: str) -> str:
    """A text of the object, or of the one in its `message`."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(2):
        if not isinstance(given, dict):
            return ""
        if isinstance(given.get(name), str):
            return str(given[name])[:500]
        given = given.get("message")
    return ""
