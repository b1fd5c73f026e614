-- Schema catalog: the search index. {slot} is a or b: one pair of tables is live, the other may be filled by a rebuild.
-- Whoever writes holds the row of search_state, so writers come one after another and a rebuild misses none.

-- name: state
SELECT live, built FROM catalog.search_state;

-- name: hold_state
-- Makes the row if it is not there; locks it until the transaction ends.
INSERT INTO catalog.search_state AS s (one) VALUES (true) ON CONFLICT (one) DO UPDATE SET one = s.one
RETURNING live, building, builds;

-- name: begin_build
UPDATE catalog.search_state
   SET building = CASE live WHEN 'a' THEN 'b' ELSE 'a' END, builds = builds + 1
RETURNING building, builds;

-- name: end_build
UPDATE catalog.search_state SET live = building, building = NULL, built = true;

-- name: drop_build
UPDATE catalog.search_state SET building = NULL WHERE builds = $1::bigint;

-- name: empty_slot
TRUNCATE catalog.search_products_{slot}, catalog.search_texts_{slot}, catalog.search_terms_{slot};

-- name: keep_removals
-- What was removed before the build and is not in it stays removed, so that a late older event does not bring it back.
INSERT INTO catalog.search_products_{slot}
SELECT * FROM catalog.search_products_{other} WHERE removed
ON CONFLICT (id) DO NOTHING;

-- name: analyze_slot
ANALYZE catalog.search_products_{slot}, catalog.search_texts_{slot}, catalog.search_terms_{slot};

-- name: count_slot
SELECT count(*) AS products FROM catalog.search_products_{slot} WHERE NOT removed;

-- name: held
-- What is held of these products; their documents tell which terms go.
SELECT p.id, p.version, p.removed, t.document
  FROM catalog.search_products_{slot} AS p LEFT JOIN catalog.search_texts_{slot} AS t ON t.id = p.id
 WHERE p.id = ANY($1::text[]);

-- name: put_products
INSERT INTO catalog.search_products_{slot}
       (id, version, removed, name_key, name_text, brand, categories, price_minor, created_at_ms, skus, name_length)
SELECT n.id, n.version, false, n.name_key, n.name_text, n.brand, n.categories::text[], n.price_minor, n.created_at_ms,
       n.skus::text[], n.name_length
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
              $9::text[], $10::int[])
    AS n(id, version, name_key, name_text, brand, categories, price_minor, created_at_ms, skus, name_length)
ON CONFLICT (id) DO UPDATE
   SET version = excluded.version, removed = false, name_key = excluded.name_key, name_text = excluded.name_text,
       brand = excluded.brand, categories = excluded.categories, price_minor = excluded.price_minor,
       created_at_ms = excluded.created_at_ms, skus = excluded.skus, name_length = excluded.name_length;

-- name: put_texts
INSERT INTO catalog.search_texts_{slot} (id, title, words, document)
SELECT n.id, n.title::tsvector, n.words::tsvector, n.document::jsonb
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n(id, title, words, document)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, words = excluded.words, document = excluded.document;

-- name: remove_products
INSERT INTO catalog.search_products_{slot}
       (id, version, removed, name_key, name_text, brand, categories, price_minor, created_at_ms, skus, name_length)
SELECT n.id, n.version, true, '', '', '', '{}', 0, 0, '{}', 0 FROM unnest($1::text[], $2::bigint[]) AS n(id, version)
ON CONFLICT (id) DO UPDATE
   SET version = excluded.version, removed = true, name_key = '', name_text = '', brand = '', categories = '{}',
       price_minor = 0, created_at_ms = 0, skus = '{}', name_length = 0;

-- name: remove_texts
DELETE FROM catalog.search_texts_{slot} WHERE id = ANY($1::text[]);

-- name: count_terms
-- The text of the last product is shown. Terms that no product has stay at 0 until the next rebuild.
INSERT INTO catalog.search_terms_{slot} AS t (kind, term, shown, products, grams)
SELECT n.kind, n.term, n.shown, n.change, string_to_array(n.grams, '|')
  FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[]) AS n(kind, term, shown, change, grams)
 ORDER BY n.kind, n.term
ON CONFLICT (kind, term) DO UPDATE
   SET products = t.products + excluded.products,
       shown = CASE WHEN excluded.products > 0 THEN excluded.shown ELSE t.shown END;

