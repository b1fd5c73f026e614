"""Which shard a routing key belongs to. Stored data depends on it: it never changes."""

from hashlib import blake2b

SHARD_COUNT = 256


def shard_of(routing_key: str, shard_count: int = SHARD_COUNT) -> int:
    """blake2b-64 of the key's UTF-8, big-endian, mod `shard_count`."""
    return int.from_bytes(blake2b(routing_key.encode(), digest_size=8).digest(), "big") % shard_count
