-- Schema payments, besides its journal: the state rows. A unique index allows one captured payment an order.

-- name: service_rows
-- Part of the append: joined to g, and only if the version is newer.
views AS (
  INSERT INTO payments.payments_view AS old (id, version, shard, seqs, order_id, user_id, status, amount_minor,
                                             captured_minor, refunded_minor, currency, created_at_ms, updated_at_ms,
                                             state)
  SELECT v.id, v.version, v.shard, v.seqs::bigint[], v.order_id, v.user_id, v.status, v.amount_minor,
         v.captured_minor, v.refunded_minor, v.currency, v.created_at_ms, v.updated_at_ms, v.state
    FROM unnest($31::int[], $32::text[], $33::bigint[], $34::text[], $35::text[], $36::text[], $37::text[],
                $38::bigint[], $39::bigint[], $40::bigint[], $41::text[], $42::bigint[], $43::bigint[], $44::bytea[])
           AS v(shard, id, version, seqs, order_id, user_id, status, amount_minor, captured_minor, refunded_minor,
                currency, created_at_ms, updated_at_ms, state)
    JOIN g ON g.shard = v.shard
  ON CONFLICT (id) DO UPDATE
    SET version = excluded.version, shard = excluded.shard, seqs = excluded.seqs, order_id = excluded.order_id,
        user_id = excluded.user_id, status = excluded.status, amount_minor = excluded.amount_minor,
        captured_minor = excluded.captured_minor, refunded_minor = excluded.refunded_minor,
        currency = excluded.currency, created_at_ms = excluded.created_at_ms,
        updated_at_ms = excluded.updated_at_ms, state = excluded.state
  WHERE old.version < excluded.version
)

-- name: load
-- The newest payment of each order.
SELECT DISTINCT ON (order_id)
       id, version, shard, seqs, order_id, user_id, status, amount_minor, captured_minor, refunded_minor, currency,
       created_at_ms, updated_at_ms, state
  FROM payments.payments_view WHERE order_id = ANY($1::text[])
 ORDER BY order_id, version DESC, id;

-- name: by_id
SELECT id, version, shard, seqs, order_id, user_id, status, amount_minor, captured_minor, refunded_minor, currency,
       created_at_ms, updated_at_ms, state
  FROM payments.payments_view WHERE id = $1;

-- name: totals
SELECT count(*)::bigint AS payments, coalesce(sum(captured_minor), 0)::bigint AS captured_minor,
       coalesce(sum(refunded_minor), 0)::bigint AS refunded_minor
  FROM payments.payments_view WHERE created_at_ms >= $1::bigint AND created_at_ms < $2::bigint;
