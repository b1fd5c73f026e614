"""Schema gateway: what a real gateway's adapter is about to do, beside what was done."""

from alembic import op

revision = "gateway_0002"
down_revision = "gateway_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Admit intents."""
    for column, words in (
        ("kind", "'capture', 'refund', 'intent'"),
        ("status", "'succeeded', 'declined', 'closed', 'open'"),
    ):
        op.execute(f"ALTER TABLE gateway.ledger DROP CONSTRAINT ledger_{column}_check")
        op.execute(
            f"ALTER TABLE gateway.ledger ADD CONSTRAINT ledger_{column}_check CHECK ({column} IN ({words})) NOT VALID"
        )
    # NOT VALID spares the scan of the whole table: what is in it obeyed a narrower rule.
