"""A call that is deleted while it runs: ended for its party, forgotten for everybody."""

from __future__ import annotations

import asyncio

from tests.e2e.client import QUIET, api, client, eventually, speaking
from tests.e2e.dev import Dev


async def test_a_call_that_is_deleted_while_it_runs_ends_and_leaves_no_file(runtime: Dev) -> None:
    async with api(runtime.url, runtime.key) as mine:
        call_id, url = await mine.place(QUIET)
        folder = runtime.home / "artifacts" / call_id
        async with client(url) as other, speaking(other):
            await other.told("status-update", status="in-progress")
            assert await asyncio.to_thread(folder.is_dir)
            status, deleted = await mine.ask("DELETE", f"/call/{call_id}")
            assert (status, deleted["id"]) == (200, call_id)
            await other.told("status-update", status="ended", endedReason="call-deleted")

        async def is_gone() -> bool:
            return not await asyncio.to_thread(folder.exists)

        await eventually(is_gone, 20.0, "the recording of a deleted call stayed")
        assert (await mine.ask("GET", f"/call/{call_id}"))[0] == 404
