-- What nobody asks for any more: removed by age, a bounded number at a time. {schema} is one with idempotency rows.

-- name: forget_answers
WITH old AS (
  SELECT principal, route, key FROM {schema}.idempotency WHERE at_ms < $1::bigint ORDER BY at_ms LIMIT $2::bigint
)
DELETE FROM {schema}.idempotency AS i USING old
 WHERE i.principal = old.principal AND i.route = old.route AND i.key = old.key
RETURNING 1;

-- name: forget_refresh
WITH old AS (
  SELECT token_hash FROM users.refresh_tokens WHERE expires_at_ms < $1::bigint ORDER BY expires_at_ms LIMIT $2::bigint
)
DELETE FROM users.refresh_tokens AS t USING old WHERE t.token_hash = old.token_hash
RETURNING 1;

-- name: forget_families
-- That a family ended is needed while a request that would add to it may be under way, and as long as a token that was
-- added so is there: it would be good again. There are few of them.
WITH old AS (
  SELECT family FROM users.dropped_families AS f
   WHERE dropped_at < to_timestamp($1::bigint / 1000.0)
     AND NOT EXISTS (SELECT FROM users.refresh_tokens AS t WHERE t.family = f.family)
   LIMIT $2::bigint
)
DELETE FROM users.dropped_families AS f USING old WHERE f.family = old.family
RETURNING 1;

-- name: forget_messages
WITH old AS (
  SELECT id FROM users.notifications WHERE created_at_ms < $1::bigint AND status <> 'pending'
   ORDER BY created_at_ms, id LIMIT $2::bigint
)
DELETE FROM users.notifications AS n USING old WHERE n.id = old.id
RETURNING 1;
