-- Schema catalog: product documents (JSONB) with the few columns that lists sort and filter by, categories, and
-- every price version. Changes are rare: they run in a transaction that locks the product's row first.

-- name: products
-- One page of {order}; behind ({key}, id) when $5 is not null. {comparison} is > or <.
SELECT p.document FROM catalog.products AS p
 WHERE NOT p.deleted
   AND ($1::text IS NULL OR p.categories @> ARRAY[$1::text])
   AND ($2::bigint IS NULL OR p.price_minor >= $2)
   AND ($3::bigint IS NULL OR p.price_minor <= $3)
   AND ($4::text[] IS NULL OR EXISTS (SELECT 1 FROM catalog.skus AS s WHERE s.product_id = p.id AND s.sku = ANY($4)))
   AND ($5::{key_type} IS NULL OR (p.{key}, p.id) {comparison} ($5::{key_type}, $6::text))
 ORDER BY p.{key} {direction}, p.id {direction} LIMIT $7::bigint;

-- name: count_products
SELECT count(*) AS total FROM catalog.products AS p
 WHERE NOT p.deleted
   AND ($1::text IS NULL OR p.categories @> ARRAY[$1::text])
   AND ($2::bigint IS NULL OR p.price_minor >= $2)
   AND ($3::bigint IS NULL OR p.price_minor <= $3)
   AND ($4::text[] IS NULL OR EXISTS (SELECT 1 FROM catalog.skus AS s WHERE s.product_id = p.id AND s.sku = ANY($4)));

-- name: product
SELECT document FROM catalog.products WHERE id = $1 AND NOT deleted;

-- name: create_product
INSERT INTO catalog.products (id, version, document, name_key, price_minor, created_at_ms, categories)
VALUES ($1, $2::bigint, $3::jsonb, $4, $5::bigint, $6::bigint, $7::text[]);

-- name: change_product
UPDATE catalog.products
   SET version = $2::bigint, document = $3::jsonb, name_key = $4, price_minor = $5::bigint, created_at_ms = $6::bigint,
       categories = $7::text[]
 WHERE id = $1 AND version = $8::bigint AND NOT deleted
RETURNING id;

-- name: bury_product
-- A tombstone: the id is never given again.
UPDATE catalog.products SET version = version + 1, deleted = true
 WHERE id = $1 AND version = $2::bigint AND NOT deleted
RETURNING id;

-- name: take_skus
-- The product that holds each SKU afterwards: ours, unless another had it.
INSERT INTO catalog.skus AS s (sku, product_id) SELECT n, $1 FROM unnest($2::text[]) AS n ORDER BY n
ON CONFLICT (sku) DO UPDATE SET product_id = s.product_id
RETURNING sku, product_id;

-- name: free_skus
-- Lets go of all the product's SKUs except these; their prices end.
WITH freed AS (
  DELETE FROM catalog.skus WHERE product_id = $1 AND NOT sku = ANY($2::text[]) RETURNING sku
)
UPDATE catalog.prices AS p SET replaced_at_ms = greatest($3::bigint, p.valid_from_ms) FROM freed
 WHERE p.sku = freed.sku AND p.replaced_at_ms IS NULL;

-- name: newest_prices
SELECT DISTINCT ON (sku) sku, version, product_id, '' AS name, price_minor, currency, valid_from_ms, replaced_at_ms
  FROM catalog.prices WHERE sku = ANY($1::text[]) ORDER BY sku, version DESC;

-- name: end_prices
UPDATE catalog.prices SET replaced_at_ms = greatest($2::bigint, valid_from_ms)
 WHERE sku = ANY($1::text[]) AND replaced_at_ms IS NULL;

-- name: add_prices
INSERT INTO catalog.prices (sku, version, product_id, price_minor, currency, valid_from_ms)
SELECT n.sku, n.version, $1, n.price_minor, $2, $3::bigint
  FROM unnest($4::text[], $5::bigint[], $6::bigint[]) AS n(sku, version, price_minor);

-- name: prices
-- The name is the document's: a product may be renamed without a new price.
SELECT c.sku, c.version, c.product_id, p.document ->> 'name' AS name, c.price_minor, c.currency, c.valid_from_ms,
       c.replaced_at_ms
  FROM catalog.prices AS c JOIN catalog.products AS p ON p.id = c.product_id
 WHERE c.sku = ANY($1::text[]) AND c.replaced_at_ms IS NULL;

-- name: categories
SELECT c.id, c.name, c.version,
       (SELECT count(*) FROM catalog.products AS p WHERE NOT p.deleted AND p.categories @> ARRAY[c.id])::int
         AS product_count
  FROM catalog.categories AS c ORDER BY c.name, c.id;

-- name: create_category
INSERT INTO catalog.categories (id, name, version) VALUES ($1, $2, $3::bigint);

-- name: change_category
UPDATE catalog.categories SET name = $2, version = $3::bigint WHERE id = $1 AND version = $4::bigint RETURNING id;

-- name: delete_category
DELETE FROM catalog.categories WHERE id = $1 AND version = $2::bigint RETURNING id;
