-- Schema users: what administrators and services did. Rows are never changed.

-- name: add
INSERT INTO users.admin_records (at_ms, actor, role, method, route, path, status, request_id, address)
VALUES ($1::bigint, $2, $3, $4, $5, $6, $7::int, $8, $9);

-- name: list
SELECT at_ms, actor, role, method, route, path, status, request_id, address, id
  FROM users.admin_records
 WHERE ($1::text IS NULL OR actor = $1) AND id < $2::bigint
 ORDER BY id DESC
 LIMIT $3;
