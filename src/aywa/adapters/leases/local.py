"""No leases beside the database: one runtime has it to itself, or the database is the only witness."""

from __future__ import annotations

from collections.abc import Collection


class LocalLeases:
    """ports.leases.Leases; says of nobody that he lives, and can always be asked."""

    async def renew(self, node: str, token: int, ttl_s: float) -> None:
        """Nobody is told."""

    async def standing(self, nodes: Collection[str]) -> frozenset[str]:
        """Nobody's."""
        return frozenset()

    async def release(self, node: str, token: int) -> None:
        """There is none."""

    async def close(self) -> None:
        """There is nothing to close."""
