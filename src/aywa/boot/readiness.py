"""What /readyz asks: what a call cannot do without; and, only shown, that without which calls are taken all the same: what it
lacks is on record, and made up for."""

from __future__ import annotations

from aywa.adapters.local import LocalEngine
from aywa.api.health import Check
from aywa.boot.analytics import Analytics
from aywa.boot.draining import Draining
from aywa.boot.records import Records
from aywa.boot.shipping import Shipping
from aywa.boot.ways_in import WaysIn

BESIDE = ("artifacts", "analytics")


def needed(engine: LocalEngine, records: Records, ways_in: WaysIn, draining: Draining) -> dict[str, Check]:
    """What a call cannot do without."""

    async def models() -> str | None:
        await engine.ready()
        return None

    return {
        "models": models,
        "store": records.store_ready,
        "journal": records.journal_ready,
        "media": ways_in.media_ready,
        "node": records.node.check,
        "drain": draining.check,
    }


def beside(shipping: Shipping | None, analytics: Analytics | None) -> dict[str, Check]:
    """Those that there are."""
    found: dict[str, Check] = {}
    if shipping is not None:

        async def artifacts() -> str | None:
            backlog = shipping.backlog()
            if not backlog.problem:
                return None
            return f"{backlog.problem} ({backlog.code}); {backlog.waiting} uploads wait: {backlog.mend}"

        found["artifacts"] = artifacts
    if analytics is not None:

        async def told() -> str | None:
            return analytics.teller.told.problem

        found["analytics"] = told
    return found
