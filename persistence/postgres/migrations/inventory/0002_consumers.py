"""Schema inventory: the epoch of each consumer of the journal, which guards its cursors."""

from alembic import op

revision = "inventory_0002"
down_revision = "inventory_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the table."""
    op.execute("CREATE TABLE inventory.consumers (consumer text PRIMARY KEY, epoch bigint NOT NULL CHECK (epoch > 0))")
