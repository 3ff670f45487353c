"""One engine for all tests of the session that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.clickhouse import ClickHouse, clickhouse


@pytest.fixture(scope="session")
def engine() -> Iterator[ClickHouse]:
    with clickhouse() as running:
        yield running
