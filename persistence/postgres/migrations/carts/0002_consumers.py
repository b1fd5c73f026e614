"""Schema carts: the epoch of the outbox's consumer, which guards what is removed."""

from alembic import op

revision = "carts_0002"
down_revision = "carts_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the table, and drop what leases needed."""
    op.execute("CREATE TABLE carts.consumers (consumer text PRIMARY KEY, epoch bigint NOT NULL CHECK (epoch > 0))")
    # Rows are not leased any more, and nothing ever was: no code before this revision ran a consumer.
    op.execute("ALTER TABLE carts.outbox DROP COLUMN taken_until_ms")
