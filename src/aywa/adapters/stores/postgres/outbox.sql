The outbox's statements for PostgreSQL (12 and newer). Several processes claim at once: a row that another is about to take is
passed over (SKIP LOCKED), and what a call has under way is seen as it was, which only ever makes others wait.

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
WHERE outbox_deliveries.attempts = 0 AND outbox_deliveries.state = 'waiting' AND outbox_deliveries.level = 0
  AND outbox_deliveries.org_id = excluded.org_id

-- name: claim
WITH RECURSIVE found (endpoint) AS (
  SELECT (SELECT min(w.endpoint) FROM outbox_deliveries AS w WHERE w.state = 'waiting')
  UNION ALL
  SELECT (SELECT min(w.endpoint) FROM outbox_deliveries AS w WHERE w.state = 'waiting' AND w.endpoint > found.endpoint)
  FROM found WHERE found.endpoint IS NOT NULL
), free AS (
  -- With many servers each is looked at for its share and as much again only: most of what is found would be left anyway.
  SELECT found.endpoint, least(
    coalesce(b.places, :each::bigint), greatest(4, 2 * :limit::bigint / (SELECT count(*) FROM found))
  ) AS places
  FROM found LEFT JOIN unnest(:busy::text[], :places::bigint[]) AS b (endpoint, places) ON b.endpoint = found.endpoint
  WHERE found.endpoint IS NOT NULL
), due AS (
  SELECT c.id FROM free CROSS JOIN LATERAL (
    SELECT d.id, d.due_ms, d.seq FROM outbox_deliveries AS d
    WHERE d.state = 'waiting' AND d.endpoint = free.endpoint AND d.due_ms <= :now_ms AND (
      d.free_ms <= :now_ms OR NOT EXISTS (
        SELECT 1 FROM outbox_deliveries AS e
        WHERE e.call_id = d.call_id AND e.seq < d.seq AND e.state IN ('waiting', 'sending')
      )
    )
    ORDER BY d.due_ms, d.seq LIMIT free.places
  ) AS c
  WHERE free.places > 0 ORDER BY c.due_ms, c.seq LIMIT :limit
), taken AS (
  SELECT id FROM outbox_deliveries WHERE id = ANY (ARRAY(SELECT id FROM due)) AND state = 'waiting' FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE outbox_deliveries AS d
  SET state = 'sending', token = token + 1, attempts = attempts + 1, owner = :owner, lease_ms = :lease_ms, updated_ms = :now_ms
  FROM taken WHERE d.id = taken.id
  RETURNING d.*
), noted AS (
  INSERT INTO outbox_attempts (delivery_id, number, level, started_ms, cause, detail)
  SELECT id, attempts, level, :now_ms, 'sending', '{}' FROM claimed
)
SELECT d.id, d.org_id, d.call_id, d.seq, d.kind, d.policy, d.endpoints, d.body, d.created_ms,
  d.level, d.tries, d.rounds, d.orphaned, d.closed, d.private, d.attempts, d.token, d.lease_ms,
  e.endpoint IS NOT NULL AND d.replays = 0 AS disabled, d.replays
FROM claimed AS d LEFT JOIN outbox_endpoints AS e ON e.endpoint = d.endpoint

-- name: expired
SELECT d.id, d.org_id, d.call_id, d.seq, d.kind, d.policy, d.endpoints, d.body, d.created_ms,
  d.level, d.tries, d.rounds, d.orphaned, d.closed, d.private, d.attempts, d.token, d.lease_ms, false AS disabled, d.replays
FROM outbox_deliveries AS d WHERE d.state = 'sending' AND d.lease_ms < :now_ms ORDER BY d.lease_ms LIMIT :limit

-- name: finish
WITH ended AS (
  UPDATE outbox_attempts AS a
  SET ended_ms = n.ended_ms, cause = n.cause, status = n.status, next_ms = n.next_ms, detail = n.detail
  FROM unnest(
    :id::text[], :number::bigint[], :ended_ms::bigint[], :cause::text[], :status::bigint[], :next_ms::bigint[], :detail::text[]
  ) AS n (id, number, ended_ms, cause, status, next_ms, detail)
  WHERE a.delivery_id = n.id AND a.number = n.number
    AND (a.ended_ms IS NULL OR a.cause = 'orphaned' AND n.cause <> 'orphaned')
)
UPDATE outbox_deliveries AS d
SET state = n.state, level = n.level, tries = n.tries, rounds = n.rounds, orphaned = n.orphaned, closed = n.closed,
  due_ms = coalesce(n.due_ms, d.due_ms), owner = NULL, lease_ms = NULL, updated_ms = n.now_ms, problem = n.problem,
  endpoint = coalesce(d.keys[n.level + 1], d.endpoint),
  body = CASE WHEN d.private AND n.state IN ('delivered', 'failed') THEN '{}' ELSE d.body END
