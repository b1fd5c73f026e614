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
-- Taken for a while rather than held locked: no transaction stays open while its taker talks to a broker.
UPDATE {schema}.outbox AS o
   SET taken_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2::bigint
 WHERE o.id IN (SELECT id FROM {schema}.outbox
                 WHERE taken_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
                 ORDER BY id LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
RETURNING o.id, o.entity_type, o.entity_id, o.version, o.type, o.schema_version, o.body,
          o.command_id, o.correlation_id, o.causation_id, o.traceparent, o.at_ms;

-- name: done
DELETE FROM {schema}.outbox WHERE id = ANY($1::bigint[]);
