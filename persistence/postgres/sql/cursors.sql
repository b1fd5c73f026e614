-- How far the consumers of a journal have read: {schema} is orders, inventory or payments.

-- name: take
-- Waits for an advance under way: each holds this row until it has committed.
INSERT INTO {schema}.consumers AS c (consumer, epoch) VALUES ($1, 1)
ON CONFLICT (consumer) DO UPDATE SET epoch = c.epoch + 1
RETURNING epoch;

-- name: advance
-- The lock makes it wait for a take under way and then look again: of the two only one finds its epoch.
WITH held AS MATERIALIZED (
  SELECT epoch FROM {schema}.consumers WHERE consumer = $1 AND epoch = $2::bigint FOR SHARE
), moved AS (
  INSERT INTO {schema}.cursors AS old (consumer, shard, seq, epoch)
  SELECT $1, s.shard, s.seq, held.epoch FROM held, unnest($3::int[], $4::bigint[]) AS s(shard, seq) ORDER BY s.shard
  ON CONFLICT (consumer, shard) DO UPDATE SET seq = excluded.seq, epoch = excluded.epoch WHERE old.seq < excluded.seq
)
SELECT epoch FROM held;

-- name: positions
SELECT shard, seq FROM {schema}.cursors WHERE consumer = $1 ORDER BY shard;