FROM unnest(
  :id::text[], :token::bigint[], :state::text[], :level::bigint[], :tries::bigint[], :rounds::bigint[], :orphaned::bigint[],
  :closed::bigint[], :due_ms::bigint[], :now_ms::bigint[], :problem::text[]
) AS n (id, token, state, level, tries, rounds, orphaned, closed, due_ms, now_ms, problem)
WHERE d.id = n.id AND d.token = n.token AND (d.state = 'sending' OR d.state = 'waiting' AND n.state = 'delivered')
RETURNING d.id

-- name: renew
UPDATE outbox_deliveries AS d SET lease_ms = :lease_ms FROM unnest(:id::text[], :token::bigint[]) AS n (id, token)
WHERE d.id = n.id AND d.token = n.token AND d.state = 'sending' AND d.owner = :owner

-- name: moved_waiting
UPDATE outbox_deliveries
SET due_ms = least(due_ms, greatest(:now_ms::bigint, due_ms - :by_ms::bigint)), free_ms = least(free_ms, :now_ms::bigint + :order_ms::bigint),
  updated_ms = least(updated_ms, :now_ms::bigint)
WHERE state = 'waiting' AND (due_ms > :now_ms::bigint OR free_ms > :now_ms::bigint + :order_ms::bigint OR updated_ms > :now_ms::bigint)

-- name: moved_leases
UPDATE outbox_deliveries
SET lease_ms = CASE WHEN lease_ms > :now_ms::bigint + :by_ms::bigint / 2 THEN lease_ms - :by_ms::bigint ELSE lease_ms END,
  updated_ms = least(updated_ms, :now_ms::bigint)
WHERE state = 'sending' AND (lease_ms > :now_ms::bigint + :by_ms::bigint / 2 OR updated_ms > :now_ms::bigint)

-- name: newest
SELECT max(updated_ms) AS newest_ms FROM outbox_deliveries WHERE state IN ('waiting', 'sending')

-- name: pass_on
UPDATE outbox_deliveries
SET level = level + 1, tries = 0, endpoint = keys[level + 2], updated_ms = :now_ms, problem = 'circuit_open'
WHERE state = 'waiting' AND endpoint = ANY (:endpoints::text[]) AND due_ms <= :now_ms AND level + 1 < cardinality(keys)
  AND (closed >> (level + 1)::int) & 1 = 0

-- name: disable
INSERT INTO outbox_endpoints (endpoint, org_id, disabled_ms) VALUES (:endpoint, :org_id, :now_ms) ON CONFLICT DO NOTHING

-- name: enable
DELETE FROM outbox_endpoints WHERE endpoint = :endpoint RETURNING endpoint

-- name: disabled
SELECT endpoint, disabled_ms FROM outbox_endpoints WHERE org_id = :org_id ORDER BY disabled_ms, endpoint

-- name: attempts
SELECT a.delivery_id, a.number, a.level, a.started_ms, a.ended_ms, a.cause, a.status, a.next_ms, a.detail, d.endpoints
FROM outbox_attempts AS a JOIN outbox_deliveries AS d ON d.id = a.delivery_id
WHERE a.delivery_id = ANY (:ids::text[]) AND d.org_id = :org_id ORDER BY a.started_ms, a.delivery_id, a.number

-- name: replay
UPDATE outbox_deliveries
SET state = 'waiting', level = 0, tries = 0, rounds = 0, orphaned = 0, closed = 0, endpoint = keys[1],
  replays = replays + 1, token = token + 1, due_ms = :now_ms, free_ms = 0, updated_ms = :now_ms
WHERE id = ANY (:ids::text[]) AND state IN ('delivered', 'failed') AND NOT private RETURNING id

-- name: forget
WITH over AS (
  SELECT id FROM outbox_deliveries WHERE state IN ('delivered', 'failed') AND updated_ms < :before_ms
  ORDER BY updated_ms LIMIT :limit FOR UPDATE SKIP LOCKED
), tried AS (
  DELETE FROM outbox_attempts WHERE delivery_id IN (SELECT id FROM over)
)
DELETE FROM outbox_deliveries WHERE id IN (SELECT id FROM over) RETURNING id

-- name: backlog
SELECT
  (SELECT count(*) FROM outbox_deliveries WHERE state = 'waiting')
    + (SELECT count(*) FROM outbox_deliveries WHERE state = 'sending'),
  (SELECT min(due_ms) FROM outbox_deliveries WHERE state = 'waiting')
