"""What a batch comes to is written in one order, whatever order it came in: two who write never wait in a circle."""

from __future__ import annotations

import random

from aywa.adapters.stores.sql.projected import CallRow, changes
from tests.contracts.store import ORG, projection


def test_rows_are_written_in_the_order_of_their_ids() -> None:
    names = [f"call-{n:02}" for n in range(20)]
    mixed = random.Random(1).sample(names, len(names))
    known = {name: CallRow(ORG.id, 5, text="{}") for name in mixed[:10]}
    found = changes(known, [], [projection(name, 1, status="ended") for name in mixed], [], 9)
    assert [row["id"] for row in found.added] == sorted(mixed[10:])
    assert [row["of_id"] for row in found.changed] == sorted(mixed[:10])
