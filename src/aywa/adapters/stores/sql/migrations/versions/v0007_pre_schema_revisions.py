"""Which revisions a database has, of which stage, and since when: by this an older release knows whether it may run on it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table; who migrates fills it."""
    op.create_table(
        "schema_revisions",
        sa.Column("revision", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("applied_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Removes it."""
    op.drop_table("schema_revisions")
