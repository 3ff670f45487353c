"""What an operator of several runtimes over one database can set, with its defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import Reader
from aywa.core.leases import DEAD_S

REDIS: Final = "REDIS_URL"
DRAIN: Final = "RUNTIME_DRAIN_MAX_S"
DEAD: Final = "RUNTIME_NODE_DEAD_S"
DRAIN_MOST_S: Final = 24 * 3600
DEAD_LEAST_S: Final = 2
DEAD_MOST_S: Final = 600
_ADDRESS = re.compile(r"(rediss?|unix)://\S+")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """redis_url: where leases are kept; empty: nowhere. drain_max_s: how long calls may go on when the runtime was told to end;
    0: they are ended at once. dead_s: how long a node must be silent until another ends its calls."""

    redis_url: str = field(default="", repr=False)
    drain_max_s: int = 0
    dead_s: float = DEAD_S


def node_from_environment(
    environment: Mapping[str, str] | None = None, *, drain_max_s: int = 0
) -> NodeSettings:
    """What the environment says; drain_max_s: where it says nothing of that. Raises CannotStart, naming the variable."""
    read = Reader(os.environ if environment is None else environment)
    url = read.text(REDIS)
    if url and not _ADDRESS.fullmatch(url):
        # It may hold a password: it is not repeated.
        raise CannotStart(f"{REDIS} must be an address such as redis://10.0.0.5:6379/0")
    dead_s = read.number(DEAD, round(DEAD_S), DEAD_MOST_S)
    if dead_s < DEAD_LEAST_S:
        raise CannotStart(f"{DEAD} must be a number from {DEAD_LEAST_S} to {DEAD_MOST_S}, got {dead_s}")
    return NodeSettings(url, read.number(DRAIN, drain_max_s, DRAIN_MOST_S), float(dead_s))
