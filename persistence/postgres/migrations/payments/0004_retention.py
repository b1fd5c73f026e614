"""Schema payments: what the janitor looks for by age."""

from alembic import op

revision = "payments_0004"
down_revision = "payments_0003"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX answers_by_age ON payments.idempotency (at_ms)")
