"""Schema orders: journal and state rows."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_journal, make_schema_version

revision = "orders_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("orders", min_code_version)
    make_journal("orders")
    # Room in the pages: an order is written twice or more, and no indexed column changes. Ids compare by code point.
    op.execute("""
        CREATE TABLE orders.orders_view (
            id text COLLATE "C" PRIMARY KEY,
            version bigint NOT NULL CHECK (version > 0),
            shard int NOT NULL,
            seqs bigint[] NOT NULL,
            user_id text NOT NULL,
            status text NOT NULL,
            total_minor bigint NOT NULL CHECK (total_minor >= 0),
            currency text NOT NULL,
            created_at_ms bigint NOT NULL,
            updated_at_ms bigint NOT NULL,
            state bytea NOT NULL
        ) WITH (fillfactor = 60)""")
    op.execute("CREATE INDEX orders_of_user ON orders.orders_view (user_id, created_at_ms, id)")
