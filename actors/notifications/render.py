"""Renders messages: one text and one HTML body, from the same words and the templates of this package."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from actors.domain.order import Address, Order
from actors.notifications.text import money, one_line
from actors.notifications.wording import ToldEvent, Wording, of_order, welcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A message's parts; nothing in `subject` and `sms` ends a line."""

    subject: str
    text: str
    html: str
    sms: str


class Renderer:
    """Templates, loaded once. Whatever customers and the catalog wrote stays text: HTML is escaped, lines stay lines."""

    def __init__(self, shop: str = "Stampede") -> None:
        self._shop = one_line(shop, 60)
        environment = Environment(
            loader=PackageLoader("actors.notifications", "templates"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates = {
            name: environment.get_template(name) for name in ("order.html", "order.txt", "welcome.html", "welcome.txt")
        }

    def welcome(self, first_name: str) -> Rendered:
        """For a new account."""
        return self._render("welcome", welcome(self._shop), first_name, {})

    def order(self, event: ToldEvent, state: Order, name: str) -> Rendered:
        """For what happened to an order; `name` is who is greeted. `state`: the order at the event or later."""
        return self._render("order", of_order(event, state), name, _shown(state))

    def _render(self, template: str, words: Wording, name: str, more: Mapping[str, Any]) -> Rendered:
        values = {"shop": self._shop, "words": words, "name": one_line(name, 100), **more}
        return Rendered(
            subject=one_line(words.subject),
            text=self._templates[f"{template}.txt"].render(values).strip() + "\n",
            html=self._templates[f"{template}.html"].render(values).strip() + "\n",
            sms=f"{self._shop}: {words.sms}" if words.sms else "",
        )


def _shown(state: Order) -> dict[str, Any]:
    """What the templates show of an order."""
    amounts = state.amounts
    totals = [
        ("Subtotal", amounts.subtotal),
        *([("Shipping", amounts.shipping)] if amounts.shipping else []),
        *([("Tax", amounts.tax)] if amounts.tax else []),
    ]
    return {
        "order_id": state.id,
        "ordered_on": f"{datetime.fromtimestamp(state.created_at_ms // 1000, UTC):%d %B %Y}".lstrip("0"),
        "lines": [
            {
                "name": one_line(line.name),
                "sku": one_line(line.sku),
                "quantity": line.quantity,
                "unit_price": money(line.unit_price, amounts.currency),
                "total": money(line.unit_price * line.quantity, amounts.currency),
            }
            for line in state.lines
        ],
        "totals": [(label, money(minor, amounts.currency)) for label, minor in totals],
        "total": money(amounts.total, amounts.currency),
        "address": _address(state.shipping_address),
    }


def _address(address: Address) -> list[str]:
    lines = (
        address.name,
        address.line1,
        address.line2,
        f"{address.postal_code} {address.city}",
        address.country,
    )
    return [one_line(line) for line in lines if line]
