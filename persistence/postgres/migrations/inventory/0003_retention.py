"""Schema inventory: what the janitor looks for by age."""

from alembic import op

revision = "inventory_0003"
down_revision = "inventory_0002"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX answers_by_age ON inventory.idempotency (at_ms)")
