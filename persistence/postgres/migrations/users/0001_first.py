"""Schema users: accounts, refresh tokens, outbox."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_outbox, make_schema_version

revision = "users_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("users", min_code_version)
    op.execute("""
        CREATE TABLE users.users (
            id text PRIMARY KEY,
            email text NOT NULL,
            email_key text NOT NULL UNIQUE,
            password_hash text NOT NULL,
            password_version bigint NOT NULL CHECK (password_version > 0),
            first_name text NOT NULL,
            last_name text NOT NULL,
            role text NOT NULL,
            created_at_ms bigint NOT NULL
        )""")
    op.execute("""
        CREATE TABLE users.refresh_tokens (
            token_hash text PRIMARY KEY,
            family text NOT NULL,
            user_id text NOT NULL REFERENCES users.users (id),
            password_version bigint NOT NULL,
            expires_at_ms bigint NOT NULL,
            used_at_ms bigint
        )""")
    op.execute("CREATE INDEX refresh_tokens_of_family ON users.refresh_tokens (family)")
    op.execute("CREATE INDEX refresh_tokens_of_user ON users.refresh_tokens (user_id)")
    make_outbox("users")
