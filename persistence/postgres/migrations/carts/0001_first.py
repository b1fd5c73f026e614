"""Schema carts: carts, their answers and outbox."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_idempotency, make_outbox, make_schema_version

revision = "carts_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("carts", min_code_version)
    op.execute("""
        CREATE TABLE carts.carts (
            id text COLLATE "C" PRIMARY KEY,
            version bigint NOT NULL CHECK (version > 0),
            state bytea NOT NULL,
            expires_at_ms bigint NOT NULL
        ) WITH (fillfactor = 70)""")
    op.execute("CREATE INDEX carts_by_expiry ON carts.carts (expires_at_ms)")
    make_idempotency("carts")
    make_outbox("carts")
