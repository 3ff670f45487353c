"""Tools, squads, and what is known of files; private keys whose tokens can be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("tools", "squads", "files")


def upgrade() -> None:
    """Adds them; what is there stays as it is."""
    for table in _TABLES:
        op.create_table(
            table,
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("org_id", sa.Text, sa.ForeignKey("orgs.id"), nullable=False),
            sa.Column("created_ms", sa.BigInteger, nullable=False),
            sa.Column("updated_ms", sa.BigInteger, nullable=False),
            sa.Column("document", sa.Text, nullable=False),
            sa.Column("key_id", sa.Text),
            sa.Column("sealed", sa.LargeBinary),
        )
        op.create_index(f"{table}_newest", table, ["org_id", "created_ms", "id"])
    op.add_column("api_keys", sa.Column("key_id", sa.Text))
    op.add_column("api_keys", sa.Column("sealed", sa.LargeBinary))


def downgrade() -> None:
    """Removes them, and with them every tool, squad and file."""
    for column in ("sealed", "key_id"):
        op.drop_column("api_keys", column)
    for table in reversed(_TABLES):
        op.drop_table(table)
