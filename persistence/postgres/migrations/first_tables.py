"""Tables that several schemas have alike, as their first revisions make them. Frozen: a change is a new revision."""

from alembic import op

EVENT_COLUMNS = """
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text NOT NULL,
    schema_version int NOT NULL CHECK (schema_version > 0),
    body bytea NOT NULL,
    command_id text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text NOT NULL,
    traceparent text NOT NULL,
    at_ms bigint NOT NULL
"""
# body is JSON text as bytea: kept byte for byte, and neither parsed nor rebuilt by the server, which jsonb would
# do for every event although no statement looks inside. `convert_from(body, 'UTF8')::jsonb` reads it in psql.


def make_schema_version(schema: str, min_code_version: str) -> None:
    """The oldest code that may run on this schema; later revisions raise it only when they must."""
    op.execute(f"CREATE TABLE {schema}.schema_version (min_code_version text NOT NULL)")
    op.execute(f"INSERT INTO {schema}.schema_version VALUES ('{min_code_version}')")  # noqa: S608 - our own text


def make_idempotency(schema: str) -> None:
    """Answers of keyed requests, written with their effect."""
    op.execute(f"""
        CREATE TABLE {schema}.idempotency (
            principal text NOT NULL,
            route text NOT NULL,
            key text NOT NULL,
            fingerprint text NOT NULL,
            status int NOT NULL,
            body bytea NOT NULL,
            at_ms bigint NOT NULL,
            PRIMARY KEY (principal, route, key)
        )""")


def make_outbox(schema: str) -> None:
    """Events of what has no journal."""
    op.execute(f"""
        CREATE TABLE {schema}.outbox (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            {EVENT_COLUMNS},
            taken_until_ms bigint NOT NULL DEFAULT 0
        )""")


def make_journal(schema: str) -> None:
    """Heads, journal, timers, answers and cursors of one service."""
    # Heads are updated in every append: room in their pages keeps those updates off the index.
    op.execute(f"""
        CREATE TABLE {schema}.shard_head (
            shard int PRIMARY KEY,
            epoch bigint NOT NULL,
            seq bigint NOT NULL CHECK (seq >= 0),
            low_water bigint NOT NULL,
            CHECK (low_water BETWEEN 0 AND seq + 1)
        ) WITH (fillfactor = 20)""")
    # No other index: (entity_id, version) would cost every event 15 µs, and state rows keep their seqs instead.
    op.execute(f"""
        CREATE TABLE {schema}.journal (
            shard int NOT NULL,
            seq bigint NOT NULL CHECK (seq > 0),
            {EVENT_COLUMNS},
            PRIMARY KEY (shard, seq)
        )""")
    op.execute(f"""
        CREATE TABLE {schema}.timers (
            shard int NOT NULL,
            entity_type text NOT NULL,
            entity_id text NOT NULL,
            due_at_ms bigint NOT NULL,
            PRIMARY KEY (shard, entity_type, entity_id)
        ) WITH (fillfactor = 70)""")
    make_idempotency(schema)
    op.execute(f"""
        CREATE TABLE {schema}.cursors (
            consumer text NOT NULL,
            shard int NOT NULL,
            seq bigint NOT NULL CHECK (seq >= 0),
            epoch bigint NOT NULL,
            PRIMARY KEY (consumer, shard)
        ) WITH (fillfactor = 50)""")
