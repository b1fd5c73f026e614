-- Schema orders, besides its journal: the state rows, which are read model and checkpoint in one.

-- name: service_rows
-- Part of the append: joined to g, and only if the version is newer. seqs travel as text, for arrays do not nest.
views AS (
  INSERT INTO orders.orders_view AS old (id, version, shard, seqs, user_id, status, total_minor, currency,
                                         created_at_ms, updated_at_ms, state)
  SELECT v.id, v.version, v.shard, v.seqs::bigint[], v.user_id, v.status, v.total_minor, v.currency,
         v.created_at_ms, v.updated_at_ms, v.state
    FROM unnest($31::int[], $32::text[], $33::bigint[], $34::text[], $35::text[], $36::text[], $37::bigint[],
                $38::text[], $39::bigint[], $40::bigint[], $41::bytea[])
           AS v(shard, id, version, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state)
    JOIN g ON g.shard = v.shard
  ON CONFLICT (id) DO UPDATE
    SET version = excluded.version, shard = excluded.shard, seqs = excluded.seqs, user_id = excluded.user_id,
        status = excluded.status, total_minor = excluded.total_minor, currency = excluded.currency,
        created_at_ms = excluded.created_at_ms, updated_at_ms = excluded.updated_at_ms, state = excluded.state
  WHERE old.version < excluded.version
)

-- name: load
SELECT id, version, shard, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state
  FROM orders.orders_view WHERE id = ANY($1::text[]);

-- name: list_of_user
-- Newest first, behind ($3, $4); from the start with the greatest bigint. Reads one index.
SELECT id, version, shard, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state
  FROM orders.orders_view
 WHERE user_id = $1 AND ($2::text IS NULL OR status = $2) AND (created_at_ms, id) < ($3::bigint, $4::text)
 ORDER BY created_at_ms DESC, id DESC LIMIT $5::bigint;

-- name: list_all
-- The administrator's list. No index serves it: one more would cost every order.
SELECT id, version, shard, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state
  FROM orders.orders_view
 WHERE ($1::text IS NULL OR status = $1) AND (created_at_ms, id) < ($2::bigint, $3::text)
 ORDER BY created_at_ms DESC, id DESC LIMIT $4::bigint;
