"""Alembic histories, one a schema: each may live in a database of its own, and has its version table inside it."""

from persistence.postgres.migrate import migrate

__all__ = ["migrate"]
