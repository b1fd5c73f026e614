"""The carts in Redis: hashes with compare-and-set, their outbox a stream, all in one script."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from persistence.errors import AlreadyExists, WriteRefused
from persistence.records import CartRecord, CartWrite, IdempotencyRow, NewEvent
from persistence.redis import keys
from persistence.redis.events import are_sound, fields_of
from persistence.redis.scripts import load_script
from persistence.redis.server import Argument, RedisConnections

EXPIRY_GRACE_MS: Final = 86_400_000
"""The server removes a cart by itself this long after its expiry, if our own timer did not."""

ANSWER_TTL_MS: Final = 90 * 86_400_000
"""The server removes an answer by itself after this time, if the janitor did not."""

_FIELDS: Final = ("version", "state", "expires_at_ms")
_answers = msgspec.json.Decoder(IdempotencyRow)


class RedisCarts:
    """An expired cart reads as absent, and a write that expects an absent one replaces it. Time is the server's.

    A cart that the server lost is absent, too: whoever expects a version of it is told that it was not written.
    """

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._save = load_script("save_carts")
        self._delete = load_script("delete_cart")
        self._forget_lost = load_script("forget_lost")

    async def load(self, ids: Sequence[str]) -> Mapping[str, CartRecord]:
        """The carts that exist and have not expired."""
        wanted = list(dict.fromkeys(ids))
        (seconds, micros), *found = await self._connections.read(("TIME",), *map(_get, wanted))
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        carts = (_record(cart_id, values) for cart_id, values in zip(wanted, found, strict=True))
        return {cart.id: cart for cart in carts if cart is not None and cart.expires_at_ms > now_ms}

    async def save(self, writes: Sequence[CartWrite]) -> frozenset[str]:
        """Compare-and-set each; returns the ids written."""
        if len({write.record.id for write in writes}) != len(writes):
            raise ValueError("one call writes each cart at most once")
        names, arguments = _save_arguments(writes)
        what, told = await self._connections.run(self._save, names, arguments)
        match what:
            case b"written":
                return frozenset(writes[position - 1].record.id for position in told)
            case b"exists":
                raise AlreadyExists(f"an answer is remembered under {told!r}")
            case _:
                raise WriteRefused(f"cart {told!r}: versions start at 1")

    async def delete(self, cart_id: str, expected_version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Remove an expired cart at exactly this version."""
        names = (keys.cart_key(cart_id), keys.CARTS_BY_EXPIRY, keys.OUTBOX)
        arguments = (cart_id, expected_version, int(not are_sound(events)), *fields_of(events))
        what = await self._connections.run(self._delete, names, arguments)
        if what == b"refused":
            raise WriteRefused(f"the last event of cart {cart_id}: versions start at 1")
        return bool(what == b"gone")

    async def expired(self, before_ms: int, limit: int) -> list[CartRecord]:
        """Carts whose expiry is before `before_ms`, oldest first. Those that the server lost leave the index."""
        by_expiry = ("ZRANGE", keys.CARTS_BY_EXPIRY, "-inf", f"({before_ms}", "BYSCORE", "LIMIT", 0, limit)
        while True:
            (members,) = await self._connections.read(by_expiry)
            ids = [member.decode() for member in members]
            found = await self._connections.read(*map(_get, ids)) if ids else []
            carts = [_record(cart_id, values) for cart_id, values in zip(ids, found, strict=True)]
            lost = [cart_id for cart_id, cart in zip(ids, carts, strict=True) if cart is None]
            # Else what is lost would hide what is behind it; a cart that came back meanwhile is read again.
            if not lost or not await self._take_out(lost):
                over = [cart for cart in carts if cart is not None and cart.expires_at_ms < before_ms]
                return sorted(over, key=lambda cart: (cart.expires_at_ms, cart.id.encode()))

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""
        (found,) = await self._connections.read(("GET", keys.answer_key(principal, route, key)))
        return None if found is None else _answers.decode(found)

    async def probe(self) -> None:
        """Raises `StoreUnavailable` unless the server would take a write of ours now. Writes nothing."""
        names, arguments = _save_arguments(())
        await self._connections.run_freely(self._save, names, arguments)

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""

    async def _take_out(self, lost: Sequence[str]) -> bool:
        names = (keys.CARTS_BY_EXPIRY, *map(keys.cart_key, lost))
        return bool(await self._connections.run_freely(self._forget_lost, names, lost))


def _get(cart_id: str) -> tuple[Argument, ...]:
    return ("HMGET", keys.cart_key(cart_id), *_FIELDS)


def _record(cart_id: str, values: Sequence[bytes | None]) -> CartRecord | None:
    version, state, expires_at_ms = values
    if version is None or state is None or expires_at_ms is None:
        return None
    return CartRecord(id=cart_id, version=int(version), state=state, expires_at_ms=int(expires_at_ms))


def _save_arguments(writes: Sequence[CartWrite]) -> tuple[list[Argument], list[Argument]]:
    """KEYS and ARGV of `save_carts.lua`, which says what they are."""
    names: list[Argument] = [keys.CARTS_BY_EXPIRY, keys.ANSWERS_BY_AGE, keys.OUTBOX]
    names += [keys.cart_key(write.record.id) for write in writes]
    arguments: list[Argument] = [EXPIRY_GRACE_MS, ANSWER_TTL_MS]
    for write in writes:
        record = write.record
        is_broken = record.version <= 0 or not are_sound(write.events)
        arguments += [record.id, write.expected_version, record.version, record.state, record.expires_at_ms]
        arguments += [int(is_broken), len(write.events), *fields_of(write.events), len(write.idempotency)]
        for row in write.idempotency:
            names.append(keys.answer_key(row.principal, row.route, row.key))
            arguments += [row.at_ms, msgspec.json.encode(row)]
    return names, arguments
