"""Carts, their outbox and answers, and rate limits in Redis (7 or newer) or Valkey. Not in cluster mode."""
