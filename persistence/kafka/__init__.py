"""Kafka: topics, a publisher, members of consumer groups. Opened by `persistence.stores` only."""
