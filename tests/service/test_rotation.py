"""Rotation: whoever stops it where he likes loses nothing; it guesses nothing about keys."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.secrets.aes_gcm import AesGcmVault, key_id
from aywa.ports.sealed import Exchange, KnownKey, SealedRow
from aywa.ports.secrets import Sealed, Vault
from aywa.service import rotation as rotations
from aywa.service.rotation import CannotRotate, Rotation, Standing, note_key, place_of, rotated_away

OLD, NEW, OLDER = (bytes([n]) * 32 for n in (1, 2, 3))
OLD_ID, NEW_ID, OLDER_ID = map(key_id, (OLD, NEW, OLDER))
BEFORE, BOTH, AFTER = AesGcmVault(OLD), AesGcmVault(NEW, [OLD, OLDER]), AesGcmVault(NEW)
TABLES = ("credentials", "api_keys", "call_events")


class Killed(BaseException):
    """As if by kill -9: nobody catches it."""


@dataclass
class Rows:
    """ports.sealed.SealedRows in memory. Of its transactions the n-th is never begun, or done and never answered."""

    rows: dict[tuple[str, str], SealedRow] = field(default_factory=dict)
    noted: dict[str, KnownKey] = field(default_factory=dict)
    tables: Sequence[str] = TABLES
    kill_at: int = -1
    kill_after: bool = False
    transactions: int = 0
    largest: int = 0

    def add(self, vault: Vault, table: str, name: str, count: int = 1, *, running: bool = False) -> None:
        empty = SealedRow(table, name, "org", ())
        sealed = tuple(vault.seal(f"{table}/{name}/{n}".encode(), place_of(empty)) for n in range(count))
        self.rows[table, name] = SealedRow(table, name, "org", sealed, running)

    def plains(self, vault: Vault) -> dict[tuple[str, str], list[bytes]]:
        """What this vault opens: all of it."""
        return {
            key: [vault.open(sealed, place_of(row)) for sealed in row.sealed]
            for key, row in self.rows.items()
        }

    async def page(self, table: str, after: str, limit: int) -> Sequence[SealedRow]:
        ids = sorted(name for of, name in self.rows if of == table and name > after)
        return [self.rows[table, name] for name in ids[:limit]]

    async def exchange(self, exchanges: Sequence[Exchange]) -> int:
        self.largest = max(self.largest, len(exchanges))
        await self._transaction()
        done = 0
        for each in exchanges:
            key = (each.row.table, each.row.id)
            if self.rows[key].sealed == each.row.sealed:
                self.rows[key] = SealedRow(*key, "org", each.sealed, each.row.running)
                done += 1
        self._answered()
        return done

    async def key_ids(self) -> Collection[str]:
        return {sealed.key_id for row in self.rows.values() for sealed in row.sealed}

    async def keys(self) -> Sequence[KnownKey]:
        return sorted(self.noted.values(), key=lambda key: -key.since_ms)

    async def note(self, key: KnownKey) -> None:
        await self._transaction()
        self.noted[key.id] = key
        self._answered()

    async def _transaction(self) -> None:
        self.transactions += 1
        if self.transactions == self.kill_at and not self.kill_after:
            raise Killed

    def _answered(self) -> None:
        if self.transactions == self.kill_at:
            raise Killed


def run(
    rows: Rows, vault: Vault = BOTH, ids: Sequence[str] = (NEW_ID, OLD_ID), *, back: bool = False
) -> Standing:
    rows.transactions = 0
    return asyncio.run(Rotation(rows, vault, ids, lambda: 1000).run(back=back))


ROWS = st.dictionaries(
    st.tuples(st.sampled_from(TABLES), st.text("abc", min_size=1, max_size=3)),
    st.tuples(st.sampled_from([OLD, NEW, OLDER]), st.integers(0, 3)),
    max_size=12,
)
DEATHS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=6)


@given(ROWS, DEATHS, st.integers(1, 4))
def test_killed_anywhere_it_loses_nothing_and_goes_on(
    found: dict[tuple[str, str], tuple[bytes, int]], deaths: list[tuple[int, bool]], batch: int
) -> None:
    rows = Rows()
    for (table, name), (key, count) in found.items():
        rows.add(AesGcmVault(key), table, name, 1 if table != "call_events" else count)
    plains, ids = rows.plains(BOTH), (NEW_ID, OLD_ID, OLDER_ID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rotations, "BATCH_ROWS", batch)
        for rows.kill_at, rows.kill_after in deaths:
            try:
                run(rows, ids=ids, back=True)
            except Killed:
                # A runtime that has both keys has every secret at every moment.
                assert rows.plains(BOTH) == plains
        rows.kill_at = -1
        done = run(rows, ids=ids, back=True)
    assert rows.plains(AFTER) == plains
    assert (done.left, done.unopened) == (0, [])
    assert rows.largest <= batch


@given(ROWS, st.lists(st.tuples(st.sampled_from(TABLES), st.text("abc", min_size=1, max_size=3)), max_size=8))
def test_whoever_writes_meanwhile_is_never_overwritten(
    found: dict[tuple[str, str], tuple[bytes, int]], writes: list[tuple[str, str]]
) -> None:
    rows = Rows()
    for (table, name), (key, count) in found.items():
        rows.add(AesGcmVault(key), table, name, 1 if table != "call_events" else count)
    waiting = list(writes)
    exchange = rows.exchange

    async def written_over(exchanges: Sequence[Exchange]) -> int:
        if waiting:
            # A runtime that still seals with the old key, between look and exchange.
            rows.add(BEFORE, *waiting.pop(), count=2)
        return await exchange(exchanges)

    rows.exchange = written_over  # type: ignore[method-assign]
    _ = run(rows, ids=(NEW_ID, OLD_ID, OLDER_ID), back=True)
    for table, name in writes[len(waiting) :]:
        assert rows.plains(BOTH)[table, name] == [f"{table}/{name}/{n}".encode() for n in range(2)]
    rows.exchange = exchange  # type: ignore[method-assign]
    done = run(rows, ids=(NEW_ID, OLD_ID, OLDER_ID), back=True)
    assert done.left == 0
    assert rows.plains(AFTER) == rows.plains(BOTH)


# --- which key is which ----------------------------------------------------------------------------------------------


@pytest.fixture
def rows() -> Rows:
    rows = Rows()
    for name in "abc":
        rows.add(BEFORE, "credentials", name)
    return rows


def swapped(rows: Rows) -> str:
    """What it says of the two keys the wrong way round; nothing is touched."""
    before = dict(rows.rows), dict(rows.noted)
    with pytest.raises(CannotRotate) as caught:
        run(rows, AesGcmVault(OLD, [NEW]), (OLD_ID, NEW_ID))
    assert (rows.rows, rows.noted) == before
    return str(caught.value)


def test_the_new_key_must_not_be_the_old_one(rows: Rows) -> None:
    with pytest.raises(CannotRotate, match=f"the same \\({OLD_ID}\\).*openssl rand"):
        run(rows, BEFORE, (OLD_ID, OLD_ID))


def test_keys_that_are_swapped_before_the_first_rotation_are_refused(rows: Rows) -> None:
    told = swapped(rows)
    assert (
        f"seem to be swapped: RUNTIME_STORE_ENCRYPTION_KEY is {OLD_ID}, and nothing is under {NEW_ID}" in told
    )
    assert "--back" in told
    # A runtime that ran with them so has noted the old one.
    asyncio.run(note_key(rows, OLD_ID, 5))
    assert "swapped" in swapped(rows)


def test_keys_that_are_swapped_in_the_middle_or_afterwards_are_refused(rows: Rows) -> None:
    rows.kill_at, rows.kill_after = 3, True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rotations, "BATCH_ROWS", 1)
        with pytest.raises(Killed):
            run(rows)
    rows.kill_at = -1
    assert {row.sealed[0].key_id for row in rows.rows.values()} == {OLD_ID, NEW_ID}
    assert f"{NEW_ID} sealed after it" in swapped(rows)
    _ = run(rows)
    assert f"{NEW_ID} sealed after it" in swapped(rows)


def test_whoever_wants_the_older_key_back_says_so(rows: Rows) -> None:
    _ = run(rows)
    done = run(rows, AesGcmVault(OLD, [NEW]), (OLD_ID, NEW_ID), back=True)
    assert (done.left, done.current) == (0, OLD_ID)
    assert len(rows.plains(BEFORE)) == 3
    rows.noted[NEW_ID] = KnownKey(NEW_ID, 0)
    assert run(rows, AesGcmVault(OLD, [NEW]), (OLD_ID, NEW_ID)).left == 0


def test_a_start_with_the_key_that_was_taken_out_of_use_is_known() -> None:
    old, new = KnownKey(OLD_ID, 5), KnownKey(NEW_ID, 9, 10)
    assert rotated_away([new, old], [OLD_ID, NEW_ID]) == NEW_ID
    # While it is under way, and when it is to go back, runtimes with either may start.
    assert rotated_away([replace(new, done_ms=None), old], [OLD_ID, NEW_ID]) is None
    assert rotated_away([replace(old, since_ms=11), new], [OLD_ID, NEW_ID]) is None
    assert rotated_away([new, old], [NEW_ID, OLD_ID]) is None
    assert rotated_away([new, old], [NEW_ID]) is None
    assert rotated_away([], [NEW_ID, OLD_ID]) is None


def test_a_key_that_is_missing_is_asked_for(rows: Rows) -> None:
    with pytest.raises(CannotRotate, match=f"under {OLD_ID}, and no key before {NEW_ID}.*_PREVIOUS"):
        run(rows, AFTER, (NEW_ID,))


def test_what_is_done_is_done_and_without_a_previous_key_too(rows: Rows) -> None:
    assert run(rows).resealed == 3
    assert run(rows).resealed == 0
    alone = run(rows, AFTER, (NEW_ID,))
    assert (alone.left, alone.resealed, rows.noted[NEW_ID]) == (0, 0, KnownKey(NEW_ID, 1000, 1000))


def test_an_empty_store_has_nothing_to_seal() -> None:
    assert run(Rows()).left == 0


def test_progress_and_errors_tell_nothing_of_a_secret(rows: Rows) -> None:
    rows.rows["credentials", "b"] = SealedRow(
        "credentials", "b", "org", (Sealed(OLD_ID, b"\x01" + b"x" * 40),)
    )
    told: list[tuple[str, int, int]] = []
    rotation = Rotation(rows, BOTH, (NEW_ID, OLD_ID), lambda: 1000)
    done = asyncio.run(rotation.run(lambda *each: told.append(each)))
    assert ("credentials", 3, 2) in told
    assert [(row.id, "altered" in row.reason) for row in done.unopened] == [("b", True)]
    assert "credentials/a" not in repr(done) + repr(rows.rows)
