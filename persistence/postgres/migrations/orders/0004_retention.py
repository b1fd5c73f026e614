"""Schema orders: what the janitor looks for by age."""

from alembic import op

revision = "orders_0004"
down_revision = "orders_0003"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX answers_by_age ON orders.idempotency (at_ms)")
