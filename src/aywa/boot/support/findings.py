"""What `aywa doctor` finds, as far as it is a fault: by code and setting. The mends are made of values, and stay here."""

from __future__ import annotations

import asyncio
from typing import Any

from aywa.boot.support.place import Place


def findings(place: Place) -> dict[str, Any]:
    """findings.json."""
    # Its clients take a while to import.
    from aywa.boot.production.examine import examine, faults

    found = faults(asyncio.run(examine(place.environment, place.folder)))
    return {
        "findings": [{"code": one.code, "setting": one.setting or None, "told": one.told} for one in found]
    }
