-- Schema gateway: the ledger of the payment gateway.

-- name: put
-- The first row under a key stands. The update that changes nothing makes RETURNING answer with the standing row.
INSERT INTO gateway.ledger AS l (key, kind, status, amount_minor, currency, reference, reason, last4, at_ms, of_key)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::bigint[], $10::text[])
                AS n(key, kind, status, amount_minor, currency, reference, reason, last4, at_ms, of_key)
 ORDER BY n.key
ON CONFLICT (key) DO UPDATE SET key = l.key
RETURNING l.key, l.kind, l.status, l.amount_minor, l.currency, l.reference, l.reason, l.last4, l.at_ms, l.of_key;

-- name: find
SELECT key, kind, status, amount_minor, currency, reference, reason, last4, at_ms, of_key
  FROM gateway.ledger WHERE key = ANY($1::text[]);
