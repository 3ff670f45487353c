"""A creating request that is sent again makes nothing twice: its Idempotency-Key names what it made (contract 2.3)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from aywa.ports.store import Document, Documents, Once, Repeated
from aywa.service.errors import Rejected

KEPT_MS = 24 * 3600 * 1000
"""How long a name is remembered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has a name. name: of the API key and the client's together. digest: of what was sent."""

    name: str
    digest: str


def asked(key_id: str, idempotency: str | None, sent: Any) -> Asked | None:
    """None for a request without a name. sent: JSON, or bytes."""
    if idempotency is None:
        return None
    raw = (
        sent if isinstance(sent, bytes) else json.dumps(sent, sort_keys=True, separators=(",", ":")).encode()
    )
    return Asked(f"{key_id}:{idempotency}", hashlib.sha256(raw).hexdigest())


async def made_once(documents: Documents, document: Document, request: Asked | None) -> Document:
    """Stores it; or answers, as it is now, what the same request made before. Raises Rejected, Conflict, StoreUnavailable."""
    if request is None:
        await documents.insert(document)
        return document
    since_ms = document.created_ms - KEPT_MS
    for _ in range(2):
        try:
            await documents.insert(document, Once(request.name, request.digest, since_ms))
        except Repeated:
            earlier = await documents.earlier(document.org_id, request.name, since_ms)
        else:
            return document
        if earlier is not None and earlier.digest != request.digest:
            raise Rejected(["Idempotency-Key must not be used again with another body"])
        if earlier is not None:
            return earlier.document
        # It was deleted in between, and its name with it.
    raise Rejected(["Idempotency-Key is being used by another request"])
