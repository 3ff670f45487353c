The outbox's statements for SQLite. Each runs in the one writer's transaction, so nothing moves between two of them.

-- name: enqueue
INSERT INTO outbox_deliveries (
  id, org_id, call_id, seq, kind, policy, endpoints, keys, endpoint, body, state, level, tries, rounds, orphaned, closed,
  private, attempts, replays, due_ms, free_ms, created_ms, updated_ms, token, problem
) VALUES (
  :id, :org_id, :call_id, :seq, :kind, :policy, :endpoints, :keys, :endpoint, :body, 'waiting', 0, 0, 0, 0, 0,
  :private, 0, 0, :due_ms, :free_ms, :created_ms, :now_ms, 0, ''
) ON CONFLICT (id) DO UPDATE SET
  endpoints = excluded.endpoints, keys = excluded.keys, endpoint = excluded.endpoint, body = excluded.body,
  due_ms = excluded.due_ms, updated_ms = excluded.updated_ms
WHERE attempts = 0 AND state = 'waiting' AND level = 0 AND org_id = excluded.org_id

-- name: waiting_endpoints
WITH RECURSIVE found (endpoint) AS (
  SELECT min(endpoint) FROM outbox_deliveries WHERE state = 'waiting'
  UNION ALL
  SELECT (SELECT min(endpoint) FROM outbox_deliveries WHERE state = 'waiting' AND endpoint > found.endpoint)
  FROM found WHERE found.endpoint IS NOT NULL
)
SELECT endpoint FROM found WHERE endpoint IS NOT NULL

-- name: due_at
SELECT due_ms, seq, id FROM outbox_deliveries AS d
WHERE state = 'waiting' AND endpoint = :endpoint AND due_ms <= :now_ms AND (
  free_ms <= :now_ms OR NOT EXISTS (
    SELECT 1 FROM outbox_deliveries AS e
    WHERE e.call_id = d.call_id AND e.seq < d.seq AND e.state IN ('waiting', 'sending')
  )
)
ORDER BY due_ms, seq LIMIT :places

-- name: claim
UPDATE outbox_deliveries
SET state = 'sending', token = token + 1, attempts = attempts + 1, owner = :owner, lease_ms = :lease_ms, updated_ms = :now_ms
WHERE id = :id

-- name: note_attempt
INSERT INTO outbox_attempts (delivery_id, number, level, started_ms, cause, detail)
SELECT id, attempts, level, :now_ms, 'sending', '{}' FROM outbox_deliveries WHERE id = :id

-- name: claimed
SELECT d.id, d.org_id, d.call_id, d.seq, d.kind, d.policy, d.endpoints, d.body, d.created_ms,
  d.level, d.tries, d.rounds, d.orphaned, d.closed, d.private, d.attempts, d.token, d.lease_ms,
  e.endpoint IS NOT NULL AND d.replays = 0 AS disabled, d.replays
FROM outbox_deliveries AS d LEFT JOIN outbox_endpoints AS e ON e.endpoint = d.endpoint
WHERE d.id = :id

-- name: expired
SELECT d.id, d.org_id, d.call_id, d.seq, d.kind, d.policy, d.endpoints, d.body, d.created_ms,
  d.level, d.tries, d.rounds, d.orphaned, d.closed, d.private, d.attempts, d.token, d.lease_ms, 0 AS disabled, d.replays
FROM outbox_deliveries AS d WHERE d.state = 'sending' AND d.lease_ms < :now_ms ORDER BY d.lease_ms LIMIT :limit

-- name: end_attempt
UPDATE outbox_attempts
SET ended_ms = :ended_ms, cause = :cause, status = :status, next_ms = :next_ms, detail = :detail
WHERE delivery_id = :id AND number = :number AND (ended_ms IS NULL OR cause = 'orphaned' AND :cause <> 'orphaned')

-- name: finish
UPDATE outbox_deliveries
SET state = :state, level = :level, tries = :tries, rounds = :rounds, orphaned = :orphaned, closed = :closed,
  due_ms = coalesce(:due_ms, due_ms), owner = NULL, lease_ms = NULL, updated_ms = :now_ms, problem = :problem,
  endpoint = coalesce(json_extract(keys, '$[' || :level || ']'), endpoint),
  body = CASE WHEN private AND :state IN ('delivered', 'failed') THEN '{}' ELSE body END
WHERE id = :id AND token = :token AND (state = 'sending' OR state = 'waiting' AND :state = 'delivered')

-- name: renew
UPDATE outbox_deliveries SET lease_ms = :lease_ms WHERE id = :id AND token = :token AND state = 'sending' AND owner = :owner

-- name: moved_waiting
UPDATE outbox_deliveries
SET due_ms = min(due_ms, max(:now_ms, due_ms - :by_ms)), free_ms = min(free_ms, :now_ms + :order_ms),
  updated_ms = min(updated_ms, :now_ms)
WHERE state = 'waiting' AND (due_ms > :now_ms OR free_ms > :now_ms + :order_ms OR updated_ms > :now_ms)

-- name: moved_leases
UPDATE outbox_deliveries
SET lease_ms = CASE WHEN lease_ms > :now_ms + :by_ms / 2 THEN lease_ms - :by_ms ELSE lease_ms END,
  updated_ms = min(updated_ms, :now_ms)
WHERE state = 'sending' AND (lease_ms > :now_ms + :by_ms / 2 OR updated_ms > :now_ms)

-- name: newest
SELECT max(updated_ms) AS newest_ms FROM outbox_deliveries WHERE state IN ('waiting', 'sending')

-- name: pass_on
UPDATE outbox_deliveries
SET level = level + 1, tries = 0, endpoint = json_extract(keys, '$[' || (level + 1) || ']'), updated_ms = :now_ms,
  problem = 'circuit_open'
WHERE state = 'waiting' AND endpoint = :endpoint AND due_ms <= :now_ms AND level + 1 < json_array_length(keys)
  AND (closed >> (level + 1)) & 1 = 0

-- name: disable
INSERT INTO outbox_endpoints (endpoint, org_id, disabled_ms) VALUES (:endpoint, :org_id, :now_ms) ON CONFLICT DO NOTHING

-- name: enable
DELETE FROM outbox_endpoints WHERE endpoint = :endpoint

-- name: disabled
SELECT endpoint, disabled_ms FROM outbox_endpoints WHERE org_id = :org_id ORDER BY disabled_ms, endpoint

-- name: replay
UPDATE outbox_deliveries
SET state = 'waiting', level = 0, tries = 0, rounds = 0, orphaned = 0, closed = 0, endpoint = json_extract(keys, '$[0]'),
  replays = replays + 1, token = token + 1, due_ms = :now_ms, free_ms = 0, updated_ms = :now_ms
WHERE id = :id AND state IN ('delivered', 'failed') AND NOT private

-- name: forget_attempts
DELETE FROM outbox_attempts WHERE delivery_id = :id

-- name: forget_delivery
DELETE FROM outbox_deliveries WHERE id = :id

-- name: over
SELECT id FROM outbox_deliveries WHERE state IN ('delivered', 'failed') AND updated_ms < :before_ms
ORDER BY updated_ms LIMIT :limit

-- name: backlog
SELECT
  (SELECT count(*) FROM outbox_deliveries WHERE state = 'waiting')
    + (SELECT count(*) FROM outbox_deliveries WHERE state = 'sending'),
  (SELECT min(due_ms) FROM outbox_deliveries WHERE state = 'waiting')
