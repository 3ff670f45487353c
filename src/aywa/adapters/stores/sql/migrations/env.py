"""Alembic's way in: runs the migrations on the connection, inside the transaction, that `migrate` opened."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
