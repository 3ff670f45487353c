"""One real runtime for all end-to-end tests of a session: `aywa dev --tiny` with a home of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.dev import Dev, started


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """url, key, home, pid. Tests share it: they must leave it as they found it."""
    with started(Dev(tmp_path_factory.mktemp("runtime") / "home")) as dev:
        yield dev
