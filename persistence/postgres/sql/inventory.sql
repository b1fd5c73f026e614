-- Schema inventory, besides its journal: a small row a SKU, snapshots (a SKU is too hot for a whole state row in
-- every append) and the returns, which act once.

-- name: service_rows
-- Part of the append: joined to g, and only if the version is newer. A second return of one line is refused.
views AS (
  INSERT INTO inventory.stock_view AS old (sku, version, on_hand, reserved, sold)
  SELECT v.sku, v.version, v.on_hand, v.reserved, v.sold
    FROM unnest($31::int[], $32::text[], $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[])
           AS v(shard, sku, version, on_hand, reserved, sold)
    JOIN g ON g.shard = v.shard
  ON CONFLICT (sku) DO UPDATE
    SET version = excluded.version, on_hand = excluded.on_hand, reserved = excluded.reserved, sold = excluded.sold
  WHERE old.version < excluded.version
), returned AS (
  INSERT INTO inventory.returns (order_id, sku)
  SELECT r.order_id, r.sku FROM unnest($37::int[], $38::text[], $39::text[]) AS r(shard, order_id, sku)
    JOIN g ON g.shard = r.shard
)

-- name: load
SELECT sku, version, on_hand, reserved, sold FROM inventory.stock_view WHERE sku = ANY($1::text[]);

-- name: in_stock
SELECT sku FROM inventory.stock_view WHERE on_hand > reserved;

-- name: levels
-- In the order of code points, as the cursor compares. A SKU has one small row, so all may be looked at.
SELECT sku, version, on_hand, reserved, sold FROM inventory.stock_view
 WHERE sku COLLATE "C" > $1 COLLATE "C" AND starts_with(sku, $2)
   AND ($3::bigint IS NULL OR on_hand - reserved <= $3)
 ORDER BY sku COLLATE "C" LIMIT $4::bigint;

-- name: best_sold
-- No index: it would be written with every sale of a SKU that sells.
SELECT sku, version, on_hand, reserved, sold FROM inventory.stock_view WHERE sold > 0
 ORDER BY sold DESC, sku COLLATE "C" LIMIT $1::bigint;

-- name: totals
SELECT count(*)::bigint AS skus, count(*) FILTER (WHERE on_hand - reserved <= $1::bigint)::bigint AS low,
       count(*) FILTER (WHERE on_hand = reserved)::bigint AS out
  FROM inventory.stock_view;

-- name: snapshots
SELECT entity_type, entity_id, shard, seq, version, state FROM inventory.snapshots
 WHERE shard = $1 AND ($2::text[] IS NULL OR entity_id = ANY($2)) ORDER BY entity_type, entity_id;

-- name: save_snapshots
-- Only under the head's own epoch and only of what is committed: $3 is the highest seq among them.
WITH h AS (
  SELECT shard FROM inventory.shard_head WHERE shard = $1 AND epoch = $2::bigint AND seq >= $3::bigint
), s AS (
  INSERT INTO inventory.snapshots AS old (shard, entity_type, entity_id, seq, version, state)
  SELECT h.shard, n.entity_type, n.entity_id, n.seq, n.version, n.state
    FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bytea[])
           AS n(entity_type, entity_id, seq, version, state), h
  ON CONFLICT (shard, entity_type, entity_id) DO UPDATE
    SET seq = excluded.seq, version = excluded.version, state = excluded.state
  WHERE old.seq < excluded.seq
)
SELECT shard FROM h;

-- name: returned
SELECT 1 AS found FROM inventory.returns WHERE order_id = $1 AND sku = $2;
