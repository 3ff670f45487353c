"""What stands before every connection that a customer steers: it is asked for the address that a socket is about to go to."""

from __future__ import annotations

from collections.abc import Callable

Guard = Callable[[str, int], None]
"""Takes an address and a port; raises InternalAddress."""


INTERNAL = "its address is internal, and nobody from outside may have requests sent there"
INTERNAL_MEND = "if it is meant, the operator allows it with RUNTIME_INTERNAL_ALLOW"
"""What a route says whose guard refused it."""


class InternalAddress(OSError):
    """Nobody from outside may have a request sent there. The text names neither the address nor its network: who sent us
    there must not learn by it what we can see."""

    def __init__(self) -> None:
        super().__init__("the address is internal")
