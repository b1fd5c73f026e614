"""The carts in memory: compare-and-set with an outbox and a record of answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from persistence.errors import AlreadyExists
from persistence.memory.constraints import check_events, check_version
from persistence.memory.seams import Seams
from persistence.memory.tables import AnswerKey, CartTables, answer_key
from persistence.records import CartRecord, CartWrite, IdempotencyRow, NewEvent


@dataclass(slots=True)
class MemoryCarts:
    """An expired cart reads as absent, and a write that expects an absent one (version 0) replaces it."""

    tables: CartTables
    clock_ms: Callable[[], int]
    seams: Seams = field(default_factory=Seams)

    async def load(self, ids: Sequence[str]) -> Mapping[str, CartRecord]:
        """The carts that exist and have not expired."""
        return await self.seams.call("carts.load", lambda: self._load(ids))

    async def save(self, writes: Sequence[CartWrite]) -> frozenset[str]:
        """Compare-and-set each; returns the ids written."""
        if len({write.record.id for write in writes}) != len(writes):
            raise ValueError("one call writes each cart at most once")
        return await self.seams.call("carts.save", lambda: self._save(writes))

    async def delete(self, cart_id: str, expected_version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Remove an expired cart at exactly this version."""
        return await self.seams.call("carts.delete", lambda: self._delete(cart_id, expected_version, events))

    async def expired(self, before_ms: int, limit: int) -> list[CartRecord]:
        """Carts whose expiry is before `before_ms`, oldest first."""

        def find() -> list[CartRecord]:
            due = [cart for cart in self.tables.carts.values() if cart.expires_at_ms < before_ms]
            return sorted(due, key=lambda cart: (cart.expires_at_ms, cart.id))[:limit]

        return await self.seams.call("carts.expired", find)

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""
        return await self.seams.call("carts.answer", lambda: self.tables.idempotency.get((principal, route, key)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _load(self, ids: Sequence[str]) -> Mapping[str, CartRecord]:
        now = self.clock_ms()
        carts = ((cart_id, self.tables.carts.get(cart_id)) for cart_id in ids)
        return {cart_id: cart for cart_id, cart in carts if cart is not None and cart.expires_at_ms > now}

    def _save(self, writes: Sequence[CartWrite]) -> frozenset[str]:
        passed = [write for write in writes if self._passes(write)]
        answers: set[AnswerKey] = set()
        for write in passed:
            check_version(write.record.version)
            check_events(write.events)
            for row in write.idempotency:
                key = answer_key(row)
                if key in answers or key in self.tables.idempotency:
                    raise AlreadyExists(f"an answer is remembered for {key}")
                answers.add(key)
        for write in passed:
            self.tables.carts[write.record.id] = write.record
            self.tables.idempotency.update((answer_key(row), row) for row in write.idempotency)
            for event in write.events:
                self.tables.outbox.add(event)
        return frozenset(write.record.id for write in passed)

    def _passes(self, write: CartWrite) -> bool:
        held = self.tables.carts.get(write.record.id)
        if write.expected_version == 0:
            return held is None or held.expires_at_ms <= self.clock_ms()
        return held is not None and held.version == write.expected_version

    def _delete(self, cart_id: str, expected_version: int, events: Sequence[NewEvent]) -> bool:
        held = self.tables.carts.get(cart_id)
        if held is None or held.version != expected_version or held.expires_at_ms > self.clock_ms():
            return False
        check_events(events)
        del self.tables.carts[cart_id]
        for event in events:
            self.tables.outbox.add(event)
        return True
