"""What a request to a customer's server is signed with, at the time it leaves. Refuses to know how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class CannotSign(Exception):
    """The server's settings say how to, and cannot be followed. The text never holds a secret. retryable: later it may be
    possible (a token could not be had)."""

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        super().__init__(text)
        self.retryable = retryable


class RequestHeaders(Protocol):
    """auth: how to, opaque; as an endpoint carries it. It opens no more than it says of itself: credentials are looked up, so
    that one that was changed is used as it is now."""

    async def headers(
        self, org_id: str, auth: str, *, url: str, body: str, message_id: str, timestamp_s: int
    ) -> Mapping[str, str]:
        """All headers of one POST: of the content, of the authentication, and those that the customer named. Raises CannotSign,
        StoreUnavailable."""

    def refused(self, org_id: str, auth: str) -> None:
        """The server answered 401: a token that was kept is not used again."""
