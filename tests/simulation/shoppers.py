"""What shoppers do: they buy, change their minds, and ask again."""

from typing import Any

from actors.domain import cart, order
from serve.shop.cart_merge import merge_carts
from serve.shop.commands import CommandIdentity
from tests.simulation.cart_model import Changed, Ordered, Shown, lines_of
from tests.simulation.clients import ADDRESS, PLACE_DEADLINE_MS, Client
from tests.simulation.history import Deed, History, Sent
from tests.simulation.world import World

TOKENS = (
    ["tok_ok"] * 12
    + ["tok_declined"] * 2
    + ["tok_timeout_succeeds"] * 2
    + ["tok_timeout_declines"]
    + ["tok_error_once"] * 2
    + [None] * 4
)


class Shop:
    """What all clients know of: what is sold, and which orders there may be."""

    def __init__(self, skus: dict[str, str]) -> None:
        self.product_of = skus
        self.orders: list[Deed] = []

    @property
    def skus(self) -> list[str]:
        return list(self.product_of)


class Shopper(Client):
    """An account and a guest cart; one thing after the other."""

    def __init__(self, world: World, history: History, name: str, shop: Shop) -> None:
        super().__init__(world, history, name)
        self.shop = shop
        self.cart = f"usr_{name}"
        self.guest = f"gst_{name}"
        self.mine: list[Deed] = []

    async def run(self, things: int) -> None:
        doings: list[tuple[Any, int]] = [
            (self.buy_items, 30),
            (self.buy_cart, 18),
            (self.change_cart, 12),
            (self.merge, 4),
            (self.repeat, 8),
            (self.pay, 8),
            (self.cancel, 12),
            (self.look, 8),
        ]
        for _ in range(things):
            await self.pause(2.5)
            (doing,) = self.rng.choices([doing for doing, _ in doings], [weight for _, weight in doings])
            await doing()

    # --- orders --------------------------------------------------------------------------------------

    async def buy_items(self) -> None:
        skus = self.rng.sample(self.shop.skus, self.rng.choice((1, 1, 2, 3)))
        lines = tuple(order.WantedLine(sku=sku, quantity=self.rng.choice((1, 1, 2))) for sku in skus)
        await self._place(lines, "", token=self.rng.choice(TOKENS))

    async def buy_cart(self) -> None:
        for _ in range(self.rng.choice((0, 1, 2))):
            await self._add(self.cart)
        log = self.log(self.cart)
        entry = Ordered("")
        log.append(entry)
        deed = await self._place((), self.cart, token=self.rng.choice(TOKENS))
        entry.order_id = deed.entity_id

    async def order_items(self, lines: tuple[order.WantedLine, ...], *, token: str | None) -> Deed:
        """Order exactly this."""
        return await self._place(lines, "", token=token)

    async def leave_unpaid(self) -> None:
        """Order something, and never pay it."""
        await self._place((order.WantedLine(sku=self.rng.choice(self.shop.skus), quantity=1),), "", token=None)

    async def _place(self, lines: tuple[order.WantedLine, ...], cart_id: str, *, token: str | None) -> Deed:
        command = order.PlaceOrder(
            user_id=self.cart,
            email="e",
            cart_id=cart_id,
            lines=lines,
            shipping_address=ADDRESS,
            payment_method=order.PaymentMethod(type="card", token=token) if token else None,
        )
        deed = await self.place(command, self.key())
        self.mine.append(deed)
        self.shop.orders.append(deed)
        return deed

    async def repeat(self) -> None:
        if not self.mine:
            return
        deed = self.rng.choice(self.mine)
        # A cart is ordered once in this log: what a second placement would take is not in it.
        if not deed.command.cart_id or deed.done:
            await self.insist(deed, deadline_ms=PLACE_DEADLINE_MS)

    def _placed(self) -> Deed | None:
        placed = [deed for deed in self.mine if deed.done]
        return self.rng.choice(placed) if placed else None

    async def pay(self) -> None:
        placed = [deed for deed in self.mine if deed.done and deed.command.payment_method is None]
        if placed:
            await self.pay_for(self.rng.choice(placed), self.rng.choice(TOKENS) or "tok_ok")

    async def pay_for(self, placed: Deed, token: str) -> None:
        answer = placed.answer
        assert answer is not None
        method = order.PaymentMethod(type="card", token=token)
        command = order.PayOrder(amount=answer.reply.order.amounts.total, currency="USD", method=method)
        await self.insist(self.deed("order", placed.entity_id, command), deadline_ms=PLACE_DEADLINE_MS)

    async def cancel(self) -> None:
        placed = self._placed()
        if placed is not None:
            deed = self.deed("order", placed.entity_id, order.CancelOrder(reason="changed my mind"))
            await self.insist(deed, deadline_ms=PLACE_DEADLINE_MS)

    async def look(self) -> None:
        placed = self._placed()
        if placed is not None:
            await self.read("order", placed.entity_id)
        await self.read("sku", self.rng.choice(self.shop.skus))
        await self._look_into(self.rng.choice((self.cart, self.guest)))

    # --- carts ---------------------------------------------------------------------------------------

    def log(self, cart_id: str) -> list[Any]:
        return self.history.carts.setdefault(cart_id, [])

    async def _look_into(self, cart_id: str) -> cart.Cart | None:
        reply = await self.read("cart", cart_id)
        if not isinstance(reply, cart.CartAnswer):
            return None
        self.log(cart_id).append(Shown(lines_of(reply.cart)))
        return reply.cart

    async def change_cart(self) -> None:
        cart_id = self.rng.choice((self.cart, self.cart, self.guest))
        doing = self.rng.random()
        if doing < 0.6:
            await self._add(cart_id)
        elif doing < 0.9:
            sku = self.rng.choice(self.shop.skus)
            product, quantity = self.shop.product_of[sku], self.rng.choice((0, 1, 3))
            await self._change(
                cart_id, cart.SetQuantity(product_id=product, sku=sku, quantity=quantity, available={sku: 99})
            )
        else:
            await self._change(cart_id, cart.ClearCart())

    async def _add(self, cart_id: str) -> None:
        sku = self.rng.choice(self.shop.skus)
        price = self.world.prices_of(sku)[-1]
        line = cart.CartLine(
            product_id=price.product_id,
            sku=sku,
            name=price.name,
            unit_price=price.price_minor,
            price_version=price.version,
            currency="USD",
            quantity=self.rng.choice((1, 2)),
        )
        await self._change(cart_id, cart.AddLine(line=line, available=99))

    async def _change(self, cart_id: str, command: Any) -> None:
        deed = self.deed("cart", cart_id, command)
        await self.insist(deed, keyed=not isinstance(command, cart.SetQuantity | cart.ClearCart))
        self.changed(deed)

    def changed(self, deed: Deed) -> None:
        answer = deed.answer
        shown = None
        # The lines in the answer to a repeat are those of then, which is earlier in this log: nothing is shown by it.
        if answer is not None and isinstance(answer.reply, cart.CartAnswer):
            shown = lines_of(answer.reply.cart)
        maybe = any(sent.fate == "unknown" for sent in deed.sent)
        self.log(deed.entity_id).append(Changed(deed.command, shown, maybe))

    async def merge(self) -> None:
        """As POST /cart/:id/merge does it; its parts are written down as operations of the two carts."""
        identity = CommandIdentity(actor=self.name, command_id=f"merge_{self.key()}")
        merging = Merging(self)
        try:
            await merge_carts(merging, self.guest, self.cart, identity)
        except Unanswered:
            return
        finally:
            merging.write_down()


class Merging:
    """The `EntityRefs` that a merge speaks through: every ask is a deed of the shopper."""

    def __init__(self, shopper: Shopper) -> None:
        self._shopper = shopper
        self._deeds: list[Deed] = []

    def write_down(self) -> None:
        for deed in self._deeds:
            self._shopper.changed(deed)

    async def ask(
        self,
        entity_type: str,
        entity_id: str,
        command: object,
        *,
        command_id: str | None,
        idempotency: Any = None,
        actor: str,
        deadline_ms: int,
    ) -> Any:
        deed = self._shopper.deed(entity_type, entity_id, command, command_id=command_id or "")
        if not isinstance(command, cart.GetCart):
            self._deeds.append(deed)
        sent = await self._shopper.insist(deed, keyed=False)
        if sent.fate != "answered":
            raise Unanswered
        if isinstance(command, cart.GetCart) and isinstance(sent.reply, cart.CartAnswer):
            self._shopper.log(entity_id).append(Shown(lines_of(sent.reply.cart)))
        return _Reply(sent)


class Unanswered(Exception):
    """A step of a merge has no answer."""


class _Reply:
    def __init__(self, sent: Sent) -> None:
        self.reply = sent.reply
        self.replayed = False
