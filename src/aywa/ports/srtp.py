"""Encryption of a stream: packets in, packets out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aywa.core.rtp.srtp_keys import SrtpKeys


class SrtpUnavailable(Exception):
    """SRTP cannot be used here; the message says what to install."""


class Srtp(Protocol):
    """One stream both ways. What is not authentic, or was there before, is None: it is counted by who asks."""

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet to send."""

    def unprotect(self, packet: bytes) -> bytes | None:
        """An RTP packet that came."""

    def protect_rtcp(self, packet: bytes) -> bytes:
        """A report to send."""

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """A report that came."""

    def to_dict(self) -> dict[str, Any]:
        """Where both directions are, to go on in another process. Holds no key."""


# What is sent, what is received, and what to_dict gave in the process before. Raises SrtpUnavailable.
SrtpMaker = Callable[[SrtpKeys, SrtpKeys, Mapping[str, Any] | None], Srtp]
