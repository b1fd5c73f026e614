-- Schema carts: rows with compare-and-set, their outbox and record of answers, in one statement for many carts.

-- name: load
SELECT id, version, state, expires_at_ms FROM carts.carts
 WHERE id = ANY($1::text[]) AND expires_at_ms > (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- name: save
-- Version 0 expects an absent cart, and an expired one counts as absent. Events and answers are joined to g, the
-- carts that were written.
WITH w AS (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[])
             AS w(id, expected, version, state, expires_at_ms)
), made AS (
  INSERT INTO carts.carts AS old (id, version, state, expires_at_ms)
  SELECT w.id, w.version, w.state, w.expires_at_ms FROM w WHERE w.expected = 0 ORDER BY w.id
  ON CONFLICT (id) DO UPDATE
    SET version = excluded.version, state = excluded.state, expires_at_ms = excluded.expires_at_ms
  WHERE old.expires_at_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
  RETURNING id
), changed AS (
  UPDATE carts.carts AS c SET version = w.version, state = w.state, expires_at_ms = w.expires_at_ms FROM w
   WHERE c.id = w.id AND w.expected > 0 AND c.version = w.expected
  RETURNING c.id
), g AS (
  SELECT id FROM made UNION ALL SELECT id FROM changed
), events AS (
  INSERT INTO carts.outbox (entity_type, entity_id, version, type, schema_version, body,
                            command_id, correlation_id, causation_id, traceparent, at_ms)
  SELECT e.entity_type, e.entity_id, e.version, e.type, e.schema_version, e.body,
         e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.at_ms
    FROM unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::int[], $12::bytea[],
                $13::text[], $14::text[], $15::text[], $16::text[], $17::bigint[]) WITH ORDINALITY
           AS e(cart_id, entity_type, entity_id, version, type, schema_version, body,
                command_id, correlation_id, causation_id, traceparent, at_ms, n)
    JOIN g ON g.id = e.cart_id
   ORDER BY e.n
), answers AS (
  INSERT INTO carts.idempotency (principal, route, key, fingerprint, status, body, at_ms)
  SELECT a.principal, a.route, a.key, a.fingerprint, a.status, a.body, a.at_ms
    FROM unnest($18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::int[], $24::bytea[],
                $25::bigint[])
           AS a(cart_id, principal, route, key, fingerprint, status, body, at_ms)
    JOIN g ON g.id = a.cart_id
)
SELECT id FROM g;

-- name: delete
-- Only while it is expired: a cart that began anew in its place may have reached the same version.
WITH g AS (
  DELETE FROM carts.carts
   WHERE id = $1 AND version = $2::bigint
     AND expires_at_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
  RETURNING id
), events AS (
  INSERT INTO carts.outbox (entity_type, entity_id, version, type, schema_version, body,
                            command_id, correlation_id, causation_id, traceparent, at_ms)
  SELECT e.entity_type, e.entity_id, e.version, e.type, e.schema_version, e.body,
         e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.at_ms
    FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::int[], $8::bytea[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[]) WITH ORDINALITY
           AS e(entity_type, entity_id, version, type, schema_version, body,
                command_id, correlation_id, causation_id, traceparent, at_ms, n), g
   ORDER BY e.n
)
SELECT id FROM g;

-- name: expired
SELECT id, version, state, expires_at_ms FROM carts.carts
 WHERE expires_at_ms < $1::bigint ORDER BY expires_at_ms, id LIMIT $2::bigint;

-- name: answer
SELECT principal, route, key, fingerprint, status, body, at_ms
  FROM carts.idempotency WHERE principal = $1 AND route = $2 AND key = $3;
