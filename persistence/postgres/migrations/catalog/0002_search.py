"""Schema catalog: the search index of products (a read model: it can be dropped and built again)."""

revision = "catalog_0002"
down_revision = "catalog_0001"
min_code_version = "0.1.0"


def upgrade() -> None:
    """Make the index's tables."""
