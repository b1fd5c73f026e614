-- Schema cluster: who lives, and who owns which shard. Every write is one conditional statement on one row,
-- so two hosts never wait for each other's locks in a cycle. Times are the database's clock, in ms.

-- name: now
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms;

-- name: record_shard_count
-- The first caller's count stands.
INSERT INTO cluster.meta AS m (name, value) VALUES ('shard_count', $1::int::text)
ON CONFLICT (name) DO UPDATE SET value = m.value
RETURNING value::int AS shard_count;

-- name: make_shards
INSERT INTO cluster.shards (shard, epoch) SELECT s, 0 FROM generate_series(0, $1::int - 1) AS s
ON CONFLICT (shard) DO NOTHING;

-- name: join
INSERT INTO cluster.hosts (host, incarnation, node, actor_name, weight, renewed_at_ms, expires_at_ms)
SELECT $1, $2, $3, $4, $5::float8, t.now_ms, t.now_ms + $6::bigint
  FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS t
ON CONFLICT (host, incarnation) DO UPDATE
  SET node = excluded.node, actor_name = excluded.actor_name, weight = excluded.weight,
      renewed_at_ms = excluded.renewed_at_ms, expires_at_ms = excluded.expires_at_ms
RETURNING host, incarnation, node, actor_name, weight, renewed_at_ms, expires_at_ms;

-- name: renew
-- No row back: somebody buried us.
UPDATE cluster.hosts
   SET weight = $3::float8,
       renewed_at_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
       expires_at_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $4::bigint
 WHERE host = $1 AND incarnation = $2
RETURNING expires_at_ms;

-- name: leave
DELETE FROM cluster.hosts WHERE host = $1 AND incarnation = $2;

-- name: bury
-- A renewal that commits first makes the lease live again: the condition is checked on the newest row.
DELETE FROM cluster.hosts
 WHERE host = $1 AND incarnation = $2
   AND ($3::bool OR expires_at_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
RETURNING host;

-- name: hosts
SELECT host, incarnation, node, actor_name, weight, renewed_at_ms, expires_at_ms
  FROM cluster.hosts ORDER BY host, incarnation;

-- name: shards
SELECT shard, owner, incarnation, epoch FROM cluster.shards ORDER BY shard;

-- name: claim
-- Free, ours, or its owner's row is gone. A lease that ran out is not enough: the owner must have been buried.
UPDATE cluster.shards AS s
   SET owner = $2, incarnation = $3, epoch = greatest(s.epoch, $4::bigint) + 1
 WHERE s.shard = $1
   AND (s.owner IS NULL
        OR (s.owner = $2 AND s.incarnation = $3)
        OR NOT EXISTS (SELECT 1 FROM cluster.hosts AS h WHERE h.host = s.owner AND h.incarnation = s.incarnation))
RETURNING s.epoch;

-- name: hand_off
-- The epoch stays: the receiver's claim raises it.
UPDATE cluster.shards SET owner = $5, incarnation = $6
 WHERE shard = $1 AND owner = $2 AND incarnation = $3 AND epoch = $4::bigint
RETURNING shard;
