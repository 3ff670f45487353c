"""Under which names documents were made; what an API key may do, and until when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds them; the keys that are there may do what they could."""
    op.create_table(
        "idempotency",
        sa.Column("org_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_oldest", "idempotency", ["created_ms"])
    op.create_index("idempotency_of_document", "idempotency", ["kind", "document_id"])
    op.add_column("api_keys", sa.Column("scopes", sa.Text))
    op.add_column("api_keys", sa.Column("expires_ms", sa.BigInteger))


def downgrade() -> None:
    """Removes them."""
    op.drop_column("api_keys", "expires_ms")
    op.drop_column("api_keys", "scopes")
    op.drop_index("idempotency_of_document", "idempotency")
    op.drop_index("idempotency_oldest", "idempotency")
    op.drop_table("idempotency")
