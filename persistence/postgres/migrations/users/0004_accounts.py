"""Schema users: families of refresh tokens that ended, and lists of accounts."""

from alembic import op

revision = "users_0004"
down_revision = "users_0003"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the table and the indexes."""
    op.execute("""
        CREATE TABLE users.dropped_families (
            family text PRIMARY KEY,
            dropped_at timestamptz NOT NULL DEFAULT now()
        )""")
    op.execute('CREATE INDEX users_newest ON users.users (created_at_ms, id COLLATE "C")')
    op.execute("CREATE INDEX users_by_email_prefix ON users.users (email_key text_pattern_ops)")
