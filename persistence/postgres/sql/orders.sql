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
-- The administrator's list, behind ($2, $3). Reads the index of all orders by time.
SELECT id, version, shard, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state
  FROM orders.orders_view
 WHERE ($1::text IS NULL OR status = $1) AND (created_at_ms, id) < ($2::bigint, $3::text)
 ORDER BY created_at_ms DESC, id DESC LIMIT $4::bigint;

-- name: scan_end
-- Where the next $4 orders end, behind ($1, $2) and not before $3.
SELECT created_at_ms, id FROM orders.orders_view
 WHERE (created_at_ms, id) < ($1::bigint, $2::text) AND created_at_ms >= $3::bigint
 ORDER BY created_at_ms DESC, id DESC OFFSET $4::bigint - 1 LIMIT 1;

-- name: find
-- Behind ($1, $2), not before ($3, $4). {owner} is a condition on the account, for the planner to see its index.
-- The address is the state's own; the state is JSON text (without NUL), and only parsed where everything else fits.
SELECT id, version, shard, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state
  FROM orders.orders_view
 WHERE (created_at_ms, id) < ($1::bigint, $2::text) AND (created_at_ms, id) >= ($3::bigint, $4::text)
   AND {owner}
   AND ($6::text IS NULL OR status = $6)
   AND ($7::bigint IS NULL OR total_minor >= $7)
   AND ($8::bigint IS NULL OR total_minor <= $8)
   AND CASE WHEN $9::text IS NULL THEN true
            ELSE lower(convert_from(state, 'UTF8')::json ->> 'email') = $9 END
 ORDER BY created_at_ms DESC, id DESC LIMIT $10::bigint;

-- name: totals
SELECT status, count(*)::bigint AS orders, sum(total_minor)::bigint AS total_minor
  FROM orders.orders_view WHERE created_at_ms >= $1::bigint AND created_at_ms < $2::bigint
 GROUP BY status;
