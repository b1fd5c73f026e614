"""Schema inventory: journal, stock view, snapshots, returns."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_journal, make_schema_version

revision = "inventory_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("inventory", min_code_version)
    make_journal("inventory")
    # A hot SKU is updated in every append: room in its page keeps the update off the index.
    op.execute("""
        CREATE TABLE inventory.stock_view (
            sku text PRIMARY KEY,
            version bigint NOT NULL CHECK (version > 0),
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL,
            sold bigint NOT NULL CHECK (sold >= 0),
            CHECK (reserved >= 0 AND on_hand >= reserved)
        ) WITH (fillfactor = 20)""")
    op.execute("""
        CREATE TABLE inventory.snapshots (
            shard int NOT NULL,
            entity_type text NOT NULL,
            entity_id text NOT NULL,
            seq bigint NOT NULL,
            version bigint NOT NULL,
            state bytea NOT NULL,
            PRIMARY KEY (shard, entity_type, entity_id)
        )""")
    op.execute("""
        CREATE TABLE inventory.returns (
            order_id text NOT NULL,
            sku text NOT NULL,
            PRIMARY KEY (order_id, sku)
        )""")
