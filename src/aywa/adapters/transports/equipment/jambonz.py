"""jambonz' listen verb: a text message about the call, then 16-bit PCM both ways, and JSON for marks, clears and the end.

Facts: jambonz' documentation, "listen" (Verbs), with "Streaming bi-directional audio".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aywa.adapters.transports.equipment.codec import (
    AHEAD_S,
    Dialect,
    Handshake,
    Message,
    Received,
    Said,
    Traits,
)
from aywa.adapters.transports.equipment.l16 import FILES, FORMATS, Forked

FILE_S = 0.5
"""?back=files: a listen without bidirectionalAudio.streaming plays whole pieces one after another."""

TRAITS = Traits("jambonz", FORMATS, chunks_most=5, marks=True, clears=True, lead_s=AHEAD_S)
FILES_TRAITS = Traits("jambonz", FORMATS, chunk_s=FILE_S, chunks_most=1, clears=True, lead_s=2 * FILE_S)
"""At most ten pieces wait there."""

_STREAM = (
    "the caller hears the agent only if the verb says bidirectionalAudio.streaming: true, and its sampleRate there is that of the"
    " verb"
)
_PIECES = (
    "without bidirectionalAudio.streaming the agent's speech has gaps between its pieces, and nobody tells when one is heard:"
    " say streaming: true in the verb, and leave out ?back=files"
)


class Listen(Forked):
    """One listen. Its end is the verb's end: what jambonz does then, its application says."""

    def __init__(self, handshake: Handshake) -> None:
        super().__init__(handshake, FILES_TRAITS if handshake.query.get("back") == FILES else TRAITS)

    def notes(self) -> tuple[str, ...]:
        """As the base says."""
        return (_PIECES if self.back == FILES else _STREAM,)

    def hang_up(self, reason: str) -> Sequence[Message]:
        """As the seam says."""
        return (json.dumps({"type": "disconnect"}),)

    def _told(self, found: Mapping[str, Any]) -> Sequence[Received]:
        return [Said("playDone")] if found.get("type") == "playDone" else super()._told(found)


DIALECTS = {"jambonz": Dialect(TRAITS, Listen, ("audio.jambonz.org",))}
