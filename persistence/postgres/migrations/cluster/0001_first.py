"""Schema cluster: hosts, shards, meta."""

from alembic import op

from persistence.postgres.migrations.first_tables import make_schema_version

revision = "cluster_0001"
down_revision = None
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the first tables."""
    make_schema_version("cluster", min_code_version)
    op.execute("CREATE TABLE cluster.meta (name text PRIMARY KEY, value text NOT NULL)")
    op.execute("""
        CREATE TABLE cluster.hosts (
            host text NOT NULL,
            incarnation text NOT NULL,
            node text NOT NULL,
            actor_name text NOT NULL,
            weight double precision NOT NULL CHECK (weight >= 0),
            renewed_at_ms bigint NOT NULL,
            expires_at_ms bigint NOT NULL,
            PRIMARY KEY (host, incarnation)
        ) WITH (fillfactor = 50)""")
    op.execute("""
        CREATE TABLE cluster.shards (
            shard int PRIMARY KEY CHECK (shard >= 0),
            owner text,
            incarnation text,
            epoch bigint NOT NULL CHECK (epoch >= 0),
            CHECK ((owner IS NULL) = (incarnation IS NULL))
        ) WITH (fillfactor = 50)""")
