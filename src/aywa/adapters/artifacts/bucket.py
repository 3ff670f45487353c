"""A bucket as its operator names it; here, so that naming one loads no client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

REGION_DEFAULT: Final = "us-east-1"
"""Where a store knows no regions, it takes this one."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where it is and who may use it. endpoint: empty for AWS. public_endpoint: where clients reach it, if that is another."""

    name: str
    endpoint: str = ""
    region: str = REGION_DEFAULT
    key_id: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    public_endpoint: str = ""
