"""A call's artifacts once they are objects: found, read, and given out by addresses that hold for a while. Refuses to know who
may have them: who asks has looked the call up among his organisation's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aywa.core.shipment import call_key
from aywa.ports.artifacts import ArtifactStore, ObjectRefused, Stored
from aywa.service.clock import Clock, iso, now_ms
from aywa.service.documents import dump
from aywa.service.recordings import RECORDING, Side

LINK_S = 3600
LINK_MOST_S = 7 * 86_400
"""Longer than this no signed address holds (S3 API reference, authenticating by query parameters)."""
TRANSCRIPT = "transcript.json"
EVENTS = "events.jsonl.gz"
OBJECTS: Mapping[Side, str] = {
    Side.STEREO: RECORDING,
    Side.MONO: "mono.wav",
    Side.CUSTOMER: "customer.wav",
    Side.ASSISTANT: "assistant.wav",
}
"""What each side of a recording is called."""
_FIELDS: Mapping[str, str] = {
    "presignedMonoUrl": OBJECTS[Side.MONO],
    "presignedStereoUrl": OBJECTS[Side.STEREO],
    "presignedAssistantUrl": OBJECTS[Side.ASSISTANT],
    "presignedCustomerUrl": OBJECTS[Side.CUSTOMER],
}


class Shipped:
    """link_s: how long an address holds; 0: there are none. here: whether a call's files are still on this machine."""

    def __init__(
        self,
        store: ArtifactStore,
        link_s: int = LINK_S,
        here: Callable[[str], bool] = lambda call_id: False,
        clock: Clock = now_ms,
    ) -> None:
        self._store = store
        self._link_s = link_s
        self._here = here
        self._clock = clock

    async def find(self, org_id: str, call_id: str, name: str) -> Stored | None:
        """None: there is no such object. Raises StoreUnavailable."""
        try:
            return await self._store.find(call_key(org_id, call_id, name))
        except ObjectRefused:
            return None

    def read(self, org_id: str, call_id: str, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Raises StoreUnavailable."""
        return self._store.read(call_key(org_id, call_id, name), start, end)

    async def link(self, org_id: str, call_id: str, name: str) -> str | None:
        """An address for anybody; None: there are none. Raises StoreUnavailable."""
        if not self._link_s:
            return None
        return await self._store.link(call_key(org_id, call_id, name), f"{call_id}-{name}", self._link_s)

    async def with_links(self, org_id: str, call_id: str, text: str) -> str:
        """A call's document with the addresses of its artifacts (contract 6.4), made anew each time that somebody asks."""
        document: dict[str, Any] = json.loads(text)
        artifact = document.get("artifact")
        if not self._link_s or not isinstance(artifact, dict) or self._here(call_id):
            return text
        wanted = dict(_FIELDS) if "recordingUrl" in artifact else {}
        wanted |= {"presignedLogUrl": EVENTS} if "logUrl" in artifact else {}
        links = {field: await self.link(org_id, call_id, name) for field, name in wanted.items()}
        found = {field: link for field, link in links.items() if link is not None}
        if not found:
            return text
        expires = {"presignedUrlsExpiresAt": iso(self._clock() + 1000 * self._link_s)}
        return dump(document | {"artifact": {**artifact, **found, **expires}})
