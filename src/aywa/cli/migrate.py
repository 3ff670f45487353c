"""`aywa migrate`: brings the store's schema to this release's, all at once or around an update without a pause."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aywa.cli.runtime import fail

if TYPE_CHECKING:
    from aywa.boot.schema import Schema


def migrate(
    pre: Annotated[
        bool, typer.Option("--pre", help="Only what the last release can live with: before the update.")
    ] = False,
    post: Annotated[
        bool, typer.Option("--post", help="What is left: when every process runs this release.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Change nothing; show what there is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the store's schema to this release's.

    Without an option everything is applied: end every other process before. To update without a pause run --pre, replace the
    processes one after the other, then run --post.

    Example:

      aywa migrate --status
    """
    if pre + post + status > 1:
        raise typer.BadParameter("choose one of --pre, --post and --status")
    from aywa.boot.schema import Stage, migrate_store, schema_of_store
    from aywa.ports.journal import StoreUnavailable
    from aywa.ports.store import StoreTooNew

    async def run() -> tuple[bool, Schema]:
        stage = Stage.PRE if pre else Stage.POST if post else None
        done = False if status else await migrate_store(stage)
        return done, await schema_of_store()

    try:
        done, schema = asyncio.run(run())
    except StoreTooNew as error:
        fail(f"The store cannot be used: {error}")
    except (StoreUnavailable, OSError) as error:
        fail(f"The store cannot be migrated: {error}")
    shown = _shown(schema)
    if as_json:
        typer.echo(json.dumps({"changed": done, "schema": schema.head, "revisions": shown}, indent=2))
        return
    if status:
        typer.echo(f"{'REVISION':8}  {'STAGE':5}  {'APPLIED (UTC)':19}  NAME")
        for each in shown:
            at = "pending" if each["pending"] else (each["appliedAt"] or "yes")[:19].replace("T", " ")
            typer.echo(f"{each['revision']:8}  {each['stage']:5}  {at:19}  {each['name']}")
        return
    left = sum(step.pending for step in schema.steps)
    more = f"; {left} left (aywa migrate --post, when every process runs this release)" if left else ""
    typer.echo(f"{'Migrated to' if done else 'Nothing to do: the schema is'} {schema.head}{more}.")


def _shown(schema: Schema) -> list[dict[str, Any]]:
    from aywa.service.clock import iso

    return [
        {
            "revision": step.revision,
            "stage": step.stage.value,
            "name": step.name.replace("_", " ") or "of a newer release",
            "pending": step.pending,
            "appliedAt": None if step.applied_ms is None else iso(step.applied_ms),
        }
        for step in schema.steps
    ]
