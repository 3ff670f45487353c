"""Two runtimes over one PostgreSQL and one Valkey are restarted in turn, again and again, while sipp calls them: whoever gets 503
goes to the other, as a trunk does, and no call that was answered is cut off, or heard in one direction only."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import asyncpg
import ormsgpack
import pytest

from aywa.testing.runtime import free_port
from aywa.testing.sound import encode_mulaw, read_wav
from tests.e2e.client import eventually
from tests.e2e.dev import Dev
from tests.e2e.test_drain import sip_status
from tests.peers.conftest import SPOKEN
from tests.peers.postgres import postgres
from tests.peers.sipp import Ran, Sipp
from tests.peers.valkey import valkey

TALK_MS = (2500, 7000)
AT_ONCE = 4
TRIES = 200
PACKETS_LEAST = 5
"""In either direction: the agent greets, and only then is silent."""


@dataclass
class Nodes:
    """Both, and the database they share."""

    both: tuple[Dev, Dev]
    database: str
    speech: Path
    seed: int = 8
    answered: dict[str, int] = field(default_factory=dict)
    cut_off: list[str] = field(default_factory=list)
    turned_away: int = 0


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres("fsync=off", "full_page_writes=off"))
        leases = stack.enter_context(valkey())
        shared = {
            "RUNTIME_STORE_POSTGRES_URL": cluster.address,
            "REDIS_URL": leases.url,
            "RUNTIME_STORE_ENCRYPTION_KEY": "q" * 43 + "=",
            "RUNTIME_DRAIN_MAX_S": "120",
        }
        made = []
        for name, media in (("one", "20000-20499"), ("two", "20500-20999")):
            options = ("--tiny", "--sip-port", str(free_port()))
            node = Dev(tmp_path / name, options, shared | {"RUNTIME_MEDIA_PORTS": media})
            stack.callback(node.stop)
            node.start()
            node.ready()
            made.append(node)
        speech = tmp_path / "speech.ulaw"
        speech.write_bytes(encode_mulaw(read_wav(SPOKEN.read_bytes()).pcm(8000)) * 3)
        yield Nodes((made[0], made[1]), cluster.address, speech)


async def takes_calls(node: Dev) -> bool:
    """As a trunk finds out: it asks (OPTIONS)."""
    try:
        return (await sip_status(node, "OPTIONS"))[0] == 200
    except (TimeoutError, OSError):
        return False


async def call(nodes: Nodes, name: str, folder: Path, talk_ms: int, first: int) -> None:
    """Until a node answers it."""
    for attempt in range(TRIES):
        node = nodes.both[(first + attempt) % 2]
        if not await takes_calls(node):
            await asyncio.sleep(0.1)
            continue
        place = ("127.0.0.1", int(node.options[2]))
        ran = await Sipp(
            folder / f"{name}-{attempt}", "uac_call", place, speech=nodes.speech, talk_ms=talk_ms
        ).run()
        if not answered(ran):
            nodes.turned_away += 1
            continue
        call_id = next(
            line.split(":", 1)[1].strip() for line in ran.messages.splitlines() if line.startswith("Call-ID:")
        )
        nodes.answered[call_id] = talk_ms
        if ran.code:
            nodes.cut_off.append(f"{name}: {ran.errors or ran.code}")
        return
    nodes.cut_off.append(f"{name}: nobody answered")


def answered(ran: Ran) -> bool:
    return "SIP/2.0 200" in ran.messages


async def calls_until(nodes: Nodes, folder: Path, least: int, restarts: asyncio.Task[None]) -> None:
    """At least so many, and as long as there are restarts."""
    random, begun = Random(nodes.seed), 0

    async def one_after_the_other() -> None:
        nonlocal begun
        while begun < least or not restarts.done():
            begun += 1
            await call(nodes, f"call{begun}", folder, random.randint(*TALK_MS), random.randrange(2))

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


async def restarted(nodes: Nodes, times: int) -> None:
    for turn in range(times):
        node = nodes.both[turn % 2]
        node.signal(signal.SIGTERM)
        assert await asyncio.to_thread(node.wait, 120) == 0
        node.start()
        await asyncio.to_thread(node.ready)


async def both_ways(nodes: Nodes) -> None:
    """What the calls' records say of their streams, and of how they ended."""
    connection = await asyncpg.connect(nodes.database)
    query = (
        "SELECT document::json->>'phoneCallProviderId', document::json->>'endedReason', e.data FROM calls"
        " JOIN call_events e ON e.call_id = calls.id AND e.kind = 'QualityMeasured' ORDER BY e.seq"
    )
    found = {}

    async def all_ended() -> bool:
        found.update({row[0]: (row[1], ormsgpack.unpackb(row[2])) for row in await connection.fetch(query)})
        return all(found.get(call_id, ("",))[0] for call_id in nodes.answered)

    try:
        await eventually(all_ended, 60, "a call has not ended on record")
    finally:
        await connection.close()
    for call_id, talk_ms in nodes.answered.items():
        reason, quality = found[call_id]
        assert reason == "customer-ended-call", (call_id, reason)
        assert min(quality["sent"], quality["received"]) >= PACKETS_LEAST, (call_id, talk_ms, quality)


@pytest.mark.all
@pytest.mark.parametrize(("restarts", "least"), [(1, 2), (20, 50)], ids=["one", "twenty"])
async def test_nobody_who_was_answered_is_cut_off(
    nodes: Nodes, tmp_path: Path, restarts: int, least: int
) -> None:
    rolling = asyncio.create_task(restarted(nodes, restarts))
    await calls_until(nodes, tmp_path, least, rolling)
    await rolling
    print(f"{len(nodes.answered)} calls, {nodes.turned_away} turned away, {restarts} restarts")
    assert nodes.cut_off == []
    assert len(nodes.answered) >= least
    await both_ways(nodes)
