"""Counts how often each call's row changed, and up to which change analytics was told. Triggers do it, so that the last release's
processes count as well; calls that are there already are to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COUNTED = """
INSERT INTO call_notches (call_id, version, told, lease_ms, since_ms)
VALUES (NEW.id, 1, 0, 0, COALESCE(NEW.deleted_ms, NEW.updated_ms))
ON CONFLICT (call_id) DO UPDATE SET
    version = call_notches.version + 1,
    since_ms = CASE WHEN call_notches.told = call_notches.version THEN excluded.since_ms ELSE call_notches.since_ms END
"""
_SQLITE = {
    "call_notches_made": f"AFTER INSERT ON calls BEGIN {_COUNTED}; END",
    "call_notches_changed": f"AFTER UPDATE OF document, deleted_ms ON calls BEGIN {_COUNTED}; END",
}
_FUNCTION = f"CREATE FUNCTION call_notch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_COUNTED}; RETURN NULL; END $$"
_POSTGRES = (
    "CREATE TRIGGER call_notches AFTER INSERT OR UPDATE OF document, deleted_ms ON calls"
    " FOR EACH ROW EXECUTE FUNCTION call_notch()"
)
_WAITING = sa.text("version > told")


def upgrade() -> None:
    """Adds the table and the triggers."""
    op.create_table(
        "call_notches",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("lease_ms", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "call_notches_waiting",
        "call_notches",
        ["since_ms", "call_id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, trigger in _SQLITE.items():
            op.execute(f"CREATE TRIGGER {name} {trigger}")
    else:
        op.execute(_FUNCTION)
        op.execute(_POSTGRES)
    op.execute(
        "INSERT INTO call_notches (call_id, version, told, lease_ms, since_ms)"
        " SELECT id, 1, 0, 0, COALESCE(deleted_ms, updated_ms) FROM calls"
    )


def downgrade() -> None:
    """Removes them; who tells analytics then begins anew."""
    if op.get_bind().dialect.name == "sqlite":
        for name in _SQLITE:
            op.execute(f"DROP TRIGGER {name}")
    else:
        op.execute("DROP TRIGGER call_notches ON calls")
        op.execute("DROP FUNCTION call_notch()")
    op.drop_table("call_notches")