-- name: known_words
-- Which of these words stand for something in the vocabulary: a word has several ranges, of one word or of a beginning.
SELECT DISTINCT n.word
  FROM unnest($1::text[], $2::text[], $3::text[]) AS n(word, from_term, to_term)
 WHERE EXISTS (SELECT FROM catalog.search_terms_{slot} AS t
                WHERE t.kind = 'word' AND t.term BETWEEN n.from_term AND n.to_term AND t.products > 0);

-- name: similar_words
-- Words of the vocabulary with a trigram of $1, between $2 and $3 letters long; most similar first.
SELECT t.term
  FROM catalog.search_terms_{slot} AS t
       CROSS JOIN LATERAL (SELECT count(*) AS n FROM unnest(t.grams) AS g WHERE g = ANY($1::text[])) AS shared
 WHERE t.kind = 'word' AND t.products > 0 AND t.grams && $1::text[] AND char_length(t.term) BETWEEN $2 AND $3
 ORDER BY shared.n::float8 / (cardinality(t.grams) + cardinality($1::text[]) - shared.n) DESC, t.term
 LIMIT $4::bigint;

-- name: search
-- A page, the facets and the counts of one moment. Each found product says which filters it meets: a facet counts
-- those that meet all filters but its own. {source} reads the products, with {key} to sort by.
WITH {stocked}found AS MATERIALIZED (
  SELECT p.id, p.brand, p.categories, p.price_minor, {key} AS key,
         {category} AS in_category, {brand} AS of_brand, {price} AS in_price, {stock} AS in_stock
    FROM {source}
)
SELECT 'found' AS kind, (SELECT live FROM catalog.search_state) AS value, count(*) AS n, NULL::jsonb AS document
  FROM found
UNION ALL
SELECT 'total', NULL, count(*), NULL FROM found WHERE in_category AND of_brand AND in_price AND in_stock
UNION ALL
(SELECT 'category', c, count(*), NULL FROM found CROSS JOIN unnest(categories) AS c
  WHERE of_brand AND in_price AND in_stock GROUP BY c ORDER BY count(*) DESC, c COLLATE "C" LIMIT {values_max})
UNION ALL
(SELECT 'brand', brand, count(*), NULL FROM found
  WHERE brand <> '' AND in_category AND in_price AND in_stock
  GROUP BY brand ORDER BY count(*) DESC, brand COLLATE "C" LIMIT {values_max})
UNION ALL
SELECT 'price', width_bucket(price_minor, {edges})::text, count(*), NULL FROM found
 WHERE in_category AND of_brand AND in_stock GROUP BY width_bucket(price_minor, {edges})
UNION ALL
(SELECT 'product', page.key::text, NULL, t.document
   FROM (SELECT id, key FROM found WHERE in_category AND of_brand AND in_price AND in_stock AND {behind}
          ORDER BY key {direction}, id {direction} LIMIT {limit}) AS page
        JOIN catalog.search_texts_{slot} AS t ON t.id = page.id);

-- name: stocked
-- Part of `search`: the products with a SKU that can be bought.
stocked AS MATERIALIZED (
  SELECT DISTINCT p.id FROM catalog.search_products_{slot} AS p CROSS JOIN unnest(p.skus) AS s(sku)
         JOIN unnest({skus}::text[]) AS a(sku) ON a.sku = s.sku
),

-- name: terms_from
-- Brands and categories that begin so, those of most products first.
SELECT shown FROM catalog.search_terms_{slot}
 WHERE kind IN ('brand', 'category') AND term BETWEEN $1 AND $2 AND products > 0
 ORDER BY products DESC, term, kind LIMIT $3::bigint;

-- name: names_from
-- Names that begin so.
SELECT t.document ->> 'name' AS shown
  FROM (SELECT id, name_text FROM catalog.search_products_{slot}
         WHERE NOT removed AND name_text BETWEEN $1 AND $2 ORDER BY name_text, id LIMIT $3::bigint) AS p
       JOIN catalog.search_texts_{slot} AS t ON t.id = p.id
 ORDER BY p.name_text, p.id;

-- name: names_with
-- Names that have all these words: $1 finds them by the index, $2 looks at the name alone.
SELECT t.document ->> 'name' AS shown
  FROM catalog.search_texts_{slot} AS t JOIN catalog.search_products_{slot} AS p ON p.id = t.id
 WHERE t.words @@ $1::tsquery AND t.title @@ $2::tsquery
 ORDER BY p.name_text, p.id LIMIT $3::bigint;
