"""What only the releases before it used goes."""

from __future__ import annotations

from alembic import op

revision = "9002"
down_revision = "9001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE calls SET guest = guest_digest WHERE guest IS NULL")
    op.drop_column("calls", "guest_digest")


def downgrade() -> None:
    raise NotImplementedError
