"""The chain of schema revisions: which there are, which are to be applied when, and applying them on an open transaction.

A revision of stage *pre* only adds: the last release runs on. One of stage *post* takes away what only older releases use: it
is applied when no process of those runs any more. Within a release all of pre come first. Stage and order are told by the files'
names, so that looking costs no import of Alembic; a revision that says no stage is pre.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import StoreTooNew

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCRIPTS = Path(__file__).parent
"""Where Alembic finds its way in (env.py)."""
SHARED = SCRIPTS / "versions"
"""The revisions of both dialects, from 0007 on."""
_FILE = re.compile(r"v(?P<id>\w{4})_(?:(?P<stage>pre|post)_)?(?P<name>\w+)\.py")


class Stage(StrEnum):
    """Before the new release's first process starts, or after the last release's last one has ended."""

    PRE = "pre"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema."""

    id: str
    stage: Stage
    name: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What a database says of itself. head: its newest revision, None for an empty one. recorded: those it has, with the times
    in Unix milliseconds at which they were applied; none before 0007."""

    head: str | None = None
    recorded: tuple[tuple[Revision, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A dialect's revisions, oldest first, and the folders that they lie in."""

    revisions: tuple[Revision, ...]
    folders: tuple[Path, ...]

    @property
    def head(self) -> str:
        """The newest revision that this release knows."""
        return self.revisions[-1].id

    @property
    def known(self) -> frozenset[str]:
        """Every revision that this release knows."""
        return frozenset(revision.id for revision in self.revisions)

    def pending(self, applied: Applied) -> tuple[Revision, ...]:
        """What the database lacks. Nothing, for one that a newer release has only added to. Raises StoreTooNew."""
        if applied.head is None:
            return self.revisions
        if applied.head not in self.known:
            self._judge(applied)
            return ()
        return tuple(revision for revision in self.revisions if revision.id > applied.head)

    def planned(self, applied: Applied, stage: Stage | None) -> tuple[Revision, ...]:
        """What is to be applied now; an empty database gets everything. stage: None for all that is pending.

        Raises StoreTooNew, and StoreUnavailable when the order would be broken.
        """
        pending = self.pending(applied)
        if stage is None or applied.head is None:
            return pending
        adding = [place for place, revision in enumerate(pending) if revision.stage is Stage.PRE]
        if stage is Stage.POST:
            if adding:
                raise StoreUnavailable(
                    f"schema {applied.head} lacks what this release needs first: run aywa migrate --pre,"
                    " let every process run this release, then repeat"
                )
            return pending
        chosen = pending[: adding[-1] + 1] if adding else ()
        if any(revision.stage is Stage.POST for revision in chosen[adding[0] if adding else 0 :]):
            raise StoreUnavailable(
                f"schema {applied.head} is more than one release old, and whatever still uses it would break:"
                " end every process, then run aywa migrate"
            )
        return chosen

    def _judge(self, applied: Applied) -> None:
        newer = [revision for revision, _ in applied.recorded if revision.id not in self.known]
        half = all(revision.stage is Stage.PRE for revision in newer)
        if half and any(revision.id == applied.head for revision in newer):
            return
        raise StoreTooNew(
            f"it has schema {applied.head}, which this release does not know (it knows up to {self.head}):"
            " start the newer release, or restore the backup from before the update"
        )


def chain_of(*folders: Path) -> Chain:
    """The revisions that lie in these folders."""
    found = [
        Revision(name["id"], Stage(name["stage"] or Stage.PRE), name["name"])
        for folder in folders
        for file in folder.iterdir()
        if (name := _FILE.fullmatch(file.name))
    ]
    return Chain(tuple(sorted(found, key=lambda revision: revision.id)), folders)


def revision_of(row: Sequence[object]) -> tuple[Revision, int]:
    """Of RECORDED."""
    return Revision(str(row[0]), Stage(str(row[1])), ""), int(str(row[2]))


HEAD = "SELECT version_num FROM alembic_version"
RECORDED = "SELECT revision, stage, applied_ms FROM schema_revisions ORDER BY revision"


def apply(connection: Connection, chain: Chain, target: str, now_ms: int) -> None:
    """Brings the schema there, inside the transaction that is open, and records it."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import inspect, text

    config = Config()
    config.set_main_option("script_location", _escaped(SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(_escaped, chain.folders)))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
    if inspect(connection).has_table("schema_revisions"):
        record = text("INSERT INTO schema_revisions VALUES (:id, :stage, :now_ms) ON CONFLICT DO NOTHING")
        for revision in chain.revisions:
            if revision.id <= target:
                values = {"id": revision.id, "stage": revision.stage.value, "now_ms": now_ms}
                connection.execute(record, values)


def _escaped(folder: Path) -> str:
    return str(folder).replace("%", "%%")
