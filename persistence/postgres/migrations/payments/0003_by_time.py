"""Schema payments: where the payments of a stretch of time lie, for administrators' figures."""

from alembic import op

revision = "payments_0003"
down_revision = "payments_0002"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index."""
    # Sums over a stretch of time need no order, and rows lie about as they were made: the least and greatest of some
    # pages is enough, and costs an insert next to nothing.
    op.execute("""
        CREATE INDEX payments_by_time ON payments.payments_view
            USING brin (created_at_ms) WITH (pages_per_range = 32, autosummarize = on)""")
