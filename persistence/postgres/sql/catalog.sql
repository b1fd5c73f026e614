-- Schema catalog: product documents (JSONB) with the few columns that lists sort and filter by, categories, and
-- every price version. Products are changed in transactions that lock their rows first.

-- name: products
-- One page. The filters are those below that the query has: what is not asked for is not in the statement, so that each
-- has the plan that fits it (a count without filters reads an index alone).
SELECT p.document FROM catalog.products AS p{filters}
 ORDER BY p.{key} {direction}, p.id {direction} LIMIT {limit}::bigint;

-- name: count_products
SELECT count(*) AS total FROM catalog.products AS p{filters};

-- name: only_these_skus
-- The products are found by the SKUs first: there may be many of either.
 JOIN (SELECT DISTINCT s.product_id FROM catalog.skus AS s WHERE s.sku = ANY({value}::text[])) AS stocked
   ON stocked.product_id = p.id

-- name: on_sale
WHERE NOT p.deleted

-- name: in_category
AND p.categories @> ARRAY[{value}::text]

-- name: at_least
AND p.price_minor >= {value}::bigint

-- name: at_most
AND p.price_minor <= {value}::bigint

-- name: behind
AND (p.{key}, p.id) {comparison} ({value}::{key_type}, {row_id}::text)

-- name: product
SELECT document FROM catalog.products WHERE id = $1 AND NOT deleted;

-- name: products_by_id
SELECT document FROM catalog.products WHERE id = ANY($1::text[]) AND NOT deleted;

-- name: products_behind
SELECT document FROM catalog.products WHERE id > $1 AND NOT deleted ORDER BY id LIMIT $2::bigint;

-- name: lock_products
-- In the order of ids, so that two batches never wait for each other.
SELECT id, version, deleted FROM catalog.products WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE;

-- name: create_products
-- The products that were made: the others exist (or did).
INSERT INTO catalog.products (id, version, document, name_key, price_minor, created_at_ms, categories)
SELECT n.id, n.version, n.document::jsonb, n.name_key, n.price_minor, n.created_at_ms,
       ARRAY(SELECT jsonb_array_elements_text(n.document::jsonb -> 'categories'))
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
         AS n(id, version, document, name_key, price_minor, created_at_ms)
 ORDER BY n.id
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: change_products
-- Their rows are locked, at the versions that were expected.
UPDATE catalog.products AS p
   SET version = n.version, document = n.document::jsonb, name_key = n.name_key, price_minor = n.price_minor,
       created_at_ms = n.created_at_ms,
       categories = ARRAY(SELECT jsonb_array_elements_text(n.document::jsonb -> 'categories'))
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
         AS n(id, version, document, name_key, price_minor, created_at_ms)
 WHERE p.id = n.id;

-- name: bury_product
-- A tombstone: the id is never given again.
UPDATE catalog.products SET version = version + 1, deleted = true
 WHERE id = $1 AND version = $2::bigint AND NOT deleted
RETURNING id;

-- name: take_skus
-- The product that holds each SKU afterwards: the one that asks, unless another had it.
INSERT INTO catalog.skus AS s (sku, product_id)
SELECT n.sku, n.product_id FROM unnest($1::text[], $2::text[]) AS n(sku, product_id) ORDER BY n.sku
ON CONFLICT (sku) DO UPDATE SET product_id = s.product_id
RETURNING sku, product_id;

-- name: free_skus
-- Lets go of all SKUs of products $1 (at the times $2) except those in $3, each with its product in $4; their prices end.
WITH freed AS (
  DELETE FROM catalog.skus AS s
   USING unnest($1::text[], $2::bigint[]) AS n(product_id, at_ms)
   WHERE s.product_id = n.product_id
     AND NOT EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS kept(sku, product_id)
                      WHERE kept.sku = s.sku AND kept.product_id = s.product_id)
  RETURNING s.sku, n.at_ms
)
UPDATE catalog.prices AS p SET replaced_at_ms = greatest(freed.at_ms, p.valid_from_ms) FROM freed
 WHERE p.sku = freed.sku AND p.replaced_at_ms IS NULL;

-- name: newest_prices
SELECT DISTINCT ON (sku) sku, version, product_id, '' AS name, price_minor, currency, valid_from_ms, replaced_at_ms
  FROM catalog.prices WHERE sku = ANY($1::text[]) ORDER BY sku, version DESC;

-- name: end_prices
UPDATE catalog.prices AS p SET replaced_at_ms = greatest(n.at_ms, p.valid_from_ms)
  FROM unnest($1::text[], $2::bigint[]) AS n(sku, at_ms)
 WHERE p.sku = n.sku AND p.replaced_at_ms IS NULL;

-- name: add_prices
INSERT INTO catalog.prices (sku, version, product_id, price_minor, currency, valid_from_ms)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[]);

-- name: prices
-- The name is the document's: a product may be renamed without a new price.
SELECT c.sku, c.version, c.product_id, p.document ->> 'name' AS name, c.price_minor, c.currency, c.valid_from_ms,
       c.replaced_at_ms
  FROM catalog.prices AS c JOIN catalog.products AS p ON p.id = c.product_id
 WHERE c.sku = ANY($1::text[]) AND c.replaced_at_ms IS NULL;

-- name: skus_on_sale
-- $2 as it is for the SKU, in any case for the name; strpos, so that no character of it means anything.
SELECT s.sku, s.product_id, p.document ->> 'name' AS name
  FROM catalog.skus AS s JOIN catalog.products AS p ON p.id = s.product_id
 WHERE s.sku COLLATE "C" > $1 COLLATE "C"
   AND ($2::text = '' OR starts_with(s.sku, $2) OR strpos(lower(p.document ->> 'name'), lower($2)) > 0)
 ORDER BY s.sku COLLATE "C" LIMIT $3::bigint;

-- name: categories
SELECT c.id, c.name, c.version, coalesce(n.products, 0)::int AS product_count
  FROM catalog.categories AS c
  LEFT JOIN (SELECT o.category, count(*) AS products
               FROM catalog.products AS p, LATERAL (SELECT DISTINCT unnest(p.categories) AS category) AS o
              WHERE NOT p.deleted GROUP BY o.category) AS n ON n.category = c.id
 ORDER BY c.name, c.id;

-- name: category
SELECT c.id, c.name, c.version,
       (SELECT count(*) FROM catalog.products AS p WHERE NOT p.deleted AND p.categories @> ARRAY[c.id])::int
         AS product_count
  FROM catalog.categories AS c WHERE c.id = $1;

-- name: category_ids
SELECT id FROM catalog.categories;

-- name: create_category
INSERT INTO catalog.categories (id, name, version) VALUES ($1, $2, $3::bigint);

-- name: change_category
UPDATE catalog.categories SET name = $2, version = $3::bigint WHERE id = $1 AND version = $4::bigint RETURNING id;

-- name: delete_category
DELETE FROM catalog.categories WHERE id = $1 AND version = $2::bigint RETURNING id;
