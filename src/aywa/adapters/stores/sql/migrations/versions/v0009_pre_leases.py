"""Several runtimes over one database: who they are, and whose a call is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_UNENDED = sa.text("status <> 'ended' AND deleted_ms IS NULL")


def upgrade() -> None:
    """Adds them. A call that is there is nobody's."""
    op.add_column("calls", sa.Column("lease_owner", sa.Text))
    op.add_column("calls", sa.Column("lease_token", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index(
        "calls_leased", "calls", ["lease_owner"], sqlite_where=_UNENDED, postgresql_where=_UNENDED
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("joined_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "fencing",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Removes them."""
    op.drop_table("fencing")
    op.drop_table("nodes")
    op.drop_index("calls_leased", "calls")
    op.drop_column("calls", "lease_token")
    op.drop_column("calls", "lease_owner")
