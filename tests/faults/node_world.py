"""Two nodes (`aywa serve`), PostgreSQL, Valkey, SeaweedFS and ClickHouse's engine, each on a machine of its own (a network
namespace), and a network for each of the stores: so each node's cable to each of them can be pulled by itself. Callers and the
webhook's receiver are on the first network, which is this process's own."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from botocore.session import get_session

from aywa.adapters.analytics.clickhouse import ClickHouseStore
from aywa.boot.analytics import clickhouse_from_environment
from tests.e2e.client import QUIET, Api, Client, api, client, eventually, speaking
from tests.e2e.production import API_KEY, BUCKET, KEY, PASSWORD, Served, make_roles
from tests.e2e.test_postgres import journalled
from tests.e2e.test_webhooks import Receiver, receiving
from tests.faults.onlooker import Onlooker
from tests.peers.clickhouse import ClickHouse, clickhouse
from tests.peers.networks import Machine, Networks, inside, networks
from tests.peers.postgres import Postgres, postgres
from tests.peers.seaweedfs import SeaweedFs, seaweedfs
from tests.peers.valkey import Valkey

FRONT, STORE, LEASES, FILES, SUMS = "front", "store", "leases", "files", "sums"
NETWORKS = (FRONT, STORE, LEASES, FILES, SUMS)
DEAD_S = 4.0
PORT = 8080
POSTGRES_PORT = 5432
FOUND_OUT_S = 90.0
SETTLED_S = 240.0
"""Analytics are told again when whoever was telling has been silent for two minutes (service/teller.py)."""
HOLE_S = 2.0
"""A caller may hear nothing for so long, while the agent speaks, on a machine that has seven more to be."""
SENTENCE = "Once upon a time there was a house by the sea. "
SAYS = 8
SAY_EVERY_S = 8.0
LASTING = {**QUIET, "silenceTimeoutSeconds": 3600, "maxDurationSeconds": 3600}
RECORDINGS = (
    "recording.wav",
    "mono.wav",
    "customer.wav",
    "assistant.wav",
    "transcript.json",
    "events.jsonl.gz",
)
WORKER_DIED = "call.in-progress.error-vapifault-worker-died"
HUNG_UP = "customer-ended-call"

T = TypeVar("T")


@dataclass
class Node(Served):
    """One of them."""

    machine: Machine | None = None

    @property
    def at(self) -> Machine:
        assert self.machine is not None
        return self.machine

    @property
    def url(self) -> str:
        return f"http://{self.at.at(FRONT)}:{self.port}"

    @property
    def name(self) -> str:
        """As the others know it."""
        return (self.home / "node").read_text().strip()

    def start(self) -> None:
        with inside(self.at):
            super().start()


@dataclass
class Party:
    """A caller of a call that `node` took. told: what was asked of it to be said, so that it speaks without end."""

    node: Node
    call_id: str
    line: Client
    closed: bool = False

    async def speaks(self) -> None:
        """Until it is cancelled, the agent has something to say."""
        with suppress(Exception):
            while True:
                await self.line.socket.send(f'{{"type":"say","content":"{SENTENCE * SAYS}"}}')
                await asyncio.sleep(SAY_EVERY_S)

    async def hears(self, frames: int = 50) -> None:
        """More than it has heard so far."""
        await self.line.heard(len(self.line.frames) + frames, 30.0)

    def hole_s(self, since_s: float) -> float:
        """The longest time without audio since then."""
        times = [since_s, *(at_s for at_s, _ in self.line.frames if at_s >= since_s)]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    async def hangs_up(self) -> None:
        await self.line.socket.send('{"type":"end-call"}')
        await self.line.told("status-update", 60.0, status="ended", endedReason=HUNG_UP)


@dataclass
class World:
    """All of it."""

    folder: Path
    networks: Networks
    database: Postgres
    leases: Valkey
    bucket: SeaweedFs
    sums: ClickHouse
    sums_url: str
    receiver: Receiver
    onlooker: Onlooker
    nodes: list[Node] = field(default_factory=list)

    def machine(self, name: str) -> Machine:
        return self.networks.machines[name]

    async def at(self, machine: str, ask: Callable[[], T]) -> T:
        """What is asked on that machine."""

        def there() -> T:
            with inside(self.machine(machine)):
                return ask()

        return await asyncio.to_thread(there)

    async def rows(self, query: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(self.database.address_of("aywa"))
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def objects(self) -> set[str]:
        """The keys in the bucket."""
        return set(await self.at("seaweed", lambda: keys_in(self.bucket)))

    async def told(self, calls: Collection[str]) -> set[str]:
        """Those of the calls that ClickHouse has, ended."""
        names = ", ".join(f"'{call_id}'" for call_id in calls)
        query = f"SELECT call_id FROM calls FINAL WHERE ended_reason != '' AND call_id IN ({names})"
        return {row[0] for row in await self.at("clickhouse", lambda: asked(self.sums_url, query))}

    def reports(self, calls: Collection[str]) -> dict[str, list[str]]:
        """The ids of the end-of-call reports that came, by call; one that came twice is there twice."""
        found: dict[str, list[str]] = {call_id: [] for call_id in calls}
        for message in self.receiver.messages:
            if message["type"] == "end-of-call-report" and message["call"]["id"] in found:
                found[message["call"]["id"]].append(message["id"])
        return found

    async def unrecorded(self, calls: Collection[str], home: Path) -> int:
        """How many records of these calls are in a journal and no rows."""
        stored = await self._stored(calls)
        written = {one for one in await asyncio.to_thread(journalled, home) if one[0] in calls}
        return len(written - stored)

    async def gaps(self, calls: Collection[str]) -> int:
        """How many rows of these calls are missing between their first and their last. (A journal's file goes when all of it is
        in the store.)"""
        stored = await self._stored(calls)
        seqs: dict[str, list[int]] = {}
        for call_id, seq in stored:
            seqs.setdefault(call_id, []).append(seq)
        return sum(max(own) - min(own) + 1 - len(own) for own in seqs.values())

    async def _stored(self, calls: Collection[str]) -> set[tuple[str, int]]:
        query = "SELECT call_id, seq FROM call_events WHERE call_id = ANY ($1)"
        return {(row[0], row[1]) for row in await self.rows(query, list(calls))}

    async def ready(self, nodes: Sequence[Node] | None = None) -> None:
        for node in self.nodes if nodes is None else nodes:

            async def is_ready(node: Node = node) -> bool:
                return (await asyncio.to_thread(node.readyz))[0] == 200

            await eventually(
                is_ready, FOUND_OUT_S, f"{node.home.name} was not ready again: {node.log[-2000:]}"
            )

    @asynccontextmanager
    async def calling(self, *nodes: Node) -> AsyncIterator[list[Party]]:
        """A call on each of these, speaking."""
        async with AsyncExitStack() as stack:
            parties = []
            for node in nodes:
                own = await stack.enter_async_context(api(node.url, API_KEY))
                call_id, url = await own.place({**LASTING, "server": {"url": self.receiver.url}})
                line = await stack.enter_async_context(client(url))
                await stack.enter_async_context(speaking(line))
                party = Party(node, call_id, line)
                parties.append(party)
                talking = asyncio.create_task(party.speaks(), name="party: speaks")
                stack.push_async_callback(stopped, talking)
            await asyncio.gather(*(party.hears(20) for party in parties))
            yield parties

    @asynccontextmanager
    async def asking(self, node: Node) -> AsyncIterator[Api]:
        async with api(node.url, API_KEY) as one:
            yield one


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def keys_in(bucket: SeaweedFs) -> list[str]:
    found = bucket_client(bucket).list_objects_v2(Bucket=BUCKET)
    return [one["Key"] for one in found.get("Contents", ())]


def bucket_client(bucket: SeaweedFs) -> Any:
    return get_session().create_client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name="us-east-1",
        aws_access_key_id=bucket.key_id,
        aws_secret_access_key=bucket.secret,
    )


def asked(url: str, query: str) -> list[tuple[Any, ...]]:
    address = clickhouse_from_environment({"RUNTIME_ANALYTICS_CLICKHOUSE_URL": url})
    assert address is not None
    store = ClickHouseStore(address)
    try:
        return [tuple(row) for row in store._ask(query, {})]
    finally:
        if store._client is not None:
            store._client.close()


@contextmanager
def servers(folder: Path, made: Networks) -> Iterator[World]:
    """Everything but the nodes."""
    for name, network in (("postgres", STORE), ("valkey", LEASES), ("seaweed", FILES), ("clickhouse", SUMS)):
        made.machine(name, network)
    machines = made.machines
    with ExitStack() as stack:
        with inside(machines["postgres"]):
            database = stack.enter_context(
                postgres(f"listen_addresses={machines['postgres'].at(STORE)}", "fsync=off")
            )
            database.admit(made.all)
        leases = Valkey(6379, machines["valkey"].at(LEASES))
        with inside(machines["valkey"]):
            leases.start()
        stack.callback(leases.stop)
        with inside(machines["seaweed"]):
            bucket = stack.enter_context(seaweedfs(machines["seaweed"].at(FILES)))
            bucket_client(bucket).create_bucket(Bucket=BUCKET)
        with inside(machines["clickhouse"]):
            sums = stack.enter_context(clickhouse(8123, host=machines["clickhouse"].at(SUMS)))
        receiver = Receiver()
        stack.enter_context(receiving(receiver, host=made.own))
        onlooker = Onlooker(database.address_of("aywa"), DEAD_S)
        world = World(folder, made, database, leases, bucket, sums, sums.url("aywa"), receiver, onlooker)
        stack.enter_context(onlooker.listening(leases, machines["valkey"]))
        yield world


def node_in(world: World, name: str) -> Node:
    """On a machine of its own."""
    machine = world.networks.machine(name, *NETWORKS)
    place = world.machine("postgres").at(STORE)
    environment = {
        "RUNTIME_ENV": "development",
        "RUNTIME_HOST": machine.at(FRONT),
        "RUNTIME_API_KEY": API_KEY,
        "RUNTIME_STORE_POSTGRES_URL": f"postgresql://aywa:{PASSWORD}@{place}:{POSTGRES_PORT}/aywa",
        "RUNTIME_STORE_ENCRYPTION_KEY": KEY,
        "REDIS_URL": world.leases.url,
        "RUNTIME_NODE_DEAD_S": f"{DEAD_S:g}",
        "RUNTIME_ARTIFACT_S3_BUCKET": BUCKET,
        "RUNTIME_ARTIFACT_S3_ENDPOINT": world.bucket.endpoint,
        "RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID": world.bucket.key_id,
        "RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY": world.bucket.secret,
        "RUNTIME_ANALYTICS_CLICKHOUSE_URL": world.sums_url,
        "RUNTIME_INTERNAL_ALLOW": world.networks.all,
        "RUNTIME_SIP_ENABLED": "false",
    }
    return Node(world.folder / name, (), environment, PORT, machine=machine)


@asynccontextmanager
async def two_nodes() -> AsyncIterator[World]:
    """Running, and looked at."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aywa-nodes-")))
        made = stack.enter_context(networks(*NETWORKS))
        world = stack.enter_context(servers(folder, made))
        await make_roles(world.database, PASSWORD)
        for name in ("one", "two"):
            node = node_in(world, name)
            stack.callback(node.stop)
            world.nodes.append(node)
            node.start()
            await asyncio.to_thread(node.ready)
            if name == "one":
                await world.onlooker.begin()
        yield world


def monotonic_s() -> float:
    """As the callers' frames are timed."""
    return time.monotonic()
