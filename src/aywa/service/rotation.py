"""Seals everything that the store holds with the key of today, so that the one of before opens nothing any more.

Where a rotation is, the rows say themselves: each has the id of its key beside its ciphertext. So whoever stops in the middle
loses nothing, and whoever begins again goes on. Refuses to guess which of two keys is the new one, and to tell of a secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aywa.ports.sealed import Exchange, KnownKey, SealedRow, SealedRows
from aywa.ports.secrets import CannotOpen, Vault
from aywa.service.clock import Clock, now_ms
from aywa.service.customer_servers import AUTH

BATCH_ROWS = 100
"""So many rows are read, and written in one transaction, at once."""
PASSES_MOST = 4
"""Runtimes write meanwhile: what they seal with the old key is found by the next pass."""

KINDS = {
    "assistants": "assistant",
    "calls": "call",
    "credentials": "credential",
    "files": "file",
    "org_settings": "org",
    "phone_numbers": "phone-number",
    "squads": "squad",
    "tools": "tool",
}
"""Table -> what the secrets of its documents are sealed for (service.sealing)."""
API_KEYS = "api_keys"
Progress = Callable[[str, int, int], None]
"""Told the table, how many rows of it were looked at, and how many were sealed anew."""


class CannotRotate(Exception):
    """The settings do not say clearly from which key to which. The text has the mend, and only the keys' ids."""


@dataclass(frozen=True, slots=True)
class Unopened:
    """A row that stays as it is. reason: why no key opens it."""

    table: str
    id: str
    reason: str


@dataclass(slots=True)
class Standing:
    """Under which keys everything lies. rows: key id -> table -> ciphertexts. running: those under another key than the one that
    seals that belong to calls which have not ended. unopened: whatever no key opens."""

    current: str
    known: tuple[KnownKey, ...] = ()
    rows: dict[str, Counter[str]] = field(default_factory=dict)
    running: int = 0
    unopened: list[Unopened] = field(default_factory=list)
    resealed: int = 0

    @property
    def left(self) -> int:
        """Ciphertexts that need another key than the one that seals."""
        return sum(sum(tables.values()) for key, tables in self.rows.items() if key != self.current)

    def count(self, row: SealedRow) -> None:
        """Takes one more row in."""
        for sealed in row.sealed:
            self.rows.setdefault(sealed.key_id, Counter())[row.table] += 1
            self.running += row.running and sealed.key_id != self.current


