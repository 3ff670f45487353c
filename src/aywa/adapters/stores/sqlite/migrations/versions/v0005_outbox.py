"""The outbox: deliveries, each attempt at them, and the servers that want nothing any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'waiting'")
_OPEN = sa.text("state IN ('waiting', 'sending')")


def upgrade() -> None:
    """Adds them; what is there stays as it is."""
    op.create_table(
        "outbox_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("endpoints", sa.Text, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("level", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("rounds", sa.BigInteger, nullable=False),
        sa.Column("orphaned", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.BigInteger, nullable=False),
        sa.Column("private", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("replays", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("free_ms", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_ms", sa.BigInteger),
        sa.Column("problem", sa.Text, nullable=False),
    )
    table = "outbox_deliveries"
    # Who is claimed from: each server's longest waiting, without a look at what waits for the others.
    op.create_index("outbox_waiting", table, ["endpoint", "due_ms", "seq"], sqlite_where=_WAITING)
    op.create_index("outbox_leases", table, ["lease_ms"], sqlite_where=sa.text("state = 'sending'"))
    op.create_index("outbox_order", table, ["call_id", "seq"], sqlite_where=_OPEN)
    op.create_index("outbox_newest", table, ["org_id", "created_ms", "id"])
    op.create_index("outbox_of_call", table, ["call_id", "seq"])
    op.create_index(
        "outbox_over", table, ["updated_ms"], sqlite_where=sa.text("state IN ('delivered', 'failed')")
    )
    op.create_table(
        "outbox_attempts",
        sa.Column("delivery_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("level", sa.BigInteger, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("next_ms", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "outbox_endpoints",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("disabled_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Removes them, and with them every message that was not sent."""
    for table in ("outbox_endpoints", "outbox_attempts", "outbox_deliveries"):
        op.drop_table(table)
