"""Schema catalog: the search index of products (a read model: it can be dropped and built again).

Each table is there twice, `_a` and `_b`: one pair is live, and a rebuild fills the other, then changes the name in
`search_state`. No extension is needed: pg_trgm would need a role that may create it, and in a database whose locale is
C it sees no letters but ASCII's.
"""

from alembic import op

revision = "catalog_0002"
down_revision = "catalog_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index's tables."""
    op.execute("""
        CREATE TABLE catalog.search_state (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            live text NOT NULL DEFAULT 'a' CHECK (live IN ('a', 'b')),
            building text CHECK (building IN ('a', 'b') AND building <> live),
            builds bigint NOT NULL DEFAULT 0,
            built boolean NOT NULL DEFAULT false
        )""")
    for slot in ("a", "b"):
        _make_products(slot)
        _make_texts(slot)
        _make_terms(slot)


def _make_products(slot: str) -> None:
    """Narrow rows, for they are all read when everything is searched. A removed product keeps its version."""
    table = f"catalog.search_products_{slot}"
    op.execute(f"""
        CREATE TABLE {table} (
            id text COLLATE "C" PRIMARY KEY,
            version bigint NOT NULL CHECK (version > 0),
            removed boolean NOT NULL,
            name_key text COLLATE "C" NOT NULL,
            name_text text COLLATE "C" NOT NULL,
            brand text COLLATE "C" NOT NULL,
            categories text[] COLLATE "C" NOT NULL,
            price_minor bigint NOT NULL,
            created_at_ms bigint NOT NULL,
            skus text[] NOT NULL,
            name_length int NOT NULL
        )""")
    op.execute(f"CREATE INDEX search_{slot}_names ON {table} (name_text, id) WHERE NOT removed")
    op.execute(f"CREATE INDEX search_{slot}_removed ON {table} (id) WHERE removed")


def _make_texts(slot: str) -> None:
    """`words` are all that a product is found by, `title` the words of name (A) and facts (B) for the rank."""
    table = f"catalog.search_texts_{slot}"
    op.execute(f"""
        CREATE TABLE {table} (
            id text COLLATE "C" PRIMARY KEY,
            title tsvector NOT NULL,
            words tsvector NOT NULL,
            document jsonb NOT NULL
        )""")
    # No pending list: it would make searches slower as it grows.
    op.execute(f"CREATE INDEX search_{slot}_words ON {table} USING gin (words) WITH (fastupdate = off)")


def _make_terms(slot: str) -> None:
    """The vocabulary: every word of letters, brand and category, and how many products have it."""
    table = f"catalog.search_terms_{slot}"
    op.execute(f"""
        CREATE TABLE {table} (
            kind text COLLATE "C" NOT NULL CHECK (kind IN ('word', 'brand', 'category')),
            term text COLLATE "C" NOT NULL,
            shown text NOT NULL,
            products int NOT NULL,
            grams text[] NOT NULL,
            PRIMARY KEY (kind, term)
        ) WITH (fillfactor = 80)""")
    op.execute(
        f"CREATE INDEX search_{slot}_grams ON {table} USING gin (grams) WITH (fastupdate = off) WHERE kind = 'word'"
    )
