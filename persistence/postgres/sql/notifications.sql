-- Schema users: messages to customers. {columns} are a notification's.

-- name: add
-- An event joins the row that it is about: a row that was there already has told its own.
WITH n AS (
  INSERT INTO users.notifications ({columns})
  SELECT {columns}
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::int[], $13::bigint[], $14::bigint[], $15::bigint[],
                $16::text[], $17::text[], $18::text[])
           AS r({columns})
      ON CONFLICT DO NOTHING
  RETURNING id
), e AS (
  INSERT INTO users.outbox (entity_type, entity_id, version, type, schema_version, body,
                            command_id, correlation_id, causation_id, traceparent, at_ms)
  SELECT e.entity_type, e.entity_id, e.version, e.type, e.schema_version, e.body,
         e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.at_ms
    FROM unnest($19::text[], $20::text[], $21::bigint[], $22::text[], $23::int[], $24::bytea[],
                $25::text[], $26::text[], $27::text[], $28::text[], $29::bigint[]) WITH ORDINALITY
           AS e(entity_type, entity_id, version, type, schema_version, body,
                command_id, correlation_id, causation_id, traceparent, at_ms, position)
    JOIN n ON n.id = e.entity_id
   ORDER BY e.position
)
SELECT id FROM n;

-- name: take_due
-- Taken for a while rather than held locked: no transaction stays open while its taker talks to a mail server.
-- Chosen before, and once: a plan may run a subquery of WHERE again for each row, and each time take others.
WITH due AS MATERIALIZED (
  SELECT id AS due_id FROM users.notifications
   WHERE status = 'pending' AND due_at_ms <= $1::bigint
   ORDER BY due_at_ms, id LIMIT $3::bigint FOR UPDATE SKIP LOCKED
)
UPDATE users.notifications AS n
   SET due_at_ms = $1::bigint + $2::bigint, attempts = n.attempts + 1
  FROM due WHERE n.id = due.due_id
RETURNING {columns};

-- name: end
-- `sent` or `failed`, once: whoever comes second changes nothing and tells nothing.
WITH n AS (
  UPDATE users.notifications SET status = $2, ended_at_ms = $3::bigint, error = $4
   WHERE id = $1 AND status = 'pending'
  RETURNING id
)
INSERT INTO users.outbox (entity_type, entity_id, version, type, schema_version, body,
                          command_id, correlation_id, causation_id, traceparent, at_ms)
SELECT $5, $6, $7::bigint, $8, $9::int, $10::bytea, $11, $12, $13, $14, $15::bigint FROM n;

-- name: retry
UPDATE users.notifications SET due_at_ms = $2::bigint, error = $3 WHERE id = $1 AND status = 'pending';

-- name: by_id
SELECT {columns} FROM users.notifications WHERE id = $1;

-- name: list_all
SELECT {columns} FROM users.notifications
 WHERE (created_at_ms, id) < ($1::bigint, $2)
 ORDER BY created_at_ms DESC, id DESC LIMIT $3::bigint;

-- name: list_of_order
SELECT {columns} FROM users.notifications
 WHERE order_id = $4 AND ($5::text IS NULL OR status = $5) AND (created_at_ms, id) < ($1::bigint, $2)
 ORDER BY created_at_ms DESC, id DESC LIMIT $3::bigint;

-- name: list_sent
SELECT {columns} FROM users.notifications
 WHERE status = 'sent' AND (created_at_ms, id) < ($1::bigint, $2)
 ORDER BY created_at_ms DESC, id DESC LIMIT $3::bigint;

-- name: list_unsent
SELECT {columns} FROM users.notifications
 WHERE status <> 'sent' AND status = $4 AND (created_at_ms, id) < ($1::bigint, $2)
 ORDER BY created_at_ms DESC, id DESC LIMIT $3::bigint;