class Rotation:
    """The use-case. key_ids: of the keys that the vault has, the one that seals first."""

    def __init__(self, rows: SealedRows, vault: Vault, key_ids: Sequence[str], clock: Clock = now_ms) -> None:
        self._rows = rows
        self._vault = vault
        self._current, *self._previous = key_ids
        self._clock = clock

    async def status(self) -> Standing:
        """Changes nothing. Raises StoreUnavailable."""
        standing = Standing(self._current, tuple(await self._rows.keys()))
        for table in self._rows.tables:
            after = ""
            while page := await self._rows.page(table, after, BATCH_ROWS):
                after = page[-1].id
                for row in page:
                    standing.count(row)
                    standing.unopened += self._opened(row)[1]
        return standing

    async def run(
        self, told: Progress = lambda table, seen, resealed: None, *, back: bool = False
    ) -> Standing:
        """Seals anew whatever is under another key. What belongs to a running call stays: its process has the old ciphertext too,
        and will put it into the store again. back: to a key that was there before.

        Raises CannotRotate, StoreUnavailable.
        """
        self._check(await self.status(), back=back)
        mine = await note_key(self._rows, self._current, self._clock(), again=back)
        for key in self._previous:
            # Whatever sealed before anybody noted it is older than all that is noted.
            await note_key(self._rows, key, 0)
        resealed, passes = 0, 0
        while True:
            changed = sum([await self._pass(table, told) for table in self._rows.tables])
            resealed, passes = resealed + changed, passes + 1
            standing = await self.status()
            if not changed or not standing.left or passes == PASSES_MOST:
                break
        standing.resealed = resealed
        if not standing.left and mine.done_ms is None:
            await self._rows.note(KnownKey(mine.id, mine.since_ms, self._clock()))
        return standing

    # --- inside ------------------------------------------------------------------------------------------------------

    def _check(self, standing: Standing, *, back: bool) -> None:
        current, previous = self._current, self._previous
        if current in previous:
            raise CannotRotate(
                f"the new key and the one before it are the same ({current}): RUNTIME_STORE_ENCRYPTION_KEY is to be the new one,"
                " RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS the one until now; make one with: openssl rand -base64 32"
            )
        strange = sorted(set(standing.rows) - {current, *previous})
        if not previous:
            if strange:
                raise CannotRotate(
                    f"there are secrets under {', '.join(strange)[:80]}, and no key before {current} is set: put the one"
                    " until now into RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS"
                )
            return
        since = {key.id: key.since_ms for key in standing.known}
        done = {key.id for key in standing.known if key.done_ms is not None}
        newer = newer_than(standing.known, current, previous)
        known = current in done or any(key in since for key in previous)
        unused = bool(standing.rows) and not standing.left and not known
        if back or not (newer or unused):
            return
        other = newer[0] if newer else previous[0]
        why = f"{other} sealed after it" if newer else f"nothing is under {', '.join(previous)}"
        raise CannotRotate(
            f"the two keys seem to be swapped: RUNTIME_STORE_ENCRYPTION_KEY is {current}, and {why}. The new key belongs into"
            " RUNTIME_STORE_ENCRYPTION_KEY, the one until now into RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS. If the older one is"
            " to be taken back: aywa encryption rotate --back"
        )

    async def _pass(self, table: str, told: Progress) -> int:
        after, seen, changed = "", 0, 0
        while page := await self._rows.page(table, after, BATCH_ROWS):
            after = page[-1].id
            seen += len(page)
            exchanges = [each for row in page if (each := self._exchange(row)) is not None]
            if exchanges:
                changed += await self._rows.exchange(exchanges)
            told(table, seen, changed)
        return changed

    def _exchange(self, row: SealedRow) -> Exchange | None:
        """None where there is nothing to be done, or nothing can be."""
        if row.running or all(sealed.key_id == self._current for sealed in row.sealed):
            return None
        plains, unopened = self._opened(row)
        if unopened:
            return None
        place = place_of(row)
        return Exchange(row, tuple(self._vault.seal(plain, place) for plain in plains))

    def _opened(self, row: SealedRow) -> tuple[list[bytes], list[Unopened]]:
        place = place_of(row)
        try:
            return [self._vault.open(sealed, place) for sealed in row.sealed], []
        except CannotOpen as reason:
            return [], [Unopened(row.table, row.id, str(reason))]


def newer_than(known: Sequence[KnownKey], current: str, previous: Sequence[str]) -> list[str]:
    """Of the previous keys those that sealed later than the one that is to seal now: the two may be swapped."""
    since = {key.id: key.since_ms for key in known}
    return [key for key in previous if current in since and since.get(key, -1) > since[current]]


def rotated_away(known: Sequence[KnownKey], key_ids: Sequence[str]) -> str | None:
    """The key to which everything was brought from the one that is to seal now, the first of these; None where all is well. While
    a rotation is under way some runtimes may still seal with the older one."""
    done = {key.id for key in known if key.done_ms is not None}
    current, *previous = key_ids
    return next((key for key in newer_than(known, current, previous) if key in done), None)


async def note_key(rows: SealedRows, key_id: str, now_ms: int, *, again: bool = False) -> KnownKey:
    """Puts it on record that this key seals since now, unless it is known already. again: it is taken back into use."""
    found = next((key for key in await rows.keys() if key.id == key_id), None)
    if found is None or again:
        found = KnownKey(key_id, now_ms)
        await rows.note(found)
    return found


def place_of(row: SealedRow) -> tuple[str, ...]:
    """What its ciphertexts are bound to. Raises KeyError for a table of which nobody said it."""
    if row.table in ("outbox_deliveries", "call_events"):
        return (row.org_id, *AUTH)
    if row.table == API_KEYS:
        return (row.org_id, "api-key", row.id, "secret")
    return (row.org_id, KINDS[row.table], row.id, "secrets")
