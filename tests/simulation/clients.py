"""Clients of the simulation: shoppers and a shop keeper. They do what an HTTP replica does, without the HTTP.

A request that was answered with a 503 is repeated with the same key, for a while; then the client gives up, and its outcome is
unknown. Some requests go through the region of a host's own process, as those of a co-located replica do.
"""

import asyncio
from hashlib import blake2b
from random import Random
from typing import Any

import msgspec

from actors.domain import cart, inventory, order
from actors.domain.decision import Rejected
from actors.domain.ids import order_id
from actors.refs import EntityReply, TypedRefs
from cluster.envelope import IdempotencyKey
from cluster.errors import ClusterError
from persistence.errors import StoreError
from tests.simulation import promises
from tests.simulation.history import Deed, History, Sent, version_of
from tests.simulation.world import Machine, World

SECRET = b"simulation"
ADDRESS = order.Address(name="n", line1="l", city="c", postal_code="1", country="DE")
PLACE_DEADLINE_MS = 8_000
ASK_DEADLINE_MS = 2_000
READS = (order.GetOrder, inventory.GetStock, cart.GetCart)


class Client:
    """Asks, repeats, and writes down what it was told."""

    def __init__(self, world: World, history: History, name: str) -> None:
        self.world = world
        self.history = history
        self.name = name
        self.rng: Random = world.rng(f"client:{name}")
        self._keys = 0

    def key(self) -> str:
        self._keys += 1
        return f"{self.name}-{self._keys}"

    async def pause(self, most_s: float) -> None:
        await asyncio.sleep(self.rng.uniform(0, most_s))

    def deed(self, entity_type: str, entity_id: str, command: Any, *, command_id: str = "") -> Deed:
        deed = Deed(self.name, entity_type, entity_id, command, command_id or f"cmd_{self.key()}")
        deed.epoch = promises.epoch_of(self.world, entity_id)
        if not isinstance(command, READS):
            self.history.deeds.append(deed)
        return deed

    async def insist(self, deed: Deed, *, deadline_ms: int = ASK_DEADLINE_MS, keyed: bool = True) -> Sent:
        """Ask until there is a final answer, or until patience ends."""
        patience = self.rng.choice((1, 2, 4, 6))
        while True:
            sent = await self.send(deed, deadline_ms=deadline_ms, keyed=keyed)
            patience -= 1
            if sent.final or patience <= 0:
                return sent
            await self.pause(1.5)

    async def send(self, deed: Deed, *, deadline_ms: int = ASK_DEADLINE_MS, keyed: bool = True) -> Sent:
        """One request; its end is in the result."""
        world, seen = self.world, self.history.seen.get((deed.entity_type, deed.entity_id), 0)
        now_ms = world.now_ms()
        sent = Sent(now_ms, now_ms + deadline_ms + 2_000)
        deed.sent.append(sent)
        try:
            answer = await self._ask(deed, deadline_ms, keyed=keyed)
        except ClusterError as error:
            sent.fate, sent.code = ("unknown" if error.may_have_run else "never-ran"), error.code
        except StoreError:
            sent.fate, sent.code = "never-ran", "store-unavailable"
        except TimeoutError:
            sent.code = "client-timeout"
        else:
            sent.fate, sent.reply = "answered", answer.reply
            self._told(deed, sent, seen)
        sent.ended_ms = world.now_ms()
        shown = sent.code or _short(sent.reply)
        world.note(f"{self.name}: {_short(deed.command)} {deed.entity_id[:16]} [{deed.command_id}] -> {shown}")
        return sent

    def _told(self, deed: Deed, sent: Sent, seen: int) -> None:
        shows = version_of(sent.reply)
        if shows is not None and shows[0] == deed.entity_type:
            key = (deed.entity_type, deed.entity_id)
            if isinstance(deed.command, READS) and shows[1] < seen:
                self.history.breaches.append(
                    f"stale read: {deed} shows version {shows[1]}, somebody was told {seen} before it was asked"
                )
            self.history.seen[key] = max(self.history.seen.get(key, 0), shows[1])
        if sent.done:
            self.history.breaches.extend(promises.broken(self.world, deed, sent))

    async def _ask(self, deed: Deed, deadline_ms: int, *, keyed: bool) -> EntityReply:
        idempotency = None
        if keyed and not isinstance(deed.command, READS):
            fingerprint = blake2b(msgspec.json.encode(deed.command), digest_size=8).hexdigest()
            idempotency = IdempotencyKey(principal=deed.client, route="r", key=deed.command_id, fingerprint=fingerprint)
            if not isinstance(deed.command, order.PlaceOrder):
                known = await self._remembered(deed)
                if known is not None:
                    return known
        machine = self._door()
        if machine is None:
            assert self.world.refs is not None
            return await self._through(self.world.refs, deed, idempotency, deadline_ms)
        assert machine.refs is not None
        asked = machine.process.spawn(self._through(machine.refs, deed, idempotency, deadline_ms), "replica")
        try:
            async with asyncio.timeout(deadline_ms / 1e3 + 1):
                await asyncio.wait([asked, machine.process.death], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            asked.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise
        if not asked.done():
            raise TimeoutError
        return asked.result()

    async def _remembered(self, deed: Deed) -> EntityReply | None:
        type_ = self.world.plant.types[deed.entity_type]
        stores = self.world.client_stores
        source = stores.carts if type_.service is None else stores.journals[type_.service]
        row = await source.answer(deed.client, "r", deed.command_id)
        if row is None:
            return None
        return EntityReply(msgspec.msgpack.decode(row.body, type=type_.replies), replayed=True)

    async def _through(
        self, refs: TypedRefs, deed: Deed, idempotency: IdempotencyKey | None, deadline_ms: int
    ) -> EntityReply:
        return await refs.ask(
            deed.entity_type,
            deed.entity_id,
            deed.command,
            command_id=deed.command_id,
            idempotency=idempotency,
            actor=self.name,
            deadline_ms=deadline_ms,
        )

    def _door(self) -> Machine | None:
        """Mostly the edge's own region, now and then that of a host."""
        up = [machine for machine in self.world.machines.values() if machine.up]
        return self.rng.choice(up) if up and self.rng.random() < 0.25 else None

    async def read(self, entity_type: str, entity_id: str) -> Any:
        """The newest state, or None if nobody said."""
        question = {"order": order.GetOrder, "sku": inventory.GetStock, "cart": cart.GetCart}[entity_type]()
        sent = await self.send(self.deed(entity_type, entity_id, question), keyed=False)
        return sent.reply if sent.done else None

    async def place(self, command: order.PlaceOrder, key: str) -> Deed:
        """Place an order; now and then by two requests at once."""
        deed = self.deed("order", order_id(SECRET, self.name, key), command, command_id=f"place_{key}")
        if self.rng.random() < 0.1:
            await asyncio.gather(*(self.insist(deed, deadline_ms=PLACE_DEADLINE_MS) for _ in range(2)))
        else:
            await self.insist(deed, deadline_ms=PLACE_DEADLINE_MS)
        return deed


def _short(thing: Any) -> str:
    if isinstance(thing, Rejected):
        return f"refused {thing.code}"
    if isinstance(thing, order.OrderAnswer):
        return f"order v{thing.order.version} {thing.order.status}{' (202)' if thing.accepted else ''}"
    if isinstance(thing, cart.CartAnswer):
        return f"cart v{thing.cart.version} {[(line.sku, line.quantity) for line in thing.cart.lines]}"
    if isinstance(thing, order.PlaceOrder):
        wanted = [(line.sku, line.quantity) for line in thing.lines] or "the cart"
        return f"PlaceOrder {wanted} {thing.payment_method.token if thing.payment_method else 'unpaid'}"
    text = str(thing)
    return text if len(text) < 110 else text[:107] + "..."
