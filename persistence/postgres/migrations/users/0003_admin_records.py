"""Schema users: what administrators and services did."""

from alembic import op

revision = "users_0003"
down_revision = "users_0002"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the table."""
    op.execute("""
        CREATE TABLE users.admin_records (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at_ms bigint NOT NULL,
            actor text NOT NULL,
            role text NOT NULL,
            method text NOT NULL,
            route text NOT NULL,
            path text NOT NULL,
            status int NOT NULL,
            request_id text NOT NULL,
            address text NOT NULL
        )""")
    op.execute("CREATE INDEX admin_records_of_actor ON users.admin_records (actor, id)")
