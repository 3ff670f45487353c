"""A release to come: a guest's token in a column of another name. Beside it: what else may only be added."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aywa.adapters.stores.sql.migrations import SHARED, chain_of

revision = "9001"
# Whatever this release ends with.
down_revision = chain_of(SHARED).head
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("guest", sa.Text))
    op.add_column("calls", sa.Column("region", sa.Text, nullable=False, server_default="home"))
    op.add_column("assistants", sa.Column("region", sa.Text))
    op.create_index("assistants_of_region", "assistants", ["org_id", "region"])
    op.create_table("regions", sa.Column("id", sa.Text, primary_key=True))


def downgrade() -> None:
    raise NotImplementedError
