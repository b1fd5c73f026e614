"""Schema catalog: products, SKUs, prices, categories, outbox."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_outbox, make_schema_version

revision = "catalog_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("catalog", min_code_version)
    # Ids and names compare by code point, in every database alike.
    op.execute("""
        CREATE TABLE catalog.products (
            id text COLLATE "C" PRIMARY KEY,
            version bigint NOT NULL CHECK (version > 0),
            document jsonb NOT NULL,
            name_key text COLLATE "C" NOT NULL,
            price_minor bigint NOT NULL CHECK (price_minor >= 0),
            created_at_ms bigint NOT NULL,
            categories text[] NOT NULL,
            deleted boolean NOT NULL DEFAULT false
        )""")
    op.execute("CREATE INDEX products_by_name ON catalog.products (name_key, id) WHERE NOT deleted")
    op.execute("CREATE INDEX products_by_price ON catalog.products (price_minor, id) WHERE NOT deleted")
    op.execute("CREATE INDEX products_by_age ON catalog.products (created_at_ms, id) WHERE NOT deleted")
    op.execute("CREATE INDEX products_of_category ON catalog.products USING gin (categories)")
    op.execute("""
        CREATE TABLE catalog.skus (
            sku text PRIMARY KEY,
            product_id text COLLATE "C" NOT NULL REFERENCES catalog.products (id)
        )""")
    op.execute("CREATE INDEX skus_of_product ON catalog.skus (product_id)")
    op.execute("""
        CREATE TABLE catalog.prices (
            sku text NOT NULL,
            version bigint NOT NULL CHECK (version > 0),
            product_id text NOT NULL,
            price_minor bigint NOT NULL CHECK (price_minor >= 0),
            currency text NOT NULL,
            valid_from_ms bigint NOT NULL,
            replaced_at_ms bigint CHECK (replaced_at_ms >= valid_from_ms),
            PRIMARY KEY (sku, version)
        )""")
    op.execute("CREATE UNIQUE INDEX one_current_price_a_sku ON catalog.prices (sku) WHERE replaced_at_ms IS NULL")
    op.execute("""
        CREATE TABLE catalog.categories (
            id text COLLATE "C" PRIMARY KEY,
            name text COLLATE "C" NOT NULL,
            version bigint NOT NULL CHECK (version > 0)
        )""")
    make_outbox("catalog")
