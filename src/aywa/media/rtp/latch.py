"""Whose packets are taken, and where ours go: symmetric RTP (RFC 4961) within what signalling agreed to.

A source is taken for one of three reasons, the best first: it is the negotiated address, it is a negotiated host with
another port (its NAT chose that), or its packet was authenticated (SRTP). Nothing else is, ever. A better source takes
over at once, an equal one only when the present one has been silent. Refuses to look into packets.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

# As the socket tells it: host, port, and for IPv6 two numbers more.
Source = tuple[str, int] | tuple[str, int, int, int]

_EXACT, _HOST, _PROVEN, _STRANGER = 3, 2, 1, 0


class Latch:
    """source: where packets come from, None before the first. refused: packets of strangers.

    hosts: besides the negotiated one, those that may send, too: where the signalling came from.
    """

    def __init__(
        self, remote: tuple[str, int] | None, hosts: Collection[str] = (), silent_s: float = 1.0
    ) -> None:
        self._silent_s = silent_s
        self.source: Source | None = None
        self.refused = 0
        self.moves = 0
        self._rank = _STRANGER
        self._others = self._hosts = frozenset(map(plain_host, hosts))
        self._remote: tuple[str, int] | None = None
        self.negotiate(remote)

    def negotiate(self, remote: tuple[str, int] | None) -> None:
        """Signalling says where the far side is from now on. A source that fits that stays."""
        wanted = None if remote is None else (plain_host(remote[0]), remote[1])
        if wanted == self._remote:
            return
        self._remote = wanted
        self._hosts = self._others if wanted is None else self._others | {wanted[0]}
        if self.source is not None:
            self._rank = self._ranked(self.source, False)
            if self._rank < _EXACT and self._remote is not None:
                # Another address was named: the old one is not it any more.
                self.source = None
                self._rank = _STRANGER

    def taken(self, source: Source, proven: bool, quiet_s: float) -> bool:
        """Whether a packet of another source than the present one is taken. quiet_s: since the present one's last."""
        rank = self._ranked(source, proven)
        if rank == _STRANGER or (
            self.source is not None
            and (rank < self._rank or (rank == self._rank and quiet_s < self._silent_s))
        ):
            self.refused += 1
            return False
        self.moves += self.source is not None
        self.source, self._rank = source, rank
        return True

    def allows(self, source: Source) -> bool:
        """Whether reports may come from there: from any agreed host, and from who sends the audio."""
        if self.source is not None and source[0] == self.source[0]:
            return True
        return self._ranked(source, False) != _STRANGER

    @property
    def destination(self) -> tuple[str, int] | None:
        """Where to send: to whom sends, until then to the negotiated address."""
        return self._remote if self.source is None else (self.source[0], self.source[1])

    def _ranked(self, source: Source, proven: bool) -> int:
        host = plain_host(source[0])
        if (host, source[1]) == self._remote:
            return _EXACT
        if host in self._hosts:
            return _HOST
        return _PROVEN if proven else _STRANGER


def plain_host(host: str) -> str:
    """One spelling for each address; a name stays as it is and fits nobody."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
