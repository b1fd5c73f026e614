"""A payment gateway as it should be: the first word under a key stands, and every charge has its order."""

from typing import TYPE_CHECKING, Any

from actors.domain.steps import Charge, ChargeResult, CloseCharge, Priced, Refund, RefundResult

if TYPE_CHECKING:
    from tests.unit.domain.checkout_world import World


class GatewayModel:
    """`charges` and `refunds` by key; refuses (by assertion) what must never be asked of it."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.charges: dict[str, tuple[str, int]] = {}
        self.refunds: dict[str, tuple[str, int]] = {}

    def run(self, step: Charge | CloseCharge | Refund) -> Any:
        """What the gateway answers; the caller may never hear it."""
        if isinstance(step, Refund):
            return self._refund(step)
        order_id = step.key.split(":")[0]
        order = self.world.state(("order", order_id))
        assert order is not None, "a charge without an order"
        assert (step.amount_minor, step.currency) == (order.amounts.total, order.amounts.currency)
        if isinstance(step, CloseCharge):
            assert order.cancel is not None, "only a cancel closes an attempt"
            self.charges.setdefault(step.key, ("closed", step.amount_minor))
        else:
            word = "declined" if step.token == "tok_declined" else "captured"
            self.charges.setdefault(step.key, (word, step.amount_minor))
        status, amount = self.charges[step.key]
        assert amount == step.amount_minor, "one key, two amounts"
        return ChargeResult(status=status, reference=f"ref:{step.key}", last4="4242", reason=status)

    def _refund(self, step: Refund) -> RefundResult:
        status, captured = self.charges[step.of_key]
        assert status == "captured", "a refund of nothing"
        assert self.refunds.setdefault(step.key, (step.of_key, step.amount_minor)) == (step.of_key, step.amount_minor)
        assert self.refunded(step.of_key) <= captured, "more refunded than captured"
        return RefundResult(reference=f"ref:{step.key}")

    def refunded(self, of_key: str) -> int:
        """Given back of one capture."""
        return sum(amount for of, amount in self.refunds.values() if of == of_key)

    def captured(self, order_id: str) -> int:
        """Taken for one order; twice is never right."""
        amounts = [
            amount
            for key, (status, amount) in self.charges.items()
            if key.startswith(f"{order_id}:") and status == "captured"
        ]
        assert len(amounts) <= 1, "two captures of one order"
        return sum(amounts)

    def given_back(self, order_id: str) -> int:
        """Given back for one order."""
        return sum(amount for of, amount in self.refunds.values() if of.startswith(f"{order_id}:"))


def prices_of(skus: Any) -> dict[str, Priced]:
    """What each SKU costs: A 500, B 700, C 900, ..."""
    return {
        sku: Priced(
            sku=sku,
            product_id=f"prod-{sku}",
            name=f"Thing {sku}",
            price_minor=500 + 200 * index,
            price_version=1,
            currency="USD",
        )
        for index, sku in enumerate(sorted(skus))
    }
