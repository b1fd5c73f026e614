"""Schema gateway: the sandbox gateway's ledger."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_schema_version

revision = "gateway_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("gateway", min_code_version)
    op.execute("""
        CREATE TABLE gateway.ledger (
            key text PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('capture', 'refund')),
            status text NOT NULL CHECK (status IN ('succeeded', 'declined', 'closed')),
            amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
            currency text NOT NULL,
            reference text NOT NULL,
            reason text NOT NULL,
            last4 text NOT NULL,
            at_ms bigint NOT NULL,
            of_key text NOT NULL
        )""")
