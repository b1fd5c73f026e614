"""Schema payments: journal and state rows."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_journal, make_schema_version

revision = "payments_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("payments", min_code_version)
    make_journal("payments")
    op.execute("""
        CREATE TABLE payments.payments_view (
            id text PRIMARY KEY,
            version bigint NOT NULL CHECK (version > 0),
            shard int NOT NULL,
            seqs bigint[] NOT NULL,
            order_id text NOT NULL,
            user_id text NOT NULL,
            status text NOT NULL,
            amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
            captured_minor bigint NOT NULL CHECK (captured_minor IN (0, amount_minor)),
            refunded_minor bigint NOT NULL CHECK (refunded_minor BETWEEN 0 AND captured_minor),
            currency text NOT NULL,
            created_at_ms bigint NOT NULL,
            updated_at_ms bigint NOT NULL,
            state bytea NOT NULL
        ) WITH (fillfactor = 70)""")
    op.execute("CREATE INDEX payments_of_order ON payments.payments_view (order_id)")
    op.execute("""
        CREATE UNIQUE INDEX one_capture_an_order ON payments.payments_view (order_id) WHERE captured_minor > 0""")
