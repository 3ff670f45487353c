"""Credentials, and room for the sealed secrets of assistants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds them; what is there stays as it is."""
    op.create_table(
        "credentials",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("org_id", sa.Text, sa.ForeignKey("orgs.id"), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
    )
    op.create_index("credentials_newest", "credentials", ["org_id", "created_ms", "id"])
    op.create_index("credentials_of_provider", "credentials", ["org_id", "provider", "created_ms"])
    op.add_column("assistants", sa.Column("key_id", sa.Text))
    op.add_column("assistants", sa.Column("sealed", sa.LargeBinary))


def downgrade() -> None:
    """Removes them, and with them every sealed secret."""
    op.drop_column("assistants", "sealed")
    op.drop_column("assistants", "key_id")
    op.drop_table("credentials")
