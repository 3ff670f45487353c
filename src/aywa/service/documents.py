"""What documents of every kind share: ids, dates, the stored text, list filters; refuses to know any one kind."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aywa.ports.store import Document, JsonObject, ListQuery, Span
from aywa.service.clock import iso, parse_iso
from aywa.service.errors import Rejected

LIST_LIMIT = 100
"""How many documents a list holds when nobody says."""

LIST_LIMIT_MAX = 1000
"""How many it holds at most (contract 2.6)."""

OWN_FIELDS = ("id", "orgId", "createdAt", "updatedAt")
"""Fields that only the runtime sets: a client's are dropped, because clients send back what they read."""

_BOUNDS = ("Gt", "Lt", "Ge", "Le")


def new_document(
    org_id: str, now_ms: int, body: Mapping[str, Any], document_id: str | None = None
) -> Document:
    """A document with the submitted body, verbatim, behind its ids and dates."""
    document_id = document_id or str(uuid.uuid4())
    own = {"id": document_id, "orgId": org_id, "createdAt": iso(now_ms), "updatedAt": iso(now_ms)}
    return Document(document_id, org_id, now_ms, now_ms, dump(own | without_own(body)))


def without_own(body: Mapping[str, Any]) -> JsonObject:
    """The body without the fields that only the runtime sets."""
    return {name: value for name, value in body.items() if name not in OWN_FIELDS}


def dump(body: Mapping[str, Any]) -> str:
    """A document's text."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


def load(document: Document) -> JsonObject:
    """A document's body."""
    body: JsonObject = json.loads(document.text)
    return body


def list_query(parameters: Mapping[str, str], columns: Mapping[str, str] | None = None) -> ListQuery:
    """What a list's query asks for. columns: further filters, by parameter. Raises Rejected with all that is wrong."""
    problems: list[str] = []
    limit = _limit(parameters.get("limit"), problems)
    created = _span("createdAt", parameters, problems)
    updated = _span("updatedAt", parameters, problems)
    if problems:
        raise Rejected(problems)
    filters = [(column, parameters[name]) for name, column in (columns or {}).items() if parameters.get(name)]
    return ListQuery(limit, created, updated, tuple(filters))


def json_list(texts: Sequence[str]) -> str:
    """Stored texts as one JSON array, unparsed."""
    return f"[{','.join(texts)}]"


def _limit(text: str | None, problems: list[str]) -> int:
    if text is None:
        return LIST_LIMIT
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= LIST_LIMIT_MAX and len(text) < 9):
        problems.append(
            f"limit must be an integer between 0 and {LIST_LIMIT_MAX}, got {json.dumps(text[:80])}"
        )
        return LIST_LIMIT
    return int(text)


def _span(field: str, parameters: Mapping[str, str], problems: list[str]) -> Span:
    # Rows count whole milliseconds; a finer bound is moved to the millisecond that decides the same.
    bounds: dict[str, int] = {}
    for bound in _BOUNDS:
        text = parameters.get(field + bound)
        if text is None:
            continue
        try:
            ms = parse_iso(text)
        except (ValueError, OverflowError):
            problems.append(
                f"{field}{bound} must be a valid ISO 8601 date string, got {json.dumps(text[:80])}"
            )
            continue
        bounds[bound.lower()] = math.floor(ms) if bound in ("Gt", "Le") else math.ceil(ms)
    return Span(**bounds)
