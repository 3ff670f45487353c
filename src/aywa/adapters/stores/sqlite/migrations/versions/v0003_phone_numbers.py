"""Phone numbers; calls that have one, and calls that begin later, with what they take along sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OF_CALLS = ("phone_number_id", "due_ms", "key_id", "sealed")


def upgrade() -> None:
    """Adds them; what is there stays as it is."""
    op.create_table(
        "phone_numbers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("org_id", sa.Text, sa.ForeignKey("orgs.id"), nullable=False),
        sa.Column("credential_id", sa.Text),
        sa.Column("number", sa.Text),
        sa.Column("uri_user", sa.Text),
        sa.Column("account", sa.Text),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("sealed", sa.LargeBinary),
    )
    op.create_index("phone_numbers_newest", "phone_numbers", ["org_id", "created_ms", "id"])
    # An INVITE says nothing of organisations: what it names must be one number's in the whole store.
    op.create_index("phone_numbers_of_trunk", "phone_numbers", ["credential_id", "number"], unique=True)
    op.create_index("phone_numbers_by_uri", "phone_numbers", ["uri_user"], unique=True)
    op.create_index("phone_numbers_by_account", "phone_numbers", ["account"], unique=True)
    op.create_index("credentials_by_provider", "credentials", ["provider", "created_ms"])
    op.add_column("calls", sa.Column("phone_number_id", sa.Text))
    op.add_column("calls", sa.Column("due_ms", sa.BigInteger))
    op.add_column("calls", sa.Column("key_id", sa.Text))
    op.add_column("calls", sa.Column("sealed", sa.LargeBinary))
    op.create_index("calls_of_phone_number", "calls", ["org_id", "phone_number_id", "created_ms"])
    op.create_index("calls_due", "calls", ["due_ms"], sqlite_where=sa.text("due_ms IS NOT NULL"))


def downgrade() -> None:
    """Removes them, and with them every number."""
    for index in ("calls_due", "calls_of_phone_number"):
        op.drop_index(index, "calls")
    for column in reversed(_OF_CALLS):
        op.drop_column("calls", column)
    op.drop_index("credentials_by_provider", "credentials")
    op.drop_table("phone_numbers")
