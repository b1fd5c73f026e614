-- The journal of one service: {schema} is orders, inventory or payments. The append takes the service's own
-- tables (state rows, returns) from that service's file, in place of the line service_rows.

-- name: heads
SELECT shard, epoch, seq, low_water FROM {schema}.shard_head ORDER BY shard;

-- name: fence
-- Locks the row that appends lock: it waits for the statement another left behind, or that one finds its epoch gone.
INSERT INTO {schema}.shard_head AS h (shard, epoch, seq, low_water) VALUES ($1, $2::bigint, 0, 0)
ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch WHERE h.epoch < excluded.epoch
RETURNING h.shard, h.epoch, h.seq, h.low_water;

-- name: append
-- One statement for everything a writer has queued, any number of shards. Everything is joined to g, the shards
-- that passed the check: a fenced batch writes no row of any table.
WITH b AS (
  SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::int[], $5::bigint[])
             AS b(shard, epoch, seq, n, low_water)
), g AS (
  UPDATE {schema}.shard_head AS h SET seq = h.seq + b.n, low_water = b.low_water FROM b
   WHERE h.shard = b.shard AND h.epoch = b.epoch AND h.seq = b.seq
  RETURNING h.shard, h.epoch
), j AS (
  INSERT INTO {schema}.journal (shard, seq, entity_type, entity_id, version, type, schema_version, body,
                                command_id, correlation_id, causation_id, traceparent, at_ms)
  SELECT e.* FROM unnest($6::int[], $7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::int[],
                         $13::bytea[], $14::text[], $15::text[], $16::text[], $17::text[], $18::bigint[])
                    AS e(shard, seq, entity_type, entity_id, version, type, schema_version, body,
                         command_id, correlation_id, causation_id, traceparent, at_ms)
    JOIN g ON g.shard = e.shard
), timers_in AS (
  SELECT t.* FROM unnest($19::int[], $20::text[], $21::text[], $22::bigint[])
                    AS t(shard, entity_type, entity_id, due_at_ms)
    JOIN g ON g.shard = t.shard
), timers_set AS (
  INSERT INTO {schema}.timers (shard, entity_type, entity_id, due_at_ms)
  SELECT * FROM timers_in WHERE due_at_ms IS NOT NULL
  ON CONFLICT (shard, entity_type, entity_id) DO UPDATE SET due_at_ms = excluded.due_at_ms
), timers_dropped AS (
  DELETE FROM {schema}.timers AS old USING timers_in AS t
   WHERE t.due_at_ms IS NULL
     AND old.shard = t.shard AND old.entity_type = t.entity_type AND old.entity_id = t.entity_id
), answers AS (
  INSERT INTO {schema}.idempotency (principal, route, key, fingerprint, status, body, at_ms)
  SELECT a.principal, a.route, a.key, a.fingerprint, a.status, a.body, a.at_ms
    FROM unnest($23::int[], $24::text[], $25::text[], $26::text[], $27::text[], $28::int[], $29::bytea[], $30::bigint[])
           AS a(shard, principal, route, key, fingerprint, status, body, at_ms)
    JOIN g ON g.shard = a.shard
), {service_rows}
SELECT shard, epoch FROM g;

-- name: read
SELECT shard, seq, entity_type, entity_id, version, type, schema_version, body,
       command_id, correlation_id, causation_id, traceparent, at_ms
  FROM {schema}.journal WHERE shard = $1 AND seq > $2::bigint ORDER BY seq LIMIT $3::bigint;

-- name: read_behind
-- One probe of the primary key a shard, however long the journal is.
SELECT j.shard, j.seq, j.entity_type, j.entity_id, j.version, j.type, j.schema_version, j.body,
       j.command_id, j.correlation_id, j.causation_id, j.traceparent, j.at_ms
  FROM unnest($1::int[], $2::bigint[]) AS p(shard, seq)
 CROSS JOIN LATERAL (SELECT * FROM {schema}.journal AS e
                      WHERE e.shard = p.shard AND e.seq > p.seq ORDER BY e.seq LIMIT $3::bigint) AS j
 ORDER BY j.shard, j.seq;

-- name: read_at
SELECT shard, seq, entity_type, entity_id, version, type, schema_version, body,
       command_id, correlation_id, causation_id, traceparent, at_ms
  FROM {schema}.journal WHERE shard = $1 AND seq = ANY($2::bigint[]) ORDER BY seq;

-- name: timers
SELECT entity_type, entity_id, due_at_ms FROM {schema}.timers WHERE shard = $1 ORDER BY entity_type, entity_id;

-- name: answer
SELECT principal, route, key, fingerprint, status, body, at_ms
  FROM {schema}.idempotency WHERE principal = $1 AND route = $2 AND key = $3;
