"""The routes, one module per service."""
