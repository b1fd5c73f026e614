"""The other clients: a keeper who runs the shop, and shoppers who pay at the last moment."""

import asyncio

from actors.domain import inventory, order
from actors.domain.decision import Rejected
from tests.simulation.clients import ADDRESS, PLACE_DEADLINE_MS, Client
from tests.simulation.history import Deed, History
from tests.simulation.shoppers import Shop, Shopper
from tests.simulation.world import World


class Keeper(Client):
    """Ships, delivers, refunds; receives and loses stock; changes prices; reserves through the API."""

    def __init__(self, world: World, history: History, shop: Shop) -> None:
        super().__init__(world, history, "keeper")
        self.shop = shop
        self.versions: dict[str, int] = {}

    async def run(self, things: int) -> None:
        for _ in range(things):
            await self.pause(2.0)
            doing = self.rng.choice(
                (self.move, self.move, self.move, self.refund, self.adjust, self.hold, self.reprice)
            )
            await doing()

    def _some_order(self) -> Deed | None:
        known = [deed for deed in self.shop.orders if deed.done]
        return self.rng.choice(known) if known else None

    async def move(self) -> None:
        placed = self._some_order()
        if placed is None:
            return
        for command in (order.ShipOrder(carrier="c"), order.DeliverOrder())[: self.rng.choice((1, 2))]:
            await self.insist(self.deed("order", placed.entity_id, command))

    async def refund(self) -> None:
        placed = self._some_order()
        if placed is not None:
            command = order.RefundOrder(amount=self.rng.choice((None, 1, 500)))
            await self.insist(self.deed("order", placed.entity_id, command), deadline_ms=PLACE_DEADLINE_MS)

    async def adjust(self) -> None:
        sku = self.rng.choice(self.shop.skus)
        command = inventory.AdjustStock(delta=self.rng.choice((-1, 1, 2, 3)), reason="count")
        await self.insist(self.deed("sku", sku, command))

    async def hold(self) -> None:
        sku = self.rng.choice(self.shop.skus)
        command = inventory.HoldExternally(order_id="theirs", quantity=1, ttl_ms=self.rng.choice((5_000, 60_000)))
        held = await self.insist(self.deed("sku", sku, command))
        if held.done and not isinstance(held.reply, Rejected) and self.rng.random() < 0.5:
            release = inventory.ReleaseExternal(reservation_id=held.reply.reservation_id)
            await self.insist(self.deed("sku", sku, release), keyed=False)

    async def reprice(self) -> None:
        product = self.rng.choice(sorted(set(self.shop.product_of.values())))
        version = self.versions.get(product, 1) + 1
        self.versions[product] = version
        prices = {sku: self.rng.randrange(100, 5_000) for sku, of in self.shop.product_of.items() if of == product}
        await self.world.save_product(product, prices, version)
        self.world.note(f"keeper: prices {prices}")


class LatePayer(Shopper):
    """Pays at the last moment, and asks again when the gateway has nothing to say."""

    async def run_late(self, token: str, before_end_ms: int) -> None:

        lines = (order.WantedLine(sku=self.rng.choice(self.shop.skus), quantity=1),)
        command = order.PlaceOrder(
            user_id=self.cart, email="e", cart_id="", lines=lines, shipping_address=ADDRESS, payment_method=None
        )
        deed = await self.place(command, self.key())
        self.mine.append(deed)
        answer = deed.answer
        if answer is None or not isinstance(answer.reply, order.OrderAnswer):
            return
        left_ms = answer.reply.order.expires_at_ms - self.world.now_ms() - before_end_ms
        await asyncio.sleep(max(0, left_ms) / 1e3)
        await self.pay_for(deed, token)
