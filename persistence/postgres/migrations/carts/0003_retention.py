"""Schema carts: what the janitor looks for by age."""

from alembic import op

revision = "carts_0003"
down_revision = "carts_0002"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX answers_by_age ON carts.idempotency (at_ms)")
