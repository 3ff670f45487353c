"""Which keys sealed, so that two that were swapped are known; until when a call is kept, and whether it went by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SEALED = sa.text("sealed IS NOT NULL")
_WAITING = sa.text("expires_ms IS NOT NULL AND deleted_ms IS NULL")


def upgrade() -> None:
    """Adds them; the calls that are there are kept as they were."""
    op.create_table(
        "encryption_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("done_ms", sa.BigInteger),
    )
    op.add_column("calls", sa.Column("expires_ms", sa.BigInteger))
    op.add_column("calls", sa.Column("expired_ms", sa.BigInteger))
    op.create_index(
        "calls_expiring", "calls", ["expires_ms"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
    # Every start asks which keys sealed; without this it would read all calls there ever were.
    op.create_index("calls_sealed", "calls", ["id", "key_id"], sqlite_where=_SEALED, postgresql_where=_SEALED)


def downgrade() -> None:
    """Removes them; no call goes by itself any more."""
    op.drop_index("calls_sealed", "calls")
    op.drop_index("calls_expiring", "calls")
    op.drop_column("calls", "expired_ms")
    op.drop_column("calls", "expires_ms")
    op.drop_table("encryption_keys")
