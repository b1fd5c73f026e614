"""Drops carts that have been idle too long: each host looks after those whose shard it owns."""

import asyncio

import structlog

from actors.domain.cart import CartExpired, ExpireCart
from actors.registry import CART
from actors.runtime.host_runtime import HostRuntime
from cluster.clock import Clock
from cluster.deadline import not_after_ms
from cluster.envelope import Envelope
from cluster.errors import ClusterError
from cluster.hashing import shard_of
from cluster.tasks import TaskOwner
from persistence.errors import StoreError
from persistence.ports import Carts
from persistence.records import CartRecord, NewEvent

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 60.0
CARTS_A_SWEEP_MAX = 500
EXPIRE_TIMEOUT_MS = 2_000


class CartExpiry:
    """Asks the store once a minute which carts are over, and tells those that are ours.

    One that is in memory decides by itself. The row goes only at the version that was found, and while it is expired:
    one that was changed meanwhile stays. What a sweep leaves over, the next one finds.
    """

    def __init__(self, carts: Carts, runtime: HostRuntime, clock: Clock, shard_count: int) -> None:
        self._carts = carts
        self._runtime = runtime
        self._clock = clock
        self._shard_count = shard_count
        self._tasks = TaskOwner()

    def start(self) -> None:
        """Begin to sweep."""
        self._tasks.spawn(self._run(), "cart-expiry")

    async def stop(self) -> None:
        """Stop sweeping."""
        await self._tasks.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except (StoreError, ClusterError) as error:
                log.warning("cart_expiry.failed", error=repr(error))

    async def sweep(self) -> int:
        """One round; the number of our carts that are gone."""
        owned = set(self._runtime.describe().shards)
        found = await self._carts.expired(self._clock.now().earliest_ms, CARTS_A_SWEEP_MAX)
        gone = 0
        for cart in found:
            if shard_of(cart.id, self._shard_count) not in owned:
                continue
            name = f"{cart.id}:expire"
            envelope = Envelope(
                message_id=name,
                command_id=name,
                entity_type="cart",
                entity_id=cart.id,
                routing_key=cart.id,
                payload=b"",
                not_after_ms=not_after_ms(self._clock, EXPIRE_TIMEOUT_MS),
                correlation_id=name,
            )
            await self._runtime.deliver_local(envelope, ExpireCart())
            gone += await self._carts.delete(cart.id, cart.version, self._last_words(cart, name))
        return gone

    def _last_words(self, cart: CartRecord, name: str) -> tuple[NewEvent, ...]:
        if not CART.decode_state(cart.state).lines:
            return ()
        at_ms = self._clock.now().earliest_ms
        type_, schema_version, body = CART.events.encode(CartExpired(at_ms=at_ms))
        return (
            NewEvent(
                entity_type="cart",
                entity_id=cart.id,
                version=cart.version + 1,
                type=type_,
                schema_version=schema_version,
                body=body,
                command_id=name,
                correlation_id=name,
                causation_id="",
                traceparent="",
                at_ms=at_ms,
            ),
        )
