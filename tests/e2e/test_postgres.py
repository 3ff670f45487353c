"""A real runtime over a real PostgreSQL: everything of a call lies there, and the database may go away during calls."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from aywa.journal.segment import read_segment
from tests.docs.test_commands import ROOT, commands
from tests.e2e.client import QUIET, Api, Client, api, client, eventually, speaking
from tests.e2e.dev import Dev, started
from tests.e2e.test_guides import GUIDES
from tests.peers.postgres import Postgres, postgres

HOLE_S = 0.5
"""Whoever waited for the database would be silent for as long as it is away; a busy machine is late by less."""
GREETS: Mapping[str, Any] = {
    **QUIET,
    "name": "Greeter",
    "firstMessageMode": "assistant-speaks-first",
    "firstMessage": "Lakeside, good evening.",
    "silenceTimeoutSeconds": 600,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres("fsync=off", "full_page_writes=off") as running:
        yield running


@pytest.fixture(scope="module")
def runtime(cluster: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    home = tmp_path_factory.mktemp("over-postgres") / "home"
    dev = Dev(home, environment={"RUNTIME_STORE_POSTGRES_URL": cluster.address})
    with started(dev):
        yield dev


async def rows(cluster: Postgres, query: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(cluster.address)
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


def journalled(home: Path) -> set[tuple[str, int]]:
    """What every call has on record."""
    return {
        (placed.record.call_id, placed.record.seq)
        for file in (home / "journal").glob("*.journal")
        for placed in read_segment(file)
    }


async def all_of_it_is_there(cluster: Postgres, home: Path, calls: set[str]) -> None:
    """Every record of the journal is a row, once, and the other way round."""

    async def stored() -> bool:
        found = await rows(
            cluster, "SELECT call_id, seq FROM call_events WHERE call_id = ANY ($1)", list(calls)
        )
        return {tuple(row) for row in found} == {one for one in journalled(home) if one[0] in calls}

    await eventually(stored, 40, "rows and journal are not the same")
    assert {call_id for call_id, _ in journalled(home)} >= calls


async def ends(one: Client) -> None:
    await one.socket.send('{"type":"end-call"}')
    await one.told("status-update", status="ended", endedReason="customer-ended-call")


async def test_a_whole_call_lies_in_the_database(runtime: Dev, cluster: Postgres) -> None:
    async with api(runtime.url, runtime.key) as asked:
        status, assistant = await asked.ask("POST", "/assistant", dict(GREETS))
        assert status == 201, assistant
        call_id, url = await asked.place(assistant["id"])
        async with client(url) as one, speaking(one):
            await one.told("transcript", role="assistant", transcriptType="final")
            await ends(one)
        call = await asked.ended(call_id)
        _, timeline = await asked.ask("GET", f"/call/{call_id}/timeline")
        query = {"name": "calls", "table": "call", "operations": [{"operation": "count", "column": "id"}]}
        status, counted = await asked.ask("POST", "/analytics", {"queries": [query]})
        assert (status, [each["countid"] for each in counted[0]["result"]]) == (201, [1])
    assert not (runtime.home / "aywa.db").exists()
    await all_of_it_is_there(cluster, runtime.home, {call_id})
    [row] = await rows(cluster, "SELECT status, assistant_id, document FROM calls WHERE id = $1", call_id)
    assert (row[0], row[1]) == ("ended", assistant["id"])
    kept = json.loads(row[2])
    assert {name: kept[name] for name in ("endedReason", "messages", "startedAt", "endedAt")} == {
        name: call[name] for name in ("endedReason", "messages", "startedAt", "endedAt")
    }
    assert timeline
    assert "Lakeside" in row[2]
    listed = await asyncio.to_thread(calls_listed, runtime)
    assert call_id in [each["id"] for each in listed]


def calls_listed(runtime: Dev) -> list[Any]:
    """By the command line, which reads the same database."""
    done = subprocess.run(
        [sys.executable, "-m", "aywa.cli", "calls", "--json"],
        env=os.environ | {"AYWA_HOME": str(runtime.home), **runtime.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


async def begun(asked: Api) -> tuple[str, str]:
    story = {**GREETS, "firstMessage": "Once upon a time there was a house by the sea. " * 4}
    return await asked.place(story)


async def outage(runtime: Dev, cluster: Postgres, down_s: float) -> None:
    async with api(runtime.url, runtime.key) as asked:
        through, through_url = await begun(asked)
        within, within_url = await begun(asked)
        async with client(through_url) as one, client(within_url) as other, speaking(one), speaking(other):
            await one.heard(20)
            await other.heard(20)
            await asyncio.to_thread(cluster.stop, "immediate")
            gone_s = time.monotonic()
            status, answer = await asked.ask("GET", f"/call/{through}")
            assert (status, answer["message"]) == (503, "The store does not answer right now.")

            async def is_told() -> bool:
                status, body = await asyncio.to_thread(runtime.readyz)
                return status == 503 and "PostgreSQL" in json.dumps(body)

            await eventually(is_told, 30, "readyz did not say that the database is gone")
            # One call ends meanwhile, and one goes on: nobody hears a hole.
            await ends(other)
            heard = len(one.frames)
            await one.socket.send(
                json.dumps({"type": "say", "content": "Still here, without a database. " * 3})
            )
            await one.heard(heard + 100)
            times = [at_s for at_s, _ in one.frames[heard : heard + 100]]
            assert max(b - a for a, b in pairwise(times)) < HOLE_S
            await asyncio.sleep(max(0.0, gone_s + down_s - time.monotonic()))
            assert one.code is None
            await asyncio.to_thread(cluster.start)

            async def is_ready() -> bool:
                return (await asyncio.to_thread(runtime.readyz))[0] == 200

            await eventually(is_ready, 40, "it was not ready again")
            await ends(one)
        for call_id in (through, within):
            call = await asked.ended(call_id)
            assert call["endedReason"] == "customer-ended-call"
            assert call["messages"][0]["message"].startswith("Once upon a time")
        # A next call is as if nothing had been.
        later, url = await asked.place(dict(GREETS))
        async with client(url) as one, speaking(one):
            await one.heard(10)
            await ends(one)
        await asked.ended(later)
    await all_of_it_is_there(cluster, runtime.home, {through, within, later})
    assert "Traceback" not in runtime.log


async def test_a_database_that_goes_away_ends_no_call_and_loses_nothing(
    runtime: Dev, cluster: Postgres
) -> None:
    await outage(runtime, cluster, 2.5)


@pytest.mark.all
async def test_a_database_that_is_away_for_a_minute_loses_nothing(runtime: Dev, cluster: Postgres) -> None:
    await outage(runtime, cluster, 60.0)


async def test_the_guide_makes_a_database_and_updates_it(cluster: Postgres, tmp_path: Path) -> None:
    guide = (GUIDES / "store.md").read_text()
    [made] = re.findall(r"^```sql\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    [written] = re.findall(r"^RUNTIME_STORE_POSTGRES_URL=(\S+)$", guide, re.MULTILINE)
    assert written == "postgresql://aywa:PASSWORD@db.internal:5432/aywa?sslmode=verify-full"
    connection = await asyncpg.connect(cluster.address)
    for statement in made.strip().split(";\n"):
        await connection.execute(statement)
    await connection.close()
    url = cluster.address_of("aywa").replace("postgres@", "aywa:PASSWORD@")
    environment = os.environ | {"AYWA_HOME": str(tmp_path), "RUNTIME_STORE_POSTGRES_URL": url}
    told = []
    for command in commands(guide):
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", command.replace(".venv/bin/", f"{ROOT}/.venv/bin/")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        told.append(done.stdout.split()[0])
    assert told == ["Migrated", "Nothing", "REVISION", "Nothing"]
    owners = await rows(
        cluster, "SELECT 1 FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE rolname = 'aywa'"
    )
    assert len(owners) == 1
