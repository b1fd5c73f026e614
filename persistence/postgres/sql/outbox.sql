-- The outbox of a service without a journal: {schema} is carts, catalog or users.

-- name: add
INSERT INTO {schema}.outbox (entity_type, entity_id, version, type, schema_version, body,
                             command_id, correlation_id, causation_id, traceparent, at_ms)
SELECT e.entity_type, e.entity_id, e.version, e.type, e.schema_version, e.body,
       e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.at_ms
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::int[], $6::bytea[],
              $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[]) WITH ORDINALITY
         AS e(entity_type, entity_id, version, type, schema_version, body,
              command_id, correlation_id, causation_id, traceparent, at_ms, n)
 ORDER BY e.n;

-- name: take
-- Waits for a removal under way: each holds this row until it has committed.
INSERT INTO {schema}.consumers AS c (consumer, epoch) VALUES ('outbox', 1)
ON CONFLICT (consumer) DO UPDATE SET epoch = c.epoch + 1
RETURNING epoch;

-- name: read
-- By id, which is the order of an entity's events: each of its writes begins when the one before has committed.
SELECT id, entity_type, entity_id, version, type, schema_version, body,
       command_id, correlation_id, causation_id, traceparent, at_ms
  FROM {schema}.outbox ORDER BY id LIMIT $1::bigint;

-- name: done
-- The lock makes it wait for a take under way and then look again: of the two only one finds its epoch.
WITH held AS MATERIALIZED (
  SELECT epoch FROM {schema}.consumers WHERE consumer = 'outbox' AND epoch = $1::bigint FOR SHARE
), gone AS (
  DELETE FROM {schema}.outbox AS o USING held WHERE o.id = ANY($2::bigint[])
)
SELECT epoch FROM held;
