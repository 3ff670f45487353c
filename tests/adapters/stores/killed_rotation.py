"""Kills a rotation over a real store with SIGKILL: inside of every transaction, and after every one. Prints how often.

python -m tests.adapters.stores.killed_rotation PLACE MOST: an empty database's address, or the path of a file to be made; how
often at most.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aywa.adapters.stores.postgres import open_postgres
from aywa.adapters.stores.sql import sealed
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.store import Store
from aywa.service import rotation as rotations
from tests.contracts.sealed import AFTER, BOTH, fill, opens, rotation
from tests.contracts.store import ORG

BATCH = 3
NAMES = ("a", "b")


def in_a_process(place: str, work: Callable[[Store], Awaitable[None]]) -> int:
    """What it ended with: 0, or minus a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        asyncio.run(_with_store(place, work))
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the parent hears of it by the status
        traceback.print_exc()
        os._exit(1)


async def _with_store(place: str, work: Callable[[Store], Awaitable[None]]) -> None:
    store: Store = await (open_postgres(place) if "://" in place else open_sqlite(Path(place)))
    try:
        await work(store)
    finally:
        await store.close()


async def filled(store: Store) -> None:
    await store.organisations.insert(ORG)
    for name in NAMES:
        await fill(store, name=name)


async def killed_inside(store: Store) -> None:
    """With one row of the batch exchanged, and nothing committed."""
    await whole(store)
    module: Any = sealed
    exchange, done = module._exchange, 0

    async def dying(*arguments: Any) -> Any:
        nonlocal done
        if done:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        return await exchange(*arguments)

    module._exchange = dying
    _ = await rotation(store).run()


async def killed_behind(store: Store) -> None:
    """With the batch on the disk, and nobody told so."""
    await whole(store)
    rows: Any = store.sealed
    exchange = rows.exchange

    async def dying(*arguments: Any) -> None:
        _ = await exchange(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    rows.exchange = dying
    _ = await rotation(store).run()


async def whole(store: Store) -> None:
    """A runtime that has both keys has every secret."""
    assert await opens(store, BOTH) == len(NAMES) * 14


async def turned(store: Store) -> None:
    done = await rotation(store).run()
    assert (done.left, done.unopened) == (0, [])
    assert await opens(store, AFTER) == len(NAMES) * 14


def main(place: str, most: int) -> None:
    rotations.BATCH_ROWS = BATCH
    assert in_a_process(place, filled) == 0
    kills = 0
    for death in ((killed_inside, killed_behind) * most)[:most]:
        status = in_a_process(place, death)
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        kills += 1
    assert in_a_process(place, turned) == 0
    print(kills)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
