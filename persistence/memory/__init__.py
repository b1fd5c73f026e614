"""In-memory adapters of every port: deterministic, with PostgreSQL's semantics. Tests and the simulation trust them."""
