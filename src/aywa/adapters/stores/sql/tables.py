"""The tables as the newest migration leaves them; refuses to create any (migrations/ does)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from aywa.adapters.stores.sql.storable import storable


class Key(TypeDecorator[str]):
    """A text that clients may choose, and that rows are found by: what cannot be stored finds nothing."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else storable(value)


metadata = MetaData()

orgs = Table(
    "orgs",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Key, nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Key, primary_key=True),
    Column("org_id", Key, ForeignKey("orgs.id"), nullable=False),
    Column("name", Key, nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", Key, nullable=False, unique=True),
    Column("hint", Key, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("key_id", Text),
    Column("sealed", LargeBinary),
    Column("scopes", Text),
    Column("expires_ms", BigInteger),
)

# Under which names documents were made, so that a repeated request is known.
idempotency = Table(
    "idempotency",
    metadata,
    Column("org_id", Key, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)


def _documents(name: str) -> Table:
    """A kind of document that is found by its id alone."""
    return Table(
        name,
        metadata,
        Column("id", Key, primary_key=True),
        Column("org_id", Key, ForeignKey("orgs.id"), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("updated_ms", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
        Column("key_id", Text),
        Column("sealed", LargeBinary),
    )


assistants = _documents("assistants")
tools = _documents("tools")
squads = _documents("squads")
files = _documents("files")

# provider and name repeat what the document says, to be searched by.
credentials = Table(
    "credentials",
    metadata,
    Column("id", Key, primary_key=True),
    Column("org_id", Key, ForeignKey("orgs.id"), nullable=False),
    Column("provider", Key, nullable=False),
    Column("name", Key),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("key_id", Text),
    Column("sealed", LargeBinary),
)

# One row an organisation, by its id.
org_settings = Table(
    "org_settings",
    metadata,
    Column("id", Key, primary_key=True),
    Column("org_id", Key, ForeignKey("orgs.id"), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("key_id", Text),
    Column("sealed", LargeBinary),
)

# What an INVITE is looked up by repeats what the document says: number and uri_user by their keys (core.numbers).
phone_numbers = Table(
    "phone_numbers",
    metadata,
    Column("id", Key, primary_key=True),
    Column("org_id", Key, ForeignKey("orgs.id"), nullable=False),
    Column("credential_id", Key),
    Column("number", Key),
    Column("uri_user", Key),
    Column("account", Key),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("key_id", Text),
    Column("sealed", LargeBinary),
)

# No foreign keys below: the projector's batch must never fail for a row that somebody else has not written.
calls = Table(
    "calls",
    metadata,
    Column("id", Key, primary_key=True),
    Column("org_id", Key, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("assistant_id", Key),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger),
    Column("last_seq", BigInteger, nullable=False),
    Column("idempotency", Key),
    Column("digest", Key),
    Column("guest_digest", Key),
    Column("phone_number_id", Key),
    Column("due_ms", BigInteger),
    Column("document", Text, nullable=False),
    Column("key_id", Text),
    Column("sealed", LargeBinary),
    Column("lease_owner", Key),
    Column("lease_token", BigInteger, nullable=False, server_default="0"),
    Column("expires_ms", BigInteger),
    Column("expired_ms", BigInteger),
)

# Which keys sealed here, by their ids. Of one that is taken into use again, the last time counts.
encryption_keys = Table(
    "encryption_keys",
    metadata,
    Column("id", Key, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("joined_ms", BigInteger, nullable=False),
)

# One row: the last fencing token.
fencing = Table(
    "fencing",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", BigInteger, nullable=False),
)

call_events = Table(
    "call_events",
    metadata,
    Column("call_id", Key, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("org_id", Key, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# How often each call's row changed (triggers count), and up to which change analytics was told.
call_notches = Table(
    "call_notches",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

outbox_deliveries = Table(
    "outbox_deliveries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("org_id", Key, nullable=False),
    Column("call_id", Key),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("endpoints", Text, nullable=False),
    Column("keys", Text, nullable=False),
    Column("endpoint", Key, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("level", BigInteger, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("rounds", BigInteger, nullable=False),
    Column("orphaned", BigInteger, nullable=False),
    Column("closed", BigInteger, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("replays", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("free_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_ms", BigInteger),
    Column("problem", Text, nullable=False),
)

outbox_attempts = Table(
    "outbox_attempts",
    metadata,
    Column("delivery_id", Key, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("level", BigInteger, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("cause", Text, nullable=False),
    Column("status", BigInteger),
    Column("next_ms", BigInteger),
    Column("detail", Text, nullable=False),
)

outbox_endpoints = Table(
    "outbox_endpoints",
    metadata,
    Column("endpoint", Key, primary_key=True),
    Column("org_id", Key, nullable=False),
    Column("disabled_ms", BigInteger, nullable=False),
)
