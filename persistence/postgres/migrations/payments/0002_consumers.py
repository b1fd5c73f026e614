"""Schema payments: the epoch of each consumer of the journal, which guards its cursors."""

from alembic import op

revision = "payments_0002"
down_revision = "payments_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the table."""
    op.execute("CREATE TABLE payments.consumers (consumer text PRIMARY KEY, epoch bigint NOT NULL CHECK (epoch > 0))")
