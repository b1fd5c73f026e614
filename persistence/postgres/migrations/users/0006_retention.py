"""Schema users: what the janitor looks for by age."""

from alembic import op

revision = "users_0006"
down_revision = "users_0005"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX refresh_tokens_by_expiry ON users.refresh_tokens (expires_at_ms)")
