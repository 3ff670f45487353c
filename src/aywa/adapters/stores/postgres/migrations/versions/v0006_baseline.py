"""Everything that the embedded store had when PostgreSQL came beside it: its revisions 0001 to 0006.

What is sorted or searched by is compared byte by byte (COLLATE "C"), as SQLite does it, whatever the database's language.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = None
branch_labels = None
depends_on = None

_DOCUMENTS = ("assistants", "tools", "squads", "files", "org_settings", "credentials", "phone_numbers")

# No foreign keys from calls on: the projector's batch must never fail for a row that somebody else has not written.
_STATEMENTS = (
    """
CREATE TABLE orgs (
  id text COLLATE "C" PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE, created_ms bigint NOT NULL
)""",
    """
CREATE TABLE api_keys (
  id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL REFERENCES orgs (id), name text NOT NULL,
  kind text NOT NULL, digest text COLLATE "C" NOT NULL UNIQUE, hint text NOT NULL, created_ms bigint NOT NULL,
  last_used_ms bigint, revoked_ms bigint, key_id text, sealed bytea
)""",
    *(
        f"""
CREATE TABLE {table} (
  id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL REFERENCES orgs (id), created_ms bigint NOT NULL,
  updated_ms bigint NOT NULL, document text NOT NULL, key_id text, sealed bytea
)"""
        for table in _DOCUMENTS
    ),
    *(f"CREATE INDEX {table}_newest ON {table} (org_id, created_ms, id)" for table in _DOCUMENTS),
    """
ALTER TABLE credentials ADD COLUMN provider text COLLATE "C" NOT NULL, ADD COLUMN name text COLLATE "C"
""",
    "CREATE INDEX credentials_of_provider ON credentials (org_id, provider, created_ms)",
    "CREATE INDEX credentials_by_provider ON credentials (provider, created_ms)",
    """
ALTER TABLE phone_numbers ADD COLUMN credential_id text COLLATE "C", ADD COLUMN number text COLLATE "C",
  ADD COLUMN uri_user text COLLATE "C", ADD COLUMN account text COLLATE "C"
""",
    # An INVITE says nothing of organisations: what it names must be one number's in the whole store.
    "CREATE UNIQUE INDEX phone_numbers_of_trunk ON phone_numbers (credential_id, number)",
    "CREATE UNIQUE INDEX phone_numbers_by_uri ON phone_numbers (uri_user)",
    "CREATE UNIQUE INDEX phone_numbers_by_account ON phone_numbers (account)",
    """
CREATE TABLE calls (
  id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, type text NOT NULL, status text NOT NULL,
  assistant_id text COLLATE "C", phone_number_id text COLLATE "C", created_ms bigint NOT NULL, updated_ms bigint NOT NULL,
  deleted_ms bigint, due_ms bigint, last_seq bigint NOT NULL, idempotency text COLLATE "C", digest text, guest_digest text,
  document text NOT NULL, key_id text, sealed bytea
) WITH (fillfactor = 80)""",
    "CREATE INDEX calls_newest ON calls (org_id, created_ms, id)",
    "CREATE INDEX calls_of_assistant ON calls (org_id, assistant_id, created_ms)",
    "CREATE INDEX calls_of_phone_number ON calls (org_id, phone_number_id, created_ms)",
    "CREATE UNIQUE INDEX calls_idempotency ON calls (org_id, idempotency)",
    "CREATE INDEX calls_unended ON calls (id) WHERE status <> 'ended' AND deleted_ms IS NULL",
    "CREATE INDEX calls_due ON calls (due_ms) WHERE due_ms IS NOT NULL",
    """
CREATE TABLE call_events (
  call_id text COLLATE "C" NOT NULL, seq bigint NOT NULL, org_id text COLLATE "C" NOT NULL, at_s double precision NOT NULL,
  role text NOT NULL, kind text NOT NULL, data bytea NOT NULL, PRIMARY KEY (call_id, seq)
)""",
    """
CREATE TABLE outbox_deliveries (
  id text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, call_id text COLLATE "C", seq bigint NOT NULL,
  kind text NOT NULL, policy text NOT NULL, endpoints text NOT NULL, keys text[] NOT NULL, endpoint text COLLATE "C" NOT NULL,
  body text NOT NULL, state text NOT NULL, level bigint NOT NULL, tries bigint NOT NULL, rounds bigint NOT NULL,
  orphaned bigint NOT NULL, closed bigint NOT NULL, private boolean NOT NULL, attempts bigint NOT NULL,
  replays bigint NOT NULL, due_ms bigint NOT NULL, free_ms bigint NOT NULL, created_ms bigint NOT NULL,
  updated_ms bigint NOT NULL, token bigint NOT NULL, owner text, lease_ms bigint, problem text NOT NULL
) WITH (fillfactor = 80)""",
    # Who is claimed from: each server's longest waiting, without a look at what waits for the others.
    "CREATE INDEX outbox_waiting ON outbox_deliveries (endpoint, due_ms, seq) WHERE state = 'waiting'",
    "CREATE INDEX outbox_leases ON outbox_deliveries (lease_ms) WHERE state = 'sending'",
    "CREATE INDEX outbox_order ON outbox_deliveries (call_id, seq) WHERE state IN ('waiting', 'sending')",
    "CREATE INDEX outbox_newest ON outbox_deliveries (org_id, created_ms, id)",
    "CREATE INDEX outbox_of_call ON outbox_deliveries (call_id, seq)",
    "CREATE INDEX outbox_over ON outbox_deliveries (updated_ms) WHERE state IN ('delivered', 'failed')",
    """
CREATE TABLE outbox_attempts (
  delivery_id text COLLATE "C" NOT NULL, number bigint NOT NULL, level bigint NOT NULL, started_ms bigint NOT NULL,
  ended_ms bigint, cause text NOT NULL, status bigint, next_ms bigint, detail text NOT NULL,
  PRIMARY KEY (delivery_id, number)
) WITH (fillfactor = 60)""",
    """
CREATE TABLE outbox_endpoints (
  endpoint text COLLATE "C" PRIMARY KEY, org_id text COLLATE "C" NOT NULL, disabled_ms bigint NOT NULL
)""",
)
_TABLES = ("outbox_endpoints", "outbox_attempts", "outbox_deliveries", "call_events", "calls", *_DOCUMENTS)


def upgrade() -> None:
    """Makes the tables and what they are searched by."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Removes them all."""
    for table in (*_TABLES, "api_keys", "orgs"):
        op.drop_table(table)
