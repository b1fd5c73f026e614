"""Schema users: every message to a customer, sent or to be sent."""

from alembic import op

revision = "users_0002"
down_revision = "users_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the table."""
    op.execute("""
        CREATE TABLE users.notifications (
            id text PRIMARY KEY,
            event_id text NOT NULL,
            type text NOT NULL,
            channel text NOT NULL CHECK (channel IN ('email', 'sms')),
            recipient text NOT NULL CHECK (recipient <> ''),
            subject text NOT NULL,
            text_body text NOT NULL,
            html_body text NOT NULL,
            user_id text NOT NULL,
            order_id text NOT NULL,
            status text NOT NULL CHECK (status IN ('pending', 'sent', 'failed')),
            attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            due_at_ms bigint NOT NULL,
            created_at_ms bigint NOT NULL,
            ended_at_ms bigint,
            error text NOT NULL DEFAULT '',
            traceparent text NOT NULL DEFAULT '',
            correlation_id text NOT NULL DEFAULT '',
            UNIQUE (event_id, channel),
            CHECK ((status = 'pending') = (ended_at_ms IS NULL))
        )""")
    op.execute("CREATE INDEX notifications_due ON users.notifications (due_at_ms, id) WHERE status = 'pending'")
    op.execute("CREATE INDEX notifications_of_order ON users.notifications (order_id, created_at_ms, id)")
    op.execute("CREATE INDEX notifications_newest ON users.notifications (created_at_ms, id)")
    # Few rows are ever in it: what an operator looks for when mail does not go out.
    op.execute(
        "CREATE INDEX notifications_unsent ON users.notifications (status, created_at_ms, id) WHERE status <> 'sent'"
    )
