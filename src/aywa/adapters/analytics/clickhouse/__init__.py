"""ClickHouse, over HTTP."""

from aywa.adapters.analytics.clickhouse.store import Address, ClickHouseStore

__all__ = ["Address", "ClickHouseStore"]
