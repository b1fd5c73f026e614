-- What the audit reads of whole tables, in pages by primary key behind the last row of the page before. Journals,
-- heads, timers and ownership are read by the statements of their own files.

-- name: orders
SELECT id, version, shard, seqs, user_id, status, total_minor, currency, created_at_ms, updated_at_ms, state
  FROM orders.orders_view WHERE id > $1 ORDER BY id LIMIT $2::bigint;

-- name: payments
SELECT id, version, shard, seqs, order_id, user_id, status, amount_minor, captured_minor, refunded_minor, currency,
       created_at_ms, updated_at_ms, state
  FROM payments.payments_view WHERE id > $1 ORDER BY id LIMIT $2::bigint;

-- name: inventory
SELECT sku, version, on_hand, reserved, sold FROM inventory.stock_view WHERE sku > $1 ORDER BY sku LIMIT $2::bigint;

-- name: snapshots
SELECT entity_type, entity_id, shard, seq, version, state FROM inventory.snapshots
 WHERE (shard, entity_type, entity_id) > ($1::int, $2::text, $3::text)
 ORDER BY shard, entity_type, entity_id LIMIT $4::bigint;

-- name: returns
SELECT order_id, sku FROM inventory.returns
 WHERE (order_id, sku) > ($1::text, $2::text) ORDER BY order_id, sku LIMIT $3::bigint;

-- name: ledger
SELECT key, kind, status, amount_minor, currency, reference, reason, last4, at_ms, of_key
  FROM gateway.ledger WHERE key > $1 ORDER BY key LIMIT $2::bigint;

-- name: prices
SELECT sku, version, product_id, '' AS name, price_minor, currency, valid_from_ms, replaced_at_ms
  FROM catalog.prices WHERE (sku, version) > ($1::text, $2::bigint) ORDER BY sku, version LIMIT $3::bigint;
