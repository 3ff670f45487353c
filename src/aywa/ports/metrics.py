"""What whoever looks at the runtime's figures asks for."""

from __future__ import annotations

from typing import Protocol


class MetricPages(Protocol):
    """The figures of this process, all taken at the same moment: both pages say the same."""

    async def text(self) -> bytes:
        """In Prometheus' text format."""

    async def json(self) -> bytes:
        """The same values as a JSON object."""
