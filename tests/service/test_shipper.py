"""What is carried into the bucket, on a clock that jumps: on record first, never lost, and nothing that was deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from aywa.adapters.artifacts.folder import FolderArtifacts
from aywa.adapters.artifacts.ledger import FolderLedger
from aywa.core.shipment import Kind, Shipment, Task
from aywa.ports.artifacts import ArtifactsUnavailable, Begun, Content, ObjectRefused, Source, Stored
from aywa.ports.journal import StoreUnavailable
from aywa.service.shipper import Shipper, ShipperLimits

pytestmark = pytest.mark.virtual_time
NAMES = ("recording.wav", "mono.wav", "transcript.json")
AWAY = ArtifactsUnavailable("s3_unreachable", "bucket b does not answer", "see that it runs")


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)


@dataclass
class Bucket(FolderArtifacts):
    """A folder that is away now and then. puts: each key when its request left. refuses: keys that it never takes."""

    folder: Path
    ledger: FolderLedger
    away: bool = False
    refuses: set[str] = field(default_factory=set)
    puts: list[tuple[float, str]] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    takes_s: float = 0.0
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    async def put(
        self, key: str, source: Source, media_type: str, upload: str = "", begun: Begun | None = None
    ) -> Stored:
        self.puts.append((now_ms() / 1000, key))
        if not any(key in map(one.key, one.names) for one in self.ledger.all()):
            self.unrecorded.append(key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.takes_s)
            if self.away:
                raise AWAY
            if key in self.refuses:
                raise ObjectRefused("400 EntityTooLarge")
            return await super().put(key, source, media_type, upload, begun)
        finally:
            self.at_once -= 1

    async def remove(self, prefix: str) -> None:
        if self.away:
            raise AWAY
        await super().remove(prefix)


@dataclass
class Files:
    """ports.artifacts.LocalArtifacts in memory."""

    calls: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def names(self, call_id: str) -> Sequence[str]:
        return sorted(self.calls.get(call_id, {}))

    def source(self, call_id: str, name: str) -> Source | None:
        content = self.calls.get(call_id, {}).get(name)
        return None if content is None else Content(content)

    def stamp(self, call_id: str) -> Mapping[str, object]:
        return dict(self.calls.get(call_id, {}))

    def drop(self, call_id: str, names: Collection[str], stamp: Mapping[str, object]) -> None:
        kept = self.calls.get(call_id, {})
        for name in names:
            if name in kept and kept[name] == stamp.get(name):
                del kept[name]

    def forget(self, call_id: str) -> None:
        self.calls.pop(call_id, None)


@dataclass
class World:
    folder: Path
    files: Files = field(default_factory=Files)
    deleted: set[str] = field(default_factory=set)
    database_away: bool = False
    limits: ShipperLimits = field(default_factory=ShipperLimits)

    def __post_init__(self) -> None:
        self.ledger = FolderLedger(self.folder / "shipments")
        self.bucket = Bucket(self.folder / "bucket", self.ledger)

    async def alive(self, org_id: str, call_id: str) -> bool:
        if self.database_away:
            raise StoreUnavailable("the database is gone")
        return call_id not in self.deleted

    @asynccontextmanager
    async def shipper(self) -> AsyncIterator[Shipper]:
        """A process's, until it ends."""
        one = Shipper(
            self.bucket,
            self.ledger,
            self.files,
            self.alive,
            clock=now_ms,
            chance=Random(1).random,
            limits=self.limits,
        )
        await one.recover()
        task = asyncio.create_task(one.run())
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await one.close()

    async def call(self, shipper: Shipper, call_id: str, names: Sequence[str] = NAMES) -> set[str]:
        """A call has ended; answers its objects' keys."""
        self.files.calls.setdefault(call_id, {}).update(
            {name: f"{call_id} {name}".encode() for name in names}
        )
        await shipper.add("org", call_id, names)
        return {f"calls/org/{call_id}/{name}" for name in names}

    async def keys(self) -> set[str]:
        return set(await self.bucket.keys("calls/"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    assert made.bucket.unrecorded == []


async def until_empty(shipper: Shipper, within_s: float = 3600.0) -> float:
    began = asyncio.get_running_loop().time()
    while shipper.backlog().waiting:
        await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() < began + within_s, shipper.backlog()
    return asyncio.get_running_loop().time() - began


async def test_what_is_added_is_stored_and_goes_from_here(world: World) -> None:
    async with world.shipper() as shipper:
        keys = await world.call(shipper, "one")
        await until_empty(shipper, 5.0)
        assert shipper.backlog().stored == 1
    assert await world.keys() == keys
    assert world.files.calls["one"] == {}
    assert world.ledger.all() == []


async def test_an_hour_without_the_bucket_loses_nothing(world: World) -> None:
    recorded: set[str] = set()
    async with world.shipper() as shipper:
        recorded |= await world.call(shipper, "before")
        await until_empty(shipper)
        world.bucket.away = True
        for number in range(120):  # a call each half minute
            recorded |= await world.call(shipper, f"during{number}")
            await asyncio.sleep(30.0)
        backlog = shipper.backlog()
        assert (backlog.waiting, backlog.code, backlog.mend) == (120, "s3_unreachable", AWAY.mend)
        assert backlog.oldest_s == pytest.approx(3600.0, abs=1.0)
        assert backlog.since_ms <= 1000
        # It is looked for now and then, not by each of them.
        assert len(world.bucket.puts) < 3 + 3600 / 40
        world.bucket.away = False
        recorded |= await world.call(shipper, "after")
        assert await until_empty(shipper) < 80.0
        assert shipper.backlog().problem == ""
    assert await world.keys() == recorded
    assert all(files == {} for files in world.files.calls.values())


async def test_a_restart_in_the_middle_of_an_outage_loses_nothing(world: World) -> None:
    recorded: set[str] = set()
    world.bucket.away = True
    for process in range(4):
        async with world.shipper() as shipper:
            for number in range(5):
                recorded |= await world.call(shipper, f"{process}-{number}")
                await asyncio.sleep(100.0)
    world.bucket.away = False
    async with world.shipper() as shipper:
        assert shipper.backlog().waiting == 20
        await until_empty(shipper)
    assert await world.keys() == recorded


async def test_a_call_that_is_deleted_meanwhile_is_nowhere(world: World) -> None:
    async with world.shipper() as shipper:
        await world.call(shipper, "stored")
        await until_empty(shipper)
        world.bucket.away = True
        kept = await world.call(shipper, "kept")
        await world.call(shipper, "gone")
        await asyncio.sleep(100.0)
        await shipper.remove("org", "gone")
        await shipper.remove("org", "stored")
        assert "gone" not in world.files.calls
        # What comes late of it is not stored either.
        await shipper.add("org", "gone", ["transcript.json"])
        await asyncio.sleep(100.0)
    assert {one.id: one.task for one in world.ledger.all()} == {
        "gone": Task.REMOVE,
        "stored": Task.REMOVE,
        "kept": Task.STORE,
    }
    world.bucket.away = False
    async with world.shipper() as shipper:
        await until_empty(shipper)
    assert await world.keys() == kept


async def test_one_that_is_deleted_while_it_is_under_way_is_nowhere(world: World) -> None:
    world.bucket.takes_s = 10.0
    async with world.shipper() as shipper:
        await world.call(shipper, "here")
        await asyncio.sleep(15.0)
        assert await world.keys() == {"calls/org/here/recording.wav"}
        await shipper.remove("org", "here")
        await until_empty(shipper)
        # Another node deletes it: this one finds out when it is done.
        await world.call(shipper, "elsewhere")
        await asyncio.sleep(15.0)
        world.deleted.add("elsewhere")
        await until_empty(shipper)
    assert await world.keys() == set()
    assert world.files.calls == {}
    assert world.ledger.all() == []


async def test_what_is_written_again_while_it_is_under_way_is_stored_again(world: World) -> None:
    world.bucket.takes_s = 10.0
    async with world.shipper() as shipper:
        await world.call(shipper, "one")
        await asyncio.sleep(25.0)
        world.files.calls["one"]["transcript.json"] = b"longer"
        await shipper.add("org", "one", ["transcript.json"])
        await until_empty(shipper)
    assert (world.folder / "bucket/calls/org/one/transcript.json").read_bytes() == b"longer"
    assert world.files.calls["one"] == {}


async def test_what_is_written_again_just_as_it_goes_from_here_is_stored_again(world: World) -> None:
    loop = asyncio.get_running_loop()
    drop = world.files.drop
    async with world.shipper() as shipper:

        async def again() -> None:
            world.files.calls["one"]["transcript.json"] = b"longer"
            await shipper.add("org", "one", ["transcript.json"])

        def dropped(call_id: str, names: Collection[str], stamp: Mapping[str, object]) -> None:
            drop(call_id, names, stamp)
            world.files.drop = drop  # type: ignore[method-assign]  # once
            asyncio.run_coroutine_threadsafe(again(), loop).result()

        world.files.drop = dropped  # type: ignore[method-assign]
        await world.call(shipper, "one")
        await until_empty(shipper)
    assert (world.folder / "bucket/calls/org/one/transcript.json").read_bytes() == b"longer"
    assert world.files.calls["one"] == {}


async def test_one_object_that_is_refused_holds_up_no_other(world: World) -> None:
    world.bucket.refuses = {"calls/org/bad/mono.wav"}
    async with world.shipper() as shipper:
        bad = await world.call(shipper, "bad")
        good: set[str] = set()
        for number in range(10):
            good |= await world.call(shipper, f"good{number}")
        await asyncio.sleep(60.0)
        assert good <= await world.keys()
        assert shipper.backlog().waiting == 1
        [left] = world.ledger.all()
        assert left.problem == "ObjectRefused: 400 EntityTooLarge"
        assert left.tries > 3
        assert shipper.backlog().problem == ""
        world.bucket.refuses = set()
        assert await until_empty(shipper) < 720.0
    assert await world.keys() == good | bad


async def test_without_the_database_nothing_goes_from_here(world: World) -> None:
    world.database_away = True
    async with world.shipper() as shipper:
        keys = await world.call(shipper, "one")
        await asyncio.sleep(60.0)
        assert set(world.files.calls["one"]) == set(NAMES)
        world.database_away = False
        await until_empty(shipper)
    assert await world.keys() == keys
    assert world.files.calls["one"] == {}


async def test_a_disk_that_is_full_lets_nothing_leave_unrecorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_shipment: Shipment) -> None:
        raise OSError(28, "No space left on device")

    async with world.shipper() as shipper:
        with monkeypatch.context() as patched:
            patched.setattr(world.ledger, "write", full)
            keys = await world.call(shipper, "one")
            await asyncio.sleep(60.0)
            assert world.bucket.puts == []
        await until_empty(shipper)
    assert await world.keys() == keys


async def test_only_so_many_are_under_way_at_once(world: World) -> None:
    world.bucket.takes_s = 1.0
    world.limits = ShipperLimits(at_once=3)
    async with world.shipper() as shipper:
        for number in range(12):
            await world.call(shipper, f"c{number}")
        await until_empty(shipper)
    assert world.bucket.most_at_once == 3


async def test_an_uploaded_file_is_removed_as_soon_as_it_can_be(world: World) -> None:
    await world.bucket.put("files/org/one", Content(b"x"), "text/plain")
    world.bucket.unrecorded.clear()
    world.bucket.away = True
    async with world.shipper() as shipper:
        await shipper.remove("org", "one", Kind.FILES)
        await asyncio.sleep(600.0)
        assert await world.bucket.keys("files/") == ["files/org/one"]
        world.bucket.away = False
        await until_empty(shipper)
        assert shipper.backlog().removed == 1
    assert await world.bucket.keys("files/") == []


async def test_what_nobody_foresaw_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(call_id: str, name: str) -> Source:
        raise RuntimeError("a defect")

    async with world.shipper() as shipper:
        with monkeypatch.context() as patched:
            patched.setattr(world.files, "source", broken)
            keys = await world.call(shipper, "one")
            await asyncio.sleep(5.0)
        await until_empty(shipper)
    assert await world.keys() == keys


SEEDS = [*range(20), *(pytest.param(seed, marks=pytest.mark.all) for seed in range(20, 500))]


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_in_whatever_order(world: World, seed: int) -> None:
    """Calls end and are deleted, the bucket and the processes come and go: in the end it holds what is owed, and nothing else."""
    dice = Random(seed)
    owed: dict[str, set[str]] = {}
    world.bucket.takes_s = dice.choice([0.0, 0.5, 5.0])
    for process in range(3):
        async with world.shipper() as shipper:
            for step in range(12):
                match dice.choice(["call", "call", "again", "delete", "elsewhere", "away", "wait"]):
                    case "call":
                        name = f"{process}-{step}"
                        owed[name] = await world.call(shipper, name)
                    case "again" if owed:
                        name = dice.choice(sorted(owed))
                        owed[name] |= await world.call(shipper, name, ["transcript.json"])
                    case "delete" if owed:
                        name = dice.choice(sorted(owed))
                        world.deleted.add(name)
                        del owed[name]
                        await shipper.remove("org", name)
                    case "elsewhere" if owed and (
                        waiting := [n for n in sorted(owed) if shipper.is_waiting(n)]
                    ):
                        name = dice.choice(waiting)
                        world.deleted.add(name)
                        del owed[name]
                        # Who deletes it removes what lies there by then.
                        await FolderArtifacts.remove(world.bucket, f"calls/org/{name}/")
                    case "away":
                        world.bucket.away = not world.bucket.away
                    case _:
                        await asyncio.sleep(dice.choice([0.1, 3.0, 200.0]))
    world.bucket.away = False
    async with world.shipper() as shipper:
        await until_empty(shipper)
    assert await world.keys() == {key for keys in owed.values() for key in keys}
    assert all(files == {} for files in world.files.calls.values())
    assert world.ledger.all() == []
