"""The writer of entities without a journal: many carts a statement, each compared and set on its version.

What becomes of a save:

    written            answers leave
    version moved      somebody else wrote this cart: its memory is read again and its pending commands are decided
                       once more; if it moves again they learn *outcome unknown*
    no answer          these carts are read again too, whoever changed them learns *outcome unknown*. An orphaned
                       statement does no harm later: it compares versions as well
    unreachable        tried again for a while, then these carts are dropped, their waiters learn *unavailable*
    refused            each cart alone; only the offender is dropped

The shard lives on in all cases: no other cart rests on these.
"""

from actors.runtime.commit_queue import CommitQueue, log
from actors.runtime.entity import Entity
from actors.runtime.host_services import HostServices
from actors.runtime.lifecycle import ACTIVE
from actors.runtime.writes import Write
from cluster.errors import ClusterError, OutcomeUnknown
from persistence import errors as store
from persistence.ports import Carts
from persistence.records import CartRecord, CartWrite, IdempotencyRow, NewEvent


class CartCommitter(CommitQueue):
    """At most one save a cart is in flight; later decisions go with the next one."""

    def __init__(self, carts: Carts, host: HostServices) -> None:
        super().__init__("carts", host)
        self._carts = carts

    async def _commit(self, writes: list[Write]) -> None:
        by_cart: dict[Entity, list[Write]] = {}
        for write in writes:
            if write.events and write.entity.phase is ACTIVE:
                by_cart.setdefault(write.entity, []).append(write)
        if by_cart:
            await self._save(by_cart)

    async def _save(self, by_cart: dict[Entity, list[Write]]) -> None:
        rows = [_row(cart, writes) for cart, writes in by_cart.items()]
        try:
            written = await self._patiently(lambda: self._carts.save(rows))
        except store.WriteRefused as error:
            await self._one_by_one(by_cart, error)
        except store.OutcomeUnknown:
            for cart in by_cart:
                self._read_again(cart, OutcomeUnknown("the store gave no answer"))
        except store.StoreUnavailable:
            for cart in by_cart:
                self._drop(cart, ClusterError("the store was not reached; nothing was written"))
        else:
            for cart, writes in by_cart.items():
                if cart.phase is not ACTIVE:
                    continue  # its shard stopped meanwhile; its waiters were told
                if cart.id in written:
                    last = writes[-1]
                    cart.committed(last.state, last.version, 0, ())
                else:
                    self._read_again(cart, None)

    async def _one_by_one(self, by_cart: dict[Entity, list[Write]], error: store.WriteRefused) -> None:
        if len(by_cart) > 1:
            for cart, writes in by_cart.items():
                await self._save({cart: writes})
            return
        for cart in by_cart:
            log.error("cart.refused", entity=cart.key, error=str(error))
            self._drop(cart, ClusterError("the store refused what this command wrote; nothing was written"))

    def _read_again(self, cart: Entity, undurable: ClusterError | None) -> None:
        if cart.phase is ACTIVE:
            self._host.metrics.cart_reloaded(cart.type.name, "moved" if undurable is None else "no_answer")
            self.forget_entity(cart)
            cart.reload(undurable)

    def _drop(self, cart: Entity, error: ClusterError) -> None:
        """Nothing of it was written: that much is known, and said."""
        cart.shard.drop(cart, error, error)


def _row(cart: Entity, writes: list[Write]) -> CartWrite:
    type_, last = cart.type, writes[-1]
    events: list[NewEvent] = []
    idempotency: list[IdempotencyRow] = []
    for write in writes:
        events.extend(write.events)
        if write.idempotency is not None:
            idempotency.append(write.idempotency)
    return CartWrite(
        record=CartRecord(
            id=cart.id,
            version=last.version,
            state=type_.encode_state(last.state),
            expires_at_ms=type_.expires_at_ms(last.state),
        ),
        expected_version=cart.committed_version,
        events=tuple(events),
        idempotency=tuple(idempotency),
    )
