"""What holds for a whole organisation: its account webhook, with its secrets sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds them; nobody has any yet."""
    op.create_table(
        "org_settings",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("org_id", sa.Text, sa.ForeignKey("orgs.id"), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
    )


def downgrade() -> None:
    """Removes them."""
    op.drop_table("org_settings")
