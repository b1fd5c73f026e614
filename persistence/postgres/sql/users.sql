-- Schema users: accounts, refresh tokens, and an outbox written in the statement that changes an account.

-- name: add
WITH u AS (
  INSERT INTO users.users (id, email, email_key, password_hash, password_version, first_name, last_name, role,
                           created_at_ms)
  VALUES ($1, $2, $3, $4, $5::bigint, $6, $7, $8, $9::bigint)
)
INSERT INTO users.outbox (entity_type, entity_id, version, type, schema_version, body,
                          command_id, correlation_id, causation_id, traceparent, at_ms)
VALUES ($10, $11, $12::bigint, $13, $14::int, $15::bytea, $16, $17, $18, $19, $20::bigint);

-- name: by_id
SELECT id, email, email_key, password_hash, password_version, first_name, last_name, role, created_at_ms
  FROM users.users WHERE id = $1;

-- name: by_ids
SELECT id, email, email_key, password_hash, password_version, first_name, last_name, role, created_at_ms
  FROM users.users WHERE id = ANY($1::text[]);

-- name: by_email
SELECT id, email, email_key, password_hash, password_version, first_name, last_name, role, created_at_ms
  FROM users.users WHERE email_key = $1;

-- name: rename
UPDATE users.users SET first_name = $2, last_name = $3 WHERE id = $1
RETURNING id, email, email_key, password_hash, password_version, first_name, last_name, role, created_at_ms;

-- name: set_password
-- The account's tokens go with its old password.
WITH u AS (
  UPDATE users.users SET password_hash = $3, password_version = password_version + 1
   WHERE id = $1 AND password_version = $2::bigint
  RETURNING id
), dropped AS (
  DELETE FROM users.refresh_tokens AS t USING u WHERE t.user_id = u.id
), event AS (
  INSERT INTO users.outbox (entity_type, entity_id, version, type, schema_version, body,
                            command_id, correlation_id, causation_id, traceparent, at_ms)
  SELECT $4, $5, $6::bigint, $7, $8::int, $9::bytea, $10, $11, $12, $13, $14::bigint FROM u
)
SELECT id FROM u;

-- name: set_role
-- A token says its role: those that say the old one end, as with a new password.
WITH u AS (
  UPDATE users.users SET role = $3, password_version = password_version + 1
   WHERE id = $1 AND password_version = $2::bigint
  RETURNING id
), dropped AS (
  DELETE FROM users.refresh_tokens AS t USING u WHERE t.user_id = u.id
), event AS (
  INSERT INTO users.outbox (entity_type, entity_id, version, type, schema_version, body,
                            command_id, correlation_id, causation_id, traceparent, at_ms)
  SELECT $4, $5, $6::bigint, $7, $8::int, $9::bytea, $10, $11, $12, $13, $14::bigint FROM u
)
SELECT id FROM u;

-- name: list
-- ~>=~ and ~<~ compare bytes, whatever the database's collation; nothing sorts behind U+10FFFF.
SELECT id, email, email_key, password_hash, password_version, first_name, last_name, role, created_at_ms
  FROM users.users
 WHERE ($1::text IS NULL OR (email_key ~>=~ $1 AND email_key ~<~ ($1 || U&'\+10FFFF')))
   AND ($2::text IS NULL OR role = $2)
   AND (created_at_ms, id COLLATE "C") < ($3::bigint, $4 COLLATE "C")
 ORDER BY created_at_ms DESC, id COLLATE "C" DESC
 LIMIT $5;

-- name: password_versions
SELECT id, password_version FROM users.users WHERE id = ANY($1::text[]);

-- name: add_refresh
INSERT INTO users.refresh_tokens (token_hash, family, user_id, password_version, expires_at_ms, used_at_ms)
VALUES ($1, $2, $3, $4::bigint, $5::bigint, $6::bigint);

-- name: use_refresh
-- The lock makes the second of two users see the first one's mark, which is how reuse is found out.
WITH old AS (
  SELECT token_hash, family, user_id, password_version, expires_at_ms, used_at_ms
    FROM users.refresh_tokens AS held WHERE token_hash = $1
     AND NOT EXISTS (SELECT FROM users.dropped_families AS dropped WHERE dropped.family = held.family) FOR UPDATE
), marked AS (
  UPDATE users.refresh_tokens AS t SET used_at_ms = $2::bigint FROM old
   WHERE t.token_hash = old.token_hash AND old.used_at_ms IS NULL
)
SELECT token_hash, family, user_id, password_version, expires_at_ms, used_at_ms FROM old;

-- name: drop_family
-- The row outlives the tokens: a renewal under way may add one more to the family.
WITH dropped AS (
  INSERT INTO users.dropped_families (family) VALUES ($1) ON CONFLICT DO NOTHING
)
DELETE FROM users.refresh_tokens WHERE family = $1;

-- name: totals
SELECT count(*)::bigint AS customers, count(*) FILTER (WHERE created_at_ms >= $1::bigint)::bigint AS new
  FROM users.users WHERE role = 'customer';
