"""PostgreSQL adapters of every port. SQL is in `sql/`, named; migrations in `migrations/`, one history a schema."""
