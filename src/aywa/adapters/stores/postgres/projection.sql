What the journal's projector writes into PostgreSQL, a batch in one transaction. Rows of calls are locked in the order of their
ids: so two projectors, or one and the API, wait for each other and never in a circle.

-- name: known
SELECT id, org_id, created_ms, deleted_ms, last_seq, document, lease_owner, lease_token
FROM calls WHERE id = ANY (:ids::text[]) ORDER BY id FOR UPDATE

-- name: add
INSERT INTO calls (
  id, org_id, type, status, assistant_id, phone_number_id, created_ms, updated_ms, last_seq, document,
  expires_ms, lease_owner, lease_token
)
SELECT * FROM unnest(
  :id::text[], :org_id::text[], :type::text[], :status::text[], :assistant_id::text[], :phone_number_id::text[],
  :created_ms::bigint[], :updated_ms::bigint[], :last_seq::bigint[], :document::text[],
  :expires_ms::bigint[], :lease_owner::text[], :lease_token::bigint[]
) ON CONFLICT (id) DO NOTHING RETURNING id

-- name: change
UPDATE calls AS c
SET type = n.type, status = n.status, updated_ms = n.updated_ms, last_seq = n.last_seq, document = n.document,
  expires_ms = n.expires_ms
FROM unnest(
  :of_id::text[], :new_type::text[], :new_status::text[], :new_updated_ms::bigint[], :new_last_seq::bigint[],
  :new_document::text[], :new_expires_ms::bigint[]
) AS n (id, type, status, updated_ms, last_seq, document, expires_ms)
WHERE c.id = n.id

-- name: add_events
INSERT INTO call_events (call_id, org_id, seq, at_s, role, kind, data)
SELECT * FROM unnest(
  :call_id::text[], :org_id::text[], :seq::bigint[], :at_s::double precision[], :role::text[], :kind::text[], :data::bytea[]
) ON CONFLICT DO NOTHING

-- name: events
SELECT call_id, org_id, seq, at_s, role, kind, data FROM call_events
WHERE call_id = :call_id AND (:org_id::text IS NULL OR org_id = :org_id) ORDER BY seq
