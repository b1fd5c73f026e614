"""The names of everything that the platform keeps in Redis."""

import msgspec

CARTS_BY_EXPIRY = b"stampede:carts:expiry"
"""Sorted set of cart ids by `expires_at_ms`."""

ANSWERS_BY_AGE = b"stampede:carts:answers"
"""Sorted set of the answers' keys by `at_ms`."""

OUTBOX = b"stampede:carts:outbox"
"""Stream of the carts' events. Ids are `0-1`, `0-2`, …: numbers of ours, not times."""

OUTBOX_EPOCH = b"stampede:carts:outbox:epoch"
"""The epoch of the outbox's one consumer."""


def cart_key(cart_id: str) -> bytes:
    """A hash: `version`, `state`, `expires_at_ms`."""
    return b"stampede:cart:" + cart_id.encode()


def answer_key(principal: str, route: str, key: str) -> bytes:
    """A string: the answer as JSON. No two triples have one key, whatever characters they are made of."""
    return b"stampede:carts:answer:" + msgspec.json.encode((principal, route, key))


def rate_key(key: str) -> bytes:
    """A hash: the counters of a key."""
    return b"stampede:rate:" + key.encode("utf-8", "surrogatepass")
