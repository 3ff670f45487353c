"""Where a far side that signs nothing shows its token: `token` in the address, a password (RFC 7617), or a bearer token."""

from __future__ import annotations

import base64

from aywa.ports.carriers import CarrierRequest


def shown(request: CarrierRequest) -> tuple[str, str]:
    """What stands in the address, and what in the header; empty where nothing does."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return request.asked("token"), _in_header(scheme.lower(), rest.strip())


def _in_header(scheme: str, rest: str) -> str:
    if scheme == "bearer":
        return rest
    if scheme != "basic":
        return ""
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8", "replace").partition(":")[2]
    except ValueError:
        return ""
